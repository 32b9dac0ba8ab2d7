# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Compare a file with a model: names, shapes, and what no shape shows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

import numpy as np

from paddletsm.convert import ModelInfo
from paddletsm.errors import WeightsError
from paddletsm.utils.text import listing

_MAX_NAMES = 8
_SAME_TENSORS = ("embedded_gaussian", "dot_product")
_NON_LOCAL = ".non_local."
_BLOCK = re.compile(r"backbone\.layer(\d+)\.(\d+)\.conv(\d)\.weight")
# Blocks per stage and convolutions per block of each network.
_NETWORKS = {
    ((2, 2, 2, 2), 2): "ResNet-18",
    ((3, 4, 6, 3), 2): "ResNet-34",
    ((3, 4, 6, 3), 3): "ResNet-50",
    ((3, 4, 23, 3), 3): "ResNet-101",
    ((3, 8, 36, 3), 3): "ResNet-152",
    ((1, 2, 3, 4, 3, 3, 1), 3): "MobileNetV2",
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
    expected: Collection[str], state: Collection[str], *, has_other_shapes: bool
) -> str:
    theirs, ours = architecture(state), architecture(expected)
    non_local = [any(_NON_LOCAL in name for name in names) for names in (state, expected)]
    if theirs == ours and non_local[0] != non_local[1]:
        has = ("have", "has none") if non_local[0] else ("have no", "has them")
        return f": they {has[0]} non-local blocks, the model {has[1]} (MODEL.backbone.non_local)"
    if theirs == ours:
        return "; is MODEL.backbone.width the same?" if theirs and has_other_shapes else ""
    return f": they are of {theirs or 'another network'}, the model is {ours or 'another one'}"


def architecture(names: Iterable[str]) -> str:
    """Name of the network that tensors of these names make up ("ResNet-50"), or "".

    Args:
        names: names of paddletsm.
    """
    blocks: set[tuple[int, int]] = set()
    convs = 0
    for match in filter(None, map(_BLOCK.fullmatch, names)):
        stage, block, conv = (int(text) for text in match.groups())
        blocks.add((stage, block))
        convs = max(convs, conv)
    counts = Counter(stage for stage, _ in blocks)
    return _NETWORKS.get((tuple(counts[stage] for stage in sorted(counts)), convs), "")


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
    if theirs is None:
        return ()
    problem = _difference(theirs, ours)
    if problem and is_strict and theirs != ModelInfo():
        raise WeightsError(
            f"{problem}, so the results would be wrong without notice. To start training from it "
            "all the same, set MODEL.backbone.pretrained"
        )
    remarks = [problem] if problem else []
    if theirs.shift_mode == "offline" and ours.shift_mode == "online":
        remarks.append("its network shifts both ways, the model from the past only")
    if ours.non_local in _SAME_TENSORS and theirs.non_local is None:
        remarks.append(f"no name tells {' from '.join(_SAME_TENSORS)}; taken as {ours.non_local}")
    return tuple(remarks)


def _difference(theirs: ModelInfo, ours: ModelInfo) -> str:
    if theirs.is_shifted and not ours.is_shifted:
        return (
            "its network has a temporal shift, the model has none (MODEL.backbone.name: ResNetTSM "
            "or MobileNetV2TSM)"
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
    return _other_mode(theirs, ours)


def _other_mode(theirs: ModelInfo, ours: ModelInfo) -> str:
    if theirs.shift_mode == "online" and ours.shift_mode == "offline":
        return (
            "its network shifts from the past only, the model both ways "
            "(MODEL.backbone.shift_mode: online)"
        )
    if theirs.non_local and ours.non_local and theirs.non_local != ours.non_local:
        return (
            f"its non-local blocks are of the kind {theirs.non_local}, the model's "
            f"{ours.non_local} (MODEL.backbone.non_local: {theirs.non_local})"
        )
    return ""
