# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Video files and folders of frames behind one interface: RGB uint8 frames by number."""

from __future__ import annotations

import os
import re
import string
from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from paddletsm.data import backends
from paddletsm.data.container import Container, check_name, inspect_container
from paddletsm.data.types import Sample
from paddletsm.errors import DataError
from paddletsm.registry import Registry
from paddletsm.utils.io import nearest_file
from paddletsm.utils.text import listing, nearest

READERS = Registry("decoder")

VIDEO_BACKENDS = ("decord", "opencv")
FRAME_PATTERN = "img_{:05}.jpg"

# Some writers state sizes that are wrong by a few bytes; no frame ends there.
_SLOPPY_BYTES = 64


class Reader(ABC):
    """One video. Frame numbers start at 0.

    Attributes:
        path: where the video comes from.
        fps: frames per second, 0.0 when unknown (frame folders).
    """

    path: str
    fps: float = 0.0

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def _decode(self, numbers: np.ndarray) -> np.ndarray:
        """Return the frames of ascending, distinct numbers as uint8 [F,H,W,3] RGB."""

    def get(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return frames in the order asked for; a frame asked for twice is decoded once.

        Args:
            indices: F frame numbers in 0..len-1, in any order.

        Returns: uint8 [F,H,W,3] RGB.

        Raises:
            DataError: a frame cannot be decoded; the message names the path.
            IndexError: a number outside of the video.
        """
        asked = np.asarray(indices, dtype=np.int64)
        if asked.size and not 0 <= asked.min() <= asked.max() < len(self):
            raise IndexError(f"{self.path}: frames {asked.tolist()} of {len(self)}")
        numbers, order = np.unique(asked, return_inverse=True)
        frames = self._decode(numbers)
        return frames if np.array_equal(numbers, asked) else frames[order]

    def close(self) -> None:  # noqa: B027 - most readers hold nothing open
        """Give back the file; the reader is not used again."""


class DecordReader(Reader):
    """Video file through decord."""

    def __init__(self, path: str, module: ModuleType) -> None:
        self.path = path
        self._errors = backends.decord_errors(module)
        # One thread is as fast as two here and does not compete with the other workers; any
        # fault tolerance would hand out duplicates of other frames.
        self._video: Any = module.VideoReader(path, num_threads=1, fault_tol=1e-9)
        self.fps = float(self._video.get_avg_fps())

    def __len__(self) -> int:
        return len(self._video)

    def _decode(self, numbers: np.ndarray) -> np.ndarray:
        try:
            return self._video.get_batch(numbers.tolist()).asnumpy()
        except self._errors as err:
            declared, decodable = count_frames(self.path)
            if decodable < len(self):
                raise _truncated(self.path, max(declared, len(self)), decodable) from err
            backends.say_fallback(self.path)
            return OpenCVReader(self.path, Container("avi")).get(numbers)

    def close(self) -> None:
        """Free the decoder."""
        self._video = None


class OpenCVReader(Reader):
    """Video file through OpenCV, decoded from its start: seeking is not exact in all formats."""

    def __init__(self, path: str, container: Container) -> None:
        self.path = path
        self._capture = _capture(path)
        self._next = 0
        if self._capture is None:
            raise DataError(f"{path}: no decoder can open it; it is damaged, or not a video")
        cv2 = backends.opencv()
        self.fps = float(self._capture.get(cv2.CAP_PROP_FPS))
        self._count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        if self._count <= 0 or not container.has_exact_count:
            self._count = count_frames(path)[1]
        if self._count <= 0:
            raise DataError(f"{path}: the video holds no frame")

    def __len__(self) -> int:
        return self._count

    def _decode(self, numbers: np.ndarray) -> np.ndarray:
        cv2 = backends.opencv()
        if numbers.size and numbers[0] < self._next:
            self._capture, self._next = _capture(self.path), 0
        frames = None
        for row, number in enumerate(numbers):
            while self._next <= number:
                if not self._capture.grab():
                    raise _truncated(self.path, self._count, self._next)
                self._next += 1
            done, frame = self._capture.retrieve()
            if not done:
                raise _truncated(self.path, self._count, self._next - 1)
            if frames is None:
                frames = np.empty((len(numbers), *frame.shape), np.uint8)
            cv2.cvtColor(frame, cv2.COLOR_BGR2RGB, dst=frames[row])
        return frames

    def close(self) -> None:
        """Free the decoder."""
        self._capture = None


class FrameFolderReader(Reader):
    """Folder of images, numbered from 1 on disk and from 0 here."""

    def __init__(self, path: str, pattern: str, num_frames: int | None) -> None:
        self.path = path
        self._pattern = pattern
        self._count = num_frames or self._count_files()

    def __len__(self) -> int:
        return self._count

    def _count_files(self) -> int:
        before, after = frame_pattern_parts(self._pattern)
        try:
            names = os.listdir(self.path)
        except OSError as err:
            raise DataError(self._no_folder()) from err
        match = re.compile(re.escape(before) + r"(\d+)" + re.escape(after)).fullmatch
        # The largest number, not the number of files: a gap must not shorten the video.
        count = max((int(hit[1]) for hit in map(match, names) if hit), default=0)
        if count == 0:
            raise DataError(
                f"{self.path}: no frame named like {self._pattern.format(1)!r} in this folder "
                f"(it holds: {listing(sorted(names), 3) or 'nothing'}); set the key 'suffix'"
            )
        return count

    def _no_folder(self) -> str:
        if os.path.exists(self.path):
            return f"{self.path}: is not a readable folder of frames"
        return f"{self.path}: the folder of frames does not exist{nearest_file(self.path)}"

    def _decode(self, numbers: np.ndarray) -> np.ndarray:
        cv2 = backends.opencv()
        frames = None
        for row, number in enumerate(numbers):
            image = self._read(int(number) + 1)
            if frames is None:
                frames = np.empty((len(numbers), *image.shape), np.uint8)
            if image.shape != frames.shape[1:]:
                raise DataError(
                    f"{self.path}: frames of different size: frame {number + 1} is "
                    f"{_size(image.shape)}, frame {numbers[0] + 1} is {_size(frames.shape[1:])}"
                )
            cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=frames[row])
        return frames

    def _read(self, number: int) -> np.ndarray:
        """Return image ``number`` (from 1) in OpenCV's channel order."""
        cv2 = backends.opencv()
        path = os.path.join(self.path, self._pattern.format(number))
        if not os.path.isfile(path) and os.path.exists(path):  # reading a pipe never ends
            raise DataError(f"{self.path}: frame {number} is not a regular file ({path})")
        try:
            # Not cv2.imread: it cannot open every path on Windows.
            data = np.fromfile(path, np.uint8)
        except OSError as err:
            if not os.path.isdir(self.path):
                raise DataError(self._no_folder()) from err
            raise DataError(
                f"{self.path}: frame {number} of {self._count} is missing ({path})"
            ) from err
        head, tail = data[:2].tobytes(), data[-4096:].tobytes()
        # OpenCV fills the rest of a cut JPEG with grey and reports success.
        if head != b"\xff\xd8" or b"\xff\xd9" in tail:
            image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
            if image is not None:
                return image
        raise DataError(f"{self.path}: frame {number} is damaged ({path}, {data.size} bytes)")


def open_video(path: str | os.PathLike[str], backend: str = "decord") -> Reader:
    """Open a video file.

    Args:
        path: the file.
        backend: "decord" (OpenCV where decord is not installed, or cannot open the file) or
            "opencv". Both give the same frames.

    Raises:
        DataError: missing, empty, not a video, or truncated; the message names the path and,
            for a truncated one, how many frames could be decoded.
    """
    name = os.fspath(path)
    container = inspect_container(name)
    if container.flaw:
        _refuse_truncated(name, container)
    # decord prints lines of its own on stderr for what is no video at all; OpenCV does not.
    module = backends.decord() if backend == "decord" and container.kind != "unknown" else None
    if module is not None:
        reader = _open_decord(name, module)
        if reader is not None:
            if container.frames is not None and container.frames > len(reader):
                _refuse_truncated(name, container)
            return reader
    return OpenCVReader(name, container)


def open_frames(
    path: str | os.PathLike[str], pattern: str = FRAME_PATTERN, num_frames: int | None = None
) -> Reader:
    """Open a folder of frames; ``num_frames`` None counts the files.

    Raises:
        DataError: missing folder, no file that matches the pattern, or a name that decoders
            crash on.
    """
    name = os.fspath(path)
    check_name(name)
    return FrameFolderReader(name, pattern, num_frames)


def count_frames(path: str) -> tuple[int, int]:
    """Decode a whole video and return (frames its header declares, frames that decode)."""
    capture = _capture(path)
    if capture is None:
        return 0, 0
    declared = int(capture.get(backends.opencv().CAP_PROP_FRAME_COUNT))
    decodable = 0
    while capture.grab():
        decodable += 1
    return declared, decodable


def frame_pattern_parts(pattern: str) -> tuple[str, str]:
    """Split 'img_{:05}.jpg' into the texts before and behind the number.

    Raises:
        ValueError: not exactly one field, or one that takes no whole number.
    """
    try:
        fields = [part for part in string.Formatter().parse(pattern) if part[1] is not None]
        before, after = pattern.format(7).split(f"{7:{fields[0][2]}}", 1)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError) as err:
        raise ValueError(f"suffix {pattern!r} is no file pattern like {FRAME_PATTERN!r}") from err
    if len(fields) != 1:
        raise ValueError(f"suffix {pattern!r} must hold one number, like {FRAME_PATTERN!r}")
    return before, after


