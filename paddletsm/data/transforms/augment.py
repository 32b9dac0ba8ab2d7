# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Random crops and flips: one draw per clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from paddletsm.data.transforms import functional
from paddletsm.data.transforms.compose import (
    TRANSFORMS,
    Transform,
    number_range,
    probability,
    whole_number,
)
from paddletsm.data.types import Clip


class _RandomCrop(Transform):
    """Base of the crops that are drawn: ``draw_box``, then a square of ``target_size``."""

    is_random = True

    def __init__(self, target_size: int) -> None:
        self.target_size = whole_number("target_size", target_size)

    def draw_box(self, height: int, width: int, rng: np.random.Generator) -> functional.Box:
        """Draw the box of a clip whose frames have this size."""
        raise NotImplementedError

    def apply(self, frames: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        """Return uint8 [V,T,target_size,target_size,3]."""
        box = self.draw_box(*frames.shape[2:4], need(rng))
        return functional.crop_resize(frames, box, self.target_size, self.target_size)

    def output_size(self, size: int | None) -> int | None:
        """The target size."""
        return self.target_size


@TRANSFORMS.register
class MultiScaleCrop(_RandomCrop):
    """Crop of one of several sizes at one of thirteen places, resized to the target.

    Args:
        target_size: side of the result in pixels.
        scales: crop sides as parts of the short side; None: 1, 0.875, 0.75, 0.66.
        max_distort: how many places the scales of height and width may be apart.
        fix_crop: False draws the place freely.
        more_fix_crop: False leaves corners and middle only.
        allow_duplication: False drops places that fall together when a side has no free space;
            by default they stay, and weigh, as in the references.
        backend: of PaddleVideo's files; no effect.

    Source: Wang et al., arXiv:1608.00859, section 3.2 (scale jittering, corner cropping).
    """

    def __init__(
        self,
        target_size: int,
        scales: Sequence[float] | None = None,
        max_distort: int = 1,
        fix_crop: bool = True,
        more_fix_crop: bool = True,
        allow_duplication: bool = True,
        backend: str = "cv2",
    ) -> None:
        super().__init__(target_size)
        self.scales = (1.0, 0.875, 0.75, 0.66) if scales is None else tuple(map(float, scales))
        if not self.scales or not all(0 < scale <= 1 for scale in self.scales):
            raise ValueError(f"scales must lie in 0..1, not {scales!r}")
        if not isinstance(max_distort, int) or max_distort < 0:
            raise ValueError(f"max_distort must be a whole number, 0 or more, not {max_distort!r}")
        self.max_distort = max_distort
        self.fix_crop = fix_crop
        self.more_fix_crop = more_fix_crop
        self.allow_duplication = allow_duplication

    def draw_box(self, height: int, width: int, rng: np.random.Generator) -> functional.Box:
        """Draw a size, then a place."""
        sizes = functional.multi_scale_sizes(
            height, width, self.target_size, self.scales, self.max_distort
        )
        crop_height, crop_width = sizes[rng.integers(len(sizes))]
        if not self.fix_crop:
            left = int(rng.integers(width - crop_width + 1))
            return left, int(rng.integers(height - crop_height + 1)), crop_width, crop_height
        starts = functional.start_points(
            height, width, crop_height, crop_width, more=self.more_fix_crop
        )
        if not self.allow_duplication:
            starts = list(dict.fromkeys(starts))
        left, top = starts[rng.integers(len(starts))]
        return left, top, crop_width, crop_height


@TRANSFORMS.register
class RandomCrop(_RandomCrop):
    """Square of ``target_size`` at any place, without resizing.

    Args:
        target_size: its side in pixels; frames must be at least that large.
    """

    def draw_box(self, height: int, width: int, rng: np.random.Generator) -> functional.Box:
        """Draw a place."""
        size = self.target_size
        # Frames that are too small are refused by the crop itself.
        left = int(rng.integers(max(0, width - size) + 1))
        return left, int(rng.integers(max(0, height - size) + 1)), size, size


@TRANSFORMS.register
class RandomResizedCrop(_RandomCrop):
    """Box of random area and aspect ratio, resized to the target.

    Args:
        target_size: side of the result in pixels.
        area_range: part of the frame's area, (low, high).
        aspect_ratio_range: width / height, (low, high).
    """

    def __init__(
        self,
        target_size: int,
        area_range: Sequence[float] = (0.08, 1.0),
        aspect_ratio_range: Sequence[float] = (3 / 4, 4 / 3),
    ) -> None:
        super().__init__(target_size)
        self.area_range = number_range("area_range", area_range)
        self.aspect_ratio_range = number_range("aspect_ratio_range", aspect_ratio_range)
        if self.area_range[1] > 1:
            raise ValueError(f"area_range {list(area_range)} must not exceed 1")

    def draw_box(self, height: int, width: int, rng: np.random.Generator) -> functional.Box:
        """Draw area, aspect ratio and place."""
        return functional.random_area_box(
            height, width, self.area_range, self.aspect_ratio_range, rng
        )


@TRANSFORMS.register
class RandomFlip(Transform):
    """Mirror the whole clip left to right with a probability.

    Where labels tell left from right, ``label_map`` has to name every class that a mirror turns
    into another one. A mirrored clip of such a class gets the label of the other; all other
    classes keep theirs.

    Args:
        p: probability, 0..1.
        label_map: pairs of class numbers that a mirror exchanges: [[0, 1], [6, 7]].
        no_flip: class numbers whose clips are never mirrored.
    """

    is_random = True

    def __init__(
        self,
        p: float = 0.5,
        label_map: Sequence[Sequence[int]] = (),
        no_flip: Sequence[int] = (),
    ) -> None:
        self.p = probability("p", p)
        self.label_map = _exchanged(label_map)
        self.no_flip = frozenset(_labels("no_flip", no_flip))
        both = sorted(self.no_flip & self.label_map.keys())
        if both:
            raise ValueError(f"no_flip and label_map both name class {both[0]}; keep one of them")

    @property
    def labels(self) -> frozenset[int]:
        """Class numbers that the arguments name."""
        return self.no_flip | self.label_map.keys()

    def __call__(self, clip: Clip, rng: np.random.Generator | None) -> Clip:
        """Return the clip, or its mirror image (a view) with the label that belongs to it."""
        is_drawn = need(rng).random() < self.p
        if not is_drawn or self.no_flip.intersection(clip.labels):
            return clip
        label, *others = (self.label_map.get(label, label) for label in clip.labels)
        frames = functional.flip(clip.frames)
        return replace(clip, frames=frames, label=label, others=tuple(others))


def _labels(name: str, values: Sequence[int]) -> tuple[int, ...]:
    """Check a list of class numbers.

    Raises:
        ValueError: not a list of whole numbers from 0.
    """
    is_list = isinstance(values, Sequence) and not isinstance(values, str)
    if not is_list or not all(type(value) is int and value >= 0 for value in values):
        raise ValueError(f"{name} must be a list of class numbers (from 0), not {values!r}")
    return tuple(values)


def _exchanged(pairs: Sequence[Sequence[int]]) -> dict[int, int]:
    """Make of pairs of classes a map that is its own inverse.

    Raises:
        ValueError: not pairs of two different classes, or a class in two of them.
    """
    if isinstance(pairs, str) or not isinstance(pairs, Sequence):
        raise ValueError(f"label_map must be a list of pairs, such as [[0, 1], [6, 7]]: {pairs!r}")
    exchanged: dict[int, int] = {}
    for pair in pairs:
        labels = _labels("a pair of label_map", pair)
        if len(labels) != 2 or labels[0] == labels[1]:
            raise ValueError(f"label_map: {pair!r} is not a pair of two different classes")
        for label, other in (labels, labels[::-1]):
            if label in exchanged:
                raise ValueError(
                    f"label_map: class {label} stands in two pairs; a clip that is mirrored twice "
                    "must have its own label again"
                )
            exchanged[label] = other
    return exchanged


def need(rng: np.random.Generator | None) -> np.random.Generator:
    """Return the generator.

    Raises:
        ValueError: none was passed to a random transform.
    """
    if rng is None:
        raise ValueError("a random transform needs a numpy Generator")
    return rng
