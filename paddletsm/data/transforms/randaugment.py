# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""RandAugment: a few random operations for the whole clip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paddletsm.data.transforms import operations
from paddletsm.data.transforms.augment import need
from paddletsm.data.transforms.compose import (
    TRANSFORMS,
    Transform,
    number,
    probability,
    whole_number,
)
from paddletsm.utils.text import listing, nearest


@dataclass(frozen=True)
class _Policy:
    """What a source of RandAugment does where the user says nothing.

    Attributes:
        table: its operations.
        p: probability of each drawn operation.
        magnitude_std: deviation of the magnitude.
        in_order: the drawn operations run in the order of the table, not in that of the draw.
    """

    table: dict[str, operations.Operation]
    p: float
    magnitude_std: float
    in_order: bool


_POLICIES = {
    "imgaug": _Policy(operations.IMGAUG, p=1.0, magnitude_std=0.0, in_order=True),
    "pytorchvideo": _Policy(operations.PYTORCHVIDEO, p=0.5, magnitude_std=0.5, in_order=False),
}


@TRANSFORMS.register
class RandAugment(Transform):
    """Different operations, drawn once per clip, all frames alike. Stands behind the crop.

    Args:
        policy: "imgaug": 15 operations at a fixed magnitude, always applied (MMAction2's
            ``Imgaug(transforms="default")``); "pytorchvideo": 14 operations, each applied with
            probability 0.5 at a magnitude of normal distribution with deviation 0.5.
        num_ops: how many operations are drawn.
        magnitude: 0..10.
        p: probability of each drawn operation; None: the policy's.
        magnitude_std: deviation of the magnitude, cut to 0..10; None: the policy's.

    Source: Cubuk et al., arXiv:1909.13719; tables in ``operations``.
    """

    is_random = True

    def __init__(
        self,
        policy: str = "imgaug",
        num_ops: int = 2,
        magnitude: float = 9.0,
        p: float | None = None,
        magnitude_std: float | None = None,
    ) -> None:
        if policy not in _POLICIES:
            raise ValueError(
                f"policy must be one of {listing(_POLICIES)}, not {policy!r}"
                f"{nearest(str(policy), _POLICIES)}"
            )
        chosen = _POLICIES[policy]
        most = operations.MAX_MAGNITUDE
        self.policy = policy
        self.num_ops = whole_number("num_ops", num_ops)
        self.magnitude = number("magnitude", magnitude, low=0, high=most)
        self.p = chosen.p if p is None else probability("p", p)
        self.magnitude_std = (
            chosen.magnitude_std
            if magnitude_std is None
            else number("magnitude_std", magnitude_std, low=0, high=most)
        )
        if num_ops > len(chosen.table):
            raise ValueError(
                f"num_ops {num_ops} is more than the {len(chosen.table)} operations of {policy!r}"
            )

    def draw(self, rng: np.random.Generator) -> list[tuple[str, float]]:
        """Draw the operations of a clip and their levels (0..1)."""
        policy = _POLICIES[self.policy]
        numbers = rng.choice(len(policy.table), self.num_ops, replace=False)
        if policy.in_order:
            numbers = np.sort(numbers)
        names, drawn = list(policy.table), []
        for i in numbers:
            if rng.random() < self.p:
                magnitude = rng.normal(self.magnitude, self.magnitude_std)
                level = float(np.clip(magnitude / operations.MAX_MAGNITUDE, 0.0, 1.0))
                drawn.append((names[i], level))
        return drawn

    def apply(self, frames: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        """Return uint8 frames of the same shape."""
        rng = need(rng)
        table = _POLICIES[self.policy].table
        for name, level in self.draw(rng):
            frames = table[name](frames, level, rng)
        return frames
