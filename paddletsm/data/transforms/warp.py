# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Pure functions that move the pixels of a clip: the same affine map in all frames.

Frames are uint8 [V,T,H,W,3] RGB; each function returns new frames of that shape, interpolated
linearly. What comes from outside of the frame is ``fill``, a grey level of 0..255. Shear and
rotation leave the middle of the frame where it is.
"""

from __future__ import annotations

import math

import numpy as np

from paddletsm.data import backends
from paddletsm.data.transforms.pixels import each_frame


def shear_x(frames: np.ndarray, slope: float, *, fill: int) -> np.ndarray:
    """Move rows to the right by ``slope`` pixels per row below the middle."""
    return _warp(frames, [[1.0, slope], [0.0, 1.0]], fill=fill)


def shear_y(frames: np.ndarray, slope: float, *, fill: int) -> np.ndarray:
    """Move columns down by ``slope`` pixels per column right of the middle."""
    return _warp(frames, [[1.0, 0.0], [slope, 1.0]], fill=fill)


def translate_x(frames: np.ndarray, part: float, *, fill: int) -> np.ndarray:
    """Move the frame to the right by a part of its width."""
    return _warp(frames, np.eye(2), move=(part * frames.shape[3], 0.0), fill=fill)


def translate_y(frames: np.ndarray, part: float, *, fill: int) -> np.ndarray:
    """Move the frame down by a part of its height."""
    return _warp(frames, np.eye(2), move=(0.0, part * frames.shape[2]), fill=fill)


def rotate(frames: np.ndarray, degrees: float, *, fill: int) -> np.ndarray:
    """Turn the frame counter-clockwise."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return _warp(frames, [[cos, sin], [-sin, cos]], fill=fill)


def _warp(
    frames: np.ndarray,
    linear: np.ndarray | list[list[float]],
    *,
    fill: int,
    move: tuple[float, float] = (0.0, 0.0),
) -> np.ndarray:
    """Send each point p to ``middle + linear (p - middle) + move``; x right, y down."""
    cv2 = backends.opencv()
    height, width = frames.shape[2:4]
    middle = np.array([(width - 1) / 2, (height - 1) / 2])  # between the outermost pixel centres
    linear = np.asarray(linear, np.float64)
    matrix = np.column_stack([linear, middle - linear @ middle + move])

    def change(frame: np.ndarray) -> np.ndarray:
        return cv2.warpAffine(
            frame,
            matrix,
            (width, height),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(fill, fill, fill),
        )

    return each_frame(frames, change)
