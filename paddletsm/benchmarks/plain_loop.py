# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The package's reading of clips beside the loop that one would write first.

The plain loop reads with OpenCV, crops, resizes, mirrors and normalises each frame as it comes, in
float32 NumPy, and stacks them. Both make the same clips: same frames, same boxes, same mirroring.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from paddletsm.benchmarks.data import clip_dataset, decoders_of
from paddletsm.data import ClipDataset, Sample, backends, open_video
from paddletsm.data.pipeline import SamplerLike
from paddletsm.data.transforms import MultiScaleCrop, RandomFlip
from paddletsm.errors import DataError

# Numbers of the frames that a plain loop would round otherwise; float32 has 7 digits.
_TOLERANCE = 2e-6

FRAME_WIDTH, FRAME_HEIGHT = 340, 256
_JPEG_QUALITY = 95


@dataclass(frozen=True)
class Comparison:
    """Clips per second of processor time, which is what one core delivers; medians.

    Attributes:
        source: name of the video, or of the folder of frames.
        backend: what the package has read it with; "-": images.
        plain: of the plain loop.
        ours: of the package.
        ratio: ours / plain, median of the ratios of the rounds.
    """

    source: str
    backend: str
    plain: float
    ours: float
    ratio: float


def compare(paths: Sequence[str], *, backend: str, clips: int, rounds: int) -> list[Comparison]:
    """Compare both ways on each path, and on all together, in a process of their own.

    Args:
        paths: videos, or folders of ``img_00001.jpg``.
        backend: of the videos; the results tell what "auto" was.
        clips: read from each path by each way in each round.
        rounds: number of rounds; the ways take turns.

    Raises:
        DataError: a path cannot be read, or the two ways give different clips.
    """
    # A fresh process: decord and PyAV must not meet, and threads are counted from the start.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_compare, list(paths), backend, clips, rounds).result()


def _compare(paths: list[str], backend: str, clips: int, rounds: int) -> list[Comparison]:
    backends.opencv().setNumThreads(1)
    dataset = clip_dataset(paths, backend=backend)
    times = np.array([_both(dataset, s, clips, rounds) for s in dataset.samples])
    # times: [samples, rounds, 2] seconds of plain and ours
    names = [os.path.basename(os.path.normpath(sample.path)) for sample in dataset.samples]
    found = [
        _summary(name, decoders_of(dataset, [sample]), clips, one)
        for name, sample, one in zip(names, dataset.samples, times, strict=True)
    ]
    if len(found) > 1:
        used = decoders_of(dataset, dataset.samples)
        found.append(_summary("all", used, clips * len(found), times.sum(axis=0)))
    return found


def _summary(name: str, backend: str, clips: int, times: np.ndarray) -> Comparison:
    plain, ours = (clips / statistics.median(times[:, way]) for way in (0, 1))
    ratio = statistics.median((times[:, 0] / times[:, 1]).tolist())
    return Comparison(name, backend, plain, ours, ratio)


def _both(dataset: ClipDataset, sample: Sample, clips: int, rounds: int) -> np.ndarray:
    """Seconds of processor time [rounds, 2]: plain loop, package."""
    _check_equal(dataset, sample)
    times = np.empty((rounds, 2))
    for turn in range(rounds):
        for way in (0, 1) if turn % 2 else (1, 0):
            read = plain_clip if way == 0 else _our_clip
            start = time.process_time()
            for number in range(clips):
                read(dataset, sample, turn * clips + number)
            times[turn, way] = time.process_time() - start
    return times


def _check_equal(dataset: ClipDataset, sample: Sample) -> None:
    for epoch in (0, 1):
        first, second = (read(dataset, sample, epoch) for read in (plain_clip, _our_clip))
        if first.shape != second.shape or np.abs(first - second).max() > _TOLERANCE:
            raise DataError(
                f"{sample.path}: the plain loop and the package give different clips; "
                "is its rate variable, or is it damaged?"
            )


def _our_clip(dataset: ClipDataset, sample: Sample, epoch: int) -> np.ndarray:
    return dataset.read(sample, epoch).frames[0]


def plain_clip(dataset: ClipDataset, sample: Sample, epoch: int) -> np.ndarray:
    """Read a clip [T,3,H,W] float32 the straightforward way, with the draws of the data set."""
    pipeline = dataset.pipeline
    rng = np.random.default_rng((dataset.seed, epoch, sample.id))
    crop, flip, normalization = pipeline.transforms
    if not isinstance(crop, MultiScaleCrop) or not isinstance(flip, RandomFlip):
        raise DataError("the plain loop knows MultiScaleCrop and RandomFlip alone")
    mean = np.array(normalization.mean, np.float32)
    std = np.array(normalization.std, np.float32)
    cv2 = backends.opencv()
    box, is_flipped, frames = None, False, []
    for image in _plain_images(sample.path, pipeline.sampler, rng):
        if box is None:
            box = crop.draw_box(*image.shape[:2], rng)
            is_flipped = rng.random() < flip.p
        left, top, width, height = box
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        image = cv2.resize(
            image[top : top + height, left : left + width], (crop.target_size, crop.target_size)
        )
        if is_flipped:
            image = image[:, ::-1]
        image = image.astype(np.float32) / 255.0
        image = (image - mean) / std
        frames.append(image.transpose(2, 0, 1))
    return np.stack(frames)


def _plain_images(
    path: str, sampler: SamplerLike, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yield the sampled images, uint8 [H,W,3] in OpenCV's order of channels."""
    cv2 = backends.opencv()
    if os.path.isdir(path):
        for index in sampler(len(os.listdir(path)), rng):
            yield cv2.imread(os.path.join(path, f"img_{index + 1:05}.jpg"))
        return
    capture = cv2.VideoCapture(path)
    indices = sampler(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), rng).tolist()
    for index in range(max(indices) + 1):
        is_read, image = capture.read()
        if not is_read:
            break
        for _ in range(indices.count(index)):
            yield image
    capture.release()


def write_frames(folder: Path, video: str | None = None, *, count: int = 64) -> Path:
    """Write a folder of JPEG frames of 340x256, of a video or drawn.

    Args:
        folder: its parent.
        video: where the pictures come from; None: shapes of random colours with grain.
        count: number of frames.

    Returns: the folder, ``img_00001.jpg`` and so on in it.
    """
    cv2 = backends.opencv()
    target = folder / f"jpeg_{FRAME_WIDTH}x{FRAME_HEIGHT}"
    target.mkdir(parents=True)
    for number, picture in enumerate(_pictures(video, count), 1):
        image = cv2.resize(picture, (FRAME_WIDTH, FRAME_HEIGHT))
        name = str(target / f"img_{number:05}.jpg")
        cv2.imwrite(name, image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return target


def _pictures(video: str | None, count: int) -> Iterator[np.ndarray]:
    if video is not None:
        reader = open_video(video, "opencv")
        yield from reader.get(np.linspace(0, len(reader) - 1, count).astype(np.int64))
        return
    cv2 = backends.opencv()
    rng = np.random.default_rng(0)
    for _ in range(count):
        coarse = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        picture = cv2.resize(coarse, (FRAME_WIDTH, FRAME_HEIGHT), interpolation=cv2.INTER_CUBIC)
        grain = rng.normal(0, 6, picture.shape)
        yield np.clip(picture + grain, 0, 255).astype(np.uint8)
