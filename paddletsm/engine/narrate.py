# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What a run says: on the terminal, in train.log and in metrics.jsonl."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

import numpy as np

from paddletsm.config import Config
from paddletsm.engine.progress import Eta, Meter
from paddletsm.engine.setup import Setup, balanced_weights
from paddletsm.engine.state import TrainState
from paddletsm.utils.text import plural

logger = logging.getLogger(__name__)


def accuracies(config: Config, *, is_training: bool = False) -> tuple[str, ...]:
    """Names of the accuracies; a training step has no mAP, which is of a whole data set."""
    if not config.MODEL.is_multi_label:
        return "top1", "top5"
    return ("hit1", "exact") if is_training else ("mAP", "hit1", "exact")


def _written(values: dict[str, Any], names: tuple[str, ...], form: str) -> str:
    """Write "top1 93.75  top5 100.00"."""
    return "  ".join(f"{name} {values[name]:{form}}" for name in names)


def describe(setup: Setup) -> None:
    """Log what is going to be trained, on what, and where it goes."""
    config, steps = setup.config, setup.schedule.steps_per_epoch
    logger.info(
        "%s: %s%s, %.2f M parameters, %d classes; %d training clips%s",
        config.model_name,
        config.MODEL.backbone.name,
        f" of depth {config.MODEL.backbone.depth}" if config.MODEL.backbone.depth else "",
        setup.model.num_parameters() / 1e6,
        config.MODEL.head.num_classes,
        setup.epoch_clips,
        f", {len(setup.valid_loader.dataset)} for validation" if setup.valid_loader else "",
    )
    clips, passes = setup.epoch_clips, config.OPTIMIZER.accumulate_steps
    left = clips - steps * setup.total_batch
    logger.info(
        "%s of %s of %d clips (%d per process x %d%s)%s, on %s, into %s",
        plural(config.epochs, "epoch"),
        plural(steps, "step"),
        min(setup.total_batch, clips),
        config.DATASET.batch_size,
        setup.world.size,
        f" x {passes} passes" if passes > 1 else "",
        f", {left} others left over in each epoch" if left > 0 else "",
        setup.device,
        setup.folder,
    )
    if clips < setup.total_batch:
        logger.warning(
            "a batch of %d is more than the %d training clips there are",
            setup.total_batch,
            clips,
        )
    _describe_rates(setup)
    _describe_balance(setup)
    _describe_options(setup)


def _describe_rates(setup: Setup) -> None:
    rate = setup.config.OPTIMIZER.learning_rate
    batch = min(setup.total_batch, setup.epoch_clips)
    if not rate.linear_scaling and rate.total_batch_size not in (None, batch):
        logger.info(
            "learning rates are used as they stand (linear_scaling: false); they were set for a "
            "total batch of %d clips, this run has %d",
            rate.total_batch_size,
            batch,
        )
    if setup.schedule.scale != 1.0:
        logger.info(
            "learning rates are scaled by %.4g: they were set for a total batch of %d clips, "
            "this run has %d",
            setup.schedule.scale,
            rate.total_batch_size,
            batch,
        )


def _describe_balance(setup: Setup) -> None:
    """Say how unlike the classes are treated to make up for their numbers of clips."""
    samples = setup.train_loader.dataset.samples[: setup.epoch_clips]  # copies come behind them
    if setup.balanced is not None:
        times = balanced_weights(
            [sample.label for sample in samples], setup.config.MODEL.head.num_classes
        )
        logger.info(
            "DATASET.sampling: every class comes equally often in an epoch, so a clip comes %s "
            "times on average",
            _extremes(setup, times),
        )
    if setup.class_weights is not None:
        logger.info(
            "MODEL.class_weights: the loss of a clip counts %s times",
            _extremes(setup, setup.class_weights.numpy()),
        )
    if setup.balanced is not None and setup.config.MODEL.class_weights == "balanced":
        logger.warning(
            "DATASET.sampling: balanced and MODEL.class_weights: balanced both favour rare "
            "classes; one of them is enough"
        )


