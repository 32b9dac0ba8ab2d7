# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Pure functions on the colours of a clip, with the meaning that Pillow gives them.

Frames are uint8 [V,T,H,W,3] RGB, of any strides; each function returns new frames of that shape.
Whatever a function measures (mean, range, histogram) it measures in each frame, as the references
do; which function is called, and with which value, is the same for all frames.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from paddletsm.data import backends

# Weights of R, G, B in grey (ITU-R BT.601), as Pillow's mode "L" and OpenCV have them.
LUMA = np.array([0.299, 0.587, 0.114])

_VALUES = np.arange(256)
_SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]]) / 13.0  # Pillow's ImageFilter.SMOOTH


def look_up(frames: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Replace every value by that of a table.

    Args:
        frames: uint8 [V,T,H,W,3].
        table: uint8 [256].
    """
    rows = _rows(frames)
    flat = rows.reshape(len(rows), -1)  # one channel: the table is the same for all three
    return backends.opencv().LUT(flat, table).reshape(frames.shape)


def brightness(frames: np.ndarray, factor: float) -> np.ndarray:
    """Multiply by ``factor``: 0 is black, 1 the original."""
    return look_up(frames, _blended(0.0, factor))


def contrast(frames: np.ndarray, factor: float) -> np.ndarray:
    """Multiply the distance from the mean grey of the frame: 0 is grey, 1 the original."""
    mean = backends.opencv().mean

    def change(frame: np.ndarray) -> np.ndarray:
        grey = int(LUMA @ mean(frame)[:3] + 0.5)
        return backends.opencv().LUT(frame, _blended(grey, factor))

    return each_frame(frames, change)


def color(frames: np.ndarray, factor: float) -> np.ndarray:
    """Multiply the distance of each pixel from its own grey: 0 is grey, 1 the original."""
    matrix = factor * np.eye(3) + (1.0 - factor) * LUMA
    return backends.opencv().transform(_rows(frames), matrix).reshape(frames.shape)


def sharpness(frames: np.ndarray, factor: float) -> np.ndarray:
    """Multiply the distance from the smoothed frame: 0 is blurred, 1 the original.

    The outermost pixels stay as they are.
    """
    kernel = (1.0 - factor) * _SMOOTH
    kernel[1, 1] += factor
    filter2d = backends.opencv().filter2D

    def change(frame: np.ndarray) -> np.ndarray:
        out = frame.copy()
        out[1:-1, 1:-1] = filter2d(frame, -1, kernel)[1:-1, 1:-1]
        return out

    return each_frame(frames, change)


def hue(frames: np.ndarray, turn: float) -> np.ndarray:
    """Turn the hue; grey stays.

    Args:
        frames: uint8 [V,T,H,W,3].
        turn: part of a full turn, -0.5..0.5; red becomes green at 1/3.
    """
    step = round(turn * 256) % 256
    if step == 0:
        return frames
    cv2 = backends.opencv()
    hsv = cv2.cvtColor(_rows(frames), cv2.COLOR_RGB2HSV_FULL)
    hsv[..., 0] += np.uint8(step)  # 256 values are a full turn, so it may wrap
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL).reshape(frames.shape)


def posterize(frames: np.ndarray, bits: int) -> np.ndarray:
    """Keep the upper ``bits`` (1..8) of every value."""
    return look_up(frames, (_VALUES & (0xFF << (8 - bits))).astype(np.uint8))


def solarize(frames: np.ndarray, threshold: float) -> np.ndarray:
    """Invert the values of ``threshold`` (0..256) and above."""
    return look_up(frames, np.where(_VALUES < threshold, _VALUES, 255 - _VALUES).astype(np.uint8))


def invert(frames: np.ndarray) -> np.ndarray:
    """Replace v by 255 - v."""
    return 255 - np.ascontiguousarray(frames)


def autocontrast(frames: np.ndarray) -> np.ndarray:
    """Stretch each channel of each frame to 0..255; a channel of one value stays."""
    return _by_histogram(frames, _stretched)


def equalize(frames: np.ndarray) -> np.ndarray:
    """Flatten the histogram of each channel of each frame."""
    return _by_histogram(frames, _equalized)


def cutout(
    frames: np.ndarray, size: float, center: tuple[float, float], *, fill: int
) -> np.ndarray:
    """Fill a square, the same in all frames; what lies outside of the frame is cut off.

    Args:
        frames: uint8 [V,T,H,W,3].
        size: its side as a part of the frame's short side.
        center: (x, y) of its middle, as parts of width and height.
        fill: grey level, 0..255.
    """
    height, width = frames.shape[2:4]
    side = round(size * min(height, width))
    left, top = (round(c * n - side / 2) for c, n in zip(center, (width, height), strict=True))
    out = frames.copy()
    out[:, :, max(0, top) : max(0, top + side), max(0, left) : max(0, left + side)] = fill
    return out


def each_frame(frames: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Call ``change`` with every frame, uint8 [H,W,3] contiguous, and collect the results."""
    source = np.ascontiguousarray(frames)
    out = np.empty_like(source)
    for place in np.ndindex(source.shape[:2]):
        out[place] = change(source[place])
    return out


def _rows(frames: np.ndarray) -> np.ndarray:
    """All frames below each other: an image [V*T*H, W, 3] for OpenCV."""
    return np.ascontiguousarray(frames).reshape(-1, *frames.shape[3:])


def _blended(neutral: float, factor: float) -> np.ndarray:
    """Table of ``neutral + factor * (v - neutral)``; Pillow cuts decimals off, in float32."""
    values = _VALUES.astype(np.float32)
    values = np.float32(neutral) + np.float32(factor) * (values - np.float32(neutral))
    return np.clip(values, 0, 255).astype(np.uint8)


def _by_histogram(frames: np.ndarray, make_table: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Change each channel of each frame by the table that its histogram gives."""
    cv2 = backends.opencv()

    def change(frame: np.ndarray) -> np.ndarray:
        tables = [
            make_table(cv2.calcHist([frame], [channel], None, [256], [0, 256]).ravel())
            for channel in range(3)
        ]
        return cv2.LUT(frame, np.stack(tables, axis=-1)[None])

    return each_frame(frames, change)


def _stretched(histogram: np.ndarray) -> np.ndarray:
    """Source: Pillow's ImageOps.autocontrast with cutoff 0."""
    used = np.flatnonzero(histogram)
    low, high = int(used[0]), int(used[-1])
    if low == high:
        return _VALUES.astype(np.uint8)
    scale = 255.0 / (high - low)
    return np.clip(_VALUES * scale - low * scale, 0, 255).astype(np.uint8)


def _equalized(histogram: np.ndarray) -> np.ndarray:
    """Source: Pillow's ImageOps.equalize."""
    counts = histogram.astype(np.int64)
    used = np.flatnonzero(counts)
    step = int(counts.sum() - counts[used[-1]]) // 255
    if step == 0:  # one value, or a frame too small to spread
        return _VALUES.astype(np.uint8)
    below = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return np.minimum((step // 2 + below) // step, 255).astype(np.uint8)
