# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Random colours: one draw per clip."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paddletsm.data.transforms import pixels
from paddletsm.data.transforms.augment import need
from paddletsm.data.transforms.compose import TRANSFORMS, Transform, number, probability

# What is changed: by which function, and the value that changes nothing.
_CHANGES = {
    "brightness": (pixels.brightness, 1.0),
    "contrast": (pixels.contrast, 1.0),
    "saturation": (pixels.color, 1.0),
    "hue": (pixels.hue, 0.0),
}


@TRANSFORMS.register
class ColorJitter(Transform):
    """Change brightness, contrast, saturation and hue in random order, all frames alike.

    Args:
        brightness: strength s: a factor uniform in max(0, 1 - s)..1 + s; or (low, high).
        contrast: likewise.
        saturation: likewise.
        hue: strength s up to 0.5: parts of a full turn, uniform in -s..s; or (low, high).
        p: probability that the clip is changed at all.

    Source: the operations of torchvision's ColorJitter.
    """

    is_random = True

    def __init__(
        self,
        brightness: float | Sequence[float] = 0.0,
        contrast: float | Sequence[float] = 0.0,
        saturation: float | Sequence[float] = 0.0,
        hue: float | Sequence[float] = 0.0,
        p: float = 1.0,
    ) -> None:
        self.ranges = {
            "brightness": _range("brightness", brightness, low=0.0, high=10.0),
            "contrast": _range("contrast", contrast, low=0.0, high=10.0),
            "saturation": _range("saturation", saturation, low=0.0, high=10.0),
            "hue": _range("hue", hue, low=-0.5, high=0.5),
        }
        self.p = probability("p", p)

    def apply(self, frames: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        """Return uint8 frames of the same shape."""
        rng = need(rng)
        if rng.random() >= self.p:
            return frames
        names = list(self.ranges)
        for i in rng.permutation(len(names)):
            change, neutral = _CHANGES[names[i]]
            value = rng.uniform(*self.ranges[names[i]])
            if value != neutral:
                frames = change(frames, value)
        return frames


def _range(
    name: str, value: float | Sequence[float], *, low: float, high: float
) -> tuple[float, float]:
    """(lowest, highest) value of a strength, or of a pair.

    Raises:
        ValueError: neither, out of bounds, or not ascending.
    """
    if isinstance(value, (list, tuple)):
        if len(value) != 2:
            raise ValueError(f"{name} must be a strength or two numbers (low, high), not {value!r}")
        first, last = (number(name, item, low=low, high=high) for item in value)
        if first > last:
            raise ValueError(f"{name} {list(value)} must be ascending")
        return first, last
    neutral = _CHANGES[name][1]
    strength = number(name, value, low=0.0, high=high - neutral)
    return max(low, neutral - strength), neutral + strength
