# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The part of ``paddletsm predict`` behind its options: many clips, results, progress."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from paddletsm.cli.common import EXIT_FAILED, EXIT_OK, parse_seconds, process_rank, whole
from paddletsm.cli.predict_labels import top1_text, true_classes
from paddletsm.cli.stopping import exit_code, terminable
from paddletsm.errors import ConfigError
from paddletsm.utils.logging import tell_terminal
from paddletsm.utils.text import plural
from paddletsm.utils.threads import most_threads

if TYPE_CHECKING:
    from paddletsm.deploy import Artefact, Prediction, Predictor
    from paddletsm.deploy.inputs import Named
    from paddletsm.deploy.result_files import Outcome, ResultFile

# With --output, clips of longer runs are not printed one by one.
_SHOWN_CLIPS = 20
# A second copy of the network has to be worth its start.
_MANY_CLIPS = 16
_MOST_INSTANCES = 4
_LINE_EVERY_S = 30.0
# Process 0 waits so long for a result of the others, and for the time limit of a clip: a process
# may still be loading its network, or try one decoder after the other on a file that hangs.
_PATIENCE_S = 60.0
_TRIES = 2


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Options that are about many clips."""
    group = parser.add_argument_group("many clips")
    group.add_argument("--output", metavar="FILE", help="write results to .jsonl or .csv")
    group.add_argument(
        "--resume", action="store_true", help="skip the clips whose results FILE holds already"
    )
    group.add_argument(
        "--num_workers",
        type=whole(0, most_threads()),
        metavar="N",
        help="processes that read clips; default: none for a few clips, else half the cores",
    )
    group.add_argument(
        "--instances",
        type=whole(1, most_threads()),
        metavar="N",
        help="copies of the network that compute at the same time and share the threads; default: "
        f"1, and for {_MANY_CLIPS} clips or more one per core, up to {_MOST_INSTANCES}",
    )
    group.add_argument(
        "--timeout", type=parse_seconds, default=60.0, metavar="SEC", help="for reading one clip"
    )


def process_count() -> int:
    """Number of processes that paddle.distributed.launch started, on all machines."""
    return int(os.environ.get("PADDLE_TRAINERS_NUM", "1") or 1)


def choose_instances(args: argparse.Namespace, clips: int, device: str) -> int:
    """Copies of the network; single threads together do more than one after the other."""
    if args.instances is not None:
        return args.instances
    if device != "cpu" or clips < _MANY_CLIPS:
        return 1
    from paddletsm.deploy.engine import default_threads

    return min(args.cpu_threads or default_threads(), _MOST_INSTANCES)


def fingerprint(folder: Path, artefact: Artefact, precision: str) -> str:
    """What results say about their network: its name, its artefact, 8 bit."""
    from paddletsm.deploy.artefact import FILE_NAME
    from paddletsm.utils.io import sha256_of

    kind = "" if precision == "fp32" else f" {precision}"
    return f"{artefact.model_name}@{sha256_of(folder / FILE_NAME)[:12]}{kind}"


def run_predictions(
    args: argparse.Namespace,
    artefact: Artefact,
    folder: Path,
    clips: Sequence[Named],
    open_predictor: Callable[[int], Predictor],
) -> int:
    """Predict, write and tell; returns the exit code.

    Args:
        args: of the command.
        artefact: of the network.
        folder: where it lies.
        clips: all clips, of which this process may have to predict a share.
        open_predictor: gets the number of clips to predict.

    Raises:
        ConfigError: options that contradict each other.
    """
    world = process_count()
    truths: Sequence[int | None] = [None] * len(clips)
    if artefact.activation != "sigmoid":  # there may be several labels
        truths = true_classes(clips, artefact.labels)
    if args.output is None:
        if args.resume or world > 1:
            reason = "--resume needs" if args.resume else f"{world} processes need"
            raise ConfigError(f"{reason} --output FILE.jsonl (or .csv), where the results go")
        return _Run(args, artefact, None, clips).through(open_predictor, truths)
    from paddletsm.deploy.result_files import ResultFile
    from paddletsm.deploy.results import layout_of

    layout = layout_of(
        args.output,
        min(args.top_k, len(artefact.labels)),
        fingerprint(folder, artefact, args.precision),
    )
    paths = [clip.path for clip in clips]
    place = {"rank": process_rank(), "world": world, "resume": args.resume}
    with (
        contextlib.ExitStack() as handlers,
        ResultFile(args.output, layout, paths, **place) as results,
        results.reporting(),
    ):
        todo = [clips[number] for number in results.todo]
        if results.kept:
            print(f"{plural(results.kept, 'clip')} in {args.output} already")
        handlers.enter_context(terminable())

        def opened(count: int) -> Predictor:
            predictor = open_predictor(count)
            handlers.enter_context(terminable())  # once more: Paddle sets its own
            return predictor

        try:
            return _Run(args, artefact, results, todo).through(opened, truths)
        except KeyboardInterrupt as signalled:
            return _say_interrupted(args, results, len(clips), signalled)


def _say_interrupted(
    args: argparse.Namespace, results: ResultFile, clips: int, signalled: KeyboardInterrupt
) -> int:
    """Tell what there is and how to go on; returns the exit code."""
    if process_rank() == 0:
        text = (
            f"interrupted: {results.count_done()} of {plural(clips, 'clip')} done, their results "
            f"are kept; to continue {args.output}, run the same command with --resume"
        )
        print(text, file=sys.stderr, flush=True)
        tell_terminal(text)
    return exit_code(signalled)


class _Run:
    """One process's clips, their results and what is said about them."""

    def __init__(
        self,
        args: argparse.Namespace,
        artefact: Artefact,
        results: ResultFile | None,
        todo: Sequence[Named],
    ) -> None:
        self._args = args
        self._top_k = min(args.top_k, len(artefact.labels))
        self._results = results
        self._todo = todo
        self._failed = 0
        self._best: list[int | None] = []

    def through(
        self, open_predictor: Callable[[int], Predictor], truths: Sequence[int | None]
    ) -> int:
        """Predict everything; returns the exit code.

        Args:
            open_predictor: gets the number of clips to predict.
            truths: class of each clip, of all processes and earlier runs, or None.
        """
        count = len(self._todo)
        # Without clips nothing has to be loaded.
        predictor = open_predictor(count) if count else None
        start = time.perf_counter()
        if predictor is not None:
            self._predict(predictor)
        seconds = time.perf_counter() - start
        rate = f", {count / seconds:.2f} clips/s" if count else ""
        world = process_count()
        share = f" (share of process {process_rank()} of {world})" if world > 1 else ""
        print(f"{plural(count, 'clip')}{share}, {self._failed} failed, {seconds:.1f} s{rate}")
        if self._results is not None:
            patience = _PATIENCE_S + _TRIES * self._args.timeout
            outcome = self._results.finish_together(patience_s=patience, on_wait=self._say_waiting)
            return self._tell(outcome, truths)
        _say_top1(truths, self._best)
        return EXIT_FAILED if self._failed else EXIT_OK

    def _predict(self, predictor: Predictor) -> None:
        from paddletsm.deploy.results import as_text

        paths = [clip.path for clip in self._todo]
        is_shown = self._results is None or len(paths) <= _SHOWN_CLIPS
        found = _with_progress(predictor.predict_many(paths, self._top_k), len(paths))
        for prediction in found:
            if self._results is not None:
                self._results.write(prediction)
            if is_shown or prediction.error is not None:
                _say(as_text(prediction))
            self._failed += prediction.error is not None
            self._best.append(prediction.label_ids[0] if prediction.error is None else None)

    def _say_waiting(self, outcome: Outcome) -> None:
        print(
            f"waiting for the other processes: {plural(outcome.missing, 'clip')} to come",
            flush=True,
        )

    def _tell(self, outcome: Outcome, truths: Sequence[int | None]) -> int:
        output = self._args.output
        if not outcome.is_merged:
            missing = plural(outcome.missing, "clip")
            if process_rank():
                print(f"{output}: follows when the other processes are done ({missing} to come)")
            else:
                print(
                    f"{output}: not there, {missing} missing, and the other processes have "
                    "written nothing for long. If they live, the last one writes it; else run the "
                    "same command with --resume"
                )
            # The launcher would end the other processes over a failed clip of this one.
            return EXIT_OK
        failed = f", {outcome.failed} failed" if outcome.failed else ""
        print(f"written: {output}, {plural(len(truths), 'clip')}{failed}")
        if outcome.others:
            print(
                f"  and, behind them, {plural(outcome.others, 'earlier result')} of clips that "
                "are not among the inputs"
            )
        _say_top1(truths, outcome.best)
        if process_rank() and self._results is not None and self._results.is_reported():
            return EXIT_OK  # else the launcher would end process 0 before it has told all this
        return EXIT_FAILED if outcome.failed else EXIT_OK


