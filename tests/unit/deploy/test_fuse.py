# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The form that is exported computes what the network computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle
import pytest

from paddletsm.deploy.fuse import fast_form, time_matrix
from paddletsm.models import (
    BACKBONES,
    Backbone,
    MobileNetV2TSM,
    Recognizer2D,
    ResNetTSM,
    TSMHead,
    TSNHead,
    temporal_shift,
)
from paddletsm.models.resnet import Bottleneck

SMALL = {"width": 0.125, "num_seg": 4}
VARIANTS: list[dict[str, Any]] = [
    {},
    {"shift_mode": "online"},
    {"shift_padding": "circulant"},
    {"shift_padding": "circulant", "shift_mode": "online", "shift_div": 4},
    {"shift_place": "block"},
    {"shift_place": "block", "shift_mode": "online"},
    {"temporal_pool": True},
    {"temporal_pool": True, "num_seg": 5},
    {"non_local": "embedded_gaussian"},
    {"non_local": "dot_product", "shift_place": "block", "temporal_pool": True},
    {"shift_div": 3},
    {"shift_div": 2},
    {"width": 0.25},
]


def recognizer(backbone: Backbone, head: type = TSMHead) -> Recognizer2D:
    """Weights and statistics that make every channel and every frame count."""
    rng = np.random.default_rng(0)
    model = Recognizer2D(backbone, head(5, backbone.out_channels, std=0.3))
    for name, tensor in model.state_dict().items():
        if name.endswith(("_mean", ".bias")):
            tensor.set_value(rng.normal(0, 0.2, tensor.shape).astype(np.float32))
        if name.endswith("_variance") or "norm.weight" in name:
            tensor.set_value(rng.uniform(0.5, 2, tensor.shape).astype(np.float32))
    model.eval()
    return model


def logits(layer: paddle.nn.Layer, num_seg: int, clips: int = 2) -> np.ndarray:
    pixels = np.random.default_rng(1).standard_normal((clips, num_seg, 3, 64, 64), np.float32)
    with paddle.no_grad():
        return layer(paddle.to_tensor(pixels)).numpy()


def check(model: Recognizer2D, form: paddle.nn.Layer) -> None:
    expected = logits(model, model.num_seg)
    assert np.ptp(expected, axis=0).min() > 1e-3, "the clips are not told apart"
    np.testing.assert_allclose(
        logits(form, model.num_seg), expected, atol=1e-5 * np.abs(expected).max()
    )


@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_every_shifted_resnet(depth: int, variant: dict[str, Any]) -> None:
    model = recognizer(ResNetTSM(depth, **{**SMALL, **variant}))
    check(model, fast_form(model))


@pytest.mark.parametrize("depth", [34, 101])
def test_deeper_ones(depth: int) -> None:
    """From 101 layers on only every second block shifts."""
    model = recognizer(ResNetTSM(depth, **SMALL))
    check(model, fast_form(model))


@pytest.mark.parametrize("name", sorted(BACKBONES.names()))
@pytest.mark.parametrize("head", [TSMHead, TSNHead])
def test_every_backbone(name: str, head: type) -> None:
    model = recognizer(BACKBONES.get(name)(width=0.25, num_seg=4), head)
    check(model, fast_form(model))
    check(model, fast_form(model, keep_shifts=True))


def test_streams_are_really_cut() -> None:
    """No channel of the shifted blocks is moved by slices any more, and no weight is zeroed."""
    model = recognizer(ResNetTSM(50, **SMALL))
    shifts = sum(isinstance(layer, Bottleneck) for layer in model.sublayers())
    form = fast_form(model)
    assert shifts == 16
    assert not any(isinstance(layer, Bottleneck) for layer in form.sublayers())
    first = form.network.blocks[1]
    inputs = [conv.weight.shape[1] for conv in (first.conv_a, first.conv_b)]
    assert inputs == [8, 24]  # a quarter of 32 moves


def test_cut_weights_are_copies() -> None:
    model = recognizer(ResNetTSM(18, **SMALL))
    before = {name: value.numpy() for name, value in model.state_dict().items()}
    for block in fast_form(model).network.blocks:
        block.conv_a.weight.set_value(block.conv_a.weight * 0)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])


def test_mobilenet_keeps_its_blocks() -> None:
    model = recognizer(MobileNetV2TSM(0.25, 4))
    assert fast_form(model).network is model.backbone


@pytest.mark.parametrize("mode", ["offline", "online"])
@pytest.mark.parametrize("padding", ["zero", "circulant"])
@pytest.mark.parametrize("num_seg", [1, 2, 3, 8])
def test_time_matrix_is_the_shift(mode: Any, padding: Any, num_seg: int) -> None:
    steps = (1,) if mode == "online" else (1, -1)
    x = np.random.default_rng(0).standard_normal((2, num_seg, 8), np.float32)
    shifted = temporal_shift(
        paddle.to_tensor(x.reshape(-1, 8, 1, 1)), num_seg, 8, mode=mode, padding=padding
    ).numpy()
    matrix = time_matrix(num_seg, steps, is_circulant=padding == "circulant")
    moving = x[:, :, : len(steps)].reshape(2, -1, 1)
    found = (matrix @ moving).reshape(2, num_seg, len(steps))
    np.testing.assert_array_equal(found, shifted.reshape(2, num_seg, 8)[:, :, : len(steps)])


def test_names_of_two_forms_do_not_clash() -> None:
    """Graphs know parameters by name; a name that stands for two tensors ruins the export."""
    for _ in range(2):
        tensors = fast_form(recognizer(ResNetTSM(18, **SMALL))).state_dict().values()
        names = [tensor.name for tensor in tensors]
        assert len(set(names)) == len(names)
