# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Every ResNet of the recipe loads by name, strictly, into the matching network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from paddletsm.convert.streams import swap_folds
from paddletsm.models import Recognizer2D, ResNet, ResNetTSM, TSMHead
from paddletsm.models.weights import load_pretrained_backbone, load_weights

NETWORKS: dict[str, dict[str, Any]] = {
    "tsm_r50_16f": {"num_seg": 16},
    "tsm_r50_block": {"shift_place": "block"},
    "tsm_r50_div4": {"shift_div": 4},
    "tsm_r50_tpool": {"temporal_pool": True},
    "tsm_r101": {"depth": 101},
    "mit_tsm_r50_block": {"shift_place": "block"},
    "mit_tsm_r50_tpool": {"temporal_pool": True},
    "mit_tsm_r101": {"depth": 101},
}


@pytest.mark.parametrize("name", NETWORKS)
def test_loads_strictly(name: str, weights_file: Callable[[str, str], Path]) -> None:
    backbone = ResNetTSM(**NETWORKS[name])
    model = Recognizer2D(backbone, TSMHead(400, backbone.out_channels))
    naming = "mit_key" if name.startswith("mit_") else "key"
    report = load_weights(model, weights_file(name, naming))
    assert report.source == ("tsm_reference" if naming == "mit_key" else "mmaction2")
    assert report.loaded == report.total == len(model.state_dict())
    assert report.kept == ()
    assert all(left.endswith("num_batches_tracked") for left in report.left_out)


def test_both_references_give_the_same_tensors(
    weights_file: Callable[[str, str], Path],
) -> None:
    states = []
    for name, naming in (("tsm_r50", "key"), ("mit_tsm_r50", "mit_key")):
        model = Recognizer2D(ResNetTSM(50), TSMHead(400, 2048))
        load_weights(model, weights_file(name, naming))
        states.append({key: value.numpy() for key, value in model.state_dict().items()})
    for key, value in states[0].items():
        np.testing.assert_array_equal(value, states[1][key])


@pytest.mark.parametrize("is_shifted", [False, True])
def test_torchvision_names_fill_the_backbone_unswapped(
    is_shifted: bool,
    weights_file: Callable[[str, str], Path],
    fill: ModuleType,
    recipe: dict[str, Any],
) -> None:
    """ImageNet weights know no shift: every channel keeps its place, only the head is left over."""
    path = weights_file("mit_tsm_r50", "tv_key")
    model = Recognizer2D((ResNetTSM if is_shifted else ResNet)(50), TSMHead(400, 2048))
    report = load_pretrained_backbone(model, path)
    assert report.source == "torchvision"
    assert report.kept == ("head.fc.weight", "head.fc.bias")
    assert report.loaded == report.total - 2
    state = fill.state_dict(recipe, "mit_tsm_r50", "tv_key")
    for key, tensor in model.backbone.state_dict().items():
        name = key.replace("_mean", "running_mean").replace("_variance", "running_var")
        np.testing.assert_array_equal(tensor.numpy(), state[name], err_msg=key)


def test_swap_touches_what_reads_and_writes_the_stream_and_nothing_else(
    weights_file: Callable[[str, str], Path],
) -> None:
    model = Recognizer2D(ResNetTSM(50), TSMHead(400, 2048))
    load_weights(model, weights_file("tsm_r50", "key"))
    state = {key: value.numpy() for key, value in model.state_dict().items()}
    swapped = swap_folds(state, 8)
    changed = {key for key, value in state.items() if not np.array_equal(value, swapped[key])}
    inner = {key for key in state if ".conv2." in key or (".bn1." in key and "layer" in key)}
    assert changed.isdisjoint(inner)
    assert {"backbone.conv1.weight", "backbone.bn1._mean"} <= changed
    assert "head.fc.weight" not in changed
    assert len(changed) == 5 + 16 * 6 + 4 * 5
