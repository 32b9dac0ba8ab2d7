# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Weights of PaddleVideo: backbone.res2a.conv0._conv.weight, head.fc.weight [C, classes].

Backbone-only files (ResNet50_pretrain.pdparams) have the same names without "backbone.". The
backbone's channels are in Paddle's shift order already.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from paddletsm.convert.base import CONVERTERS, Converter

_LAYER = re.compile(
    r"(?:backbone\.)?(?:res(?P<stage>[2-5])(?P<block>[a-z]|b\d+)\.)?"
    r"(?P<unit>conv\d?|short)\.(?P<kind>_conv|_batch_norm)\.(?P<tensor>\w+)"
)


def _matches(names: Collection[str]) -> bool:
    return any(_LAYER.fullmatch(name) for name in names)


def _name_of(name: str) -> str | None:
    if name in ("head.fc.weight", "head.fc.bias"):
        return name
    match = _LAYER.fullmatch(name)
    if match is None:
        return None
    stage, block, unit = match["stage"], match["block"], match["unit"]
    if (stage is None) != (unit == "conv"):
        return None
    is_conv = match["kind"] == "_conv"
    if unit == "short":
        inner = f"downsample.{0 if is_conv else 1}"
    else:
        number = int(unit.removeprefix("conv") or 0) + 1
        inner = f"{'conv' if is_conv else 'bn'}{number}"
    if stage is None:
        return f"backbone.{inner}.{match['tensor']}"
    return f"backbone.layer{int(stage) - 1}.{_index(block)}.{inner}.{match['tensor']}"


def _index(block: str) -> int:
    """a, b, c, ... -> 0, 1, 2; in deep networks a, b1, b2, ... -> 0, 1, 2."""
    return int(block[1:]) if len(block) > 1 else ord(block) - ord("a")


# Source: ``paddlevideo/modeling/backbones/{resnet,resnet_tsm}.py`` at ed245e9c.
CONVERTERS.register("paddlevideo")(
    Converter(title="PaddleVideo", matches=_matches, name_of=_name_of, fold_order="past_first")
)
