# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Compare a file with a model: names, shapes, and what no shape shows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

from paddletsm.convert import ModelInfo
from paddletsm.errors import WeightsError
from paddletsm.utils.text import listing

_MAX_NAMES = 8
_BLOCK = re.compile(r"backbone\.layer(\d+)\.(\d+)\.conv(\d)\.weight")
_DEPTHS = {
    ((2, 2, 2, 2), 2): "ResNet-18",
    ((3, 4, 6, 3), 2): "ResNet-34",
    ((3, 4, 6, 3), 3): "ResNet-50",
    ((3, 4, 23, 3), 3): "ResNet-101",
    ((3, 8, 36, 3), 3): "ResNet-152",
}


def comparison(
    expected: Mapping[str, tuple[int, ...]], state: Mapping[str, np.ndarray], title: str
) -> str:
    """Say in a short table how a state differs from what a model expects.

    Args:
        expected: name -> shape.
        state: name -> array, under paddletsm's names as far as they are known.
        title: the source of the file, for the message.

    Returns:
        The message, or "" when names and shapes agree.
    """
    missing = [name for name in expected if name not in state]
    unexpected = [name for name in state if name not in expected]
    others = [
        f"{name} {list(state[name].shape)} instead of {list(shape)}"
        for name, shape in expected.items()
        if name in state and state[name].shape != shape
    ]
    if not (missing or unexpected or others):
        return ""
    if len(missing) == len(expected):
        return (
            f"none of its {len(state)} tensors belongs to this model (names of {title}: "
            f"{listing(state, 3)}; the model's: {listing(expected, 3)})"
        )
    rows = [("missing", missing), ("unexpected", unexpected), ("other shape", others)]
    table = [f"\n  {kind:<12}{len(names):>4}: {listing(names, _MAX_NAMES)}" for kind, names in rows]
    return (
        f"the weights ({title}) do not fit the model"
        + _architecture_hint(expected, state, has_other_shapes=bool(others))
        + "".join(row for row, (_, names) in zip(table, rows, strict=True) if names)
    )


def _architecture_hint(
    expected: Iterable[str], state: Iterable[str], *, has_other_shapes: bool
) -> str:
    theirs, ours = architecture(state), architecture(expected)
    if theirs == ours:
        return "; is MODEL.backbone.width the same?" if theirs and has_other_shapes else ""
    return f": they are of {theirs or 'another network'}, the model is {ours or 'another one'}"


def architecture(names: Iterable[str]) -> str:
    """Name of the network that tensors of these names make up ("ResNet-50"), or ""."""
    blocks: set[tuple[int, int]] = set()
    convs = 0
    for match in filter(None, map(_BLOCK.fullmatch, names)):
        stage, block, conv = (int(text) for text in match.groups())
        blocks.add((stage, block))
        convs = max(convs, conv)
    counts = Counter(stage for stage, _ in blocks)
    return _DEPTHS.get((tuple(counts[stage] for stage in sorted(counts)), convs), "")


def check_structure(
    theirs: ModelInfo | None, ours: ModelInfo, *, is_strict: bool
) -> tuple[str, ...]:
    """Compare where two networks shift.

    Args:
        theirs: what the names in the file tell, None for nothing.
        ours: the model's facts.
        is_strict: whether the model has to compute what the file's network computes.

    Returns:
        Notes for the report.

    Raises:
        WeightsError: strict, and the networks differ although all names and shapes could agree.
    """
    problem = _difference(theirs, ours)
    if theirs is None or not problem:
        return ()
    if is_strict and theirs.is_shifted:
        raise WeightsError(
            f"{problem}, so the results would be wrong without notice. To start training from it "
            "all the same, set MODEL.backbone.pretrained"
        )
    return (problem,)


def _difference(theirs: ModelInfo | None, ours: ModelInfo) -> str:
    if theirs is None:
        return ""
    if theirs.is_shifted and not ours.is_shifted:
        return (
            "its network has a temporal shift, the model has none (MODEL.backbone.name: ResNetTSM)"
        )
    if ours.is_shifted and not theirs.is_shifted:
        return "its network has no temporal shift, the model has one"
    if theirs.shift_place != ours.shift_place:
        return (
            f"its network shifts in place {theirs.shift_place!r}, the model in "
            f"{ours.shift_place!r} (MODEL.backbone.shift_place: {theirs.shift_place})"
        )
    if theirs.temporal_pool != ours.temporal_pool:
        value = str(theirs.temporal_pool).lower()
        return (
            f"its network pools over time: {value}; the model: {str(ours.temporal_pool).lower()} "
            f"(MODEL.backbone.temporal_pool: {value})"
        )
    if theirs.shifted != ours.shifted:
        return (
            f"its network shifts {len(theirs.shifted)} blocks, the model {len(ours.shifted)} "
            f"(first that differs: {min(theirs.shifted ^ ours.shifted)}; MODEL.backbone.depth)"
        )
    return ""
