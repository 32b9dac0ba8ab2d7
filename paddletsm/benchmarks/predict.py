# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Many files, from file to label: the package beside its stages alone and beside a plain loop."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from paddletsm.benchmarks.memory import resident_mb, resident_of_children_mb
from paddletsm.data import ClipDataset, ClipLoader, Sample
from paddletsm.deploy.ahead import in_order
from paddletsm.deploy.engine import EngineOptions, PaddleEngine, default_threads
from paddletsm.deploy.predictor import Predictor, default_workers
from paddletsm.errors import ConfigError, DataError

DECODE, INFER, INFER_MANY, OURS, PLAIN = (
    "reading alone",
    "network alone",
    "network alone, instances",
    "paddletsm",
    "plain loop",
)
_PLAIN_CLIPS = 16


@dataclass(frozen=True)
class Speed:
    """Seconds per clip: medians over the rounds, all ways in turn in each.

    Attributes:
        seconds: way -> median.
        overlap: ``OURS`` over the slower of reading and the network alone, median of the rounds'
            ratios.
        overlap_strict: the same with the network alone computed by as many instances as ours.
        gain: ``PLAIN`` over ``OURS``, median of the rounds' ratios.
    """

    seconds: dict[str, float]
    overlap: float
    overlap_strict: float
    gain: float


def measure(
    folder: str | Path,
    paths: Sequence[str],
    *,
    clips: int,
    rounds: int,
    instances: int | None = None,
    num_workers: int | None = None,
    engine: str = "paddle",
    precision: str = "fp32",
) -> Speed:
    """Predict files in all ways.

    The plain loop reads as the package does, one file after the other, and runs the same network
    with the framework's shift operator in its graph with all threads; it gets the first 16 clips.

    Args:
        folder: an artefact that tells its network (``model:`` of inference.yml).
        paths: files, taken in turn.
        clips: of one measurement.
        rounds: how often each way is measured.
        instances: of the network; None: one per core, up to 4.
        num_workers: that read; None: the default of ``Predictor``.
        engine: of the package.
        precision: of the package.

    Raises:
        ConfigError: the artefact does not tell its network.
        DataError: a file cannot be read.
    """
    threads = default_threads()
    instances = instances or min(threads, 4)
    if num_workers is None:
        num_workers = default_workers(precision=precision)
    options = {"engine": engine, "precision": precision}
    many = Predictor(folder, instances=instances, num_workers=num_workers, **options)
    one = Predictor(folder, **options)
    dataset = ClipDataset((), many.pipeline)
    samples = [Sample(path, -1, number) for number, path in enumerate(paths)]
    views = [dataset.read(sample).frames for sample in samples]
    turn = [number % len(paths) for number in range(clips)]
    with tempfile.TemporaryDirectory(prefix="paddletsm-") as scratch:
        operator = _operator_engine(many, Path(scratch), threads)
        with ClipLoader(dataset, num_workers=num_workers) as loader:
            ways: dict[str, Callable[[list[int]], object]] = {
                DECODE: lambda some: _drain(loader.iterate_samples([samples[i]] for i in some)),
                INFER: lambda some: [one.logits(views[i]) for i in some],
                INFER_MANY: lambda some: _drain(
                    _compute(many, (views[i] for i in some), instances)
                ),
                OURS: lambda some: _predict(many, [paths[i] for i in some]),
                PLAIN: lambda some: [operator.run(dataset.read(samples[i]).frames) for i in some],
            }
            # Nothing overlaps in the plain loop, so a few clips tell its time.
            work = {way: turn[:_PLAIN_CLIPS] if way == PLAIN else turn for way in ways}
            times = _interleave(ways, work, rounds)
    return _speed(times)


def _speed(times: dict[str, list[float]]) -> Speed:
    by_round = [dict(zip(times, row, strict=True)) for row in zip(*times.values(), strict=True)]
    return Speed(
        seconds={way: median(row) for way, row in times.items()},
        overlap=median(row[OURS] / max(row[DECODE], row[INFER]) for row in by_round),
        overlap_strict=median(row[OURS] / max(row[DECODE], row[INFER_MANY]) for row in by_round),
        gain=median(row[PLAIN] / row[OURS] for row in by_round),
    )


def _interleave(
    ways: dict[str, Callable[[list[int]], object]], work: dict[str, list[int]], rounds: int
) -> dict[str, list[float]]:
    """Seconds per clip of each way and round."""
    times: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(rounds + 1):
        for way, run in ways.items():
            start = time.perf_counter()
            run(work[way])
            if turn:  # the first round fills caches and starts processes
                times[way].append((time.perf_counter() - start) / len(work[way]))
    return times


