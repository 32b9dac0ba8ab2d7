# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Exchange the two shift folds of a network without changing what it computes.

The authors' PyTorch code (and MMAction2) moves the future into the first ``C // shift_div``
channels and the past into the next; Paddle's order, the only one in this package, is the other way
round. Renaming channels turns one into the other: in every residual stream the two folds are
swapped, in the outputs of what writes the stream and the inputs of what reads it.

    stem ==S0==> layer1 ==S1==> layer2 ==S2==> layer3 ==S3==> layer4 ==S4==> pool -> fc
    writers: the stem, each block's last convolution with its BN, each projection with its BN
    readers: each block's first convolution, each projection, fc

The network hands its pooled features on in the authors' order (models/recognizer.py), so the
classifier of a file of the authors' order is used as it is, and that of a file in Paddle's order
(PaddleVideo) has its two folds exchanged: ``swap_classifier``.

Streams of the same width need no telling apart: the order of channels depends on the width alone.
A stream without shift (every second block of deep networks) may be swapped as well, as long as all
its writers and readers are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import numpy as np

_BLOCK = re.compile(r"backbone\.(layer\d+\.\d+)\.(.+)")


def swap_classifier(state: Mapping[str, np.ndarray], shift_div: int) -> dict[str, np.ndarray]:
    """Swap the two shift folds of the classifier's input; arguments as in ``swap_folds``."""
    key = "head.fc.weight"
    if key not in state or state[key].ndim != 2:
        return dict(state)
    order = fold_order(state[key].shape[0], shift_div)
    return {**state, key: state[key][order]}


def swap_folds(state: Mapping[str, np.ndarray], shift_div: int) -> dict[str, np.ndarray]:
    """Swap the two shift folds of every residual stream of the backbone.

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

    def resnet(name: str) -> tuple[int, ...]:
        match = _BLOCK.fullmatch(name)
        if match is None:
            is_stream = name == "backbone.conv1.weight" or name.startswith("backbone.bn1.")
            return (0,) if is_stream else ()
        block, part = match.groups()
        last = 3 if f"backbone.{block}.conv3.weight" in names else 2
        if part == "downsample.0.weight":
            return (0, 1)
        if part == "conv1.weight":
            return (1,)
        is_writer = part == f"conv{last}.weight" or part.startswith((f"bn{last}.", "downsample.1."))
        return (0,) if is_writer else ()

    return resnet
