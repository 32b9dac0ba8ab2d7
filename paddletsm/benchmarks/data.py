# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What reading clips costs: stages of one clip, clips per second of a loader, memory."""

from __future__ import annotations

import gc
import itertools
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from paddletsm.data import VIDEO_SUFFIXES, ClipDataset, ClipLoader, Sample, build_pipeline
from paddletsm.errors import DataError
from paddletsm.utils.io import nearest_file

STAGES = ("open", "seek", "decode", "transform", "normalize")

# Training clips of the zoo: 8 frames, multi-scale crop to 224, half of them mirrored.
_TRANSFORMS = (
    {"MultiScaleCrop": {"target_size": 224}},
    {"RandomFlip": {}},
    {"Normalization": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}},
)


@dataclass(frozen=True)
class StageTimes:
    """Milliseconds of one clip, read in this process by one thread; medians.

    Attributes:
        clips: how many were read.
        open: open the file.
        seek: get to the frames: read files, decode what lies before them.
        decode: turn the frames into pixels.
        transform: resize and crop, and all else but normalising.
        normalize: make float32, channels first.
        cpu: processor time of all of it, mean.
    """

    clips: int
    open: float
    seek: float
    decode: float
    transform: float
    normalize: float
    cpu: float


@dataclass(frozen=True)
class LoaderSpeed:
    """What a loader delivers to someone who only takes.

    Attributes:
        workers: processes that read; 0: a thread of this one.
        clips_per_s: median over the rounds.
        collate_ms: processor time of this process for one clip.
        queue_ms: how long this process waited for one clip.
        worker_mb: resident memory of a worker, the largest; None where it is not known.
    """

    workers: int
    clips_per_s: float
    collate_ms: float
    queue_ms: float
    worker_mb: float | None


def clip_dataset(paths: Sequence[str], *, backend: str | None = None) -> ClipDataset:
    """Data set of 8-frame training clips from files that a user names.

    Args:
        paths: videos, folders of videos (searched), folders of ``img_00001.jpg``.
        backend: of the videos; None: the default, "auto".

    Raises:
        DataError: a path does not exist, or holds no clip.
    """
    found = list(dict.fromkeys(itertools.chain.from_iterable(map(_clips_at, paths))))
    decode = {"name": "FrameDecoder", **({"backend": backend} if backend else {})}
    spec = {
        "decode": decode,
        "sample": {"name": "Sampler", "num_seg": 8},
        "transform": list(_TRANSFORMS),
    }
    samples = [Sample(path, 0, i) for i, path in enumerate(found)]
    return ClipDataset(samples, build_pipeline(spec, where="benchmark"))


def _clips_at(path: str) -> Iterator[str]:
    place = Path(path)
    if not place.exists():
        raise DataError(f"{path} does not exist{nearest_file(path)}")
    if place.is_file() or any(place.glob("img_*.jpg")):
        yield path
        return
    found = 0
    for root, folders, files in os.walk(place):
        folders.sort()
        is_frames = any(name.startswith("img_") for name in files)
        videos = [name for name in sorted(files) if Path(name).suffix.lower() in VIDEO_SUFFIXES]
        for clip in [root] if is_frames else [os.path.join(root, name) for name in videos]:
            found += 1
            yield clip
    if not found:
        raise DataError(f"{path}: no video and no folder of img_00001.jpg below it")


def decoders_of(dataset: ClipDataset, samples: Sequence[Sample]) -> str:
    """Name what this process reads samples with: "pyav", "decord, opencv", "-" (images).

    Raises:
        DataError: a sample cannot be read.
    """
    found = set()
    for sample in samples:
        reader = dataset.pipeline.decoder.open(sample)
        found.add(reader.backend)
        reader.close()
    return ", ".join(sorted(found - {"-"})) or "-"


