# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import numpy as np
import paddle
import pytest
from paddle import nn

from paddletsm.models import BACKBONES, HEADS, Recognizer2D, ResNet, ResNetTSM, TSMHead, TSNHead
from paddletsm.models.losses import classification_loss
from paddletsm.models.shift import TemporalShift


def tiny(backbone: str = "ResNetTSM", head: str = "TSMHead", **kwargs: Any) -> Recognizer2D:
    net = BACKBONES.get(backbone)(depth=18, width=0.125, num_seg=4, **kwargs)
    return Recognizer2D(net, HEADS.get(head)(5, net.out_channels))


@pytest.mark.parametrize(
    ("depth", "blocks", "channels", "shifts"),
    [
        (18, 8, 512, 8),
        (34, 16, 512, 16),
        (50, 16, 2048, 16),
        (101, 33, 2048, 18),
        (152, 50, 2048, 26),
    ],
)
def test_depths_and_number_of_shifts(depth: int, blocks: int, channels: int, shifts: int) -> None:
    net = ResNetTSM(depth=depth)
    assert sum(len(stage) for stage in net.stages) == blocks
    assert net.out_channels == channels
    assert sum(isinstance(layer, TemporalShift) for layer in net.sublayers()) == shifts


def test_r50_has_the_published_number_of_parameters() -> None:
    net = ResNet(depth=50)
    model = Recognizer2D(net, TSNHead(1000, net.out_channels))
    assert model.num_parameters() == 25_557_032  # torchvision's resnet50


def test_the_shift_adds_no_parameters() -> None:
    plain, shifted = (Recognizer2D(net, TSNHead(1, 2048)) for net in (ResNet(50), ResNetTSM(50)))
    assert plain.num_parameters() == shifted.num_parameters() == 23_508_032 + 2049


def test_initialisation() -> None:
    paddle.seed(0)
    model = Recognizer2D(ResNetTSM(depth=50), TSMHead(400, 2048))
    weight = model.head.fc.weight.numpy()
    assert abs(weight.std() - 0.001) < 1e-5
    assert not model.head.fc.bias.numpy().any()
    assert abs(TSNHead(400, 2048).fc.weight.numpy().std() - 0.01) < 1e-4
    conv = model.backbone.layer3[0].conv2.weight.numpy()
    assert abs(conv.std() - np.sqrt(2 / (256 * 9))) < 1e-3  # Kaiming, fan in
    norm = model.backbone.bn1
    assert (norm.weight.numpy() == 1).all()
    assert (norm.bias.numpy() == 0).all()
    assert norm._epsilon == 1e-5
    assert norm._momentum == 0.9


def test_two_models_in_one_process_do_not_clash() -> None:
    first, second = tiny(), tiny()
    names = [p.name for p in first.parameters()] + [p.name for p in second.parameters()]
    assert len(set(names)) == len(names)
    second.set_state_dict(first.state_dict())
    first.eval()
    second.eval()
    clips = paddle.randn([1, 4, 3, 32, 32])
    np.testing.assert_array_equal(first(clips).numpy(), second(clips).numpy())
    paddle.assign(paddle.zeros_like(first.head.fc.weight), first.head.fc.weight)
    assert second.head.fc.weight.numpy().any()


def test_tsm_sees_the_order_of_frames_and_tsn_does_not() -> None:
    clips = paddle.randn([1, 4, 3, 32, 32])
    turned = paddle.flip(clips, [1])
    for backbone, sees in (("ResNetTSM", True), ("ResNet", False)):
        model = tiny(backbone, "TSNHead" if backbone == "ResNet" else "TSMHead")
        model.eval()
        difference = np.abs(model(clips).numpy() - model(turned).numpy()).max()
        assert (difference > 1e-4) == sees


def test_online_network_never_sees_the_future() -> None:
    model = tiny(shift_mode="online")
    model.eval()
    clips = paddle.randn([1, 4, 3, 32, 32])
    changed = clips.clone()
    changed[:, 2:] = 0.0
    first, second = (model.extract_feature(c).numpy() for c in (clips, changed))
    np.testing.assert_array_equal(first[:2], second[:2])
    assert np.abs(first[2:] - second[2:]).max() > 1e-4


def test_temporal_pool_halves_the_frames() -> None:
    model = tiny(temporal_pool=True)
    assert model.extract_feature(paddle.randn([2, 4, 3, 32, 32])).shape == [4, 64]
    assert model(paddle.randn([2, 4, 3, 32, 32])).shape == [2, 5]


def test_nhwc_is_the_same_network() -> None:
    plain, last = tiny(), tiny(data_format="NHWC")
    last.set_state_dict(plain.state_dict())
    clips = paddle.randn([2, 4, 3, 32, 32])
    plain.eval()
    last.eval()
    np.testing.assert_allclose(plain(clips).numpy(), last(clips).numpy(), atol=1e-5)


def test_partial_bn_spares_the_first_norm_and_the_non_local_blocks() -> None:
    model = tiny(partial_bn=True, non_local="dot_product")
    learning = {
        name
        for name, layer in model.backbone.named_sublayers()
        if isinstance(layer, nn.BatchNorm2D) and layer.training
    }
    assert learning == {"bn1", "layer2.0.non_local.norm", "layer3.0.non_local.norm"}
    for name, layer in model.backbone.named_sublayers():
        if isinstance(layer, nn.BatchNorm2D):
            assert layer.weight.stop_gradient == (name not in learning), name


def test_norm_policies() -> None:
    def learning(model: Recognizer2D) -> list[bool]:
        return [n.training for n in model.backbone.sublayers() if isinstance(n, nn.BatchNorm2D)]

    partial = tiny(partial_bn=True)
    assert learning(partial) == [True] + [False] * (len(learning(partial)) - 1)
    assert partial.backbone.layer1[0].bn1.weight.stop_gradient
    assert not partial.backbone.bn1.weight.stop_gradient
    norm_eval = tiny(norm_eval=True)
    assert not any(learning(norm_eval))
    assert not norm_eval.backbone.layer1[0].bn1.weight.stop_gradient
    frozen = tiny(frozen_stages=1)
    assert frozen.backbone.conv1.weight.stop_gradient
    assert frozen.backbone.layer1[1].conv2.weight.stop_gradient
    assert not frozen.backbone.layer2[0].conv1.weight.stop_gradient
    before = frozen.backbone.bn1._mean.numpy().copy()
    frozen.eval()
    frozen.train()
    frozen(paddle.randn([1, 4, 3, 32, 32]))
    np.testing.assert_array_equal(frozen.backbone.bn1._mean.numpy(), before)


@pytest.mark.parametrize("shape", [[4, 3, 32, 32], [1, 3, 3, 32, 32], [1, 4, 1, 32, 32]])
def test_wrong_clip_shape_is_refused(shape: list[int]) -> None:
    with pytest.raises(ValueError, match=r"clips must be \[N, 4, 3, H, W\]"):
        tiny()(paddle.zeros(shape))


def test_smoothed_loss() -> None:
    logits = paddle.to_tensor([[2.0, 0.0, -1.0]])
    labels = paddle.to_tensor([0])
    log_p = np.log(np.exp([2.0, 0.0, -1.0]) / np.exp([2.0, 0.0, -1.0]).sum())
    expected = -(np.array([0.9 + 0.1 / 3, 0.1 / 3, 0.1 / 3]) * log_p).sum()
    assert float(classification_loss(logits, labels, 0.1)) == pytest.approx(expected, abs=1e-6)
