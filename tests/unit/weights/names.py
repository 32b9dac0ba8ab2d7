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


# MobileNetV2: where the blocks of layer1 to layer7 begin among the numbered features.
_FIRST_FEATURE = {1: 1, 2: 2, 3: 4, 4: 7, 5: 11, 6: 14, 7: 17}
_FLAT = {"conv1": "0", "bn1": "1", "conv2": "3", "bn2": "4", "conv3": "6", "bn3": "7"}
_NESTED = {"conv1": "0.0", "bn1": "0.1", "conv2": "1.0", "bn2": "1.1", "conv3": "2", "bn3": "3"}
# layer1.0 begins with conv2.
_FLAT_FIRST = {"conv2": "0", "bn2": "1", "conv3": "3", "bn3": "4"}
_NESTED_FIRST = {"conv2": "0.0", "bn2": "0.1", "conv3": "1", "bn3": "2"}
_ENDS = {"conv1": "0.0", "bn1": "0.1", "conv2": "18.0", "bn2": "18.1"}


def torchvision(name: str) -> str:
    name = name.removeprefix("backbone.").removeprefix("head.")
    prefix, _, last = name.rpartition(".")
    return f"{prefix}.{TORCH_BN.get(last, last)}"


def features(name: str, *, is_nested: bool = True) -> str:
    """MobileNetV2 of torchvision, or with ``is_nested`` False of the TSM authors."""
    if name.startswith("head.fc."):
        return f"classifier{'.1' if is_nested else ''}.{name.split('.')[-1]}"
    parts = torchvision(name).split(".")
    if len(parts) == 2:
        return f"features.{_ENDS[parts[0]]}.{parts[1]}"
    stage, block = int(parts[0].removeprefix("layer")), int(parts[1])
    units = _NESTED if is_nested else _FLAT
    if stage == 1:
        units = _NESTED_FIRST if is_nested else _FLAT_FIRST
    return f"features.{_FIRST_FEATURE[stage] + block}.conv.{units[parts[2]]}.{parts[3]}"


def mit_features(name: str, *, shifted: frozenset[str] = frozenset()) -> str:
    """MobileNetV2 in checkpoints of the TSM authors."""
    if name.startswith("head.fc."):
        return mit(name)
    flat = features(name, is_nested=False)
    if any(name.startswith(f"backbone.{block}.conv1.") for block in shifted):
        flat = flat.replace(".conv.0.", ".conv.0.net.")
    return f"module.base_model.{flat}"


def mmaction2_mobilenet(name: str, *, shifted: frozenset[str] = frozenset()) -> str:
    if match := re.fullmatch(r"backbone\.(layer\d\.\d)\.(conv|bn)(\d)\.(.+)", name):
        block, kind, number, last = match.groups()
        position = int(number) - (2 if block == "layer1.0" else 1)
        wrapper = "net." if block in shifted and number == "1" else ""
        last = TORCH_BN.get(last, last)
        return f"backbone.{block}.conv.{position}.{wrapper}{kind}.{last}"
    return mmaction2(name)


def non_local(name: str, *, is_mit: bool) -> str:
    """ResNet with non-local blocks: the wrapper around such a block, and the block itself."""
    match = re.fullmatch(r"backbone\.(layer\d\.\d)\.non_local\.(\w+)\.(\w+)", name)
    if match is None:
        found = mit(name) if is_mit else mmaction2(name)
        return re.sub(r"(layer2\.0|layer3\.0)\.", r"\1.block.", found)
    block, unit, last = match.groups()
    last = TORCH_BN.get(last, last)
    mit_units = {"g": "g.0", "phi": "phi.0", "theta": "theta", "out": "W.0", "norm": "W.1"}
    if is_mit:
        return f"module.base_model.{block}.nl.{mit_units[unit]}.{last}"
    units = {"g": "g.0.conv", "phi": "phi.0.conv", "theta": "theta.conv"}
    units |= {"out": "conv_out.conv", "norm": "conv_out.bn"}
    return f"backbone.{block}.non_local_block.{units[unit]}.{last}"


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