def _extremes(setup: Setup, weights: np.ndarray) -> str:
    """Write "0.5 (walk, 8 clips) to 2 (jump, 2 clips)", of weights [K], of classes with clips."""
    samples, names = setup.train_loader.dataset.samples, setup.config.DATASET.class_names
    clips = Counter(label for one in samples[: setup.epoch_clips] for label in one.labels)
    ends = []
    least, most = (choose(clips, key=weights.__getitem__) for choose in (min, max))
    if weights[least] == weights[most]:
        return f"{weights[least]:.3g} (every class)"
    for label in (least, most):
        name = names[label] if isinstance(names, tuple) else f"class {label}"
        ends.append(f"{weights[label]:.3g} ({name}, {plural(clips[label], 'clip')})")
    return " to ".join(ends)


def _describe_options(setup: Setup) -> None:
    """Say which options change what is trained or saved, and which have no effect here."""
    config = setup.config
    if setup.ema is not None:
        logger.info("EMA: weights averaged with decay %g are validated and saved", config.EMA.decay)
    if config.PRECISE_BN is not None:
        logger.info(
            "PRECISE_BN: statistics over %d training clips are validated and saved",
            min(config.PRECISE_BN.clips, setup.epoch_clips),
        )
    if config.sync_bn and setup.world.size == 1:
        logger.info("sync_bn has no effect with one process")
    if config.cudnn_benchmark and setup.device == "cpu":
        logger.info("cudnn_benchmark has no effect on cpu")


def say_interval(
    setup: Setup, state: TrainState, meter: Meter, rate: float, eta: Eta, steps: int
) -> None:
    """Log the means since the last such line."""
    names = accuracies(setup.config, is_training=True)
    values = meter.values(names)
    logger.info(
        "epoch %d/%d  step %d/%d  loss %.4f  lr %.6f  %s  %.1f clips/s  data wait %.0f%%  ETA %s",
        state.epoch + 1,
        setup.config.epochs,
        state.step,
        steps,
        values["loss"],
        rate,
        _written(values, names, "5.1f"),
        values["clips_per_sec"],
        values["data_wait_percent"],
        eta,
    )


def record_epoch(setup: Setup, state: TrainState, rate: float) -> None:
    """Write the epoch's record to metrics.jsonl, and say how many clips were skipped."""
    failed = int(state.meter.failed)
    if failed:
        logger.warning(
            "epoch %d: %d training samples could not be read and were skipped",
            state.epoch + 1,
            failed,
        )
    if setup.world.is_main:
        head = {"split": "train", "epoch": state.epoch + 1, "step": state.global_step, "lr": rate}
        names = accuracies(setup.config, is_training=True)
        setup.log.append({**head, **state.meter.values(names), "failed": failed})


def record_validation(
    setup: Setup, state: TrainState, values: dict[str, Any], *, is_best: bool
) -> None:
    """Log a validation and write its record to metrics.jsonl."""
    logger.info(
        "epoch %d/%d  validation of %d clips: %s  loss %.4f%s%s",
        state.epoch + 1,
        setup.config.epochs,
        values["num_samples"],
        _written(values, accuracies(setup.config), ".2f"),
        values["loss"],
        "  (best so far)" if is_best else "",
        f"  FAILED: {state.unread} clips" if state.unread else "",
    )
    if setup.world.is_main:
        head = {"split": "valid", "epoch": state.epoch + 1, "step": state.global_step}
        setup.log.append({**head, **values})


def say_end(setup: Setup, state: TrainState) -> None:
    """Log the best validation and where everything is."""
    if state.best:
        logger.info(
            "best validation: %s at epoch %d",
            _written(state.best, accuracies(setup.config), ".2f"),
            state.best["epoch"],
        )
    logger.info("weights, metrics.jsonl and curves.png are in %s", setup.folder)
