# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""ImageNet ResNets of paddle.vision: torchvision's names with Paddle's BN buffers and layout."""

from __future__ import annotations

from collections.abc import Collection

from paddletsm.convert.base import CONVERTERS, Converter
from paddletsm.convert.torchvision import resnet_name


def _matches(names: Collection[str]) -> bool:
    return any(name.endswith("._mean") and resnet_name(name) is not None for name in names)


# Source: ``paddle.vision.models.resnet``.
CONVERTERS.register("paddle_vision")(
    Converter(
        title="paddle.vision (ImageNet)",
        matches=_matches,
        name_of=resnet_name,
        is_pretraining=True,
    )
)
