# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The training run, to be read top to bottom: resume, epochs, validation, checkpoints, stop."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import paddle

from paddletsm.engine.checkpoint import (
    apply_state,
    find_state,
    read_resume_state,
    save_state,
    save_weights,
)
from paddletsm.engine.distributed import (
    World,
    average_statistics,
    sum_over_processes,
    wait_for_all,
)
from paddletsm.engine.evaluate import EvaluationStoppedError, score_dataset
from paddletsm.engine.failures import FailureLog
from paddletsm.engine.progress import Bar, Eta, Meter, Stopwatch
from paddletsm.engine.results import write_curves
from paddletsm.engine.run_folder import opened
from paddletsm.engine.setup import Setup, TrainOptions, describe, prepare
from paddletsm.engine.signals import StopRequest
from paddletsm.engine.step import train_step
from paddletsm.errors import ConfigError, DataError, PaddleTSMError, WeightsError
from paddletsm.utils.logging import tell_terminal

logger = logging.getLogger(__name__)

# On a GPU reading a number waits for the device, so sums are only looked at now and then.
_GPU_SYNC_STEPS = 10


@dataclass
class TrainState:
    """Where a run stands; everything else follows from the seed.

    Attributes:
        epoch: finished epochs.
        step: finished steps of the epoch in progress.
        global_step: finished steps of the run.
        closed_step: global step at which the latest epoch was validated and saved.
        meter: sums over the epoch in progress; failed samples among them.
        best: values of the best validation so far.
        unread: validation samples that could not be read, in the latest validation.
    """

    epoch: int = 0
    step: int = 0
    global_step: int = 0
    closed_step: int = 0
    meter: Meter = field(default_factory=Meter)
    best: dict[str, float] = field(default_factory=dict)
    unread: int = 0


