# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""ImageNet ResNets of torchvision: conv1.weight, layer1.0.bn1.running_mean, fc.weight [1000, C]."""

from __future__ import annotations

import re
from collections.abc import Collection

from paddletsm.convert.base import CONVERTERS, Converter, paddle_bn

_TRUNK = re.compile(r"(conv1|bn1|layer\d+)\..+")


def resnet_name(name: str) -> str | None:
    """Name of paddletsm for torchvision's, with PyTorch's or Paddle's BN buffers."""
    if name.startswith("fc."):
        return f"head.{name}"
    return f"backbone.{paddle_bn(name)}" if _TRUNK.fullmatch(name) else None


def _matches(names: Collection[str]) -> bool:
    return any(_TRUNK.fullmatch(name) and name.endswith(".running_mean") for name in names)


# Source: torchvision ``models/resnet.py``.
CONVERTERS.register("torchvision")(
    Converter(
        title="torchvision (ImageNet)",
        matches=_matches,
        name_of=resnet_name,
        is_pretraining=True,
        is_torch_layout=True,
    )
)