def _say_top1(truths: Sequence[int | None], best: Sequence[int | None]) -> None:
    text = top1_text(truths, best)
    if text is not None:
        print(text, flush=True)


def _with_progress(predictions: Iterable[Prediction], total: int) -> Iterator[Prediction]:
    """Show a bar with the time left on a terminal, else a line now and then."""
    if total < 2:
        yield from predictions
        return
    if not sys.stderr.isatty():
        yield from _with_lines(predictions, total)
        return
    from tqdm import tqdm

    failed = 0
    with tqdm(total=total, unit="clip", dynamic_ncols=True) as bar:
        for prediction in predictions:
            failed += prediction.error is not None
            if failed:
                bar.set_postfix_str(f"{failed} failed", refresh=False)
            bar.update()
            yield prediction


def _with_lines(predictions: Iterable[Prediction], total: int) -> Iterator[Prediction]:
    start = last = time.monotonic()
    failed = 0
    for count, prediction in enumerate(predictions, 1):
        failed += prediction.error is not None
        yield prediction
        now = time.monotonic()
        if now - last >= _LINE_EVERY_S:
            last = now
            rate = count / (now - start)
            left = timedelta(seconds=round((total - count) / rate))
            print(
                f"{count} of {plural(total, 'clip')}, {failed} failed, {rate:.2f} clips/s, "
                f"{left} left",
                file=sys.stderr,
                flush=True,
            )


def _say(text: str) -> None:
    """Print without cutting the progress bar in two."""
    if sys.stderr.isatty() and sys.stdout.isatty():
        from tqdm import tqdm

        tqdm.write(text)
    else:
        print(text, flush=True)
