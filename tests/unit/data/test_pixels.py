# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Colours and geometry of a clip against Pillow and against a plain loop over pixels."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from paddletsm.data.transforms import pixels, warp
from tests.conftest import random_frames

FACTORS = (0.0, 0.1, 0.64, 1.0, 1.72, 1.9)


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    """Smooth frames, noise of a narrow range, extremes, and a view with negative strides."""
    rng = np.random.default_rng(0)
    noise = rng.integers(30, 200, (2, 2, 31, 47, 3), dtype=np.uint8)
    flat = np.zeros((1, 2, 8, 9, 3), np.uint8)
    flat[:, 1, :, :4] = 255  # one frame of a single value, one of two
    smooth = random_frames(2)[None]
    return [smooth, noise, flat, smooth[:, :, :, ::-1]]


def differences(
    clips: list[np.ndarray],
    ours: Callable[[np.ndarray], np.ndarray],
    theirs: Callable[[Image.Image], Image.Image],
) -> int:
    """Largest difference from what Pillow makes of each frame."""
    worst = 0
    for frames in clips:
        before = frames.copy()
        found = ours(frames)
        assert np.array_equal(frames, before), "the input must stay"
        assert (found.shape, found.dtype) == (frames.shape, np.uint8)
        for place in np.ndindex(frames.shape[:2]):
            image = Image.fromarray(np.ascontiguousarray(frames[place]))
            expected = np.asarray(theirs(image)).astype(int)
            worst = max(worst, int(np.abs(found[place] - expected).max()))
    return worst


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize(
    ("name", "theirs", "allowed"),
    [
        ("brightness", ImageEnhance.Brightness, 0),
        ("contrast", ImageEnhance.Contrast, 0),
        # Pillow rounds the grey or smoothed pixel first, then cuts decimals off the result.
        ("color", ImageEnhance.Color, 1),
        ("sharpness", ImageEnhance.Sharpness, 1),
    ],
)
def test_enhancements(
    clips: list[np.ndarray], name: str, theirs: type, allowed: int, factor: float
) -> None:
    ours = getattr(pixels, name)
    worst = differences(
        clips, lambda x: ours(x, factor), lambda image: theirs(image).enhance(factor)
    )
    assert worst <= (allowed if factor != 1.0 else 0)


@pytest.mark.parametrize("bits", range(1, 9))
def test_posterize(clips: list[np.ndarray], bits: int) -> None:
    ours = differences(
        clips, lambda x: pixels.posterize(x, bits), lambda image: ImageOps.posterize(image, bits)
    )
    assert ours == 0


@pytest.mark.parametrize("threshold", [0, 25.5, 128, 230.4, 256])
def test_solarize(clips: list[np.ndarray], threshold: float) -> None:
    whole = math.ceil(threshold)  # whole values below 230.4 are those below 231
    worst = differences(
        clips,
        lambda x: pixels.solarize(x, threshold),
        lambda image: ImageOps.solarize(image, whole),
    )
    assert worst == 0


@pytest.mark.parametrize("name", ["autocontrast", "equalize", "invert"])
def test_histograms(clips: list[np.ndarray], name: str) -> None:
    assert differences(clips, getattr(pixels, name), getattr(ImageOps, name)) == 0


@pytest.mark.parametrize("turn", [-0.5, -0.1, 0.1, 1 / 3, 0.5])
def test_hue(clips: list[np.ndarray], turn: float) -> None:
    def theirs(image: Image.Image) -> Image.Image:
        hue, saturation, value = image.convert("HSV").split()
        hue = hue.point([(v + round(turn * 256)) % 256 for v in range(256)])
        return Image.merge("HSV", (hue, saturation, value)).convert("RGB")

    # Both work with 8-bit hue and saturation, each with its own rounding.
    assert differences(clips, lambda x: pixels.hue(x, turn), theirs) <= 12
    red = np.full((1, 1, 2, 2, 3), (200, 0, 0), np.uint8)
    assert pixels.hue(red, 1 / 3)[0, 0, 0, 0].tolist() == [0, 200, 0]
    grey = np.full((1, 1, 2, 2, 3), 77, np.uint8)
    assert np.array_equal(pixels.hue(grey, turn), grey)


