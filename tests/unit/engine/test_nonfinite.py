# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""A loss that is not finite is told with its culprit, and nothing broken is saved."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from paddletsm.data import Batch
from paddletsm.engine.checkpoint import save_state, save_weights
from paddletsm.engine.failures import FailureLog
from paddletsm.engine.loop import _check_totals, _check_weights
from paddletsm.engine.nonfinite import explain, explain_steps
from paddletsm.engine.setup import Setup
from paddletsm.engine.state import TrainState
from paddletsm.engine.step import train_step
from paddletsm.errors import PaddleTSMError
from tests.unit.engine.conftest import MakeRun, noise_batch


def step_and_check(run: Setup, batch: Batch) -> str:
    """Message of the error that ends the run after this step."""
    sums = train_step(run, batch, 6)
    totals, recent = np.append(sums.numpy(), 0.0), [(batch.ids, sums)]
    state = TrainState(epoch=2, step=1, global_step=7)
    with pytest.raises(PaddleTSMError) as caught:
        _check_totals(run, state, totals, FailureLog(""), recent)
    return str(caught.value)


def test_a_broken_parameter_is_named(make_run: MakeRun) -> None:
    run = make_run("OPTIMIZER.accumulate_steps=2")
    run.model.head.fc.bias.set_value(paddle.to_tensor([0.0, float("nan"), 0.0]))
    text = step_and_check(run, noise_batch(np.arange(4)))
    assert "epoch 3, step 1 (global step 7)" in text
    assert "the weights are not finite since the step before, head.fc.bias first" in text
    assert "clip_0.avi, clip_1.avi" in text


def test_an_overflowing_layer_is_named(make_run: MakeRun) -> None:
    run = make_run(frozen=True)
    weight = run.model.head.fc.weight
    weight.set_value(paddle.full_like(weight, 3e38))
    text = step_and_check(run, noise_batch(np.arange(4)))
    assert "the output of head.fc is the first" in text
    assert "largest weight is 3e+38" in text


def test_a_layer_of_a_compiled_network_is_named(make_run: MakeRun) -> None:
    run = make_run(frozen=True)
    weight = run.model.head.fc.weight
    weight.set_value(paddle.full_like(weight, 3e38))
    network = paddle.jit.to_static(run.model, full_graph=True)
    clips = noise_batch(np.arange(2)).clips[:, 0]
    assert "the output of head.fc is the first" in explain(network, clips, ["a", "b"])


def test_a_broken_input_is_named(make_run: MakeRun) -> None:
    batch = noise_batch(np.arange(4))
    batch.clips[2, 0, 1, 0, 5, 5] = np.nan
    text = explain(make_run().model, batch.clips[:, 0], ["a", "b", "c", "d"])
    assert text.startswith("the input is not finite: c (")


def test_weights_that_break_under_a_finite_loss_end_the_run(make_run: MakeRun) -> None:
    run, batch = make_run(), noise_batch(np.arange(4))
    batch.clips[2, 0, 1, 0, 5, 5] = np.nan
    sums = train_step(run, batch, 0)
    assert np.isfinite(sums.numpy()).all()  # ReLU turns NaN into 0
    with pytest.raises(
        PaddleTSMError, match=r"backbone.* broke in one of the 5 steps up to step 9"
    ):
        _check_weights(run, TrainState(step=9, global_step=9), 5)


def test_without_a_note_the_clips_are_read_again(make_run: MakeRun) -> None:
    """As where reading a number waits for the device: sums are looked at some steps later."""
    run = make_run()
    good, bad = paddle.zeros([5]), paddle.to_tensor([float("nan"), 0, 0, 4, 0])
    run.model.head.fc.bias.set_value(paddle.to_tensor([0.0, float("nan"), 0.0]))
    recent = [(np.arange(4), good), (np.array([7, 3]), bad), (np.arange(4), bad)]
    late, text = explain_steps(run, recent, epoch=0)
    assert late == 1
    assert "head.fc.bias first" in text
    assert "clip_3.avi, clip_7.avi" in text


def test_nothing_broken_is_saved(make_run: MakeRun) -> None:
    run = make_run()
    bias = run.model.head.fc.bias
    bias.set_value(paddle.to_tensor([0.0, float("inf"), 0.0]))
    with pytest.raises(PaddleTSMError, match=r"head.fc.bias holds values that are not finite"):
        save_weights(run.model, run.folder / "a.pdparams")
    with pytest.raises(PaddleTSMError, match=r"resume_step_00000001.npz is not written"):
        save_state(run.folder, run.model, run.optimizer, {"global_step": 1})
    assert not list(run.folder.iterdir())
