# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of mit-han-lab/temporal-shift-module.

Training code: base_model.conv1.weight, base_model.features.3.conv.0.net.weight, new_fc.weight.
Online demo: features.3.conv.0.weight, classifier.weight; the shift is in the code there, not in the
names, and moves the first fold from the past.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from paddletsm.convert.base import CONVERTERS, Converter, ModelInfo, info_from_wrappers
from paddletsm.convert.mobilenet import SHIFTED, flat_name, shifted_features
from paddletsm.convert.names import unwrapped
from paddletsm.convert.non_local import non_local_name
from paddletsm.convert.torchvision import resnet_name

# In torchvision's network of the same kind, conv.0 is a list.
_ONLINE = "features.1.conv.0.weight"


def _matches(names: Collection[str]) -> bool:
    return any(name.startswith("base_model.") for name in names)


def _name_of(name: str) -> str | None:
    if name.startswith("new_fc."):
        return f"head.fc.{name.removeprefix('new_fc.')}"
    if not name.startswith("base_model."):
        return None
    inner = unwrapped(name.removeprefix("base_model."))
    # Without dropout the authors keep the classifier in the base model: base_model.fc.
    return non_local_name(inner) or flat_name(inner) or resnet_name(inner)


def _info(names: Collection[str]) -> ModelInfo:
    if shifted := shifted_features(names):
        return ModelInfo(shifted=shifted, shift_place="blockres", shift_mode="offline")
    info = info_from_wrappers(names)
    if any(".nl.theta." in name for name in names):
        info = dataclasses.replace(info, non_local="embedded_gaussian")
    return info


def _is_online(names: Collection[str]) -> bool:
    return _ONLINE in names


def _online_info(names: Collection[str]) -> ModelInfo:
    return ModelInfo(shifted=SHIFTED, shift_place="blockres", shift_mode="online")


# TSN and TSM with the offline shift. Source: ``ops/{models,temporal_shift}.py`` at 1f6a834.
CONVERTERS.register("tsm_reference")(
    Converter(
        title="mit-han-lab TSM",
        matches=_matches,
        name_of=_name_of,
        info=_info,
        is_torch_layout=True,
        fold_order="future_first",
    )
)

# MobileNetV2 of one frame at a time. Source: ``online_demo/mobilenet_v2_tsm.py`` at 1f6a834.
CONVERTERS.register("tsm_online")(
    Converter(
        title="mit-han-lab TSM, online",
        matches=_is_online,
        name_of=flat_name,
        info=_online_info,
        is_torch_layout=True,
        fold_order="past_first",
    )
)
