# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""A batch in the making: clips arrive in any order, from any thread, each into its own row."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from paddletsm.data.types import Batch, Failure, Sample
from paddletsm.errors import DataError


class PendingBatch:
    """Rows of one batch. ``row`` and ``done``, or ``fail``, is called once for each sample.

    Args:
        samples: in the order of the rows.
        epoch: of the random draws.
    """

    def __init__(self, samples: Sequence[Sample], epoch: int) -> None:
        self.samples = tuple(samples)
        self.epoch = epoch
        self.is_cancelled = False
        self._lock = threading.Lock()
        self._settled = threading.Event()
        self._waiting = len(self.samples)
        self._clips: np.ndarray | None = None
        self._failures: dict[int, Failure] = {}
        self._error: Exception | None = None

    def __len__(self) -> int:
        return len(self.samples)

    def row(self, i: int, shape: Sequence[int]) -> np.ndarray:
        """Return the place of clip ``i``, float32 [V,T,3,H,W].

        Raises:
            DataError: the batch holds clips of another shape.
        """
        with self._lock:
            if self._clips is None:
                self._clips = np.empty((len(self.samples), *shape), np.float32)
            held = self._clips.shape[1:]
        if tuple(shape) != held:
            raise DataError(
                f"{self.samples[i].path}: its clip is {_shape(shape)}, others of the batch are "
                f"{_shape(held)}; crop all to one size (CenterCrop), or use batches of 1"
            )
        return self._clips[i]

    def done(self, i: int) -> None:
        """Row ``i`` is filled."""
        self._count()

    def fail(self, i: int, reason: str) -> None:
        """Sample ``i`` cannot be read."""
        sample = self.samples[i]
        where = f"{sample.where}: " if sample.where else ""
        with self._lock:
            self._failures[i] = Failure(sample.id, sample.path, where + reason)
        self._count()

    def abort(self, error: Exception) -> None:
        """The batch cannot be made; ``result`` raises the error."""
        with self._lock:
            self._error = self._error or error
        self._settled.set()

    def wait(self, timeout_s: float) -> bool:
        """Wait until all rows are settled, or the time is over; return whether they are."""
        return self._settled.wait(timeout_s)

    def result(self, wait_s: float) -> Batch:
        """Return the batch, without rows for what failed.

        Raises:
            Exception: what ``abort`` was called with.
        """
        if self._error is not None:
            raise self._error
        good = [i for i in range(len(self.samples)) if i not in self._failures]
        clips = self._clips if good else None
        if clips is not None and self._failures:
            clips = clips[good]
        return Batch(
            clips=clips,
            labels=np.array([self.samples[i].label for i in good], np.int64),
            ids=np.array([self.samples[i].id for i in good], np.int64),
            failed=tuple(self._failures[i] for i in sorted(self._failures)),
            wait_s=wait_s,
        )

    def _count(self) -> None:
        with self._lock:
            self._waiting -= 1
            if self._waiting == 0:
                self._settled.set()


def _shape(shape: Sequence[int]) -> str:
    views, segments, _, height, width = shape
    return f"{views} views x {segments} frames of {width}x{height}"
