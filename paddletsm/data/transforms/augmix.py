# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""AugMix: several chains of operations, mixed with each other and with the original."""

from __future__ import annotations

import numpy as np

from paddletsm.data.transforms import operations
from paddletsm.data.transforms.augment import need
from paddletsm.data.transforms.compose import TRANSFORMS, Transform, number, whole_number

_MAX_DEPTH = 3  # of a chain whose length is drawn
_MIN_MAGNITUDE = 0.1


@TRANSFORMS.register
class AugMix(Transform):
    """Mean of the clip and of chains of operations on it, all frames alike. Behind the crop.

    Weights of the chains come from a Dirichlet distribution, that of the original from a Beta
    distribution. Every operation has a magnitude of its own, uniform in 0.1..``magnitude``.

    Args:
        magnitude: the largest of the operations, 0.1..10.
        alpha: parameter of both distributions.
        width: number of chains.
        depth: operations of a chain; None: 1 to 3, drawn for each chain.

    Source: Hendrycks et al., arXiv:1912.02781; operations and draws as in PyTorchVideo.
    """

    is_random = True

    def __init__(
        self,
        magnitude: float = 3.0,
        alpha: float = 1.0,
        width: int = 3,
        depth: int | None = None,
    ) -> None:
        most = operations.MAX_MAGNITUDE
        self.magnitude = number("magnitude", magnitude, low=_MIN_MAGNITUDE, high=most)
        self.alpha = number("alpha", alpha, low=1e-3, high=1e3)
        self.width = whole_number("width", width)
        self.depth = None if depth is None else whole_number("depth", depth)

    def apply(self, frames: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        """Return uint8 frames of the same shape."""
        rng = need(rng)
        weights = rng.dirichlet([self.alpha] * self.width)
        original = rng.beta(self.alpha, self.alpha)
        parts = [(original, frames)]
        parts += [((1.0 - original) * weight, self._chain(frames, rng)) for weight in weights]
        out = np.empty(frames.shape, np.uint8)
        for place in np.ndindex(frames.shape[:2]):  # by frames: they stay in the processor's cache
            mixed = sum(weight * clip[place].astype(np.float32) for weight, clip in parts)
            out[place] = np.rint(mixed)  # at most 255: the weights add up to 1
        return out

    def _chain(self, frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        table = list(operations.AUGMIX.values())
        depth = self.depth or int(rng.integers(1, _MAX_DEPTH + 1))
        for i in rng.integers(len(table), size=depth):
            magnitude = rng.uniform(_MIN_MAGNITUDE, self.magnitude)
            frames = table[i](frames, magnitude / operations.MAX_MAGNITUDE, rng)
        return frames
