# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The first training steps follow a recorded run of another framework.

The list stored here is made by record_training_steps.py; PADDLETSM_TRAINING_STEPS names another
file of the same form to compare with.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import paddle
import pytest

from paddletsm.config import load_config
from paddletsm.engine.optim import build_optimizer
from paddletsm.models import Recognizer2D, ResNetTSM, TSMHead
from paddletsm.models.losses import classification_loss
from paddletsm.models.weights import load_weights

STORED = Path(__file__).with_name("training_steps.json")
CONFIG = Path(__file__).resolve().parents[2] / "configs/tsm_ucf101.yaml"


@pytest.fixture
def recorded() -> dict[str, Any]:
    return json.loads(Path(os.environ.get("PADDLETSM_TRAINING_STEPS", STORED)).read_text())


def gradient_norm(model: Recognizer2D) -> float:
    grads = [p.grad.numpy().astype("float64") for p in model.parameters() if p.grad is not None]
    return float(np.sqrt(sum((grad**2).sum() for grad in grads)))


def test_losses_and_gradient_norms_of_the_first_steps(
    recorded: dict[str, Any], fill: ModuleType, weights_file: Callable[[str, str], Path]
) -> None:
    settings = recorded["settings"]
    segments = settings["segments"]
    backbone = ResNetTSM(50, num_seg=segments, norm_eval=True)
    model = Recognizer2D(backbone, TSMHead(400, backbone.out_channels, drop_ratio=0.0))
    load_weights(model, weights_file(settings["model"], "key"))
    overrides = [
        f"OPTIMIZER.momentum={settings['momentum']}",
        f"OPTIMIZER.weight_decay.value={settings['weight_decay']}",
        f"OPTIMIZER.grad_clip.value={settings['grad_clip']}",
    ]
    optimizer = build_optimizer(model, load_config(CONFIG, overrides))
    optimizer.set_lr(settings["learning_rate"])
    clips = fill.make_input("blocky", settings["clips"], segments, settings["size"])
    labels = paddle.to_tensor(settings["labels"])
    model.train()
    for loss_expected, norm_expected in zip(
        recorded["losses"], recorded["grad_norms"], strict=True
    ):
        loss = classification_loss(model(paddle.to_tensor(clips)), labels)
        loss.backward()
        # float32 in another order of additions; the steps are large, so differences grow.
        assert float(loss) == pytest.approx(loss_expected, rel=1e-3)
        assert gradient_norm(model) == pytest.approx(norm_expected, rel=1e-3)
        optimizer.step()
        optimizer.clear_grad()