def _capture(path: str) -> Any | None:
    """Open an OpenCV capture of one thread, or return None."""
    cv2 = backends.opencv()
    # FFmpeg alone where it is built in: other backends take some names for image sequences.
    has_ffmpeg = cv2.CAP_FFMPEG in cv2.videoio_registry.getBackends()
    api = cv2.CAP_FFMPEG if has_ffmpeg else cv2.CAP_ANY
    capture = cv2.VideoCapture(path, api, [cv2.CAP_PROP_N_THREADS, 1])
    return capture if capture.isOpened() else None


def _open_decord(path: str, module: ModuleType) -> DecordReader | None:
    try:
        return DecordReader(path, module)
    except backends.decord_errors(module):
        backends.say_fallback(path)
        return None


def _refuse_truncated(path: str, container: Container) -> None:
    """Raise unless every frame that the header declares can be decoded after all."""
    declared, decodable = count_frames(path)
    if container.missing_bytes > _SLOPPY_BYTES:
        # The frame at the cut is incomplete, though decoders may fill it up.
        decodable = min(decodable, declared - 1)
    if decodable <= 0:
        reason = f" ({container.flaw})" if container.flaw else ""
        raise DataError(f"{path}: truncated video: 0 frames could be decoded{reason}")
    if decodable < declared:
        raise _truncated(path, declared, decodable, container.flaw)


