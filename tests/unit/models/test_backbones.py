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

from paddletsm.deploy import read_artefact
from paddletsm.errors import ConfigError
from paddletsm.models import BACKBONES, HEADS, Backbone, Recognizer2D
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


@pytest.mark.parametrize("name", BACKBONES.names())
def test_the_exported_copy_gives_the_same_logits(name: str, tmp_path: Path) -> None:
    paddle.seed(0)
    model = build(name, "TSMHead")
    for key, tensor in model.state_dict().items():
        if key.endswith("_mean"):
            tensor.set_value(paddle.randn(tensor.shape) * 0.2)
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
