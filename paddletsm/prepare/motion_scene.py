# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Renders one clip of the synthetic "motion" data set.

Why the classes can be told apart by motion alone. A clip shows a textured object on a textured
background. One of its properties (position across, position down, size, angle) runs at constant
speed round a circle: an object that leaves on one side comes in on the other, one that has become
as large as it can starts again small. The starting point on that circle is uniform. Hence

* each frame, even together with its number, is distributed alike in a class and its opposite;
* a clip of the second class of a pair is rendered as a clip of the first and its frames are then
  reversed, so both classes give the same unordered sets of frames with the same probability.

A model that does not see the order of the frames is right about a pair half of the time at best.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from paddletsm.data.backends import opencv

OPPOSITES: tuple[tuple[str, str], ...] = (
    ("move_right", "move_left"),
    ("move_down", "move_up"),
    ("grow", "shrink"),
    ("turn_clockwise", "turn_counter_clockwise"),
)
"""Pairs of classes; the second of each is the first, played backwards."""

CLASS_NAMES: tuple[str, ...] = tuple(sorted(name for pair in OPPOSITES for name in pair))

MIN_SIZE = 16
"""Side of the smallest picture, in pixels; below it the object is a handful of pixels."""

_SMALLEST, _LARGEST = 0.15, 0.95
"""Diameter of a growing object, as a fraction of the picture's side."""

_STEADY = (0.58, 0.9)
"""Where on the way from the smallest to the largest the diameter of the others lies."""

_MIDDLE = (0.3, 0.7)
"""Range of the centre of an object, as a fraction of the side, where it does not move."""

_MOVING_PART = {
    "move_right": "across",
    "move_down": "down",
    "grow": "growth",
    "turn_clockwise": "angle",
}

_SPEED: dict[str, tuple[float, float]] = {
    "move_right": (0.035, 0.065),
    "move_down": (0.035, 0.065),
    "grow": (0.05, 0.09),
    "turn_clockwise": (0.025, 0.05),
}
"""Rounds per frame."""

_BACK_LEVELS, _FRONT_LEVELS = (10, 130), (150, 250)
"""Grey levels of the background and of the first of the object's two colours."""

_OVERSAMPLE = 2
"""The object is drawn so many times larger and then averaged: smooth edges."""

_PATCH = 96
"""Side of the object's texture in pixels."""


@dataclass(frozen=True)
class Scene:
    """Everything that is drawn at random once per clip, apart from the motion.

    Attributes:
        background: float32 [S, S, 3], S = side of the picture; periodic in both directions.
        patch: float32 [P, P, 4], the object's colours times its opacity, and its opacity (0..1).
        offset: where the background starts, (right, down).
        drift: pixels per frame by which the background slides, (right, down).
        noise: standard deviation of the noise of every frame, in grey levels.
    """

    background: np.ndarray
    patch: np.ndarray
    offset: tuple[float, float]
    drift: tuple[float, float]
    noise: float


def render_clip(
    motion: str, rng: np.random.Generator, *, num_frames: int = 16, size: int = 64
) -> np.ndarray:
    """Render one clip.

    Args:
        motion: one of ``CLASS_NAMES``.
        rng: the only source of randomness.
        num_frames: frames of the clip.
        size: side of the square picture in pixels.

    Returns:
        uint8 [num_frames, size, size, 3], RGB.

    Raises:
        ValueError: if ``motion`` is not a class.
    """
    for forward, backward in OPPOSITES:
        if motion == forward:
            return _render_forward(forward, rng, num_frames, size)
        if motion == backward:
            return np.ascontiguousarray(_render_forward(forward, rng, num_frames, size)[::-1])
    raise ValueError(f"unknown motion {motion!r}; allowed: {', '.join(CLASS_NAMES)}")


def _render_forward(
    motion: str, rng: np.random.Generator, num_frames: int, size: int
) -> np.ndarray:
    scene = _make_scene(rng, size)
    pose = {
        "across": rng.uniform(*_MIDDLE),
        "down": rng.uniform(*_MIDDLE),
        "growth": rng.uniform(*_STEADY),
        "angle": rng.uniform(),
    }
    start, speed = rng.uniform(), rng.uniform(*_SPEED[motion])
    frames = np.empty((num_frames, size, size, 3), np.uint8)
    for t in range(num_frames):
        pose[_MOVING_PART[motion]] = (start + speed * t) % 1.0
        picture = _slide(
            scene.background,
            scene.offset[0] + scene.drift[0] * t,
            scene.offset[1] + scene.drift[1] * t,
        )
        _paste(picture, scene.patch, pose)
        picture += scene.noise * rng.standard_normal(picture.shape, dtype=np.float32)
        frames[t] = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    return frames