def test_cutout_fills_one_square_in_all_frames() -> None:
    frames = np.zeros((1, 3, 40, 60, 3), np.uint8)
    inside = pixels.cutout(frames, 0.25, (0.5, 0.5), fill=128)
    assert np.unique(inside).tolist() == [0, 128]
    (rows, columns) = np.nonzero(inside[0, 0, ..., 0])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (15, 24, 25, 34)
    assert (inside == inside[:, :1]).all()
    corner = pixels.cutout(frames, 0.25, (0.0, 1.0), fill=128)  # a quarter of it is inside
    assert (corner[0, 0, ..., 0] == 128).sum() == 25
    assert (corner[0, 0, 35:, :5] == 128).all()
    assert not frames.any()


def plain_warp(frame: np.ndarray, matrix: np.ndarray, fill: int) -> np.ndarray:
    """Loop over pixels: [H,W,3] moved by p -> middle + matrix (p - middle), 2 x 3 with the move."""
    height, width = frame.shape[:2]
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    back = np.linalg.inv(matrix[:, :2])
    padded = np.full((height + 2, width + 2, 3), float(fill))
    padded[1:-1, 1:-1] = frame
    out = np.empty(frame.shape)
    for y in range(height):
        for x in range(width):
            sx, sy = back @ (np.array([x, y]) - middle - matrix[:, 2]) + middle
            if not (-1 < sx < width and -1 < sy < height):
                out[y, x] = fill
                continue
            left, top = math.floor(sx), math.floor(sy)
            a, b = sx - left, sy - top
            patch = padded[top + 1 : top + 3, left + 1 : left + 3]
            row = patch[:, 0] * (1 - a) + patch[:, 1] * a if patch.shape[1] == 2 else patch[:, 0]
            out[y, x] = row[0] * (1 - b) + row[1] * b if len(row) == 2 else row[0]
    return out


def rotation(degrees: float) -> np.ndarray:
    """Counter-clockwise on the screen, where y points down."""
    angle = math.radians(degrees)
    return np.array([[math.cos(angle), math.sin(angle), 0], [-math.sin(angle), math.cos(angle), 0]])


MOVES = {
    "shear_x": (0.3, np.array([[1, 0.3, 0], [0, 1, 0]])),
    "shear_y": (-0.2, np.array([[1, 0, 0], [-0.2, 1, 0]])),
    "translate_x": (0.25, np.array([[1, 0, 0.25 * 32], [0, 1, 0]])),
    "translate_y": (-0.18, np.array([[1, 0, 0], [0, 1, -0.18 * 24]])),
    "rotate": (27.0, rotation(27.0)),
}


@pytest.mark.parametrize("name", MOVES)
@pytest.mark.parametrize("fill", [0, 128])
def test_geometry(name: str, fill: int) -> None:
    value, matrix = MOVES[name]
    frames = random_frames(2, height=24, width=32)[None]
    found = getattr(warp, name)(frames, value, fill=fill)
    for segment in range(2):
        expected = plain_warp(frames[0, segment], matrix, fill)
        # OpenCV before 5 interpolates in steps of 1/32 pixel.
        assert np.abs(found[0, segment] - expected).max() <= 12
        assert np.abs(found[0, segment] - expected).mean() <= 0.8


def test_geometry_agrees_with_pillow_inside() -> None:
    frames = random_frames(1, height=48, width=48)[None]
    found = warp.rotate(frames, 27.0, fill=0)[0, 0, 16:32, 16:32]
    image = Image.fromarray(frames[0, 0]).rotate(27.0, Image.Resampling.BILINEAR)
    assert np.abs(found - np.asarray(image)[16:32, 16:32].astype(int)).max() <= 5
    right_angle = warp.rotate(frames, 90.0, fill=0)[0, 0]
    assert np.abs(right_angle - np.rot90(frames[0, 0]).astype(int)).max() <= 1


def test_nothing_moves_at_zero() -> None:
    frames = random_frames(2)[None]
    for name in MOVES:
        assert np.array_equal(getattr(warp, name)(frames, 0.0, fill=0), frames)
