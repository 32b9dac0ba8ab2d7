# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What every reader of videos and frame folders offers."""

from __future__ import annotations

import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np


class Reader(ABC):
    """One video. Frame numbers start at 0.

    Attributes:
        path: where the video comes from.
        backend: what decodes it: "decord", "opencv", "pyav"; "-": images.
        fps: frames per second, 0.0 when unknown (frame folders).
        seek_ms: milliseconds spent so far on getting to the frames that were asked for: reading
            files, decoding what lies before them.
    """

    path: str
    backend: str = "-"
    fps: float = 0.0
    seek_ms: float = 0.0

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

    @contextlib.contextmanager
    def _seeking(self) -> Iterator[None]:
        """Add the time spent inside to ``seek_ms``."""
        start = time.perf_counter()
        yield
        self.seek_ms += 1e3 * (time.perf_counter() - start)

    def close(self) -> None:  # noqa: B027 - most readers hold nothing open
        """Give back the file; the reader is not used again."""
