# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What a transform is, and the two that every pipeline ends with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from paddletsm.data.transforms import functional
from paddletsm.data.types import Clip
from paddletsm.registry import Registry

TRANSFORMS = Registry("transform")


class Transform:
    """``(clip, rng) -> new clip``; all frames of a clip are treated alike.

    Attributes:
        is_random: whether it draws from ``rng``; not allowed where ``valid_mode`` is true.
        num_crops: by how much it multiplies the views.
    """

    is_random = False
    num_crops = 1

    def __call__(self, clip: Clip, rng: np.random.Generator | None) -> Clip:
        """Return a clip with new frames."""
        return replace(clip, frames=self.apply(clip.frames, rng))

    def apply(self, frames: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        """Return the new frames of uint8 [V,T,H,W,3]."""
        raise NotImplementedError

    def output_size(self, size: int | None) -> int | None:
        """Height and width behind it where they are equal and known, given those before it."""
        return size


@TRANSFORMS.register
class Image2Array(Transform):
    """Nothing: the package knows the layout. Here because PaddleVideo's files name it.

    Args:
        transpose: no effect; ``False`` stands for NHWC in PaddleVideo.
    """

    def __init__(self, transpose: bool = True) -> None:
        self.transpose = transpose

    def apply(self, frames: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        """Return the frames themselves."""
        return frames


@TRANSFORMS.register
class Normalization(Transform):
    """uint8 [V,T,H,W,3] to float32 [V,T,3,H,W]: ``(x / 255 - mean) / std``. The last transform.

    Args:
        mean: three numbers in 0..1, of R, G, B.
        std: three numbers in 0..1, of R, G, B.
        tensor_shape: of PaddleVideo's files; no effect.
        on_device: leave the numbers for the network's device: clips become uint8 [V,T,3,H,W], a
            quarter of the bytes, and who runs the network normalises them. Training, validation
            and test do; elsewhere ``builders`` takes the key out.
    """

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        tensor_shape: Sequence[int] | None = None,
        on_device: bool = False,
    ) -> None:
        if not isinstance(on_device, bool):
            raise ValueError(f"on_device must be true or false, not {on_device!r}")
        self.on_device = on_device
        self.mean = three_numbers("mean", mean)
        self.std = three_numbers("std", std)
        if min(self.std) <= 0:
            raise ValueError(f"std must be above 0, not {list(self.std)}")

    def apply(self, frames: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        """Return the normalised frames, see ``functional.normalize``; uint8 ones ``on_device``."""
        return self.write(frames, None)

    def write(
        self,
        frames: np.ndarray,
        destination: Callable[[tuple[int, ...], np.dtype], np.ndarray | None] | None,
    ) -> np.ndarray:
        """Normalise uint8 [V,T,H,W,3] into memory that ``destination`` offers, or new memory.

        Args:
            frames: of a clip.
            destination: called with shape and dtype of the result; returns a contiguous array of
                them, or None.
        """
        views, segments, height, width, _ = frames.shape
        shape = (views, segments, 3, height, width)
        dtype = np.dtype(np.uint8 if self.on_device else np.float32)
        out = destination(shape, dtype) if destination is not None else None
        if self.on_device:
            return functional.channels_first(frames, out)
        return functional.normalize(frames, self.mean, self.std, out)


def three_numbers(name: str, values: Sequence[float]) -> tuple[float, ...]:
    """Check a mean or standard deviation.

    Raises:
        ValueError: not three numbers in 0..1.
    """
    if isinstance(values, str) or not isinstance(values, Sequence) or len(values) != 3:
        raise ValueError(f"{name} must be three numbers (R, G, B), not {values!r}")
    numbers = tuple(float(value) for value in values)
    if not all(0 <= number <= 1 for number in numbers):
        raise ValueError(
            f"{name} {list(values)} must lie in 0..1 (divide numbers for pixels of 0..255 by 255)"
        )
    return numbers


def whole_number(name: str, value: int) -> int:
    """Check a size.

    Raises:
        ValueError: not a whole number of 1 or more.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a whole number, 1 or more, not {value!r}")
    return value


def number(name: str, value: float, *, low: float, high: float) -> float:
    """Check a number that has bounds.

    Raises:
        ValueError: not a number in low..high.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ValueError(f"{name} must be a number in {low:g}..{high:g}, not {value!r}")
    return float(value)


def probability(name: str, value: float) -> float:
    """Check a probability.

    Raises:
        ValueError: not a number in 0..1.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ValueError(f"{name} must be a probability in 0..1, not {value!r}")
    return float(value)


def number_range(name: str, values: Sequence[float]) -> tuple[float, float]:
    """Check a pair (low, high) of numbers above 0.

    Raises:
        ValueError: not two numbers, or not ascending.
    """
    if isinstance(values, str) or not isinstance(values, Sequence) or len(values) != 2:
        raise ValueError(f"{name} must be two numbers (low, high), not {values!r}")
    low, high = float(values[0]), float(values[1])
    if not 0 < low <= high:
        raise ValueError(f"{name} {list(values)} must be ascending and above 0")
    return low, high
