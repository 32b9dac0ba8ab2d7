# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What a frame of a stream costs beside a frame of a clip, and whether a long stream keeps pace."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from paddletsm.benchmarks.memory import resident_mb
from paddletsm.benchmarks.model import take_turns
from paddletsm.deploy.predictor import Predictor
from paddletsm.deploy.stream.clock import Resampler
from paddletsm.deploy.stream.predictor import StreamPredictor
from paddletsm.deploy.stream.sources import open_source
from paddletsm.errors import DataError

# OpenMP's threads keep their cores busy for 0.2 s after a run, to the cost of what runs next.
_REST_S = 0.25


@dataclass(frozen=True)
class Cost:
    """A frame of a stream beside a frame of a clip in one engine; medians of interleaved rounds.

    Attributes:
        engine: its name, and the kernels that Paddle used.
        frame_ms: wall time of one frame in the streaming network, its state included.
        frame_cpu_ms: processor time of all threads.
        clip_frame_ms: wall time of a clip of the offline network divided by its T frames.
        clip_frame_cpu_ms: processor time, likewise.
        ratio: median over the rounds of frame_ms / clip_frame_ms.
        cpu_ratio: the same of processor times.
        push_ms: wall time of a frame of 340 x 256 from its pixels to its prediction.
    """

    engine: str
    frame_ms: float
    frame_cpu_ms: float
    clip_frame_ms: float
    clip_frame_cpu_ms: float
    ratio: float
    cpu_ratio: float
    push_ms: float


@dataclass(frozen=True)
class Minute:
    """One stretch of a long stream: its end in seconds, frames, latencies, memory."""

    end_s: float
    frames: int
    p50_ms: float
    p95_ms: float
    resident_mb: float


@dataclass(frozen=True)
class Soak:
    """A long stream.

    Attributes:
        seconds: of the video.
        wall_seconds: that it took; less where it was not paced.
        late: frames that were not ready when the next one came (paced), or took longer than a
            frame lasts (not paced).
        minutes: stretch by stretch.
    """

    seconds: float
    wall_seconds: float
    late: int
    minutes: tuple[Minute, ...]


@dataclass(frozen=True)
class Agreement:
    """Accuracy of a stream over clips, in percent.

    Attributes:
        clips: that could be read.
        same_frames: top-1 with the frames that the offline test takes.
        by_time: top-1 after the whole video, its frames resampled by time.
        agree: how often these two name the same class.
        failed: clips that could not be read.
    """

    clips: int
    same_frames: float
    by_time: float
    agree: float
    failed: int


def measure_costs(tasks: Mapping[str, Mapping[str, Any]], rounds: int = 15) -> list[Cost]:
    """Let streaming and offline networks take turns, each engine in a process of its own.

    Args:
        tasks: per contestant "online" and "offline", folders of the same backbone, and "engine",
            "openvino" and "threads".
        rounds: that count; one more comes before them.

    Returns:
        One cost per task.

    Raises:
        ExportError: a process died.
    """
    told = {name: {"kind": "stream", "rest_s": _REST_S, **task} for name, task in tasks.items()}
    return [_cost(turns.answers[1:]) for turns in take_turns(told, runs=1 + rounds).values()]


def _cost(rounds: Sequence[Mapping[str, Any]]) -> Cost:
    def of(key: str) -> np.ndarray:
        return np.array([one[key] for one in rounds])

    keys = ("frame_ms", "frame_cpu_ms", "clip_frame_ms", "clip_frame_cpu_ms", "push_ms")
    return Cost(
        engine=rounds[0]["engine"],
        ratio=float(np.median(of("frame_ms") / of("clip_frame_ms"))),
        cpu_ratio=float(np.median(of("frame_cpu_ms") / of("clip_frame_cpu_ms"))),
        **{key: float(np.median(of(key))) for key in keys},
    )


