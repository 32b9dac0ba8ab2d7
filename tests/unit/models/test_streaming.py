# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""An unrolled network gives each frame what the offline causal network gives it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import paddle
import pytest

import paddletsm
from paddletsm.errors import ConfigError
from paddletsm.models import MobileNetV2TSM, Recognizer2D, ResNet, ResNetTSM, TSMHead, TSNHead
from paddletsm.models.backbone import Backbone
from paddletsm.models.streaming import StreamingRecognizer

SEGMENTS, SIZE, CLASSES = 5, 40, 4
NETWORKS = {
    "r18": lambda: ResNetTSM(18, 0.25, SEGMENTS, shift_mode="online"),
    "r18-block": lambda: ResNetTSM(18, 0.25, SEGMENTS, shift_mode="online", shift_place="block"),
    "r50": lambda: ResNetTSM(50, 0.25, SEGMENTS, shift_mode="online"),
    "r101": lambda: ResNetTSM(101, 0.125, SEGMENTS, shift_mode="online", shift_div=4),
    "mobilenetv2": lambda: MobileNetV2TSM(num_seg=SEGMENTS, shift_mode="online"),
    "mobilenetv2-thirds": lambda: MobileNetV2TSM(0.5, SEGMENTS, 3, shift_mode="online"),
}


def build(make: Callable[[], Backbone]) -> Recognizer2D:
    """Statistics and classifier away from their flat initial values, logits of about 1."""
    paddle.seed(1)
    rng = np.random.default_rng(1)
    backbone = make()
    model = Recognizer2D(backbone, TSMHead(CLASSES, backbone.out_channels, std=0.3))
    for key, tensor in model.state_dict().items():
        if key.endswith("_mean"):
            tensor.set_value(rng.normal(0, 0.1, tensor.shape).astype(np.float32))
        if key.endswith("_variance"):
            tensor.set_value(rng.uniform(0.8, 1.5, tensor.shape).astype(np.float32))
    with paddle.no_grad():
        model.eval()
        scale = float(model(clips(1)).abs().max())
        model.head.fc.weight.set_value(model.head.fc.weight / max(scale, 1e-6))
    return model


def clips(count: int, seed: int = 0) -> paddle.Tensor:
    rng = np.random.default_rng(seed)
    return paddle.to_tensor(rng.standard_normal((count, SEGMENTS, 3, SIZE, SIZE), np.float32))


def of_each_frame(model: Recognizer2D, x: paddle.Tensor) -> np.ndarray:
    """Logits [N, T, K] that the offline network gives the single frames of its clips."""
    with paddle.no_grad():
        logits = model.head.fc(model.extract_feature(x))
    return logits.reshape([-1, SEGMENTS, CLASSES]).numpy()


def streamed(streaming: StreamingRecognizer, x: paddle.Tensor) -> np.ndarray:
    """The same, frame after frame."""
    state = streaming.init_state(len(x), SIZE, SIZE)
    found = []
    with paddle.no_grad():
        for frame in range(x.shape[1]):
            logits, state = streaming(x[:, frame], state)
            found.append(logits.numpy())
    return np.stack(found, 1)


@pytest.fixture(scope="module", params=NETWORKS)
def model(request: pytest.FixtureRequest) -> Recognizer2D:
    return build(NETWORKS[request.param])


def test_every_frame_has_the_logits_of_the_causal_network(model: Recognizer2D) -> None:
    x = clips(2)
    streaming = paddletsm.to_streaming(model)
    found, expected = streamed(streaming, x), of_each_frame(model, x)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
    assert np.ptp(expected, axis=1).max() > 1e-2, "the frames are not told apart"
    with paddle.no_grad():
        np.testing.assert_allclose(found.mean(1), model(x).numpy(), rtol=0, atol=1e-4)


def test_a_changed_frame_changes_itself_and_later_ones_only(model: Recognizer2D) -> None:
    x = clips(1)
    changed = x.clone()
    changed[:, 2] = -changed[:, 2] + 0.5
    streaming = paddletsm.to_streaming(model)
    for run in (lambda clip: streamed(streaming, clip), lambda clip: of_each_frame(model, clip)):
        before, after = run(x), run(changed)
        np.testing.assert_array_equal(before[:, :2], after[:, :2])
        difference = np.abs(before - after).max(axis=(0, 2))
        assert (difference[2:4] > 1e-5).all(), "the shift hands nothing on"


def test_the_state_is_the_fold_of_each_shifted_block(model: Recognizer2D) -> None:
    streaming = paddletsm.to_streaming(model)
    shapes = streaming.state_shapes(SIZE, SIZE)
    state = streaming.init_state(3, SIZE, SIZE)
    assert [tuple(tensor.shape) for tensor in state] == [(3, *shape) for shape in shapes]
    assert all(float(tensor.abs().sum()) == 0 for tensor in state)
    for block, shape in zip(streaming.blocks, shapes, strict=True):
        assert shape[0] == block.conv1.weight.shape[1] // model.backbone.shift_div
    with pytest.raises(ValueError, match=f"{len(state)} tensors"):
        streaming(clips(1)[:, 0], state[1:])


def test_training_the_model_on_does_not_touch_the_stream() -> None:
    model = build(NETWORKS["r18"])
    streaming = paddletsm.to_streaming(model)
    x = clips(1)
    before = streamed(streaming, x)
    for parameter in model.parameters():
        parameter.set_value(parameter * 0.5)
    np.testing.assert_array_equal(streamed(streaming, x), before)
    assert set(streaming.network.state_dict()) == set(model.state_dict())


def test_a_network_without_shift_has_no_state() -> None:
    backbone = ResNet(18, 0.125, SEGMENTS)
    model = Recognizer2D(backbone, TSNHead(CLASSES, backbone.out_channels))
    model.eval()
    streaming = paddletsm.to_streaming(model)
    assert streaming.init_state(1, SIZE, SIZE) == []
    found = streamed(streaming, clips(1)).mean(1)
    np.testing.assert_allclose(found, model(clips(1)).numpy(), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: ResNetTSM(18, 0.125, 4), "shift_mode is offline"),
        (lambda: MobileNetV2TSM(0.35, 4), "shift_mode is offline"),
        (
            lambda: ResNetTSM(18, 0.125, 4, shift_mode="online", shift_padding="circulant"),
            "circulant",
        ),
        (lambda: ResNetTSM(18, 0.125, 4, shift_mode="online", temporal_pool=True), "temporal_pool"),
        (lambda: ResNet(18, 0.125, 4, non_local="gaussian"), "non_local"),
    ],
)
def test_networks_that_see_later_frames_are_refused(make: type[Backbone], reason: str) -> None:
    backbone = make()
    model = Recognizer2D(backbone, TSMHead(CLASSES, backbone.out_channels))
    with pytest.raises(ConfigError, match=rf"frame by frame: .*{reason}"):
        paddletsm.to_streaming(model)
