# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Multiply-adds and parameters against the figures that torchvision publishes."""

from __future__ import annotations

import numpy as np
import pytest

from paddletsm.models import (
    MobileNetV2TSM,
    NonLocal,
    Recognizer2D,
    ResNet,
    ResNetTSM,
    TSMHead,
    TSNHead,
)
from paddletsm.models.complexity import count_flops


@pytest.mark.parametrize(
    ("backbone", "giga_per_frame", "parameters"),
    [(lambda: ResNetTSM(50), 4.089, 25_557_032), (MobileNetV2TSM, 0.301, 3_504_872)],
    ids=["ResNet-50", "MobileNetV2"],
)
def test_eight_frames_cost_eight_times_the_published_picture(
    backbone: type, giga_per_frame: float, parameters: int
) -> None:
    network = backbone()
    model = Recognizer2D(network, TSMHead(1000, network.out_channels))
    flops = count_flops(model, 224, 224)
    assert flops / 8e9 == pytest.approx(giga_per_frame, abs=5e-4)
    assert model.num_parameters() == parameters


def test_the_shift_multiplies_nothing() -> None:
    plain, shifted = ResNet(18, 0.25, 4), ResNetTSM(18, 0.25, 4)
    counts = [count_flops(Recognizer2D(net, TSMHead(7, 128)), 64, 48) for net in (plain, shifted)]
    assert counts[0] == counts[1] > 0


def test_grows_with_frames_and_leaves_the_model_as_it_was() -> None:
    model = Recognizer2D(ResNet(18, 0.125, 2, partial_bn=True), TSNHead(5, 64))
    before = [layer.training for layer in model.sublayers()]
    state = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    head = 64 * 5  # TSN classifies once per clip
    assert count_flops(model, 32, 32, num_seg=6) - head == 3 * (count_flops(model, 32, 32) - head)
    assert [layer.training for layer in model.sublayers()] == before
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), state[name])
    assert not any(layer._forward_post_hooks for layer in model.sublayers())


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("embedded_gaussian", 48 * 12 * 3 + 48 * 12 * 3),  # q k^T, then times v
        ("gaussian", 48 * 12 * 6 + 48 * 12 * 3),
        ("dot_product", 3 * 12 * 3 + 48 * 3 * 3),  # k^T v, then q times it
    ],
)
@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_matrix_products_of_non_local_blocks(mode: str, expected: int, data_format: str) -> None:
    """2 frames of 4x6 are 48 positions, 12 after the pool; 6 channels, 3 inside."""
    block = NonLocal(6, 2, mode, data_format=data_format)
    shape = [4, 6, 4, 6] if data_format == "NCHW" else [4, 4, 6, 6]
    assert block.count_products(shape) == 2 * expected
