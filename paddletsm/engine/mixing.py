# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Mixup and cutmix: each clip of a training batch takes in a part of another one.

What is mixed follows from (seed, step, process), so a resumed run needs no generator state, and
passing a batch through the network in parts changes nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import paddle

from paddletsm.config import Config
from paddletsm.data import Batch
from paddletsm.models import Recognizer2D
from paddletsm.models.losses import MixedLabels

_STREAM = 1  # sets these draws apart from others that are seeded by (seed, step, process)


@dataclass(frozen=True)
class Blend:
    """How the clips of one process are mixed in one step.

    Attributes:
        partners: for each clip the row of the one that it takes a part of, int64 [N].
        share: what is left of the clip itself, 0..1; its label has the same share.
        box: (left, top, width, height) in pixels that comes from the partner, in every frame
            (cutmix); None: all pixels are averaged (mixup).
    """

    partners: np.ndarray
    share: float
    box: tuple[int, int, int, int] | None = None

    def apply(
        self, model: Recognizer2D, batch: Batch, rows: slice
    ) -> tuple[paddle.Tensor, MixedLabels]:
        """Mix some rows of a batch on the device.

        Returns:
            Normalised clips [n, T, 3, H, W] and their labels.
        """
        partners = self.partners[rows]
        own, other = (
            model.normalized(paddle.to_tensor(batch.clips[which, 0])) for which in (rows, partners)
        )
        labels, others = (paddle.to_tensor(batch.labels[which]) for which in (rows, partners))
        return self.mix(own, other), MixedLabels(labels, others, self.share)

    def mix(self, own: paddle.Tensor, other: paddle.Tensor) -> paddle.Tensor:
        """Return float clips, a ``share`` of them from ``own``; all are [n, T, 3, H, W]."""
        if self.box is None:
            return own * self.share + other * (1.0 - self.share)
        left, top, width, height = self.box
        inside = np.zeros((1, 1, 1, *own.shape[-2:]), bool)
        inside[..., top : top + height, left : left + width] = True
        return paddle.where(paddle.to_tensor(inside).expand_as(own), other, own)


def draw_blend(config: Config, batch: Batch, *, step: int, rank: int) -> Blend | None:
    """Draw how a batch is mixed; None without ``MIX``, or with fewer than two clips.

    The share is drawn from Beta(alpha, alpha), for cutmix then corrected to the pixels that are
    left of the clip where the box is cut off at the edge.

    Source: Zhang et al., arXiv:1710.09412 (mixup); Yun et al., arXiv:1905.04899 (cutmix); one draw
        per batch, as in MMAction2 and PaddleVideo.
    """
    count = len(batch.labels)
    if config.MIX is None or count < 2:
        return None
    rng = np.random.default_rng((config.seed, step, rank, _STREAM))
    share = float(rng.beta(config.MIX.alpha, config.MIX.alpha))
    partners = rng.permutation(count).astype(np.int64)
    if config.MIX.name == "Mixup":
        return Blend(partners, share)
    height, width = batch.clips.shape[-2:]
    box = draw_box(height, width, 1.0 - share, rng)
    return Blend(partners, 1.0 - box[2] * box[3] / (height * width), box)


def draw_box(
    height: int, width: int, area: float, rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """Draw a box (left, top, width, height) around any pixel; it is cut off at the edges.

    Args:
        height: of the frame.
        width: of the frame.
        area: of the whole box, as a part of the frame's.
        rng: for the place.
    """
    half_width, half_height = (int(side * math.sqrt(area)) // 2 for side in (width, height))
    x, y = int(rng.integers(width)), int(rng.integers(height))
    left, top = max(0, x - half_width), max(0, y - half_height)
    right, bottom = min(width, x + half_width), min(height, y + half_height)
    return left, top, right - left, bottom - top
