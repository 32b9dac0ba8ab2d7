# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of MMAction2: backbone.layer1.0.conv1.conv.net.weight, cls_head.fc_cls.weight.

MobileNetV2: backbone.layer2.1.conv.0.net.conv.weight. Non-local blocks do not tell whether they are
of the kind embedded_gaussian or dot_product.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from paddletsm.convert.base import CONVERTERS, Converter, info_from_wrappers
from paddletsm.convert.names import paddle_bn, unwrapped
from paddletsm.convert.non_local import non_local_name

_HEAD = "cls_head.fc_cls."
# Its convolution module holds the convolution and its BN: conv1.conv, conv1.bn.
_CONV = re.compile(r"((?:layer\d+\.\d+\.)?)conv(\d)\.(conv|bn)\.(.+)")
# MobileNetV2 numbers them from 0: conv.0.conv, conv.0.bn; layer1.0 has no expansion.
_INVERTED = re.compile(r"(layer\d+\.\d+)\.conv\.(\d)\.(conv|bn)\.(.+)")
_PROJECTION = re.compile(r"(layer\d+\.\d+\.downsample)\.(conv|bn)\.(.+)")


def _matches(names: Collection[str]) -> bool:
    return any(
        name.startswith(_HEAD) or re.match(r"backbone\..*conv\d\.bn\.", name) for name in names
    )


def _name_of(name: str) -> str | None:
    if name.startswith(_HEAD):
        return f"head.fc.{name.removeprefix(_HEAD)}"
    if not name.startswith("backbone."):
        return None
    inner = unwrapped(name.removeprefix("backbone."))
    if match := _CONV.fullmatch(inner):
        block, number, kind, tensor = match.groups()
        return paddle_bn(f"backbone.{block}{kind}{number}.{tensor}")
    if match := _PROJECTION.fullmatch(inner):
        block, kind, tensor = match.groups()
        return paddle_bn(f"backbone.{block}.{0 if kind == 'conv' else 1}.{tensor}")
    if match := _INVERTED.fullmatch(inner):
        block, number, kind, tensor = match.groups()
        position = int(number) + (2 if block == "layer1.0" else 1)
        return paddle_bn(f"backbone.{block}.{kind}{position}.{tensor}")
    return non_local_name(inner)


# TSN and TSM of 0.x and 1.x.
# Source: ``mmaction/models/backbones/{resnet,resnet_tsm,mobilenet_v2,mobilenet_v2_tsm}.py`` at
# 4d6c9347.
CONVERTERS.register("mmaction2")(
    Converter(
        title="MMAction2",
        matches=_matches,
        name_of=_name_of,
        info=info_from_wrappers,
        is_torch_layout=True,
        fold_order="future_first",
    )
)
