# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""A batch in the making: clips arrive in any order, from any thread, each into its own row."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import numpy as np

from paddletsm.data.shared import Place, Slots
from paddletsm.data.types import Batch, Failure, Sample
from paddletsm.errors import DataError


class PendingBatch:
    """Rows of one batch. ``row`` and ``done``, or ``fail``, is called once for each sample.

    Args:
        samples: in the order of the rows.
        epoch: of the random draws.
        slots: memory that is shared with workers.
        clip: shape and dtype that the clips probably have; then they get shared memory.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        epoch: int,
        *,
        slots: Slots | None = None,
        clip: tuple[tuple[int, ...], np.dtype] | None = None,
    ) -> None:
        self.samples = tuple(samples)
        self.epoch = epoch
        self.is_cancelled = False
        self._lock = threading.Lock()
        self._settled = threading.Event()
        self._waiting = len(self.samples)
        self._clips: np.ndarray | None = None
        self._labels: dict[int, tuple[int, ...]] = {}
        self._times: dict[int, Mapping[str, float]] = {}
        self._failures: dict[int, Failure] = {}
        self._error: Exception | None = None
        self._slots = slots
        self._shared: tuple[int, np.ndarray] | None = None
        if slots is not None and clip is not None:
            self._shared = slots.take((len(self.samples), *clip[0]), clip[1])

    def __len__(self) -> int:
        return len(self.samples)

    def place(self, i: int) -> Place | None:
        """Return where a worker may put clip ``i``, if it has the expected shape and dtype."""
        if self._shared is None:
            return None
        slot, clips = self._shared
        size = self._slots.size(slot)
        return Place(slot, size, i * clips[0].nbytes, clips.shape[1:], clips.dtype.name)

    def find_row(self, i: int, shape: Sequence[int], dtype: np.dtype | str) -> np.ndarray | None:
        """Return the place of clip ``i``, or None when the batch holds clips of another shape."""
        with self._lock:
            if self._clips is None:
                shared = None if self._shared is None else self._shared[1]
                if shared is not None and (shared.shape[1:], shared.dtype) == (tuple(shape), dtype):
                    self._clips = shared
                else:
                    self._clips = np.empty((len(self.samples), *shape), dtype)
            return self._clips[i] if tuple(shape) == self._clips.shape[1:] else None

    def row(self, i: int, shape: Sequence[int], dtype: np.dtype | str) -> np.ndarray:
        """Return the place of clip ``i``, [V,T,3,H,W]; all clips of a pipeline have one dtype.

        Raises:
            DataError: the batch holds clips of another shape.
        """
        found = self.find_row(i, shape, dtype)
        if found is None:
            held = self._clips.shape[1:]
            raise DataError(
                f"{self.samples[i].path}: its clip is {_shape(shape)}, others of the batch are "
                f"{_shape(held)}; crop all to one size (CenterCrop), or use batches of 1"
            )
        return found

    def done(self, i: int, labels: Sequence[int], times_ms: Mapping[str, float]) -> None:
        """Row ``i`` is filled, with a clip of these labels, maybe of the sample's mirror image."""
        self._labels[i] = tuple(labels)
        self._times[i] = times_ms
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
        others = tuple(self._labels[i][1:] for i in good)
        return Batch(
            clips=clips,
            labels=np.array([self._labels[i][0] for i in good], np.int64),
            ids=np.array([self.samples[i].id for i in good], np.int64),
            failed=tuple(self._failures[i] for i in sorted(self._failures)),
            wait_s=wait_s,
            times_ms=tuple(self._times[i] for i in good),
            others=others if any(others) else (),
        )

    def _count(self) -> None:
        with self._lock:
            self._waiting -= 1
            if self._waiting == 0:
                self._settled.set()


def _shape(shape: Sequence[int]) -> str:
    views, segments, _, height, width = shape
    return f"{views} views x {segments} frames of {width}x{height}"
