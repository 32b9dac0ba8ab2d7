# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Records that travel through the data pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Sample:
    """One line of a list file, or one file of a class folder.

    Attributes:
        path: video file or folder of frames, ready to be opened.
        label: class number, from 0; -1 when unknown (prediction).
        id: position in the index; seeds the sample's random draws and names it in results.
        num_frames: number of frames as the list states it (frame folders), else None.
        where: "list.txt:12" of a list's sample, for messages.
        others: further class numbers, of a multi-label data set.
    """

    path: str
    label: int
    id: int
    num_frames: int | None = None
    where: str = ""
    others: tuple[int, ...] = ()

    @property
    def labels(self) -> tuple[int, ...]:
        """All class numbers, at least one."""
        return (self.label, *self.others)


@dataclass(frozen=True)
class Clip:
    """Frames of one sample on their way through the transforms.

    Attributes:
        frames: uint8 [V,T,H,W,3] RGB; float32 [V,T,3,H,W] once normalised, uint8 [V,T,3,H,W]
            where that is left to the device.
        label: class number of the sample, or of its mirror image.
        sample_id: id of the sample.
        indices: int64 [num_clips, T], the 0-based frame numbers that were read.
        others: further class numbers, of a multi-label data set.
    """

    frames: np.ndarray
    label: int
    sample_id: int
    indices: np.ndarray
    others: tuple[int, ...] = ()

    @property
    def labels(self) -> tuple[int, ...]:
        """All class numbers, at least one."""
        return (self.label, *self.others)


@dataclass(frozen=True)
class Failure:
    """A sample that could not be read, and why."""

    sample_id: int
    path: str
    reason: str


@dataclass(frozen=True)
class Batch:
    """Clips of one batch; samples that failed are absent from the arrays.

    Attributes:
        clips: float32 [N,V,T,3,H,W], or uint8 where they are normalised on the device; None when
            every sample of the batch failed.
        labels: int64 [N]; float32 [N,K] of zeros and ones once ``with_multi_hot``.
        ids: int64 [N], sample ids.
        failed: one entry per sample that could not be read.
        wait_s: seconds that the consumer waited for this batch.
        times_ms: of each clip, milliseconds by stage; see ``Pipeline.run_into``.
        others: of each clip, class numbers besides ``labels``; () where no clip has any.
    """

    clips: np.ndarray | None
    labels: np.ndarray
    ids: np.ndarray
    failed: tuple[Failure, ...]
    wait_s: float
    times_ms: tuple[Mapping[str, float], ...] = ()
    others: tuple[tuple[int, ...], ...] = ()

    def with_multi_hot(self, num_classes: int) -> Batch:
        """Return the batch with labels float32 [N,K]: 1 for every class of a clip, else 0."""
        labels = np.zeros((len(self.labels), num_classes), np.float32)
        labels[np.arange(len(labels)), self.labels] = 1.0
        for row, others in enumerate(self.others):
            labels[row, list(others)] = 1.0
        return replace(self, labels=labels, others=())
