# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Weights of other projects under this package's names: one module per source.

A new source is a module that registers a ``Converter``, and an import here.
"""

from __future__ import annotations

from collections.abc import Collection

from paddletsm.convert import mmaction2, own, paddle_vision, paddlevideo, torchvision, tsm_reference
from paddletsm.convert.base import CONVERTERS, Converted, Converter, ModelInfo
from paddletsm.errors import WeightsError
from paddletsm.utils.text import listing, nearest

__all__ = ["CONVERTERS", "Converted", "Converter", "ModelInfo", "find_converter", "sources"]

_MODULES = (own, mmaction2, paddle_vision, paddlevideo, torchvision, tsm_reference)

# Networks that users try and that are not of this family, by a part of a name.
_STRANGERS = (
    ("_velocity_0", "the state of an optimiser; load the .pdparams file beside it"),
    ("conv1_1._conv", "a ResNet-vd (PP-TSM, PaddleClas), which is another network"),
    (".attn.", "a transformer"),
    ("features.0.0.", "a MobileNetV3 or an EfficientNet"),
    ("slow_path", "SlowFast"),
)


def sources() -> list[str]:
    """Names of all sources, for ``source=`` and ``--source``."""
    return CONVERTERS.names()


def find_converter(source: str, names: Collection[str]) -> tuple[str, Converter]:
    """Pick the converter by name, or for "auto" by the names in the file.

    Returns:
        Name and converter.

    Raises:
        WeightsError: unknown source, or names of no known source.
    """
    if source != "auto":
        if source not in CONVERTERS:
            known = ["auto", *sources()]
            raise WeightsError(
                f"unknown source {source!r}{nearest(source, known)} (known: {listing(known)})"
            )
        return source, CONVERTERS.get(source)
    for name in sources():
        converter = CONVERTERS.get(name)
        if converter.matches(names):
            return name, converter
    stranger = next((kind for mark, kind in _STRANGERS if any(mark in n for n in names)), None)
    raise WeightsError(
        "its names are those of no known source"
        + (f"; it looks like {stranger}" if stranger else "")
        + f". It begins with {listing(list(names)[:3])}; known sources: {listing(sources())}"
    )
