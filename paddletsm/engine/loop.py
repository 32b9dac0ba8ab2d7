# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The epochs of a run, to be read top to bottom: steps, validation, checkpoints, stop."""

from __future__ import annotations

import logging
import math
import time
from typing import NoReturn

import numpy as np
import paddle

from paddletsm.data import Batch
from paddletsm.engine.checkpoint import remove_old_weights, save_weights
from paddletsm.engine.distributed import (
    World,
    average_over_processes,
    gather,
    sum_over_processes,
    wait_for_all,
)
from paddletsm.engine.evaluate import EvaluationStoppedError, score_dataset
from paddletsm.engine.failures import FailureLog
from paddletsm.engine.narrate import (
    accuracies,
    record_epoch,
    record_validation,
    say_end,
    say_interval,
)
from paddletsm.engine.nonfinite import explain_steps, first_broken
from paddletsm.engine.progress import Bar, Eta, Meter, Stopwatch
from paddletsm.engine.published import published_weights
from paddletsm.engine.results import write_curves
from paddletsm.engine.setup import Setup
from paddletsm.engine.signals import StopRequest
from paddletsm.engine.state import TrainState, write_state
from paddletsm.engine.step import train_step
from paddletsm.errors import DataError, PaddleTSMError
from paddletsm.utils.logging import tell_terminal

logger = logging.getLogger(__name__)

# On a GPU reading a number waits for the device, so sums are only looked at now and then.
_GPU_SYNC_STEPS = 10


