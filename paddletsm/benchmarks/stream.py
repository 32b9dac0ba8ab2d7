# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What a frame of a stream costs beside a frame of a clip, and whether a long stream keeps pace."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from paddletsm.deploy.online_engine import OnlineEngine
from paddletsm.deploy.predictor import Predictor
from paddletsm.deploy.stream.clock import Resampler
from paddletsm.deploy.stream.predictor import StreamPredictor
from paddletsm.deploy.stream.sources import open_source
from paddletsm.errors import DataError

_FRAMES_PER_ROUND = 8


@dataclass(frozen=True)
class Cost:
    """A frame of a stream beside a frame of a clip; medians of interleaved rounds.

    Attributes:
        frame_ms: wall time of one step of the streaming network, its state in and out included.
        frame_cpu_ms: processor time of all its threads.
        clip_frame_ms: wall time of a clip of the offline network divided by its T frames.
        clip_frame_cpu_ms: processor time, likewise.
        ratio: median over the rounds of frame_ms / clip_frame_ms.
        cpu_ratio: the same of processor times.
        push_ms: wall time of a frame of 340 x 256 from its pixels to its prediction.
    """

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


def measure_cost(stream: StreamPredictor, clips: Predictor, rounds: int = 15) -> Cost:
    """Let a streaming and an offline network of the same backbone take turns."""
    engine, artefact = stream.engine, clips.artefact
    rng = np.random.default_rng(0)
    clip = rng.standard_normal((1, *artefact.input.shape[1:]), np.float32)
    pixels = rng.integers(0, 256, (256, 340, 3), np.uint8)
    steps = _stepper(engine, stream, clip[:, 0])
    rows = []
    for _ in range(2 + rounds):
        of_frames = _timed(lambda: [next(steps) for _ in range(_FRAMES_PER_ROUND)])
        of_clip = _timed(lambda: clips.logits(clip))
        of_push = _timed(lambda: stream.push(pixels))
        frame = [value / _FRAMES_PER_ROUND for value in of_frames]
        clip_frame = [value / artefact.num_seg for value in of_clip]
        rows.append([*frame, *clip_frame, of_push[0]])
    kept = np.array(rows[2:])  # the first runs allocate
    frame_ms, frame_cpu, clip_ms, clip_cpu, push_ms = np.median(kept, axis=0).tolist()
    return Cost(
        frame_ms,
        frame_cpu,
        clip_ms,
        clip_cpu,
        float(np.median(kept[:, 0] / kept[:, 2])),
        float(np.median(kept[:, 1] / kept[:, 3])),
        push_ms,
    )


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
            minutes.append(Minute((number + 1) / fps, len(latencies), p50, p95, resident_mb()))
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


def _stepper(
    engine: OnlineEngine, stream: StreamPredictor, frame: np.ndarray
) -> Iterator[np.ndarray]:
    """Logits of the same frame again and again, the state handed on."""
    state = stream.zero_state(1)
    while True:
        logits, state = engine.step(frame, state)
        yield logits


def _timed(run: Callable[[], object]) -> list[float]:
    """Wall and processor milliseconds."""
    wall, processor = time.perf_counter(), time.process_time()
    run()
    return [1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - processor)]


def resident_mb() -> float:
    """Memory of this process in MB; NaN where the system does not tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except (OSError, ValueError):
        return float("nan")
