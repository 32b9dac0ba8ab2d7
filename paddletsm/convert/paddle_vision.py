# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""ImageNet networks of paddle.vision: torchvision's names with Paddle's BN buffers and layout."""

from __future__ import annotations

from collections.abc import Collection

from paddletsm.convert.base import CONVERTERS, Converter
from paddletsm.convert.torchvision import is_vision_network, vision_name


def _matches(names: Collection[str]) -> bool:
    return is_vision_network(names, "_mean")


# Source: ``paddle.vision.models.{resnet,mobilenetv2}``.
CONVERTERS.register("paddle_vision")(
    Converter(
        title="paddle.vision (ImageNet)",
        matches=_matches,
        name_of=vision_name,
        is_pretraining=True,
    )
)