class RunStoppedError(PaddleTSMError):
    """The run was asked to stop; its state is saved."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by signal {signum}")
        self.signum = signum


def run_epochs(setup: Setup, state: TrainState, stop: StopRequest, last_step: int) -> None:
    """Train from ``state`` to the global step ``last_step``.

    Raises:
        RunStoppedError: after a signal, once the state is saved.
        PaddleTSMError: too many broken videos, or numbers that are not finite.
    """
    config, steps_per_epoch = setup.config, setup.schedule.steps_per_epoch
    eta = _make_eta(setup, state, last_step)
    bar = Bar(last_step, config.model_name, initial=state.global_step, show=setup.world.is_main)
    try:
        while state.global_step < last_step or state.closed_step < state.global_step:
            if state.step < steps_per_epoch and state.global_step < last_step:
                _train_epoch(setup, state, stop, eta, bar, last_step)
            is_last = state.global_step >= last_step
            _close_epoch(setup, state, stop, eta, is_last=is_last)
            if sum_over_processes(np.array([float(stop.signum)]), setup.world)[0] > 0:
                _stop(setup, state, stop)
    finally:
        bar.close()
    if setup.world.is_main:
        write_curves(setup.log, setup.folder / "curves.png", config.model_name)
    say_end(setup, state)


def _make_eta(setup: Setup, state: TrainState, last_step: int) -> Eta:
    if setup.valid_loader is None:
        return Eta(last_step - state.global_step, 0)
    epochs = math.ceil(last_step / setup.schedule.steps_per_epoch)
    interval = setup.config.valid_interval
    validations = math.ceil(epochs / interval) - state.epoch // interval
    clips = len(setup.valid_loader.dataset) / setup.total_batch
    return Eta(last_step - state.global_step, validations, clips)


# -- steps ---------------------------------------------------------------------------------------


def _train_epoch(
    setup: Setup, state: TrainState, stop: StopRequest, eta: Eta, bar: Bar, last_step: int
) -> None:
    """Train the rest of the epoch in progress; when asked to stop, save the state and raise."""
    setup.network.train()
    setup.model.train()  # the wrapper's train() does not know which layers stay fixed
    batches = setup.batches(state.epoch)
    todo = batches[state.step : state.step + last_step - state.global_step]
    meter, waited = Meter(), 0.0
    recent: list[tuple[np.ndarray, paddle.Tensor]] = []
    clock, failures = Stopwatch(), FailureLog("skipped in training")
    for batch in setup.train_loader.iterate(todo, epoch=state.epoch):
        failures.add(batch.failed, setup.world)
        rate = setup.schedule(state.global_step)
        setup.optimizer.set_lr(rate)
        recent.append((_numbers(batch), train_step(setup, batch, state.global_step)))
        state.step, state.global_step = state.step + 1, state.global_step + 1
        waited += batch.wait_s
        is_end = state.step == len(batches) or state.global_step == last_step
        is_due = not is_end and _is_state_due(setup, state)
        if not (is_end or is_due or len(recent) >= _sync_steps(setup)):
            continue
        # One exchange of sums per interval: everybody learns the totals, and whether to stop.
        sums = paddle.stack([sums for _, sums in recent]).sum(0).numpy()
        totals = sum_over_processes(np.append(sums, float(stop.signum)), setup.world)
        seconds = clock.lap()
        for one in (meter, state.meter):
            one.add(totals, waited, seconds, len(recent))
        eta.step(seconds, len(recent))
        bar.advance(len(recent), f"loss {meter.values()['loss']:.3f} ETA {eta}")
        _check_totals(setup, state, totals, failures, recent)
        waited, recent = 0.0, []
        if meter.steps >= setup.config.log_interval or is_end:
            _check_weights(setup, state, meter.steps)
            say_interval(setup, state, meter, rate, eta, len(batches))
            meter = Meter()
        if is_end:
            failures.report_all(setup.world)
            record_epoch(setup, state, rate)
        if totals[5] > 0:
            _stop(setup, state, stop)
        if is_due:
            write_state(setup, state, is_between=True)
            clock.lap()


def _numbers(batch: Batch) -> np.ndarray:
    """Ids of the clips of a step, to read them again if need be."""
    return batch.ids.copy()


def _sync_steps(setup: Setup) -> int:
    return 1 if setup.device == "cpu" else min(_GPU_SYNC_STEPS, setup.config.log_interval)


def _is_state_due(setup: Setup, state: TrainState) -> bool:
    interval = setup.config.state_interval
    return interval is not None and state.global_step % interval == 0


def _check_totals(
    setup: Setup,
    state: TrainState,
    totals: np.ndarray,
    failures: FailureLog,
    recent: list[tuple[np.ndarray, paddle.Tensor]],
) -> None:
    """End the run when its numbers are no longer worth having."""
    if not np.isfinite(totals[0]):
        raise PaddleTSMError(_not_finite(setup, state, recent))
    failed = int(state.meter.failed)
    limit = setup.config.DATASET.max_bad_fraction
    total = setup.epoch_clips
    if failed > limit * total:
        failures.report_all(setup.world)
        raise DataError(
            f"{failed} of {total} training samples of epoch {state.epoch + 1} could not be "
            f"read, more than DATASET.max_bad_fraction = {limit:g}; each is named above and in "
            f"{setup.folder / 'train.log'}"
        )


def _check_weights(setup: Setup, state: TrainState, steps: int) -> None:
    """End the run when an update broke the weights: ReLU turns NaN into 0, the loss stays finite.

    Weights are the same on all processes, so all of them stop.
    """
    name = first_broken(setup.model.named_parameters())
    if name is not None:
        when = "" if steps == 1 else f"one of the {steps} steps up to "
        raise PaddleTSMError(
            f"{name} holds values that are not finite, though the loss is finite; it broke in "
            f"{when}step {state.step} of epoch {state.epoch + 1} (global step {state.global_step}; "
            "log_interval: 1 tells which). Lower OPTIMIZER.learning_rate, add warmup_epochs or "
            f"grad_clip. What was saved before is in {setup.folder}"
        )


def _not_finite(
    setup: Setup, state: TrainState, recent: list[tuple[np.ndarray, paddle.Tensor]]
) -> str:
    """Say at which step the loss broke and why; all processes call it together."""
    late, note = explain_steps(setup, recent, epoch=state.epoch)
    found = gather((late, note), setup.world)
    late = max(late for late, _ in found)  # the first of the steps, counted from the last
    whose = [
        (f"process {rank}: " if setup.world.size > 1 else "") + note
        for rank, (_, note) in enumerate(found)
        if note
    ]
    return (
        f"the loss is not finite at epoch {state.epoch + 1}, step {state.step - late} (global step "
        f"{state.global_step - late}): {'; '.join(whose)}. Lower OPTIMIZER.learning_rate, add "
        f"warmup_epochs or grad_clip. What was saved before is in {setup.folder}"
    )


# -- end of an epoch -----------------------------------------------------------------------------


def _close_epoch(
    setup: Setup, state: TrainState, stop: StopRequest, eta: Eta, *, is_last: bool
) -> None:
    """Validate, save weights, and write the resume state.

    The state is written last: a kill in between repeats the closing.
    """
    config, name, number = setup.config, setup.config.model_name, state.epoch + 1
    _average_statistics(setup)
    is_due = number % config.valid_interval == 0 or is_last
    has_validation = setup.valid_loader is not None and is_due
    is_saved = number % config.save_interval == 0 or is_last
    if has_validation:
        write_state(setup, state)  # a kill during the validation costs the validation only
    try:
        if has_validation or is_saved:
            with published_weights(setup, state.epoch):
                if has_validation:
                    _validate(setup, state, stop, eta)
                if setup.world.is_main and is_saved:
                    save_weights(setup.model, setup.folder / f"{name}_epoch_{number:05d}.pdparams")
                if setup.world.is_main and is_last and not state.best:
                    # without validation the last weights are the best known
                    save_weights(setup.model, setup.folder / f"{name}_best.pdparams")
    except EvaluationStoppedError:
        _stop(setup, state, stop)
    if setup.world.is_main and config.keep_checkpoints is not None:
        remove_old_weights(setup.folder, f"{name}_epoch_*.pdparams", config.keep_checkpoints)
    state.closed_step = state.global_step
    if state.step == setup.schedule.steps_per_epoch:
        state.epoch, state.step, state.meter = number, 0, Meter()
    write_state(setup, state)


def _average_statistics(setup: Setup) -> None:
    """Give all processes the same batch norm statistics: each has gathered those of its clips."""
    own = {"model": setup.model.state_dict(), "ema": setup.ema.tensors if setup.ema else {}}
    for tensors in own.values():
        average_over_processes(
            (t for name, t in tensors.items() if name.endswith(("._mean", "._variance"))),
            setup.world,
        )


def _validate(setup: Setup, state: TrainState, stop: StopRequest, eta: Eta) -> None:
    start = time.perf_counter()
    config, options = setup.config, setup.options
    total = math.ceil(len(setup.valid_loader.dataset) / setup.world.size)
    bar = Bar(total, "validation", show=setup.world.is_main)
    try:
        scored = score_dataset(
            setup.model,
            setup.valid_loader,
            average=config.METRIC.average,
            activation=config.MODEL.activation,
            batch_size=config.DATASET.valid_batch_size or config.DATASET.batch_size,
            world=setup.world,
            amp_level=options.amp_level if options.amp else None,
            amp_dtype=options.amp_dtype,
            on_batch=bar.advance,
            should_stop=lambda: stop.signum > 0,
        )
    finally:
        bar.close()
    eta.validation(time.perf_counter() - start)
    values = scored.metrics()
    state.unread = int(values["num_failed"])
    FailureLog("failed in validation").add(scored.failures, World())
    is_best = _rank(values) > _rank(state.best)
    if is_best:
        state.best = {k: values[k] for k in (*accuracies(config), "loss")}
        state.best["epoch"] = state.epoch + 1
    record_validation(setup, state, values, is_best=is_best)
    if setup.world.is_main and is_best:
        save_weights(setup.model, setup.folder / f"{config.model_name}_best.pdparams")


def _rank(values: dict[str, float]) -> tuple[float, float]:
    """Higher is better: top-1 or mAP, among equals the lower loss."""
    return values.get("mAP", values.get("top1", -1.0)), -values.get("loss", float("inf"))


def _stop(setup: Setup, state: TrainState, stop: StopRequest) -> NoReturn:
    """Save the state, say how to go on, leave; all processes come here at the same step."""
    path = write_state(setup, state, is_between=True)
    wait_for_all(setup.world)
    if path is not None:
        message = (
            f"stopped at epoch {state.epoch + 1}, step {state.step}; the state is saved in {path}. "
            "Run the same command with --resume to continue"
        )
        logger.warning(message)
        tell_terminal(message)
    raise RunStoppedError(stop.signum or 15)