def contestant(
    online: str, offline: str, *, rest_s: float = _REST_S, **options: Any
) -> Callable[[], dict[str, Any]]:
    """What runs in the process of one engine: a round of stream, clip, and pixels to prediction.

    Args:
        online: folder of the streaming network.
        offline: folder of the network of whole clips.
        rest_s: seconds of rest before each part.
        options: engine, threads and openvino of both predictors.

    Returns:
        Function that times a round: the engine's name, and per frame wall and processor time.
    """
    stream, clips = StreamPredictor(online, **options), Predictor(offline, **options)
    count = clips.artefact.num_seg
    rng = np.random.default_rng(0)
    clip = rng.standard_normal((1, *clips.artefact.input.shape[1:]), np.float32)
    pixels = rng.integers(0, 256, (256, 340, 3), np.uint8)
    states = stream.engine.start()

    def of_frames() -> None:
        for number in range(count):
            states.next(clip[:, number])

    def of_clip() -> None:
        clips.engine.run(clip)  # in this thread: another one would have threads of its own

    def of_pixels() -> None:
        for _ in range(count):
            stream.push(pixels)

    def one_round() -> dict[str, Any]:
        figures: dict[str, Any] = {"engine": stream.engine.name}
        for name, run in (("frame", of_frames), ("clip_frame", of_clip), ("push", of_pixels)):
            time.sleep(rest_s)
            wall, processor = _timed(run)
            figures |= {f"{name}_ms": wall / count, f"{name}_cpu_ms": processor / count}
        return figures

    return one_round


def measure_soak(
    stream: StreamPredictor, *, seconds: float, fps: float, paced: bool, stretch_s: float = 60.0
) -> Soak:
    """Push a generated stream of 340 x 256 pixels.

    Args:
        stream: the network.
        seconds: length of the video.
        fps: its frames per second; the network sees all of them.
        paced: wait for each frame's time, as with a camera; else as fast as it goes.
        stretch_s: seconds of video of each line of the result.
    """
    picture = np.random.default_rng(0).integers(0, 256, (256, 340 + 340, 3), np.uint8)
    count, per_stretch = round(seconds * fps), max(1, round(stretch_s * fps))
    minutes, latencies, late = [], [], 0
    begun = time.perf_counter()
    for number in range(count):
        due = begun + number / fps
        if paced and (wait := due - time.perf_counter()) > 0:
            time.sleep(wait)
        start = due if paced else time.perf_counter()
        left = 2 * number % 340
        stream.push(picture[:, left : left + 340])
        latency = time.perf_counter() - start
        latencies.append(1e3 * latency)
        late += latency > 1 / fps
        if len(latencies) == per_stretch or number == count - 1:
            p50, p95 = np.quantile(latencies, [0.5, 0.95]).tolist()
            memory = resident_mb(os.getpid())
            minutes.append(Minute((number + 1) / fps, len(latencies), p50, p95, memory))
            latencies = []
    return Soak(count / fps, time.perf_counter() - begun, late, tuple(minutes))


def measure_agreement(
    stream: StreamPredictor,
    samples: list[tuple[str, int, Callable[[], np.ndarray]]],
) -> Agreement:
    """Classify clips as streams.

    Args:
        stream: the network.
        samples: path, label, and what gives the frames [T, 3, H, W] of the offline test.
    """
    same = by_time = agree = failed = count = 0
    for path, label, load in samples:
        try:
            first = int(stream.logits(load()).mean(0).argmax())
            second = _class_by_time(stream, path)
        except DataError:
            failed += 1
            continue
        count += 1
        same += first == label
        by_time += second == label
        agree += first == second
    share = 100.0 / max(1, count)
    return Agreement(count, share * same, share * by_time, share * agree, failed)


def _class_by_time(stream: StreamPredictor, path: str) -> int:
    assert stream.fps is not None
    stream.reset()
    clock = Resampler(stream.fps)
    label = -1
    for frame in open_source(path).frames(lambda: False):
        for _ in range(clock.ticks(frame.time)):
            label = stream.push(frame.image).label_ids[0]
    if label < 0:
        raise DataError(f"{path}: no frame")
    return label


def _timed(run: Callable[[], object]) -> list[float]:
    """Wall and processor milliseconds."""
    run()  # the threads have gone to sleep
    wall, processor = time.perf_counter(), time.process_time()
    run()
    return [1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - processor)]
