# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Pure functions on the frames of a clip, and on sizes and boxes.

Frames are uint8 [V,T,H,W,3] RGB; a box is (left, top, width, height) in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paddletsm.data import backends
from paddletsm.errors import DataError

Box = tuple[int, int, int, int]

# Of a 5x5 grid of starting points, in units of a quarter of the free space: corners and centre,
# then the rest of MultiScaleCrop's thirteen.
_FIVE_STARTS = ((0, 0), (4, 0), (0, 4), (4, 4), (2, 2))
_MORE_STARTS = ((0, 2), (4, 2), (2, 4), (2, 0), (1, 1), (3, 1), (1, 3), (3, 3))


def short_side_size(height: int, width: int, short_size: int) -> tuple[int, int]:
    """Return (height, width) scaled so that the short side becomes ``short_size``.

    Source: MMAction2's Resize((-1, short_size)): ``int(side * factor + 0.5)``.
    """
    factor = short_size / min(height, width)
    return int(height * factor + 0.5), int(width * factor + 0.5)


def four_to_three_size(height: int, width: int, short_size: int) -> tuple[int, int]:
    """Return (height, width) of 4:3 (or 3:4) with the given short side, as PaddleVideo's Scale."""
    long_size = int(short_size * 4.0 / 3.0)
    return (long_size, short_size) if width < height else (short_size, long_size)


