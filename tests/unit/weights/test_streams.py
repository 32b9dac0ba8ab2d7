# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Swapping the folds of the residual streams turns one shift order into the other, exactly."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from paddletsm.convert.streams import fold_order, swap_folds
from paddletsm.models import MobileNetV2TSM, Recognizer2D, ResNetTSM, TSMHead
from tests.unit.weights import names


def _model(
    seed: int, network: type = ResNetTSM, **kwargs: object
) -> tuple[Recognizer2D, dict[str, np.ndarray]]:
    """A narrow network whose BN statistics and affine weights differ from channel to channel."""
    backbone = network(**{"width": 0.25, **kwargs})
    model = Recognizer2D(backbone, TSMHead(6, backbone.out_channels))
    model.eval()
    rng = np.random.default_rng(seed)
    state = {}
    for name, value in names.state_of(model).items():
        if value.ndim > 1:
            new = rng.standard_normal(value.shape) / np.sqrt(value[0].size)
        elif name.endswith(("_variance", "1.weight", "bn2.weight", "bn3.weight", "norm.weight")):
            new = rng.uniform(0.8, 1.2, value.shape)
        else:
            new = rng.normal(0, 0.2, value.shape)
        state[name] = new.astype(np.float32)
    return model, state


def _logits(model: Recognizer2D, state: dict[str, np.ndarray], clips: np.ndarray) -> np.ndarray:
    for name, tensor in model.state_dict().items():
        tensor.set_value(state[name])
    with paddle.no_grad():
        return model(paddle.to_tensor(clips)).numpy()


@pytest.mark.parametrize(
    "kwargs",
    [
        {"depth": 18},
        {"depth": 34},
        {"depth": 50},
        {"depth": 101},
        {"depth": 50, "shift_div": 4},
        {"depth": 50, "shift_div": 3},
        {"depth": 18, "shift_div": 2},
        {"depth": 50, "shift_place": "block"},
        {"depth": 18, "shift_place": "block"},
        {"depth": 50, "shift_padding": "circulant"},
        {"depth": 50, "temporal_pool": True},
        {"depth": 50, "non_local": "embedded_gaussian"},
        {"depth": 50, "non_local": "gaussian"},
        {"depth": 18, "non_local": "dot_product", "shift_place": "block"},
    ],
    ids=lambda kwargs: "-".join(str(value) for value in kwargs.values()),
)
def test_equals_the_other_order(kwargs: dict[str, object]) -> None:
    """The other order on a clip is this order on the clip reversed in time.

    With 7 segments that also holds for the pooling over time, whose windows are then symmetric.
    """
    model, state = _model(0, num_seg=7, **kwargs)
    clips = np.random.default_rng(1).standard_normal((1, 7, 3, 32, 32)).astype(np.float32)
    other_order = _logits(model, state, clips[:, ::-1].copy())
    div = int(kwargs.get("shift_div", 8))  # type: ignore[call-overload]
    swapped = _logits(model, swap_folds(state, div), clips)
    np.testing.assert_allclose(swapped, other_order, atol=2e-5 * np.abs(other_order).max())
    unswapped = _logits(model, state, clips)
    assert np.abs(unswapped - other_order).max() > 1e-3 * np.abs(other_order).max()


@pytest.mark.parametrize("div", [8, 4, 3])
def test_mobilenet_equals_the_other_order(div: int) -> None:
    """Its features are no stream: swapped weights give the same features, channel by channel."""
    model, state = _model(0, MobileNetV2TSM, width=1.0, num_seg=3, shift_div=div)
    clips = np.random.default_rng(1).standard_normal((1, 3, 3, 64, 64)).astype(np.float32)
    _logits(model, state, clips)
    with paddle.no_grad():
        other_order = model.extract_feature(paddle.to_tensor(clips[:, ::-1].copy())).numpy()[::-1]
        unswapped = model.extract_feature(paddle.to_tensor(clips)).numpy()
        _logits(model, swap_folds(state, div), clips)
        swapped = model.extract_feature(paddle.to_tensor(clips)).numpy()
    np.testing.assert_allclose(swapped, other_order, atol=2e-5 * np.abs(other_order).max())
    assert np.abs(unswapped - other_order).max() > 1e-3 * np.abs(other_order).max()


@pytest.mark.parametrize("network", [ResNetTSM, MobileNetV2TSM])
def test_swapping_twice_changes_nothing(network: type) -> None:
    _, state = _model(0, network)
    again = swap_folds(swap_folds(state, 8), 8)
    for name, value in state.items():
        np.testing.assert_array_equal(again[name], value)


@pytest.mark.parametrize(
    ("channels", "div", "expected"),
    [
        (8, 4, [2, 3, 0, 1, 4, 5, 6, 7]),
        (20, 8, [2, 3, 0, 1, *range(4, 20)]),
        (4, 2, [2, 3, 0, 1]),
        (4, 8, [0, 1, 2, 3]),
    ],
)
def test_fold_order(channels: int, div: int, expected: list[int]) -> None:
    assert fold_order(channels, div).tolist() == expected