def _truncated(path: str, declared: int, decodable: int, flaw: str = "") -> DataError:
    damage = "truncated" if flaw else "truncated or damaged"
    return DataError(
        f"{path}: {damage} video: its header says {declared} frames, {decodable} could be "
        f"decoded{f' ({flaw})' if flaw else ''}; copy or download it again"
    )


def _size(shape: Sequence[int]) -> str:
    return f"{shape[1]}x{shape[0]}"


def _check_backend(backend: str) -> str:
    name = {"cv2": "opencv"}.get(backend, backend)  # PaddleVideo's name
    if name not in VIDEO_BACKENDS:
        raise ValueError(
            f"backend {backend!r}{nearest(str(backend), VIDEO_BACKENDS)} "
            f"(known: {listing(VIDEO_BACKENDS)})"
        )
    return name


@READERS.register
class VideoDecoder:
    """Opens video files.

    Args:
        backend: "decord" or "opencv" ("cv2" means the same).
    """

    def __init__(self, backend: str = "decord") -> None:
        self.backend = _check_backend(backend)

    def open(self, sample: Sample) -> Reader:
        """Open the video of a sample; see ``open_video``."""
        return open_video(sample.path, self.backend)


@READERS.register
class FrameDecoder:
    """Opens folders of frames, and video files where a sample is one.

    Args:
        suffix: name of the images with their number, from 1.
        backend: how a video file is read, see ``VideoDecoder``: a model that was trained on
            frames can predict on videos.
    """

    def __init__(self, suffix: str = FRAME_PATTERN, backend: str = "decord") -> None:
        frame_pattern_parts(suffix)
        self.suffix = suffix
        self.backend = _check_backend(backend)

    def open(self, sample: Sample) -> Reader:
        """Open the frames of a sample; see ``open_frames``."""
        if os.path.isfile(sample.path):
            return open_video(sample.path, self.backend)
        return open_frames(sample.path, self.suffix, sample.num_frames)
