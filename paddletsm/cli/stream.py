# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""``paddletsm stream``: what happens, and when, in a file, a camera or a network stream."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from paddletsm.cli.common import (
    EXIT_FAILED,
    EXIT_OK,
    add_common_arguments,
    add_switch,
    add_threads_argument,
    check_apart,
    make_parser,
    parse_seconds,
    run_command,
    whole,
)
from paddletsm.errors import ConfigError
from paddletsm.utils.text import listing, plural

if TYPE_CHECKING:
    from paddletsm.deploy.stream.events import EventRules
    from paddletsm.deploy.stream.run import Summary, View
    from paddletsm.deploy.stream.sources import FileSource, LiveSource

_DEFAULT_ROOT = "inference"
# What data sets call the absence of an event (Jester has the first two).
_SILENT = ("no gesture", "doing other things", "nothing", "background", "none")
_FILE_FPS = 25.0


def build_parser() -> argparse.ArgumentParser:
    """Options of the command."""
    parser = make_parser("stream", "Find events in a video, a camera or a network stream.")
    parser.add_argument(
        "-i", "--input", required=True, metavar="INPUT", help="video file, camera number, or URL"
    )
    parser.add_argument(
        "--model_dir",
        help=f"folder of a model exported with --online; default: the newest of {_DEFAULT_ROOT}/",
    )
    parser.add_argument(
        "--output", metavar="FILE", help="also write the events to .jsonl, .csv or .srt"
    )
    parser.add_argument("--save_video", metavar="FILE.mp4", help="write the video with the results")
    parser.add_argument("--show", action="store_true", help="show it in a window; Esc or q ends")
    parser.add_argument(
        "--realtime", action="store_true", help="read a file at its own rate, drop late frames"
    )
    parser.add_argument(
        "--max_seconds",
        type=parse_seconds,
        metavar="SEC",
        help="end after so long, by the clock on the wall",
    )
    parser.add_argument(
        "--retries",
        type=whole(-1),
        default=10,
        help="attempts in a row to open a camera or URL again; -1: for ever",
    )
    add_event_arguments(parser)
    run = parser.add_argument_group("running the network")
    run.add_argument("--device", default="cpu", help="cpu, gpu or gpu:N")
    run.add_argument(
        "--engine",
        default="paddle",
        help="paddle, onnxruntime, openvino, or auto: the fastest that has a file of this model",
    )
    add_threads_argument(run)
    for name, meaning in (
        ("--enable_openvino", "with the engine paddle: the OpenVINO that Paddle 3 brings"),
        ("--enable_mkldnn", "oneDNN kernels on the CPU; False: Paddle's own alone"),
    ):
        add_switch(run, name, default=True, help=meaning)
    add_common_arguments(parser)
    return parser


