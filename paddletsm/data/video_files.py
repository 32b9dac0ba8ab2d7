# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Video files through decord and through OpenCV."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from paddletsm.data import backends
from paddletsm.data.container import Container, why_undecodable
from paddletsm.data.mp4_index import read_index
from paddletsm.data.reader import Reader
from paddletsm.errors import DataError

# Some writers state sizes that are wrong by a few bytes; no frame ends there.
_SLOPPY_BYTES = 64


class DecordReader(Reader):
    """Video file through decord: it goes to the key frame before each frame that is asked for."""

    backend = "decord"

    def __init__(self, path: str, module: ModuleType) -> None:
        self.path = path
        self._errors = backends.decoder_errors(module)
        # One thread is as fast as two here and does not compete with the other workers; any
        # fault tolerance would hand out duplicates of other frames.
        self._video: Any = module.VideoReader(path, num_threads=1, fault_tol=1e-9)
        self._instead: OpenCVReader | None = None
        self.fps = float(self._video.get_avg_fps())

    @property
    def num_keys(self) -> int:
        """Number of key frames: where decoding can begin."""
        return len(self._video.get_key_indices())

    def __len__(self) -> int:
        return len(self._video)

    def _decode(self, numbers: np.ndarray) -> np.ndarray:
        if self._instead is not None:
            return self._instead.get(numbers)
        try:
            for row, number in enumerate(numbers.tolist()):
                with self._seeking():
                    self._video.seek_accurate(number)
                frame = self._video.next().asnumpy()
                if frame.shape[2:] != (3,):
                    return self._decode_instead(numbers)
                if row == 0:
                    frames = np.empty((len(numbers), *frame.shape), np.uint8)
                frames[row] = frame
            return frames
        except self._errors as err:
            return read_otherwise(self.path, len(self), numbers, backend="decord", cause=err)

    def _decode_instead(self, numbers: np.ndarray) -> np.ndarray:
        """Read with OpenCV, from now on.

        decord takes the bytes of a row, with what pads it, for the channels of its pixels where
        they divide evenly (8, 12, 16, 24, 48 and 72 pixels): the pictures would be random memory.
        """
        backends.say_fallback(self.path, "decord")
        self._instead, self.backend = OpenCVReader(self.path, Container("avi")), "opencv"
        return self._instead.get(numbers)

    def close(self) -> None:
        """Free the decoder."""
        self._video = None
        if self._instead is not None:
            self._instead.close()


class OpenCVReader(Reader):
    """Video file through OpenCV, decoded from its start: seeking is not exact in all formats."""

    backend = "opencv"

    def __init__(self, path: str, container: Container) -> None:
        self.path = path
        self._capture = _capture(path)
        self._next = 0
        if self._capture is None:
            why = why_undecodable(path) or "no decoder can open it; it is damaged, or not a video"
            raise DataError(f"{path}: {why}")
        cv2 = backends.opencv()
        self.fps = float(self._capture.get(cv2.CAP_PROP_FPS))
        self._count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        is_exact = container.has_exact_count and not may_hide(path, container)
        if self._count <= 0 or not is_exact:
            self._count = count_frames(path)[1]
        if self._count <= 0:
            raise DataError(f"{path}: {why_undecodable(path) or 'the video holds no frame'}")

    def __len__(self) -> int:
        return self._count

    def _decode(self, numbers: np.ndarray) -> np.ndarray:
        cv2 = backends.opencv()
        if numbers.size and numbers[0] < self._next:
            self._capture, self._next = _capture(self.path), 0
        frames = None
        for row, number in enumerate(numbers):
            with self._seeking():
                while self._next <= number:
                    if not self._capture.grab():
                        raise _ends_early(self.path, self._count, self._next)
                    self._next += 1
            done, frame = self._capture.retrieve()
            if not done:
                raise truncated(self.path, self._count, self._next - 1)
            if frames is None:
                frames = np.empty((len(numbers), *frame.shape), np.uint8)
            cv2.cvtColor(frame, cv2.COLOR_BGR2RGB, dst=frames[row])
        return frames

    def close(self) -> None:
        """Free the decoder."""
        self._capture = None


def read_otherwise(
    path: str, count: int, numbers: np.ndarray, *, backend: str, cause: Exception | None
) -> np.ndarray:
    """Read with OpenCV frames that another backend has lost.

    Args:
        path: the file.
        count: frames of the video as the backend sees it.
        numbers: F ascending, distinct frame numbers.
        backend: its name.
        cause: what it raised.

    Returns: uint8 [F,H,W,3] RGB.

    Raises:
        DataError: not all of the video's frames can be decoded.
    """
    declared, decodable = count_frames(path)
    if decodable < count:
        make = truncated if backend == "pyav" else _ends_early  # PyAV has more decoders
        raise make(path, max(declared, count), decodable) from cause
    backends.say_fallback(path, backend)
    return OpenCVReader(path, Container("avi")).get(numbers)


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


def refuse_truncated(path: str, container: Container) -> None:
    """Raise unless every frame that the header declares can be decoded after all.

    Raises:
        DataError: how many frames there should be, and how many there are.
    """
    declared, decodable = count_frames(path)
    if container.missing_bytes > _SLOPPY_BYTES:
        # The frame at the cut is incomplete, though decoders may fill it up.
        decodable = min(decodable, declared - 1)
    if decodable <= 0:
        reason = f" ({container.flaw})" if container.flaw else ""
        raise DataError(f"{path}: truncated video: 0 frames could be decoded{reason}")
    if decodable < declared:
        raise truncated(path, declared, decodable, container.flaw)


def _ends_early(path: str, declared: int, decodable: int) -> DataError:
    """Return the error of a video of which OpenCV or decord could decode only the beginning."""
    why = "" if decodable else why_undecodable(path)
    return DataError(f"{path}: {why}") if why else truncated(path, declared, decodable)


def truncated(path: str, declared: int, decodable: int, flaw: str = "") -> DataError:
    """Return the error of a video that ends too early."""
    damage = "truncated" if flaw else "truncated or damaged"
    return DataError(
        f"{path}: {damage} video: its header says {declared} frames, {decodable} could be "
        f"decoded{f' ({flaw})' if flaw else ''}; copy or download it again"
    )


def may_hide(path: str, container: Container) -> bool:
    """Whether the header may count frames that are not shown."""
    index = read_index(path) if container.kind == "mp4" else None
    return index is not None and index.may_hide


def _capture(path: str) -> Any | None:
    """Open an OpenCV capture of one thread, or return None."""
    cv2 = backends.opencv()
    # FFmpeg alone where it is built in: other backends take some names for image sequences.
    has_ffmpeg = cv2.CAP_FFMPEG in cv2.videoio_registry.getBackends()
    api = cv2.CAP_FFMPEG if has_ffmpeg else cv2.CAP_ANY
    capture = cv2.VideoCapture(path, api, [cv2.CAP_PROP_N_THREADS, 1])
    if not capture.isOpened():
        return None
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)  # the default, but not of every version
    return capture
