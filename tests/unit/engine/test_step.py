# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import paddle
import pytest

from paddletsm.builders import load_config
from paddletsm.data import Batch, Failure
from paddletsm.engine import step as step_module
from paddletsm.engine.distributed import World
from paddletsm.engine.optim import build_optimizer, build_schedule
from paddletsm.engine.results import MetricsLog
from paddletsm.engine.setup import Setup, TrainOptions
from paddletsm.engine.step import train_step
from paddletsm.models import Recognizer2D, ResNetTSM, TSMHead

CONFIG = Path(__file__).resolve().parents[3] / "configs/tsm_motion.yaml"


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setup:
    """A run without loaders: enough for single steps."""
    paddle.seed(0)
    config = load_config(CONFIG)
    net = ResNetTSM(depth=18, width=0.125, num_seg=8)
    model = Recognizer2D(net, TSMHead(3, net.out_channels))
    optimizer = build_optimizer(model, config)
    optimizer.set_lr(0.1)

    def dummy(setup: Setup) -> tuple[paddle.Tensor, paddle.Tensor]:
        return paddle.zeros([1, 8, 3, 32, 32]), paddle.zeros([1], "int64")

    monkeypatch.setattr(step_module, "_dummy_batch", dummy)
    return Setup(
        config=config,
        options=TrainOptions(),
        world=World(),
        device="cpu",
        folder=tmp_path,
        model=model,
        network=model,
        optimizer=optimizer,
        scaler=None,
        schedule=build_schedule(config, 10, 8),
        train_loader=None,
        valid_loader=None,
        log=MetricsLog(tmp_path / "metrics.jsonl"),
    )


def batch(clips: int, failed: int = 0) -> Batch:
    rng = np.random.default_rng(0)
    return Batch(
        clips=rng.standard_normal((clips, 1, 8, 3, 32, 32), np.float32) if clips else None,
        labels=np.zeros(clips, np.int64),
        ids=np.arange(clips),
        failed=tuple(Failure(9, "x.avi", "x.avi: broken") for _ in range(failed)),
        wait_s=0.0,
    )


def values_of(model: Recognizer2D) -> dict[str, np.ndarray]:
    return {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}


def test_a_step_trains_and_counts(setup: Setup) -> None:
    before = values_of(setup.model)
    sums = train_step(setup, batch(2, failed=1), 0).numpy()
    assert sums[3:].tolist() == [2.0, 1.0]
    assert sums[0] > 0
    after = values_of(setup.model)
    assert all(np.abs(after[name] - before[name]).max() > 0 for name in before)


def test_dropout_depends_on_seed_and_step_alone(setup: Setup) -> None:
    losses = []
    for step in (3, 3, 4):
        setup.optimizer.set_lr(0.0)
        losses.append(float(train_step(setup, batch(2), step)[0]))
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_batch_of_broken_clips_leaves_no_trace_in_the_statistics(
    setup: Setup, processes: int
) -> None:
    train_step(setup, batch(2), 0)
    before = values_of(setup.model)
    object.__setattr__(setup, "world", World(0, processes))
    sums = train_step(setup, batch(0, failed=2), 1).numpy()
    assert sums.tolist() == [0.0, 0.0, 0.0, 0.0, 2.0]
    after = values_of(setup.model)
    same = [n for n in before if processes == 1 or n.endswith(("_mean", "_variance"))]
    for name in same:
        np.testing.assert_array_equal(after[name], before[name], name)
    assert setup.model.training
    assert setup.model.backbone.bn1.training
