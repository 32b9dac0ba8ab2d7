# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The names of each source, written the other way round: from paddletsm's to theirs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import numpy as np

from paddletsm.models import Recognizer2D

TORCH_BN = {"_mean": "running_mean", "_variance": "running_var"}


def state_of(model: Recognizer2D) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in model.state_dict().items()}


def torchvision(name: str) -> str:
    name = name.removeprefix("backbone.").removeprefix("head.")
    prefix, _, last = name.rpartition(".")
    return f"{prefix}.{TORCH_BN.get(last, last)}"


def mit(name: str, *, shifted: frozenset[str] = frozenset(), is_block: bool = False) -> str:
    if name.startswith("head.fc."):
        return name.replace("head.fc.", "module.new_fc.")
    name = torchvision(name)
    block = ".".join(name.split(".")[:2])
    if block in shifted and is_block:
        name = name.replace(block, f"{block}.net")
    elif block in shifted:
        name = name.replace(".conv1.", ".conv1.net.")
    return f"module.base_model.{name}"


def mmaction2(name: str) -> str:
    if name.startswith("head.fc."):
        return name.replace("head.fc.", "cls_head.fc_cls.")
    name = f"backbone.{torchvision(name)}"
    name = name.replace("downsample.0", "downsample.conv").replace("downsample.1", "downsample.bn")
    return re.sub(r"\.(conv|bn)(\d)\.", r".conv\2.\1.", name)


def paddlevideo(name: str, *, is_deep: bool = False) -> str:
    if name.startswith("head."):
        return name
    parts = name.split(".")
    if len(parts) == 3:  # the stem
        return f"backbone.conv.{'_conv' if parts[1] == 'conv1' else '_batch_norm'}.{parts[2]}"
    stage, index, unit, last = int(parts[1][-1]) + 1, int(parts[2]), parts[3], parts[-1]
    letter = chr(ord("a") + index)
    if is_deep and stage == 4:
        letter = "a" if index == 0 else f"b{index}"
    if unit == "downsample":
        inner, is_conv = "short", parts[4] == "0"
    else:
        inner, is_conv = f"conv{int(unit[-1]) - 1}", unit.startswith("conv")
    return f"backbone.res{stage}{letter}.{inner}.{'_conv' if is_conv else '_batch_norm'}.{last}"


def renamed(
    state: Mapping[str, np.ndarray], rule: Callable[[str], str], *, is_torch: bool
) -> dict[str, np.ndarray]:
    """The state as a source would store it; PyTorch's fc is [out, in] and its BN has counters."""
    result = {}
    for name, value in state.items():
        is_fc = name == "head.fc.weight"
        result[rule(name)] = value.T if is_torch and is_fc else value
        if is_torch and name.endswith("._mean"):
            result[rule(name).replace("running_mean", "num_batches_tracked")] = np.array(7)
    return result