def measure_stages(dataset: ClipDataset, clips: int) -> StageTimes:
    """Read clips in this process, one after the other.

    Args:
        dataset: its samples are read in turn, with other draws in each turn.
        clips: how many.

    Raises:
        DataError: a sample cannot be read.
    """
    times: list[dict[str, float]] = []
    buffer: list[np.ndarray] = []

    def destination(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        if not buffer or (buffer[0].shape, buffer[0].dtype) != (shape, dtype):
            buffer[:] = [np.empty(shape, dtype)]
        return buffer[0]

    dataset.read_into(dataset.samples[0], 0, destination)  # imports, first use of memory
    start = time.process_time()
    for number in range(clips):
        epoch, place = divmod(number, len(dataset))
        times.append(dict(dataset.read_into(dataset.samples[place], epoch, destination)[1]))
    cpu = 1e3 * (time.process_time() - start) / clips
    medians = {stage: statistics.median(one[stage] for one in times) for stage in STAGES}
    return StageTimes(clips=clips, cpu=cpu, **medians)


def measure_loaders(
    dataset: ClipDataset,
    workers: Sequence[int],
    *,
    batch_size: int,
    clips: int,
    rounds: int,
    timeout_s: float = 60.0,
) -> list[LoaderSpeed]:
    """Measure loaders of several numbers of workers, in turn in each round.

    Args:
        dataset: what is read.
        workers: numbers of processes.
        batch_size: clips of a batch.
        clips: of each loader in each round, after two batches that are not counted.
        rounds: number of rounds.
        timeout_s: limit for one clip.

    Raises:
        DataError: a sample cannot be read.
    """
    loaders = [ClipLoader(dataset, num_workers=n, timeout_s=timeout_s) for n in workers]
    try:
        measured = [
            [_run_loader(loader, batch_size, clips, epoch) for loader in loaders]
            for epoch in range(rounds)
        ]
        memory = [max(map(_resident_mb, loader.worker_pids), default=0.0) for loader in loaders]
    finally:
        for loader in loaders:
            loader.close()
    speeds = []
    for place, count in enumerate(workers):
        rates, collate, queue = zip(*(one[place] for one in measured), strict=True)
        speeds.append(
            LoaderSpeed(
                workers=count,
                clips_per_s=statistics.median(rates),
                collate_ms=statistics.median(collate),
                queue_ms=statistics.median(queue),
                worker_mb=memory[place] or None,
            )
        )
    return speeds


def _run_loader(
    loader: ClipLoader, batch_size: int, clips: int, epoch: int
) -> tuple[float, float, float]:
    """Return clips per second, and milliseconds per clip of collating and of waiting."""
    # What is read ahead is full at the start of the measurement, and has to be at its end.
    ahead = 2 + -(-2 * loader.num_workers // batch_size)
    numbers = itertools.cycle(range(len(loader.dataset)))
    count = -(-clips // batch_size)
    total = count + 2 * ahead
    batches = ([next(numbers) for _ in range(batch_size)] for _ in range(total))
    stream = loader.iterate(batches, epoch)
    for _ in range(ahead):
        next(stream)
    start, cpu, waited, done = time.perf_counter(), time.process_time(), 0.0, 0
    for batch in itertools.islice(stream, count):
        if batch.failed:
            raise DataError(batch.failed[0].reason)
        waited += batch.wait_s
        done += len(batch.ids)
    seconds = time.perf_counter() - start
    cpu = time.process_time() - cpu
    stream.close()
    return done / seconds, 1e3 * cpu / done, 1e3 * waited / done


def soak(dataset: ClipDataset, clips: int, *, reports: int = 10) -> Iterator[tuple[int, float]]:
    """Read clips in a loop and yield (clips so far, resident megabytes) along the way.

    Args:
        dataset: its samples are read in turn.
        clips: how many in all.
        reports: how often memory is told.

    Raises:
        DataError: a sample cannot be read, or the system does not tell the memory of a process.
    """
    if not _resident_mb(os.getpid()):
        raise DataError("this system does not tell the resident memory of a process (/proc)")
    marks = {max(1, clips * part // reports) for part in range(1, reports + 1)} | {1}
    for number in range(clips):
        epoch, place = divmod(number, len(dataset))
        dataset.read(dataset.samples[place], epoch)
        if number + 1 in marks:
            gc.collect()
            yield number + 1, _resident_mb(os.getpid())


def _resident_mb(pid: int) -> float:
    """Resident memory of a process in megabytes; 0.0 where it is not known."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            pages = int(file.read().split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
