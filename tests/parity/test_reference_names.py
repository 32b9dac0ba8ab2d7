# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Every network of the recipe loads by name, strictly, and gives the recorded statistics.

Of most networks the recipe records only the standard deviation of all logits of two clips and the
best class of each, which a wrong order, place or number of shifts moves by far more than 5e-6.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest

from paddletsm.convert.streams import swap_folds
from paddletsm.models import MobileNetV2TSM, Recognizer2D, ResNet, ResNetTSM, TSMHead
from paddletsm.models.weights import load_pretrained_backbone, load_weights

NETWORKS: dict[str, dict[str, Any]] = {
    "tsm_r50_16f": {"num_seg": 16},
    "tsm_r50_block": {"shift_place": "block"},
    "tsm_r50_div4": {"shift_div": 4},
    "tsm_r50_tpool": {"temporal_pool": True},
    "tsm_r101": {"depth": 101},
    "tsm_r50_nl_embedded_gaussian": {"non_local": "embedded_gaussian"},
    "tsm_r50_nl_gaussian": {"non_local": "gaussian"},
    "tsm_r50_nl_dot_product": {"non_local": "dot_product"},
    "mit_tsm_r50_block": {"shift_place": "block"},
    "mit_tsm_r50_tpool": {"temporal_pool": True},
    "mit_tsm_r101": {"depth": 101},
    "mit_tsm_r50_nl": {"non_local": "embedded_gaussian"},
}


def build(name: str) -> Recognizer2D:
    """The network of the recipe, in evaluation mode."""
    backbone = ResNetTSM(**NETWORKS[name])
    model = Recognizer2D(backbone, TSMHead(400, backbone.out_channels))
    model.eval()
    return model


def logits_of(model: Recognizer2D, clips: np.ndarray) -> np.ndarray:
    """Clip by clip, which keeps the memory small."""
    with paddle.no_grad():
        return np.concatenate([model(paddle.to_tensor(clip[None])).numpy() for clip in clips])


@pytest.mark.parametrize("name", NETWORKS)
def test_loads_strictly(name: str, weights_file: Callable[[str, str], Path]) -> None:
    model = build(name)
    naming = "mit_key" if name.startswith("mit_") else "key"
    report = load_weights(model, weights_file(name, naming))
    assert report.source == ("tsm_reference" if naming == "mit_key" else "mmaction2")
    assert report.loaded == report.total == len(model.state_dict())
    assert report.kept == ()
    assert all(left.endswith("num_batches_tracked") for left in report.left_out)


def test_every_network_of_the_recipe_is_covered(recipe: dict[str, Any]) -> None:
    with_outputs = {"tsm_r50", "tsn_r50", "tsm_mobilenetv2"}  # and their mit_ names
    elsewhere = {*with_outputs, *(f"mit_{name}" for name in with_outputs), "mit_online_mobilenetv2"}
    assert set(recipe["models"]) == {*NETWORKS, *elsewhere}


@pytest.mark.parametrize(
    "name",
    [
        name if "_nl_" in name else pytest.param(name, marks=pytest.mark.slow)
        for name in NETWORKS
        if name != "mit_tsm_r50_nl"
    ],
)
def test_recorded_statistics(
    name: str,
    weights_file: Callable[[str, str], Path],
    fill: ModuleType,
    recipe: dict[str, Any],
) -> None:
    model = build(name)
    load_weights(model, weights_file(name, "mit_key" if name.startswith("mit_") else "key"))
    theirs = recipe["models"][name].get("equals_logits_of") or name
    recorded = recipe["summary"][f"{theirs}/noise"]
    logits = logits_of(model, fill.make_input("noise", recorded["shape"][0], model.num_seg))
    assert logits.std(ddof=1) == pytest.approx(recorded["std"], abs=5e-6)
    assert logits.argmax(1).tolist() == recorded["argmax"]


@pytest.mark.slow
def test_bias_of_the_authors_non_local_blocks(
    weights_file: Callable[[str, str], Path], fill: ModuleType, recipe: dict[str, Any]
) -> None:
    """MMAction2 has no such bias; it alone makes the recorded difference."""
    clips = fill.make_input("noise", 2, 8)
    logits = []
    for name, naming in (("mit_tsm_r50_nl", "mit_key"), ("tsm_r50_nl_embedded_gaussian", "key")):
        model = build(name)
        load_weights(model, weights_file(name, naming))
        logits.append(logits_of(model, clips))
    recorded = recipe["mit_max_abs_diff_to_mmaction2"]["mit_tsm_r50_nl"]
    assert np.abs(logits[0] - logits[1]).max() == pytest.approx(recorded, abs=2e-5)


