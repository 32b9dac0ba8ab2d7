# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from paddletsm.data import Batch, Failure
from paddletsm.engine.distributed import World
from paddletsm.engine.setup import Setup
from paddletsm.engine.step import train_step
from paddletsm.models import Recognizer2D
from tests.unit.engine.conftest import MakeRun, noise_batch


@pytest.fixture
def setup(make_run: MakeRun) -> Setup:
    return make_run(drop_ratio=0.8)


def batch(clips: int, failed: int = 0) -> Batch:
    failures = tuple(Failure(9, "x.avi", "x.avi: broken") for _ in range(failed))
    if not clips:
        none = np.zeros(0, np.int64)
        return Batch(None, none, none, failures, 0.0)
    return dataclasses.replace(noise_batch(np.arange(clips)), failed=failures)


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
