# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of mit-han-lab/temporal-shift-module: base_model.conv1.weight, new_fc.weight."""

from __future__ import annotations

from collections.abc import Collection

from paddletsm.convert.base import (
    CONVERTERS,
    Converter,
    info_from_wrappers,
    unwrapped,
)
from paddletsm.convert.torchvision import resnet_name


def _matches(names: Collection[str]) -> bool:
    return any(name.startswith("base_model.") for name in names)


def _name_of(name: str) -> str | None:
    if name.startswith("new_fc."):
        return f"head.fc.{name.removeprefix('new_fc.')}"
    if not name.startswith("base_model."):
        return None
    # Without dropout the authors keep the classifier in the base model: base_model.fc.
    return resnet_name(unwrapped(name.removeprefix("base_model.")))


# TSN and TSM with the offline shift. Source: ``ops/{models,temporal_shift}.py`` at 1f6a834.
CONVERTERS.register("tsm_reference")(
    Converter(
        title="mit-han-lab TSM",
        matches=_matches,
        name_of=_name_of,
        info=info_from_wrappers,
        is_torch_layout=True,
        fold_order="future_first",
    )
)