def test_online_mobilenet_is_the_authors_frame_by_frame(
    weights_file: Callable[[str, str], Path], fill: ModuleType, recipe: dict[str, Any]
) -> None:
    """All frames at once give what their loop with one state per shifted block gives."""
    backbone = MobileNetV2TSM(num_seg=4, shift_mode="online")
    model = Recognizer2D(backbone, TSMHead(27, backbone.out_channels))
    model.eval()
    report = load_weights(model, weights_file("mit_online_mobilenetv2", "mit_key"))
    assert (report.source, report.loaded) == ("tsm_online", report.total)
    facts = recipe["models"]["mit_online_mobilenetv2"]
    theirs = {
        name: paddle.to_tensor(value)
        for name, value in fill.state_dict(recipe, "mit_online_mobilenetv2", "mit_key").items()
    }
    clip = paddle.to_tensor(fill.make_input("blocky", 1, 4)[0])
    states = [paddle.zeros(shape) for shape in facts["buffer_shapes"]]
    frames = []
    with paddle.no_grad():
        for frame in clip:
            logits, states = online_frame(
                theirs, frame[None], states, facts["shifted_feature_indices"]
            )
            frames.append(logits)
        expected = paddle.concat(frames).numpy()
        pooled = model.extract_feature(clip[None])
        found = model.head.fc(pooled).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)
    assert np.abs(np.diff(expected, axis=0)).max() > 1e-3, "the frames are not told apart"


def online_frame(
    p: dict[str, paddle.Tensor], x: paddle.Tensor, states: list[paddle.Tensor], shifted: list[int]
) -> tuple[paddle.Tensor, list[paddle.Tensor]]:
    """One frame [1, 3, H, W] through the authors' online network: their names, their order."""

    def unit(x: paddle.Tensor, at: str, stride: int = 1, *, is_linear: bool = False) -> Any:
        head, _, number = at.rpartition(".")
        weight = p[f"{at}.weight"]
        groups = x.shape[1] if weight.shape[1] == 1 else 1
        x = F.conv2d(x, weight, stride=stride, padding=weight.shape[2] // 2, groups=groups)
        bn = f"{head}.{int(number) + 1}"
        mean, variance = p[f"{bn}.running_mean"], p[f"{bn}.running_var"]
        x = F.batch_norm(x, mean, variance, p[f"{bn}.weight"], p[f"{bn}.bias"])
        return x if is_linear else F.relu6(x)

    x, kept = unit(x, "features.0.0", 2), []
    for index in range(1, 18):
        y, block, last = x, f"features.{index}.conv", 3 if index == 1 else 6
        if index in shifted:
            fold = x.shape[1] // 8
            y = paddle.concat([states[len(kept)], x[:, fold:]], 1)
            kept.append(x[:, :fold])
        stride = 2 if index in (2, 4, 7, 14) else 1
        for number in range(0, last, 3):
            y = unit(y, f"{block}.{number}", stride if number == last - 3 else 1)
        y = unit(y, f"{block}.{last}", is_linear=True)
        x = x + y if y.shape == x.shape else y
    x = unit(x, "features.18.0").mean([2, 3])
    return x @ p["classifier.weight"].t() + p["classifier.bias"], kept


@pytest.mark.parametrize("network", ["r50", "mobilenetv2"])
def test_both_references_give_the_same_tensors(
    network: str, weights_file: Callable[[str, str], Path]
) -> None:
    states = []
    for name, naming in ((f"tsm_{network}", "key"), (f"mit_tsm_{network}", "mit_key")):
        backbone = MobileNetV2TSM() if network == "mobilenetv2" else ResNetTSM(50)
        model = Recognizer2D(backbone, TSMHead(400, backbone.out_channels))
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
    assert {"backbone.conv1.weight", "backbone.bn1._mean", "head.fc.weight"} <= changed
    assert len(changed) == 6 + 16 * 6 + 4 * 5
