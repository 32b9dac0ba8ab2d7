# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Folders of numbered images as videos."""

from __future__ import annotations

import functools
import logging
import os
import re
import string
from collections.abc import Sequence

import numpy as np

from paddletsm.data import backends
from paddletsm.data.reader import Reader
from paddletsm.errors import DataError
from paddletsm.utils.io import nearest_file
from paddletsm.utils.text import listing

logger = logging.getLogger(__name__)

FRAME_PATTERN = "img_{:05}.jpg"


@functools.cache
def _from_zero_said() -> set[str]:
    return set()


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
        numbers = {int(hit[1]) for hit in map(match, names) if hit}
        count = max(numbers, default=0)
        if 0 in numbers and count:
            self._say_from_zero()
        if count == 0:
            raise DataError(
                f"{self.path}: no frame named like {self._pattern.format(1)!r} in this folder "
                f"(it holds: {listing(sorted(names), 3) or 'nothing'}); set the key 'suffix'"
            )
        return count

    def _say_from_zero(self) -> None:
        """Log, once per process and kind of name, that a frame is left out."""
        if self._pattern not in _from_zero_said():
            _from_zero_said().add(self._pattern)
            logger.warning(
                "%s: %s is not read, here and in folders like it: frames are numbered from 1; "
                "rename them",
                self.path,
                self._pattern.format(0),
            )

    def _no_folder(self) -> str:
        if os.path.exists(self.path):
            return f"{self.path}: is not a readable folder of frames"
        return f"{self.path}: the folder of frames does not exist{nearest_file(self.path)}"

    def _decode(self, numbers: np.ndarray) -> np.ndarray:
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
            frames[row] = image
        return frames

    def _read(self, number: int) -> np.ndarray:
        """Return image ``number`` (from 1) as uint8 [H,W,3] RGB."""
        path = os.path.join(self.path, self._pattern.format(number))
        if not os.path.isfile(path) and os.path.exists(path):  # reading a pipe never ends
            raise DataError(f"{self.path}: frame {number} is not a regular file ({path})")
        try:
            # Not cv2.imread: it cannot open every path on Windows.
            with self._seeking():
                data = np.fromfile(path, np.uint8)
        except OSError as err:
            if not os.path.isdir(self.path):
                raise DataError(self._no_folder()) from err
            from_zero = os.path.exists(os.path.join(self.path, self._pattern.format(0)))
            hint = "; frames are numbered from 1, these from 0: rename them" if from_zero else ""
            raise DataError(
                f"{self.path}: frame {number} of {self._count} is missing ({path}){hint}"
            ) from err
        head, tail = data[:2].tobytes(), data[-4096:].tobytes()
        # OpenCV fills the rest of a cut JPEG with grey and reports success.
        if head != b"\xff\xd8" or b"\xff\xd9" in tail:
            image = backends.decode_image(data) if data.size else None
            if image is not None:
                return image
        raise DataError(f"{self.path}: frame {number} is damaged ({path}, {data.size} bytes)")


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


def _size(shape: Sequence[int]) -> str:
    return f"{shape[1]}x{shape[0]}"
