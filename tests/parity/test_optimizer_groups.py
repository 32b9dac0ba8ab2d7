# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What learns, and how fast, under every policy: the reference's optimiser and its networks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from paddle import nn

from paddletsm.convert import CONVERTERS
from paddletsm.engine.optim import parameter_multipliers
from paddletsm.models import BACKBONES, HEADS, Recognizer2D

NL = {"name": "ResNetTSM", "non_local": "embedded_gaussian"}
CASES: dict[str, dict[str, Any]] = {
    "tsm_r50": {"name": "ResNetTSM"},
    "tsm_mobilenetv2": {"name": "MobileNetV2TSM"},
    "tsm_r50_nl_embedded_gaussian": NL,
    "tsn_r50": {"name": "ResNet"},
    "tsm_r50_no_fc_lr5": {"name": "ResNetTSM"},
    "tsm_r50_nl_partial_bn": {**NL, "partial_bn": True},
    "tsm_r50_nl_norm_eval": {**NL, "norm_eval": True},
    "tsm_r50_nl_frozen_stages_1": {**NL, "frozen_stages": 1},
}


@pytest.fixture(scope="module")
def groups(shared_dir: Path) -> dict[str, Any]:
    return json.loads((shared_dir / "parity/optim_groups.json").read_text())


def ours(name: str) -> str:
    """Our name of a parameter of the reference."""
    found = CONVERTERS.get("mmaction2").name_of(name)
    assert found is not None, name
    return found


def test_every_case_of_the_reference_is_covered(groups: dict[str, Any]) -> None:
    assert {key for key, value in groups.items() if "lr_wd_mult" in value} == set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_groups_and_frozen_layers(case: str, groups: dict[str, Any]) -> None:
    arguments = dict(CASES[case])
    backbone = BACKBONES.get(arguments.pop("name"))(**arguments)
    head = HEADS.get("TSNHead" if case == "tsn_r50" else "TSMHead")(400, backbone.out_channels)
    model = Recognizer2D(backbone, head)
    model.eval()
    model.train()
    theirs = groups[case]
    # PyTorch's optimiser holds frozen convolutions too and never moves them; ours leaves them out.
    frozen = {ours(name) for name in theirs["requires_grad_false"]}
    assert {ours(name) for name in theirs["not_in_optimizer"]} <= frozen
    expected = {ours(name): tuple(value) for name, value in theirs["lr_wd_mult"].items()}
    factors = parameter_multipliers(model, fc_lr_mult="no_fc" not in case)
    assert {name: (f.rate, f.decay) for name, f in factors.items()} == {
        name: value for name, value in expected.items() if name not in frozen
    }
    learned = {name for name, p in model.named_parameters() if not p.stop_gradient}
    assert learned == set(expected) - frozen
    fixed = {
        name
        for name, layer in model.named_sublayers()
        if isinstance(layer, nn.BatchNorm2D) and not layer.training
    }
    reference = {ours(f"{name}.bias") for name in theirs["bn_in_eval_mode_during_train"]}
    assert {f"{name}.bias" for name in fixed} == reference