def _operator_engine(predictor: Predictor, folder: Path, threads: int) -> PaddleEngine:
    """The same network with ``F.temporal_shift``; its values do not matter."""
    import paddle

    from paddletsm.benchmarks.contestants import with_operator
    from paddletsm.deploy.formats import input_spec
    from paddletsm.deploy.graph import save_graph
    from paddletsm.deploy.verify_ways import network_of

    artefact = predictor.artefact
    if artefact.model is None:
        raise ConfigError(f"{predictor.model_dir}/inference.yml does not describe its network")
    paddle.set_device("cpu")
    model = network_of(artefact.model, len(artefact.labels))
    model.eval()
    _, num_seg, _, height, width = artefact.input.shape
    layer = with_operator(model)
    layer.eval()
    save_graph(layer, folder / "plain", input_spec(model, (num_seg, height, width)))
    files = (folder / "plain.pdmodel", folder / "plain.pdiparams")
    # OpenVINO has no such operator, and would say so.
    return PaddleEngine(*files, EngineOptions(threads=threads, openvino=False))


def _compute(predictor: Predictor, views: Iterator[np.ndarray], instances: int) -> Iterator[object]:
    return in_order(views, predictor.logits, threads=instances, interrupt=lambda: None)


def _predict(predictor: Predictor, paths: Sequence[str]) -> None:
    for prediction in predictor.predict_many(paths):
        if prediction.error is not None:
            raise DataError(prediction.error)


def _drain(items: Iterator[object]) -> None:
    for _ in items:
        pass


@dataclass(frozen=True)
class Soak:
    """A long run over good and broken files.

    Attributes:
        clips: predictions asked for.
        broken: how many of them were broken files.
        reported: broken files that were reported.
        right: good files whose class was that of their first prediction.
        marks: (predictions so far, resident MB of this process and its workers).
    """

    clips: int
    broken: int
    reported: int
    right: int
    marks: list[tuple[int, float]]

    @property
    def growth_mb(self) -> float:
        """Memory at the end less that after the first fifth."""
        settled = next(memory for count, memory in self.marks if count >= self.clips // 5)
        return self.marks[-1][1] - settled

    @property
    def is_fine(self) -> bool:
        """Whether every file got its due."""
        return self.reported == self.broken and self.right == self.clips - self.broken


def soak(predictor: Predictor, paths: Sequence[str], clips: int) -> Soak:
    """Predict good files, and every fifth time a broken one.

    Args:
        predictor: of any engine.
        paths: good files, taken in turn.
        clips: predictions.

    Raises:
        DataError: a good file cannot be read.
    """
    expected = {path: predictor.predict(path).label_ids[0] for path in paths}
    reported = right = 0
    marks = []
    report = max(1, clips // 20)
    with tempfile.TemporaryDirectory(prefix="paddletsm-soak-") as folder:
        broken = break_files(paths, Path(folder))
        order = [
            broken[(i // 5) % len(broken)] if i % 5 == 4 else paths[i % len(paths)]
            for i in range(clips)
        ]
        for count, found in enumerate(predictor.predict_many(order), 1):
            if found.path in expected:
                right += found.error is None and found.label_ids[0] == expected[found.path]
            else:
                reported += found.error is not None and os.path.basename(found.path) in found.error
            if count % report == 0:
                marks.append((count, resident_mb(os.getpid()) + resident_of_children_mb()))
    return Soak(clips, sum(path not in expected for path in order), reported, right, marks)


def break_files(paths: Sequence[str], folder: Path) -> list[str]:
    """Write broken files: empty, noise, text, a folder, cut off in the head, and a missing one."""
    rng = np.random.default_rng(0)
    suffix = Path(paths[0]).suffix
    made = [folder / f"{name}{suffix}" for name in ("empty", "noise", "text", "folder", "missing")]
    made[0].touch()
    made[1].write_bytes(rng.bytes(50_000))
    made[2].write_text("this is no video\n" * 100, encoding="utf-8")
    made[3].mkdir()
    for number, path in enumerate(paths):
        cut = folder / f"cut_{number}{Path(path).suffix}"
        shutil.copyfile(path, cut)
        with cut.open("rb+") as file:
            file.truncate(min(2_000, os.path.getsize(path) // 3))
        made.append(cut)
    return [str(path) for path in made]