class RunStoppedError(PaddleTSMError):
    """The run was asked to stop; its state is saved."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by signal {signum}")
        self.signum = signum


def train(config: Any, options: TrainOptions) -> TrainState:
    """Train as configured.

    Returns:
        The final state; ``unread`` counts validation samples that could not be read.

    Raises:
        RunStoppedError: after SIGINT or SIGTERM, once the state is saved.
        PaddleTSMError: wrong input, too many broken videos, or a loss that is not finite.
    """
    setup = prepare(config, options)
    try:
        state, path = TrainState(), None
        if options.resume is not None:
            state, path = _restore(setup)
        with opened(setup), StopRequest() as stop:
            describe(setup)
            if path is not None:
                is_validated = state.closed_step == state.global_step
                if setup.world.is_main:
                    setup.log.drop_after(state.global_step, is_validated=is_validated)
                logger.info("resumed %s: epoch %d, step %d", path, state.epoch + 1, state.step)
            _run(setup, state, stop)
    finally:
        setup.close()
    return state


def _run(setup: Setup, state: TrainState, stop: StopRequest) -> None:
    try:
        _run_epochs(setup, state, stop)
    except RunStoppedError:
        raise
    except PaddleTSMError as err:
        # The launcher shows process 0 only, which learns of another's error by a lost connection.
        if not setup.world.is_main:
            tell_terminal(f"process {setup.world.rank}: {err}")
        raise


def _restore(setup: Setup) -> tuple[TrainState, Path]:
    """Put the run back to where it stopped; changes nothing on disk."""
    path = Path(setup.options.resume) if setup.options.resume else find_state(setup.folder)
    arrays, meta = read_resume_state(path)
    try:
        state = TrainState(**{**meta["state"], "meter": Meter(**meta["state"]["meter"])})
    except (KeyError, TypeError) as err:  # edited, or written by another version
        raise WeightsError(f"{path} does not hold the state of a run of this version") from err
    for key, now in _run_facts(setup).items():
        if meta["run"].get(key) != now:
            raise ConfigError(
                f"--resume: {path} was saved with {key} = {meta['run'].get(key)}, now it is {now}; "
                "resuming continues the same run, so keep it, or start anew with -w"
            )
    apply_state(path, arrays, setup.model, setup.optimizer)
    if setup.scaler is not None and meta.get("scaler"):
        setup.scaler.load_state_dict(meta["scaler"])
    return state, path


def _run_facts(setup: Setup) -> dict[str, Any]:
    """What must not change between a run and its continuation."""
    return {
        "seed": setup.config.seed,
        "total batch size": setup.total_batch,
        "number of training clips": len(setup.train_loader.dataset),
    }


def _save_state(setup: Setup, state: TrainState) -> Path | None:
    if not setup.world.is_main:
        return None
    meta = {
        "global_step": state.global_step,
        "state": asdict(state),
        "run": _run_facts(setup),
        "scaler": _plain(setup.scaler.state_dict()) if setup.scaler is not None else None,
    }
    return save_state(setup.folder, setup.model, setup.optimizer, meta)


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in state.items()}


def _run_epochs(setup: Setup, state: TrainState, stop: StopRequest) -> None:
    config, options = setup.config, setup.options
    steps_per_epoch = len(setup.batches(0))
    last_step = min(config.epochs * steps_per_epoch, options.max_iters or 10**18)
    eta = _make_eta(setup, state, last_step, steps_per_epoch)
    bar = Bar(last_step, config.model_name, initial=state.global_step, show=setup.world.is_main)
    try:
        while state.global_step < last_step or state.closed_step < state.global_step:
            if state.step < steps_per_epoch and state.global_step < last_step:
                _train_epoch(setup, state, stop, eta, bar, last_step)
            is_last = state.global_step >= last_step
            average_statistics(setup.model, setup.world)
            is_due = (state.epoch + 1) % config.valid_interval == 0 or is_last
            if setup.valid_loader is not None and is_due:
                _save_state(setup, state)  # a kill during the validation costs the validation only
                _validate(setup, state, stop, eta)
            _close_epoch(setup, state, is_last=is_last, is_whole=state.step == steps_per_epoch)
            if sum_over_processes(np.array([float(stop.signum)]), setup.world)[0] > 0:
                _stop(setup, state, stop)
    finally:
        bar.close()
    if setup.world.is_main:
        write_curves(setup.log, setup.folder / "curves.png", config.model_name)
    _say_end(setup, state)


def _close_epoch(setup: Setup, state: TrainState, *, is_last: bool, is_whole: bool) -> None:
    """Resume state after every epoch; weights every save_interval epochs and at the end.

    The state is written last: a kill in between repeats the closing.
    """
    name, number = setup.config.model_name, state.epoch + 1
    if setup.world.is_main:
        if number % setup.config.save_interval == 0 or is_last:
            save_weights(setup.model, setup.folder / f"{name}_epoch_{number:05d}.pdparams")
        if is_last and not state.best:  # without validation the last weights are the best known
            save_weights(setup.model, setup.folder / f"{name}_best.pdparams")
    state.closed_step = state.global_step
    if is_whole:
        state.epoch, state.step, state.meter = number, 0, Meter()
    _save_state(setup, state)


def _make_eta(setup: Setup, state: TrainState, last_step: int, steps_per_epoch: int) -> Eta:
    if setup.valid_loader is None:
        return Eta(last_step - state.global_step, 0)
    epochs = math.ceil(last_step / steps_per_epoch)
    interval = setup.config.valid_interval
    validations = math.ceil(epochs / interval) - state.epoch // interval
    clips = len(setup.valid_loader.dataset) / setup.total_batch
    return Eta(last_step - state.global_step, validations, clips)


def _train_epoch(
    setup: Setup, state: TrainState, stop: StopRequest, eta: Eta, bar: Bar, last_step: int
) -> None:
    """Train the rest of the epoch in progress; when asked to stop, save the state and raise."""
    config = setup.config
    setup.network.train()
    setup.model.train()  # the wrapper's train() does not know which layers stay fixed
    batches = setup.batches(state.epoch)
    todo = batches[state.step : state.step + last_step - state.global_step]
    sync_every = 1 if setup.device == "cpu" else min(_GPU_SYNC_STEPS, config.log_interval)
    meter = Meter()
    sums, waited, since_sync = paddle.zeros([5], "float32"), 0.0, 0
    clock, failures = Stopwatch(), FailureLog("skipped in training")
    for batch in setup.train_loader.iterate(todo, epoch=state.epoch):
        failures.add(batch.failed, setup.world)
        rate = setup.schedule(state.global_step)
        setup.optimizer.set_lr(rate)
        sums = sums + train_step(setup, batch, state.global_step)
        state.step, state.global_step = state.step + 1, state.global_step + 1
        waited, since_sync = waited + batch.wait_s, since_sync + 1
        if since_sync < sync_every and state.step < len(batches) and state.global_step < last_step:
            continue
        # One exchange of sums per interval: everybody learns the totals, and whether to stop.
        signal_sum = np.append(sums.numpy(), float(stop.signum))
        totals = sum_over_processes(signal_sum, setup.world)
        seconds = clock.lap()
        for one in (meter, state.meter):
            one.add(totals, waited, seconds, since_sync)
        eta.step(seconds, since_sync)
        bar.advance(since_sync, f"loss {meter.values()['loss']:.3f} ETA {eta}")
        _check_totals(setup, state, totals, failures)
        sums, waited, since_sync = paddle.zeros([5], "float32"), 0.0, 0
        is_end = state.step == len(batches) or state.global_step == last_step
        if meter.steps >= config.log_interval or is_end:
            _log_interval(setup, state, meter, rate, eta, len(batches))
            meter = Meter()
        if is_end:
            failures.report_all(setup.world)
            _record_epoch(setup, state, rate)
        if totals[5] > 0:
            _stop(setup, state, stop)


def _check_totals(
    setup: Setup, state: TrainState, totals: np.ndarray, failures: FailureLog
) -> None:
    """End the run when its numbers are no longer worth having."""
    if not np.isfinite(totals[0]):
        raise PaddleTSMError(
            f"the loss is not finite at epoch {state.epoch + 1}, step {state.step} (global step "
            f"{state.global_step}); lower OPTIMIZER.learning_rate, add warmup_epochs or "
            "grad_clip. The last saved state is in "
            f"{setup.folder}"
        )
    failed = int(state.meter.failed)
    limit = setup.config.DATASET.max_bad_fraction
    total = len(setup.train_loader.dataset)
    if failed > limit * total:
        failures.report_all(setup.world)
        raise DataError(
            f"{failed} of {total} training samples of epoch {state.epoch + 1} could not be "
            f"read, more than DATASET.max_bad_fraction = {limit:g}; each is named above and in "
            f"{setup.folder / 'train.log'}"
        )


def _log_interval(
    setup: Setup, state: TrainState, meter: Meter, rate: float, eta: Eta, steps: int
) -> None:
    values = meter.values()
    logger.info(
        "epoch %d/%d  step %d/%d  loss %.4f  lr %.6f  top1 %5.1f  top5 %5.1f  "
        "%.1f clips/s  data wait %.0f%%  ETA %s",
        state.epoch + 1,
        setup.config.epochs,
        state.step,
        steps,
        values["loss"],
        rate,
        values["top1"],
        values["top5"],
        values["clips_per_sec"],
        values["data_wait_percent"],
        eta,
    )


def _record_epoch(setup: Setup, state: TrainState, rate: float) -> None:
    failed = int(state.meter.failed)
    if failed:
        logger.warning(
            "epoch %d: %d training samples could not be read and were skipped",
            state.epoch + 1,
            failed,
        )
    if setup.world.is_main:
        head = {"split": "train", "epoch": state.epoch + 1, "step": state.global_step, "lr": rate}
        setup.log.append({**head, **state.meter.values(), "failed": failed})


def _validate(setup: Setup, state: TrainState, stop: StopRequest, eta: Eta) -> None:
    start = time.perf_counter()
    config = setup.config
    total = math.ceil(len(setup.valid_loader.dataset) / setup.world.size)
    bar = Bar(total, "validation", show=setup.world.is_main)

    try:
        scored = score_dataset(
            setup.model,
            setup.valid_loader,
            batch_size=config.DATASET.valid_batch_size or config.DATASET.batch_size,
            world=setup.world,
            amp_level=setup.options.amp_level if setup.options.amp else None,
            on_batch=bar.advance,
            should_stop=lambda: stop.signum > 0,
        )
    except EvaluationStoppedError:
        _stop(setup, state, stop)
    finally:
        bar.close()
    eta.validation(time.perf_counter() - start)
    values = scored.metrics()
    state.unread = int(values["num_failed"])
    FailureLog("failed in validation").add(scored.failures, World())
    is_best = _rank(values) > _rank(state.best)
    if is_best:
        state.best = {k: values[k] for k in ("top1", "top5", "loss")}
        state.best["epoch"] = state.epoch + 1
    logger.info(
        "epoch %d/%d  validation of %d clips: top1 %.2f  top5 %.2f  loss %.4f%s%s",
        state.epoch + 1,
        config.epochs,
        values["num_samples"],
        values["top1"],
        values["top5"],
        values["loss"],
        "  (best so far)" if is_best else "",
        f"  FAILED: {state.unread} clips" if state.unread else "",
    )
    if setup.world.is_main:
        head = {"split": "valid", "epoch": state.epoch + 1, "step": state.global_step}
        setup.log.append({**head, **values})
        if is_best:
            save_weights(setup.model, setup.folder / f"{config.model_name}_best.pdparams")


def _rank(values: dict[str, float]) -> tuple[float, float]:
    """Higher is better: top-1, among equals the lower loss."""
    return values.get("top1", -1.0), -values.get("loss", float("inf"))


def _stop(setup: Setup, state: TrainState, stop: StopRequest) -> NoReturn:
    """Save the state, say how to go on, leave; all processes come here at the same step."""
    average_statistics(setup.model, setup.world)  # each has gathered its own; one set is saved
    path = _save_state(setup, state)
    wait_for_all(setup.world)
    if path is not None:
        message = (
            f"stopped at epoch {state.epoch + 1}, step {state.step}; the state is saved in {path}. "
            "Run the same command with --resume to continue"
        )
        logger.warning(message)
        tell_terminal(message)
    raise RunStoppedError(stop.signum or 15)


def _say_end(setup: Setup, state: TrainState) -> None:
    if state.best:
        logger.info(
            "best validation: top1 %.2f  top5 %.2f at epoch %d",
            state.best["top1"],
            state.best["top5"],
            state.best["epoch"],
        )
    logger.info("weights, metrics.jsonl and curves.png are in %s", setup.folder)
