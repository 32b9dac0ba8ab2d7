# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Names of MobileNetV2, whose blocks other projects number through: features.0 to features.18.

    features.0        conv1, bn1
    features.1        layer1.0         features.11 .. 13   layer5.0 .. 2
    features.2, 3     layer2.0, 1      features.14 .. 16   layer6.0 .. 2
    features.4 .. 6   layer3.0 .. 2    features.17         layer7.0
    features.7 .. 10  layer4.0 .. 3    features.18         conv2, bn2

Inside a block, the authors of TSM count convolution, BN and ReLU6 in one list ("flat": conv.0,
conv.1, conv.3, ...); torchvision and paddle.vision nest each triple ("nested": conv.0.0, conv.0.1,
conv.1.0, ...). layer1.0 has no expansion, so its list begins with the depthwise convolution.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from paddletsm.convert.names import paddle_bn

_BLOCKS_PER_STAGE = (1, 2, 3, 4, 3, 3, 1)
_FLAT = {"0": "conv1", "1": "bn1", "3": "conv2", "4": "bn2", "6": "conv3", "7": "bn3"}
_NESTED = {"0.0": "conv1", "0.1": "bn1", "1.0": "conv2", "1.1": "bn2", "2": "conv3", "3": "bn3"}
# Without the expansion the same places hold the next unit: conv.0 is conv2, conv.3 is conv3.
_FLAT_FIRST = {"0": "conv2", "1": "bn2", "3": "conv3", "4": "bn3"}
_NESTED_FIRST = {"0.0": "conv2", "0.1": "bn2", "1": "conv3", "2": "bn3"}

_BLOCKS = [
    f"layer{stage + 1}.{block}"
    for stage, count in enumerate(_BLOCKS_PER_STAGE)
    for block in range(count)
]
_ENDS = {
    "features.0.0": "conv1",
    "features.0.1": "bn1",
    "features.18.0": "conv2",
    "features.18.1": "bn2",
}
_BLOCK = re.compile(r"features\.(\d+)\.conv\.([\d.]+)\.(\w+)")
_CLASSIFIER = re.compile(r"classifier\.(?:1\.)?(weight|bias)")

# Blocks with shortcut and expansion, which are the ones that the authors shift.
SHIFTED = frozenset(b for b in _BLOCKS if not b.endswith(".0"))


def flat_name(name: str) -> str | None:
    """Name of paddletsm for one of the TSM authors: features.3.conv.0.weight."""
    return _name(name, _FLAT, _FLAT_FIRST)


def nested_name(name: str) -> str | None:
    """Name of paddletsm for one of torchvision or paddle.vision: features.3.conv.0.0.weight."""
    return _name(name, _NESTED, _NESTED_FIRST)


def shifted_features(names: Collection[str]) -> frozenset[str]:
    """Blocks that the authors' wrapper marks: features.3.conv.0.net.weight."""
    found = (re.search(r"(?:^|\.)features\.(\d+)\.conv\.0\.net\.", name) for name in names)
    return frozenset(_BLOCKS[int(m[1]) - 1] for m in found if m and 1 <= int(m[1]) <= len(_BLOCKS))


def _name(name: str, units: Mapping[str, str], first: Mapping[str, str]) -> str | None:
    if match := _CLASSIFIER.fullmatch(name):
        return f"head.fc.{match[1]}"
    end, _, tensor = name.rpartition(".")
    if end in _ENDS:
        return paddle_bn(f"backbone.{_ENDS[end]}.{tensor}")
    match = _BLOCK.fullmatch(name)
    if match is None or not 1 <= int(match[1]) <= len(_BLOCKS):
        return None
    block = _BLOCKS[int(match[1]) - 1]
    unit = (first if block == "layer1.0" else units).get(match[2])
    return paddle_bn(f"backbone.{block}.{unit}.{match[3]}") if unit else None
