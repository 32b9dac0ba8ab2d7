# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""ImageNet networks of torchvision.

ResNet: conv1.weight, layer1.0.bn1.running_mean, fc.weight [1000, C]; MobileNetV2:
features.1.conv.0.0.weight, classifier.1.weight.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from paddletsm.convert.base import CONVERTERS, Converter
from paddletsm.convert.mobilenet import nested_name
from paddletsm.convert.names import paddle_bn

_TRUNK = re.compile(r"(conv1|bn1|layer\d+)\..+")


# Of all networks that number their features through, only this one has it.
_MOBILENET_V2 = "features.1.conv.0.0.weight"


def resnet_name(name: str) -> str | None:
    """Name of paddletsm for torchvision's, with PyTorch's or Paddle's BN buffers."""
    if name.startswith("fc."):
        return f"head.{name}"
    return f"backbone.{paddle_bn(name)}" if _TRUNK.fullmatch(name) else None


def vision_name(name: str) -> str | None:
    """Name of paddletsm for one of torchvision or paddle.vision, either network."""
    return resnet_name(name) or nested_name(name)


def is_vision_network(names: Collection[str], buffer: str) -> bool:
    """Tell such a file from its names; ``buffer``: how its BN means are called."""
    means = [name for name in names if name.endswith(f".{buffer}")]
    if _MOBILENET_V2 in names and "features.0.1." + buffer in means:
        return True
    return any(_TRUNK.fullmatch(name) for name in means)


def _matches(names: Collection[str]) -> bool:
    return is_vision_network(names, "running_mean")


# Source: torchvision ``models/{resnet,mobilenetv2}.py``.
CONVERTERS.register("torchvision")(
    Converter(
        title="torchvision (ImageNet)",
        matches=_matches,
        name_of=vision_name,
        is_pretraining=True,
        is_torch_layout=True,
    )
)