def _paste(picture: np.ndarray, patch: np.ndarray, pose: dict[str, float]) -> None:
    """Draw the object into ``picture``, float32 [S, S, 3], which wraps round at its borders."""
    cv2 = opencv()
    size = picture.shape[0]
    diameter = _SMALLEST * (_LARGEST / _SMALLEST) ** pose["growth"] * size
    box = min(size, math.ceil(diameter) + 2)
    x, y = pose["across"] * size, pose["down"] * size
    left, top = math.floor(x - box / 2), math.floor(y - box / 2)
    # In pictures y points down, so OpenCV's positive angle (counter-clockwise) is negated.
    matrix = cv2.getRotationMatrix2D(
        (_PATCH / 2, _PATCH / 2), -360.0 * pose["angle"], diameter / _PATCH * _OVERSAMPLE
    )
    matrix[:, 2] += np.array([x - left, y - top]) * _OVERSAMPLE - _PATCH / 2
    drawn = cv2.warpAffine(patch, matrix, (box * _OVERSAMPLE, box * _OVERSAMPLE))
    drawn = cv2.resize(drawn, (box, box), interpolation=cv2.INTER_AREA)
    place = np.ix_((top + np.arange(box)) % size, (left + np.arange(box)) % size)
    picture[place] = picture[place] * (1.0 - drawn[..., 3:]) + drawn[..., :3]


def _slide(background: np.ndarray, right: float, down: float) -> np.ndarray:
    """The periodic background moved by a fraction of pixels."""
    cv2 = opencv()
    side = background.shape[0]
    matrix = np.array([[1.0, 0.0, right % side], [0.0, 1.0, down % side]])
    return cv2.warpAffine(background, matrix, (side, side), borderMode=cv2.BORDER_WRAP)


def _make_scene(rng: np.random.Generator, size: int) -> Scene:
    back = rng.uniform(*_BACK_LEVELS, size=(2, 3)).astype(np.float32)
    front = _front_colours(rng)
    cells = int(rng.integers(3, 7))
    background = _mix(_smooth_noise(rng, size, cells), back)
    colours = _mix(_two_sided(rng), front)
    mask = _shape_mask(rng)[..., None]
    heading = rng.uniform(0, 2 * np.pi)
    pace = rng.uniform(0.0, 0.006) * size
    return Scene(
        background=background,
        patch=np.concatenate([colours * mask, mask], axis=2),
        offset=(float(rng.uniform(0, size)), float(rng.uniform(0, size))),
        drift=(float(pace * np.cos(heading)), float(pace * np.sin(heading))),
        noise=float(rng.uniform(2.0, 6.0)),
    )


def _front_colours(rng: np.random.Generator) -> np.ndarray:
    """The two colours of an object, bright and clearly different, float32 [2, 3]."""
    bright = rng.uniform(*_FRONT_LEVELS, size=3)
    other = rng.uniform(20, 235, size=3)
    while np.abs(bright - other).max() < 100:
        other = rng.uniform(20, 235, size=3)
    return np.stack([bright, other]).astype(np.float32)


def _smooth_noise(
    rng: np.random.Generator, side: int, cells: int, *, contrast: float = 1.5
) -> np.ndarray:
    """Periodic smooth noise in 0..1, float32 [side, side]."""
    cv2 = opencv()
    grid = rng.uniform(-1, 1, size=(cells, cells)).astype(np.float32)
    padded = np.pad(grid, 2, mode="wrap")
    per_cell = -(-side // cells)
    large = cv2.resize(padded, None, fx=per_cell, fy=per_cell, interpolation=cv2.INTER_CUBIC)
    field = large[2 * per_cell : -2 * per_cell, 2 * per_cell : -2 * per_cell]
    field = cv2.resize(field, (side, side), interpolation=cv2.INTER_LINEAR)
    return np.clip(0.5 + 0.5 * contrast * field, 0.0, 1.0)


def _two_sided(rng: np.random.Generator) -> np.ndarray:
    """A blurred, uneven border across the patch, so that every angle of it looks different."""
    down, across = np.mgrid[-1.0 : 1.0 : _PATCH * 1j, -1.0 : 1.0 : _PATCH * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    slope = across * np.cos(angle) + down * np.sin(angle)
    uneven = _smooth_noise(rng, _PATCH, int(rng.integers(2, 5)), contrast=1.0) - 0.5
    return np.clip(0.5 + 2.0 * slope + 1.5 * uneven, 0.0, 1.0).astype(np.float32)


def _mix(field: np.ndarray, colours: np.ndarray) -> np.ndarray:
    return colours[0] + field[..., None] * (colours[1] - colours[0])


def _shape_mask(rng: np.random.Generator) -> np.ndarray:
    """A random rounded polygon (or ellipse) that fills the patch, float32 [P, P] in 0..1."""
    cv2 = opencv()
    corners = int(rng.integers(3, 8))
    mask = np.zeros((_PATCH, _PATCH), np.uint8)
    middle, reach = _PATCH / 2, _PATCH / 2 - 2
    if corners == 7:
        axes = (int(reach), int(reach * rng.uniform(0.6, 1.0)))
        cv2.ellipse(mask, (int(middle), int(middle)), axes, 0, 0, 360, 255, -1, cv2.LINE_AA)
    else:
        angles = (np.arange(corners) + rng.uniform(-0.2, 0.2, corners)) * 2 * np.pi / corners
        radii = reach * rng.uniform(0.75, 1.0, corners)
        points = np.stack([np.cos(angles) * radii, np.sin(angles) * radii], 1) + middle
        cv2.fillPoly(mask, [np.rint(points).astype(np.int32)], 255, cv2.LINE_AA)
    return mask.astype(np.float32) / 255.0
