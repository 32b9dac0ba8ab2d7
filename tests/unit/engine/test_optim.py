# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest

from paddletsm.config import Config, load_config
from paddletsm.engine.optim import build_optimizer, build_schedule, parameter_multipliers
from paddletsm.engine.schedule import Schedule, cosine, piecewise
from paddletsm.models import Recognizer2D, ResNet, ResNetTSM, TSMHead, TSNHead

CONFIG = Path(__file__).resolve().parents[3] / "configs/tsm_ucf101.yaml"


def config(*overrides: str) -> Config:
    return load_config(CONFIG, overrides)


def tiny() -> Recognizer2D:
    net = ResNetTSM(depth=18, width=0.125, num_seg=2)
    return Recognizer2D(net, TSMHead(3, net.out_channels, drop_ratio=0.0))


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [(0, 1.0), (9.99, 1.0), (10, 0.1), (19.9, 0.1), (20, 0.01), (99, 0.01)],
)
def test_piecewise(epoch: float, expected: float) -> None:
    assert piecewise([10, 20], [1.0, 0.1, 0.01])(epoch) == expected


def test_cosine() -> None:
    rate = cosine(1.0, 0.1, 10)
    assert rate(0) == pytest.approx(1.0)
    assert rate(5) == pytest.approx(0.55)
    assert rate(10) == rate(99) == pytest.approx(0.1)


def test_warm_up_rises_linearly_and_never_starts_at_zero() -> None:
    schedule = Schedule(lambda epoch: 1.0, steps_per_epoch=5, warmup_epochs=2, scale=2.0)
    rates = [schedule(step) for step in range(12)]
    np.testing.assert_allclose(rates[:10], np.arange(1, 11) / 10 * 2.0)
    assert rates[10:] == [2.0, 2.0]


def test_linear_scaling_to_the_total_batch() -> None:
    schedule = build_schedule(config(), steps_per_epoch=10, total_batch=24)
    assert schedule(0) == pytest.approx(0.0015 * 24 / 96)
    assert schedule(150) == pytest.approx(0.00015 * 24 / 96)


def test_update_equals_the_formula() -> None:
    """Momentum, decay and multipliers per parameter, one clip norm over all of them."""
    paddle.seed(0)
    model = tiny()
    optimizer = build_optimizer(
        model, config("OPTIMIZER.weight_decay.value=0.1", "OPTIMIZER.grad_clip.value=0.5")
    )
    factors = parameter_multipliers(model)
    named = {name: p for name, p in model.named_parameters() if name in factors}
    weights = {name: p.numpy().astype("float64") for name, p in named.items()}
    velocity = {name: 0.0 * w for name, w in weights.items()}
    for step in range(3):
        rate = 0.01 * (step + 1)
        loss = (model(paddle.randn([2, 2, 3, 32, 32])) ** 2).sum() * 1000
        loss.backward()
        grads = {name: p.grad.numpy().astype("float64") for name, p in named.items()}
        norm = np.sqrt(sum((g**2).sum() for g in grads.values()))
        assert norm > 0.5  # or nothing is clipped
        optimizer.set_lr(rate)
        optimizer.step()
        optimizer.clear_grad()
        for name, factor in factors.items():
            grad = grads[name] * 0.5 / norm + 0.1 * factor.decay * weights[name]
            velocity[name] = 0.9 * velocity[name] + grad
            weights[name] = weights[name] - rate * factor.rate * velocity[name]
            np.testing.assert_allclose(named[name].numpy(), weights[name], atol=2e-5, err_msg=name)


def _reference_name(name: str) -> str:
    """Our parameter name in MMAction2's spelling."""
    for ours, theirs in (
        ("head.fc.", "cls_head.fc_cls."),
        ("downsample.0.", "downsample.conv."),
        ("downsample.1.", "downsample.bn."),
    ):
        name = name.replace(ours, theirs)
    for number in "123":
        name = name.replace(f"conv{number}.", f"conv{number}.conv.")
        name = name.replace(f"bn{number}.", f"conv{number}.bn.")
    return name


@pytest.mark.parametrize("key", ["tsm_r50", "tsn_r50", "tsm_r50_no_fc_lr5"])
def test_groups_are_the_references(shared_dir: Path, key: str) -> None:
    net: Any = ResNet(50) if key == "tsn_r50" else ResNetTSM(50)
    head = TSNHead(400, 2048) if key == "tsn_r50" else TSMHead(400, 2048)
    multipliers = parameter_multipliers(Recognizer2D(net, head), fc_lr_mult="no_fc" not in key)
    ours = {
        _reference_name(name): [factor.rate, factor.decay] for name, factor in multipliers.items()
    }
    groups = json.loads((shared_dir / "parity/optim_groups.json").read_text())[key]["lr_wd_mult"]
    theirs = {name.replace("conv.net.", "conv."): value for name, value in groups.items()}
    assert ours == theirs
