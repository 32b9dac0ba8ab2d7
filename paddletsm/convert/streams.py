# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Exchange the two shift folds of a network without changing what it computes.

The authors' PyTorch code (and MMAction2) moves the future into the first ``C // shift_div``
channels and the past into the next; Paddle's order, the only one in this package, is the other way
round. Renaming channels turns one into the other: in every residual stream the two folds are
swapped, in the outputs of what writes the stream and the inputs of what reads it.

    ResNet       stem ==S0==> layer1 ==S1==> layer2 ==S2==> layer3 ==S3==> layer4 ==S4==> pool -> fc
    writers      the stem, each block's last convolution with its BN, each projection with its BN
    readers      each block's first convolution, each projection, fc
    non-local    reads by g, theta, phi; writes by out with its BN

    MobileNetV2  stem -> layer1 ==S1==> layer2 ==S2==> ... layer7 ==S7==> conv2 -> pool -> fc
    writers      each block's projection (conv3) with its BN
    readers      each block's expansion (conv1), the last convolution

MobileNetV2's features are no stream; its stem and layer1's depthwise convolution know no shift.

Streams of the same width need no telling apart: the order of channels depends on the width alone.
A stream without shift (every second block of deep networks) may be swapped as well, as long as all
its writers and readers are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import numpy as np

_READERS = (
    "conv1.weight",
    "non_local.g.weight",
    "non_local.theta.weight",
    "non_local.phi.weight",
)
_NON_LOCAL_WRITERS = ("non_local.out.weight", "non_local.norm.")
_BLOCK = re.compile(r"backbone\.(layer\d+\.\d+)\.(.+)")


def swap_folds(state: Mapping[str, np.ndarray], shift_div: int) -> dict[str, np.ndarray]:
    """Swap the two shift folds of every residual stream.

    Args:
        state: name of paddletsm -> array in Paddle's layout (fc [in, classes]).
        shift_div: 1/shift_div of the channels moves each way.

    Returns:
        The same names; applying the function twice gives the input.
    """
    axes_of = _stream_axes(state)
    swapped = {}
    for name, value in state.items():
        for axis in axes_of(name):
            if axis < value.ndim:
                value = value.take(fold_order(value.shape[axis], shift_div), axis)
        swapped[name] = value
    return swapped


def fold_order(channels: int, shift_div: int) -> np.ndarray:
    """Channel indices with the first two folds of ``channels // shift_div`` exchanged."""
    fold = channels // shift_div
    order = np.arange(channels)
    return np.concatenate([order[fold : 2 * fold], order[:fold], order[2 * fold :]])


def _stream_axes(names: Mapping[str, np.ndarray]) -> Callable[[str], tuple[int, ...]]:
    """The rule for the family of networks that these names belong to."""
    return _mobilenet_axes if "backbone.conv2.weight" in names else _resnet_axes(names)


def _mobilenet_axes(name: str) -> tuple[int, ...]:
    if name == "backbone.conv2.weight":
        return (1,)
    match = _BLOCK.fullmatch(name)
    part = match[2] if match else ""
    if part == "conv1.weight":
        return (1,)
    return (0,) if part == "conv3.weight" or part.startswith("bn3.") else ()


def _resnet_axes(names: Mapping[str, np.ndarray]) -> Callable[[str], tuple[int, ...]]:
    def resnet(name: str) -> tuple[int, ...]:
        match = _BLOCK.fullmatch(name)
        if match is None:
            is_stream = name == "backbone.conv1.weight" or name.startswith("backbone.bn1.")
            return (0,) if is_stream or name == "head.fc.weight" else ()
        block, part = match.groups()
        last = 3 if f"backbone.{block}.conv3.weight" in names else 2
        if part == "downsample.0.weight":
            return (0, 1)
        if part in _READERS:
            return (1,)
        writers = (f"conv{last}.weight", f"bn{last}.", "downsample.1.", *_NON_LOCAL_WRITERS)
        return (0,) if part.startswith(writers) else ()

    return resnet
