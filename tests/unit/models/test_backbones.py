# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What every registered backbone must do; a new one is covered by being registered."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest

from paddletsm.builders import build_model, load_config
from paddletsm.deploy import read_artefact
from paddletsm.errors import ConfigError
from paddletsm.models import (
    BACKBONES,
    HEADS,
    Backbone,
    MobileNetV2,
    MobileNetV2TSM,
    Recognizer2D,
    ResNetTSM,
)
from paddletsm.models.losses import classification_loss
from tests.unit.deploy.conftest import LABELS, NUM_SEG, SIZE, export


def build(name: str, head: str, **arguments: Any) -> Recognizer2D:
    """The smallest network of its kind."""
    accepted = inspect.signature(BACKBONES.get(name)).parameters
    small = {"depth": 18, "width": 0.125, "num_seg": NUM_SEG}
    backbone = BACKBONES.build(
        name, {**{k: v for k, v in small.items() if k in accepted}, **arguments}
    )
    return Recognizer2D(backbone, HEADS.get(head)(len(LABELS), backbone.out_channels))


def clips(count: int = 2, size: int = SIZE) -> paddle.Tensor:
    return paddle.randn([count, NUM_SEG, 3, size, size])


@pytest.mark.parametrize("name", BACKBONES.names())
@pytest.mark.parametrize("head", HEADS.names())
def test_forward_and_backward(name: str, head: str) -> None:
    model = build(name, head)
    assert isinstance(model.backbone, Backbone)
    features = model.backbone(clips().reshape([-1, 3, SIZE, SIZE]))
    assert features.shape == [2 * NUM_SEG, model.backbone.out_channels, 1, 1]
    logits = model(clips())
    assert logits.shape == [2, len(LABELS)]
    classification_loss(logits, paddle.to_tensor([0, 1])).backward()
    for key, parameter in model.named_parameters():
        if parameter.stop_gradient:
            assert key.endswith(("_mean", "_variance")), key
            continue
        assert parameter.grad is not None, key
        assert np.isfinite(parameter.grad.numpy()).all(), key


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        *((name, {}) for name in BACKBONES.names()),
        ("ResNetTSM", {"non_local": "embedded_gaussian"}),
        ("ResNetTSM", {"non_local": "dot_product", "temporal_pool": True}),
    ],
    ids=str,
)
def test_the_exported_copy_gives_the_same_logits(
    name: str, arguments: dict[str, Any], tmp_path: Path
) -> None:
    paddle.seed(0)
    model = build(name, "TSMHead", **arguments)
    for key, tensor in model.state_dict().items():
        if key.endswith("_mean"):
            tensor.set_value(paddle.randn(tensor.shape) * 0.2)
        if key.endswith("non_local.norm.weight"):  # 0 at the start
            tensor.set_value(paddle.ones_like(tensor))
    model.eval()
    parity = read_artefact(export(model, tmp_path / "out")).parity  # compares before it returns
    assert parity["max_abs_difference"] < 1e-4


@pytest.mark.parametrize("name", BACKBONES.names())
def test_channels_last_is_the_same_network(name: str) -> None:
    plain, last = build(name, "TSMHead"), build(name, "TSMHead", data_format="NHWC")
    last.set_state_dict(plain.state_dict())
    plain.eval()
    last.eval()
    x = clips()
    np.testing.assert_allclose(plain(x).numpy(), last(x).numpy(), atol=1e-5)


@pytest.mark.parametrize("name", [name for name in BACKBONES.names() if name.endswith("TSM")])
@pytest.mark.parametrize("mode", ["offline", "online"])
def test_what_a_frame_sees(name: str, mode: str) -> None:
    """Offline, later frames change earlier features; online, never."""
    model = build(name, "TSMHead", shift_mode=mode)
    model.eval()
    x = clips(1, 64)
    changed = x.clone()
    changed[:, 2:] = 0.0
    before, after = (model.extract_feature(c).numpy() for c in (x, changed))
    is_blind = np.array_equal(before[:2], after[:2])
    assert is_blind == (mode == "online")
    assert not np.array_equal(before[2:], after[2:])


@pytest.mark.parametrize("name", BACKBONES.names())
def test_every_group_can_be_frozen(name: str) -> None:
    groups = build(name, "TSNHead").backbone.groups()
    for count in range(-1, len(groups)):
        model = build(name, "TSNHead", frozen_stages=count)
        for index, group in enumerate(model.backbone.groups()):
            for layer in group:
                assert layer.training == (index > count)
                for key, parameter in layer.named_parameters():
                    is_statistic = key.endswith(("_mean", "_variance"))
                    assert is_statistic or parameter.stop_gradient == (index <= count), key
    with pytest.raises(ConfigError, match=f"between -1 and {len(groups) - 1}"):
        build(name, "TSNHead", frozen_stages=len(groups))


@pytest.mark.parametrize("name", BACKBONES.names())
@pytest.mark.parametrize(
    "wrong", [{"num_seg": 0}, {"data_format": "NCWH"}, {"frozen_stages": -2}], ids=str
)
def test_wrong_values_are_refused(name: str, wrong: dict[str, Any]) -> None:
    arguments = {"num_seg": NUM_SEG, "width": 0.125, **wrong}
    with pytest.raises(ValueError, match=next(iter(wrong))):
        BACKBONES.get(name)(**arguments)


CONFIG = Path(__file__).resolve().parents[3] / "configs/tsm_ucf101.yaml"


@pytest.mark.parametrize(
    ("backbone", "kind"),
    [
        ("{name: MobileNetV2TSM, width: 0.25, shift_mode: online, num_seg: 8}", MobileNetV2TSM),
        ("{name: MobileNetV2, width: 0.25, num_seg: 8}", MobileNetV2),
        (
            "{name: ResNetTSM, depth: 18, width: 0.125, non_local: dot_product, num_seg: 8}",
            ResNetTSM,
        ),
    ],
)
def test_configurations_reach_the_networks(backbone: str, kind: type) -> None:
    config = load_config(CONFIG, [f"MODEL.backbone={backbone}"])
    model = build_model(config)
    assert type(model.backbone) is kind
    assert model.backbone.num_seg == 8
    assert model.backbone.non_local == config.MODEL.backbone.non_local
    assert model.backbone.shift_mode == (config.MODEL.backbone.shift_mode or "offline")


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        ("{name: ResNetTSM, non_local: gausian, num_seg: 8}", "did you mean 'gaussian'"),
        (
            "{name: ResNetTSM, non_local: gaussian, shift_mode: online, num_seg: 8}",
            "with all later ones",
        ),
        (
            "{name: MobileNetV2, shift_div: 4, num_seg: 8}",
            "'MobileNetV2' has no argument 'shift_div'",
        ),
        ("{name: MobileNetV2TSM, non_local: gaussian, num_seg: 8}", "has no argument 'non_local'"),
        ("{name: MobileNetV2TMS, num_seg: 8}", "did you mean 'MobileNetV2TSM'"),
    ],
)
def test_wrong_configurations_are_refused(backbone: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_model(load_config(CONFIG, [f"MODEL.backbone={backbone}"]))