def add_event_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that turn scores into events."""
    group = parser.add_argument_group("events")
    group.add_argument(
        "--fps", type=float, help="frames per second for the network; default: as it was trained"
    )
    group.add_argument(
        "--smooth",
        type=whole(1),
        metavar="K",
        help="average the logits of the last K frames; default: as the model was trained",
    )
    group.add_argument("--threshold", type=float, default=0.5, help="score that begins an event")
    group.add_argument(
        "--release", type=float, default=0.3, help="an event ends when its score falls below it"
    )
    group.add_argument(
        "--min_duration",
        type=float,
        metavar="SEC",
        help="drop shorter events; default: half of the frames that are averaged",
    )
    group.add_argument(
        "--silent",
        nargs="*",
        metavar="CLASS",
        help="classes that are no event; default: those named 'No gesture' and the like",
    )


def main(argv: list[str] | None = None) -> int:
    """Run the command: 0 done, 1 the source was cut off or lost, 130/143 stopped by a signal."""
    return run_command(build_parser(), _stream, argv)


def event_rules(args: argparse.Namespace, labels: Sequence[str], *, shortest: float) -> EventRules:
    """Rules of the options; without ``--silent`` the classes that are named like nothing.

    Args:
        args: of ``add_event_arguments``.
        labels: class names.
        shortest: ``--min_duration`` where it is not given.

    Raises:
        ConfigError: numbers out of range.
    """
    from paddletsm.deploy.stream.events import EventRules

    silent = args.silent
    if silent is None:
        silent = [name for name in labels if name.lower().replace("_", " ") in _SILENT]
    seconds = shortest if args.min_duration is None else args.min_duration
    return EventRules(args.threshold, args.release, seconds, tuple(silent))


def _stream(args: argparse.Namespace) -> int:
    """Look at the names, before anything is opened, then follow the source."""
    from paddletsm.deploy.stream.reasons import DamagedVideoError, check_source

    name = check_source(args.input)
    for option in ("output", "save_video"):
        target = getattr(args, option)
        check_apart(f"--{option}", [target] if target else [], [name])
    try:
        return _follow(args, name)
    except DamagedVideoError as err:
        _say(f"error: {err}")
        return EXIT_FAILED


def _follow(args: argparse.Namespace, name: str) -> int:
    from paddletsm.deploy.stream.clock import Resampler
    from paddletsm.deploy.stream.events import EventDetector
    from paddletsm.deploy.stream.predictor import StreamPredictor
    from paddletsm.deploy.stream.run import StreamRun
    from paddletsm.deploy.stream.sources import RetryRules, open_source
    from paddletsm.deploy.stream.writers import EventWriter, as_json

    network = StreamPredictor(
        args.model_dir or newest_online(_DEFAULT_ROOT),
        device=args.device,
        threads=args.cpu_threads,
        mkldnn=args.enable_mkldnn,
        openvino=args.enable_openvino,
        engine=args.engine,
        average_frames=args.smooth,
    )
    fps = _rate(args.fps, network.fps)
    rules = event_rules(args, network.labels, shortest=network.average_frames / fps / 2)
    detector = EventDetector(network.labels, rules)
    retry = RetryRules(attempts=None if args.retries < 0 else args.retries)
    with contextlib.ExitStack() as stack:
        should_stop = stack.enter_context(stop_on_signals())
        source = open_source(name, realtime=args.realtime, retry=retry)
        stack.callback(source.close)
        writer = stack.enter_context(EventWriter(args.output)) if args.output else None
        views = _views(args, source, fps)
        for view in views:
            stack.callback(view.close)
        _say(
            f"model: {network.artefact.model_name}, {fps:.3g} frames per second "
            f"({network.engine.name})"
        )
        if rules.silent:
            _say(f"no events: {listing(rules.silent)}")

        def on_event(event: object) -> None:
            print(as_json(event), flush=True)
            if writer is not None:
                writer.write(event)

        run = StreamRun(
            network,
            detector,
            Resampler(fps, longest_hold=network.artefact.num_seg),
            on_event=on_event,
            views=views,
        )
        summary = run.run(source, _or_late(should_stop, args.max_seconds))
    _say(_as_text(summary))
    if should_stop.signum:
        return 128 + should_stop.signum
    if summary.problem:
        _say(f"error: {summary.problem}")
        return EXIT_FAILED
    return EXIT_OK


class StopFlag:
    """Callable that says whether SIGINT or SIGTERM has come; ``signum`` says which."""

    def __init__(self) -> None:
        self.signum = 0

    def __call__(self) -> bool:
        return self.signum != 0


@contextlib.contextmanager
def stop_on_signals() -> Iterator[StopFlag]:
    """Answer the first Ctrl-C or SIGTERM by ending the run cleanly, the next as usual."""
    flag = StopFlag()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, frame: FrameType | None) -> None:
        flag.signum = number
        for each, handler in before.items():
            signal.signal(each, handler)

    for number in before:
        signal.signal(number, handle)
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def newest_online(root: str | Path) -> Path:
    """Folder of the streaming artefact that was written last.

    Raises:
        ExportError: there is none.
    """
    from paddletsm.deploy.artefact import FILE_NAME, newest_artefact, read_artefact
    from paddletsm.errors import ExportError

    newest = newest_artefact(root)  # refuses a root without any
    found = sorted(
        {newest, *(path.parent for path in Path(root).glob(f"[!.]*/{FILE_NAME}"))},
        key=lambda folder: (folder / FILE_NAME).stat().st_mtime_ns,
        reverse=True,
    )
    for folder in found:
        if read_artefact(folder).is_online:
            return folder
    raise ExportError(
        f"no model under {str(root)!r} takes single frames; export an online network with "
        "python tools/export_model.py --online -c CONFIG, or name its folder with --model_dir"
    )


def _rate(stated: float | None, of_model: float | None) -> float:
    from paddletsm.deploy.stream.clock import checked_fps

    fps = of_model if stated is None else stated
    if fps is None:
        raise ConfigError(
            "the model does not say at which rate of frames it was trained: give --fps, the "
            "number of frames of a training clip divided by its seconds (or export it again with "
            "--clip_seconds)"
        )
    return checked_fps(fps, "the rate of this model" if stated is None else "--fps")


def _views(args: argparse.Namespace, source: FileSource | LiveSource, fps: float) -> list[View]:
    from paddletsm.deploy.stream.views import VideoFile, Window

    views: list[View] = []
    if args.show:
        views.append(Window())
    if args.save_video:
        views.append(VideoFile(args.save_video, source.fps or max(fps, _FILE_FPS)))
    return views


def _or_late(should_stop: Callable[[], bool], seconds: float | None) -> Callable[[], bool]:
    if seconds is None:
        return should_stop
    end = time.monotonic() + seconds
    return lambda: should_stop() or time.monotonic() >= end


def _as_text(summary: Summary) -> str:
    parts = [
        f"{plural(summary.frames, 'frame')}, {summary.dropped} dropped",
        f"{summary.steps} seen by the network",
        plural(summary.events, "event"),
        f"{summary.seconds:.1f} s of video in {summary.wall_seconds:.1f} s",
    ]
    if summary.steps:
        parts.append(f"latency p50 {summary.p50_ms:.1f} ms, p95 {summary.p95_ms:.1f} ms")
    if summary.reconnects:
        parts.append(f"{plural(summary.reconnects, 'attempt')} to connect again")
    return "; ".join(parts)


def _say(text: str) -> None:
    """Everything but events goes to standard error, so that a pipe gets events alone."""
    print(text, file=sys.stderr, flush=True)
