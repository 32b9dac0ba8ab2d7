# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Sizes and crops without chance: scale, centre, three- and ten-crop."""

from __future__ import annotations

import numpy as np

from paddletsm.data.transforms import functional
from paddletsm.data.transforms.compose import TRANSFORMS, Transform, whole_number


@TRANSFORMS.register
class Scale(Transform):
    """Resize so that the short side has a given length.

    Args:
        short_size: pixels.
        fixed_ratio: True makes frames of 4:3 (PaddleVideo's choice for some models); False keeps
            the aspect ratio.
        do_round: of PaddleVideo's files; no effect, sizes are rounded as in MMAction2.
        backend: of PaddleVideo's files; no effect, resizing is OpenCV's INTER_LINEAR.
    """

    def __init__(
        self,
        short_size: int,
        fixed_ratio: bool = False,
        do_round: bool = True,
        backend: str = "cv2",
    ) -> None:
        self.short_size = whole_number("short_size", short_size)
        self.fixed_ratio = bool(fixed_ratio)

    def apply(self, frames: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        """Return the resized frames."""
        height, width = frames.shape[2:4]
        rule = functional.four_to_three_size if self.fixed_ratio else functional.short_side_size
        return functional.resize(frames, *rule(height, width, self.short_size))

    def output_size(self, size: int | None) -> int | None:
        """Square frames stay square unless the ratio is fixed."""
        return None if size is None or self.fixed_ratio else self.short_size


class _Crop(Transform):
    """Base of the transforms whose frames are squares of ``target_size``."""

    def __init__(self, target_size: int) -> None:
        self.target_size = whole_number("target_size", target_size)

    def output_size(self, size: int | None) -> int | None:
        """The target size."""
        return self.target_size


@TRANSFORMS.register
class CenterCrop(_Crop):
    """Square in the middle.

    Args:
        target_size: its side in pixels.
        do_round: of PaddleVideo's files; no effect, the box is MMAction2's.
    """

    def __init__(self, target_size: int, do_round: bool = True) -> None:
        super().__init__(target_size)

    def apply(self, frames: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        """Return a view of the frames."""
        box = functional.center_box(*frames.shape[2:4], self.target_size)
        return functional.crop(frames, box)


@TRANSFORMS.register
class ThreeCrop(_Crop):
    """Three squares along the long side: start, end, middle. First all clips at the start.

    Args:
        target_size: their side in pixels.
    """

    num_crops = 3

    def apply(self, frames: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        """Return uint8 [3*V,T,size,size,3]."""
        boxes = functional.three_boxes(*frames.shape[2:4], self.target_size)
        return functional.multi_crop(frames, [(box, False) for box in boxes])


@TRANSFORMS.register
class TenCrop(_Crop):
    """Corners and middle, each also mirrored. First all clips at the first corner.

    Args:
        target_size: their side in pixels.
    """

    num_crops = 10

    def apply(self, frames: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        """Return uint8 [10*V,T,size,size,3]."""
        boxes = functional.five_boxes(*frames.shape[2:4], self.target_size)
        pairs = [(box, mirrored) for box in boxes for mirrored in (False, True)]
        return functional.multi_crop(frames, pairs)
