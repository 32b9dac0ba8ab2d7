# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Weights of this package: backbone.layer1.0.bn1._mean, head.fc.weight [C, classes]."""

from __future__ import annotations

import re
from collections.abc import Collection

from paddletsm.convert.base import CONVERTERS, Converter

_BN = re.compile(r"backbone\.(layer\d+\.\d+\.)?(bn\d|downsample\.1)\._mean")
_NAME = re.compile(r"(backbone|head)\..+")


def _matches(names: Collection[str]) -> bool:
    return any(_BN.fullmatch(name) for name in names)


def _name_of(name: str) -> str | None:
    return name if _NAME.fullmatch(name) else None


# Written by the trainer, by ``paddletsm convert`` or by ``paddle.save`` of a state_dict.
CONVERTERS.register("paddletsm")(Converter(title="paddletsm", matches=_matches, name_of=_name_of))
