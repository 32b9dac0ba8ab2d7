# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Operations of RandAugment and AugMix: from a level of 0..1 to a function with its value.

An operation is ``(frames, level, rng) -> frames``; it draws its sign, or the place of a cutout,
once for all frames. Three tables: that of MMAction2's ``Imgaug(transforms="default")`` and those of
PyTorchVideo's ``RandAugment`` and ``AugMix``, from which the values are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from paddletsm.data.transforms import pixels, warp

Operation = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]

MAX_MAGNITUDE = 10.0  # level 1

_BLACK, _GREY = 0, 128


def _fixed(function: Callable[[np.ndarray], np.ndarray]) -> Operation:
    """A function without value."""
    return lambda frames, level, rng: function(frames)


def _valued(
    function: Callable[[np.ndarray, float], np.ndarray], value: Callable[[float], float]
) -> Operation:
    """A function whose value follows from the level."""
    return lambda frames, level, rng: function(frames, value(level))


def _signed(
    function: Callable[[np.ndarray, float], np.ndarray], span: float, neutral: float = 0.0
) -> Operation:
    """A function whose value is ``neutral`` plus or minus ``span`` times the level."""

    def operation(frames: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
        sign = 1.0 if rng.random() < 0.5 else -1.0
        return function(frames, neutral + sign * span * level)

    return operation


def _shear_by_degrees(
    function: Callable[[np.ndarray, float], np.ndarray], degrees: float
) -> Operation:
    def at_angle(frames: np.ndarray, angle: float) -> np.ndarray:
        return function(frames, math.tan(math.radians(angle)))

    return _signed(at_angle, degrees)


def _cutout(frames: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    center = (rng.random(), rng.random())
    return pixels.cutout(frames, 0.2 * level, center, fill=_GREY)


def _enhanced(level: float) -> float:
    """Factor of the enhancements that change with the level in one direction: 0.1 to 1.9."""
    return 0.1 + 1.8 * level


def _bits(level: float) -> int:
    """PyTorchVideo's 4 bits less up to 4; at least one, as none makes every clip black."""
    return max(1, 4 - int(4 * level))


IMGAUG: dict[str, Operation] = {
    "shear_x": _shear_by_degrees(partial(warp.shear_x, fill=_BLACK), 17.19),
    "shear_y": _shear_by_degrees(partial(warp.shear_y, fill=_BLACK), 17.19),
    "translate_x": _signed(partial(warp.translate_x, fill=_BLACK), 0.2),
    "translate_y": _signed(partial(warp.translate_y, fill=_BLACK), 0.2),
    "rotate": _signed(partial(warp.rotate, fill=_BLACK), 30.0),
    "posterize": _valued(pixels.posterize, lambda level: max(1, int(4 * level))),
    "solarize": _valued(pixels.solarize, lambda level: 256.0 * level),
    "color": _valued(pixels.color, _enhanced),
    "contrast": _valued(pixels.contrast, _enhanced),
    "brightness": _valued(pixels.brightness, _enhanced),
    "sharpness": _valued(pixels.sharpness, _enhanced),
    "autocontrast": _fixed(pixels.autocontrast),
    "equalize": _fixed(pixels.equalize),
    "invert": _fixed(pixels.invert),
    "cutout": _cutout,
}


def _moves(translation: float) -> dict[str, Operation]:
    """Geometry of PyTorchVideo; what comes from outside is grey."""
    return {
        "rotate": _signed(partial(warp.rotate, fill=_GREY), 30.0),
        "shear_x": _signed(partial(warp.shear_x, fill=_GREY), 0.3),
        "shear_y": _signed(partial(warp.shear_y, fill=_GREY), 0.3),
        "translate_x": _signed(partial(warp.translate_x, fill=_GREY), translation),
        "translate_y": _signed(partial(warp.translate_y, fill=_GREY), translation),
    }


_TONES: dict[str, Operation] = {
    "autocontrast": _fixed(pixels.autocontrast),
    "equalize": _fixed(pixels.equalize),
    "posterize": _valued(pixels.posterize, _bits),
    "solarize": _valued(pixels.solarize, lambda level: 255.0 * (1.0 - level)),
}

_ENHANCEMENTS = {
    "brightness": pixels.brightness,
    "contrast": pixels.contrast,
    "color": pixels.color,
    "sharpness": pixels.sharpness,
}

PYTORCHVIDEO: dict[str, Operation] = {
    **{name: _signed(function, 0.9, 1.0) for name, function in _ENHANCEMENTS.items()},
    **_TONES,
    "invert": _fixed(pixels.invert),
    **_moves(0.45),
}

AUGMIX: dict[str, Operation] = {
    **{name: _valued(function, _enhanced) for name, function in _ENHANCEMENTS.items()},
    **_TONES,
    **_moves(1 / 3),
}