def resize(frames: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize all frames with cv2.INTER_LINEAR; frames of that size are returned as they are.

    Returns: uint8 [V,T,height,width,3].
    """
    return crop_resize(frames, (0, 0, frames.shape[3], frames.shape[2]), height, width)


def crop(frames: np.ndarray, box: Box) -> np.ndarray:
    """Cut the same box out of all frames; a view, nothing is copied.

    Raises:
        DataError: the box reaches outside of the frame.
    """
    left, top, width, height = box
    if left < 0 or top < 0 or left + width > frames.shape[3] or top + height > frames.shape[2]:
        raise DataError(
            f"a crop of {width}x{height} does not fit into frames of "
            f"{frames.shape[3]}x{frames.shape[2]}; scale them up first (Scale: short_size)"
        )
    return frames[:, :, top : top + height, left : left + width]


def crop_resize(frames: np.ndarray, box: Box, height: int, width: int) -> np.ndarray:
    """Cut a box out of all frames and resize it.

    Returns: uint8 [V,T,height,width,3]; a view where the box has that size already.
    """
    source = crop(frames, box)
    if source.shape[2:4] == (height, width):
        return source
    cv2 = backends.opencv()
    views, segments = source.shape[:2]
    out = np.empty((views, segments, height, width, 3), np.uint8)
    for view in range(views):
        for segment in range(segments):
            cv2.resize(
                contiguous(source[view, segment]),
                (width, height),
                dst=out[view, segment],
                interpolation=cv2.INTER_LINEAR,
            )
    return out


def multi_crop(frames: np.ndarray, boxes: Sequence[tuple[Box, bool]]) -> np.ndarray:
    """Cut several boxes, some of them mirrored: all clips of the first box, then of the second.

    Args:
        frames: uint8 [V,T,H,W,3].
        boxes: B pairs (box, is_mirrored), of one size.

    Returns: uint8 [B*V,T,h,w,3].

    Source: the order of MMAction2's ThreeCrop and TenCrop and of the authors' GroupOverSample.
    """
    crops = [flip(crop(frames, box)) if mirrored else crop(frames, box) for box, mirrored in boxes]
    return np.concatenate(crops)


def flip(frames: np.ndarray) -> np.ndarray:
    """Mirror all frames left to right; a view."""
    return frames[:, :, :, ::-1]


def center_box(height: int, width: int, size: int) -> Box:
    """Square of ``size`` in the middle, rounded down to the left and top."""
    return (width - size) // 2, (height - size) // 2, size, size


def three_boxes(height: int, width: int, size: int) -> list[Box]:
    """Squares at the start, end and middle of the longer free side, centred in the other.

    Source: MMAction2's ThreeCrop.
    """
    free_x, free_y = width - size, height - size
    if free_x >= free_y:
        step = free_x // 2
        return [(left, free_y // 2, size, size) for left in (0, 2 * step, step)]
    step = free_y // 2
    return [(free_x // 2, top, size, size) for top in (0, 2 * step, step)]


def five_boxes(height: int, width: int, size: int) -> list[Box]:
    """Squares at the corners and in the middle; see ``start_points``."""
    return [(left, top, size, size) for left, top in start_points(height, width, size, size)]


def start_points(
    height: int, width: int, crop_height: int, crop_width: int, *, more: bool = False
) -> list[tuple[int, int]]:
    """Five (``more``: thirteen) left top corners of a crop, on a grid of quarters.

    Source: MultiScaleCrop and TenCrop of TSN, as in MMAction2: whole quarter steps, so the last
        corner may end up to three pixels before the edge.
    """
    step_x, step_y = (width - crop_width) // 4, (height - crop_height) // 4
    grid = _FIVE_STARTS + (_MORE_STARTS if more else ())
    return [(x * step_x, y * step_y) for x, y in grid]


def multi_scale_sizes(
    height: int, width: int, target_size: int, scales: Sequence[float], max_distort: int
) -> list[tuple[int, int]]:
    """Return (height, width) of the crops that MultiScaleCrop chooses from.

    Sides are the short side times a scale, within 3 pixels of the target the target itself;
    scales of height and width are at most ``max_distort`` places apart. Duplicates stay, because
    they weigh in the draw.
    """
    short = min(height, width)
    sides = [max(1, int(short * scale)) for scale in scales]
    # Never up to a target that the frame does not hold.
    sides = [
        target_size if abs(side - target_size) < 3 and target_size <= short else side
        for side in sides
    ]
    return [
        (crop_height, crop_width)
        for i, crop_height in enumerate(sides)
        for j, crop_width in enumerate(sides)
        if abs(i - j) <= max_distort
    ]


def random_area_box(
    height: int,
    width: int,
    area_range: tuple[float, float],
    aspect_range: tuple[float, float],
    rng: np.random.Generator,
) -> Box:
    """Draw a box of random area and aspect ratio (uniform in its logarithm).

    Ten tries; then the largest square in the middle.

    Source: Szegedy et al., arXiv:1409.4842, section 6; tries and fallback as in MMAction2.
    """
    areas = rng.uniform(*area_range, size=10) * height * width
    aspects = np.exp(rng.uniform(*np.log(aspect_range), size=10))
    crop_widths = np.round(np.sqrt(areas * aspects)).astype(int)
    crop_heights = np.round(np.sqrt(areas / aspects)).astype(int)
    for crop_width, crop_height in zip(crop_widths, crop_heights, strict=True):
        if 0 < crop_width <= width and 0 < crop_height <= height:
            left = rng.integers(width - crop_width + 1)
            top = rng.integers(height - crop_height + 1)
            return int(left), int(top), int(crop_width), int(crop_height)
    return center_box(height, width, min(height, width))


def normalization_terms(
    mean: Sequence[float], std: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return float32 [3,1,1] (scale, shift), by which a pixel x of 0..255 is ``x*scale + shift``.

    In float32 that is within 4e-7 of ``(x / 255 - mean) / std`` in float64, and twice as fast on a
    CPU as a table of 256 values per channel.
    """
    deviation = np.asarray(std, np.float64).reshape(3, 1, 1)
    scale = (1.0 / (255.0 * deviation)).astype(np.float32)
    shift = (-np.asarray(mean, np.float64).reshape(3, 1, 1) / deviation).astype(np.float32)
    return scale, shift


def channels_first(frames: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Return uint8 [V,T,3,H,W], contiguous, of uint8 [V,T,H,W,3] with any strides.

    Args:
        frames: of a clip.
        out: takes the result; None: a new array.
    """
    views, segments, height, width, _ = frames.shape
    if out is None:
        out = np.empty((views, segments, 3, height, width), np.uint8)
    cv2 = backends.opencv()
    for view in range(views):
        for segment in range(segments):
            cv2.split(contiguous(frames[view, segment]), list(out[view, segment]))
    return out


def normalize(
    frames: np.ndarray,
    mean: Sequence[float],
    std: Sequence[float],
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return ``(frames / 255 - mean) / std`` with channels first.

    Args:
        frames: uint8 [V,T,H,W,3], any strides.
        mean: of R, G, B in 0..1.
        std: of R, G, B in 0..1.
        out: takes the result; None: a new array.

    Returns: float32 [V,T,3,H,W], contiguous.
    """
    views, segments, height, width, _ = frames.shape
    scale, shift = normalization_terms(mean, std)
    if out is None:
        out = np.empty((views, segments, 3, height, width), np.float32)
    cv2 = backends.opencv()
    planes = [np.empty((height, width), np.uint8) for _ in range(3)]
    # Plane by plane: what is worked on stays in the processor's cache.
    for view in range(views):
        for segment in range(segments):
            cv2.split(contiguous(frames[view, segment]), planes)
            for channel, plane in enumerate(planes):
                target = out[view, segment, channel]
                np.copyto(target, plane)
                target *= scale[channel, 0, 0]
                target += shift[channel, 0, 0]
    return out


def contiguous(frame: np.ndarray) -> np.ndarray:
    """Return uint8 [H,W,3] as OpenCV takes it: it reads cut-outs, but no mirrored views."""
    if frame.strides[2] != 1 or frame.strides[0] < 0:
        return np.ascontiguousarray(frame)
    if frame.strides[1] < 0:
        return backends.opencv().flip(frame[:, ::-1], 1)
    return frame
