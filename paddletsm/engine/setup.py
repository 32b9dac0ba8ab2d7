# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Everything a training run needs, built in named phases before the first step."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import paddle
from paddle import nn

from paddletsm.builders import build_dataset, build_model, resolve_classes
from paddletsm.config import Config
from paddletsm.data import ClipLoader, Sample, train_batches
from paddletsm.engine.distributed import World, join_world, select_device, wrap
from paddletsm.engine.optim import build_optimizer, build_schedule
from paddletsm.engine.results import MetricsLog
from paddletsm.engine.schedule import Schedule
from paddletsm.errors import ConfigError, DataError, WeightsError
from paddletsm.models import Recognizer2D
from paddletsm.models.weights import load_pretrained_backbone, load_weights
from paddletsm.utils.text import listing, plural

logger = logging.getLogger(__name__)

_FIRST_SAMPLES = 20


@dataclass(frozen=True)
class TrainOptions:
    """What the command line adds to a configuration.

    Attributes:
        device: "cpu", "gpu", "gpu:1", "xpu", "npu"; None: a GPU where there is one.
        weights: start from these weights, classifier included.
        resume: a resume state, "" for the newest of the run folder, None to start anew.
        validate: validate after every ``valid_interval`` epochs.
        amp: mixed precision (GPUs).
        amp_level: "O1" or "O2".
        max_iters: stop after this many steps.
        deterministic: refuse GPU algorithms whose result varies.
    """

    device: str | None = None
    weights: str | None = None
    resume: str | None = None
    validate: bool = True
    amp: bool = False
    amp_level: str = "O1"
    max_iters: int | None = None
    deterministic: bool = False


@dataclass(frozen=True)
class Setup:
    """A run, ready to start."""

    config: Config
    options: TrainOptions
    world: World
    device: str
    folder: Path
    model: Recognizer2D
    network: nn.Layer  # the model, or its distributed wrapper
    optimizer: paddle.optimizer.Optimizer
    scaler: paddle.amp.GradScaler | None
    schedule: Schedule
    train_loader: ClipLoader
    valid_loader: ClipLoader | None
    log: MetricsLog

    @property
    def total_batch(self) -> int:
        """Clips of one step over all processes."""
        return self.config.DATASET.batch_size * self.world.size

    def batches(self, epoch: int) -> list[np.ndarray]:
        """Sample numbers of this process's batches of an epoch."""
        return _epoch_batches(self.config, self.train_loader, self.world, epoch=epoch)

    def close(self) -> None:
        """Stop the loaders' workers."""
        self.train_loader.close()
        if self.valid_loader is not None:
            self.valid_loader.close()


def make_loader(config: Config, mode: str) -> ClipLoader:
    """Loader of one mode with the configured workers and time limit."""
    return ClipLoader(
        build_dataset(config, mode),
        num_workers=config.DATASET.num_workers,
        timeout_s=config.DATASET.sample_timeout_sec,
    )


def prepare(config: Config, options: TrainOptions) -> Setup:
    """Build a run; nothing is written yet.

    Raises:
        ConfigError, DataError, WeightsError: anything the user got wrong, before the first step.
    """
    # Device
    device = _prepare_device(options)
    # Data
    config = resolve_classes(config)
    train_loader = make_loader(config, "train")
    _check_samples(config, train_loader.dataset.samples)
    valid_loader = make_loader(config, "valid") if options.validate else None
    # Model, then the other processes: whatever is wrong so far ends each process by itself
    paddle.seed(config.seed)
    model = build_model(config)
    _load_initial_weights(model, config, options)
    world = join_world()
    # Optimiser and schedule
    optimizer, scaler = build_optimizer(model, config), None
    if options.amp:
        scaler = paddle.amp.GradScaler(init_loss_scaling=2.0**10)
        model, optimizer = paddle.amp.decorate(model, optimizer, level=options.amp_level)
    steps = len(_epoch_batches(config, train_loader, world, epoch=0))
    total_batch = min(config.DATASET.batch_size * world.size, len(train_loader.dataset))
    schedule = build_schedule(config, steps, total_batch)
    return Setup(
        config=config,
        options=options,
        world=world,
        device=device,
        folder=run_folder(config),
        model=model,
        network=wrap(model, world),
        optimizer=optimizer,
        scaler=scaler,
        schedule=schedule,
        train_loader=train_loader,
        valid_loader=valid_loader,
        log=MetricsLog(run_folder(config) / "metrics.jsonl"),
    )


def _check_samples(config: Config, samples: Sequence[Sample]) -> None:
    """Say at once what makes every sample fail, and which classes have none.

    Raises:
        DataError: none of the first training samples exists.
    """
    first = [sample.path for sample in samples[:_FIRST_SAMPLES]]
    if not any(os.path.exists(path) for path in first):
        raise DataError(
            f"{samples[0].where or config.DATASET.train.file_path}: {first[0]} does not exist, nor "
            f"do the other {len(first) - 1} of the first {len(first)} training samples; is "
            "DATASET.train.data_prefix (or suffix) right?"
        )
    absent = set(range(config.MODEL.head.num_classes)) - {sample.label for sample in samples}
    if absent:
        names = config.DATASET.class_names
        shown = [names[k] if isinstance(names, tuple) else k for k in sorted(absent)]
        logger.warning("classes without a single training clip: %s", listing(shown))


def _prepare_device(options: TrainOptions) -> str:
    device = select_device(options.device)
    if options.amp and device == "cpu":
        raise ConfigError("--amp: mixed precision needs a GPU; leave it out on --device cpu")
    if options.deterministic and device.startswith("gpu"):
        paddle.set_flags({"FLAGS_cudnn_deterministic": True})
    return device


def _epoch_batches(
    config: Config, loader: ClipLoader, world: World, *, epoch: int
) -> list[np.ndarray]:
    return train_batches(
        len(loader.dataset),
        config.DATASET.batch_size,
        epoch=epoch,
        seed=config.seed,
        rank=world.rank,
        world=world.size,
    )


def run_folder(config: Config) -> Path:
    """output_dir/model_name."""
    return Path(config.output_dir) / config.model_name


def _load_initial_weights(model: Recognizer2D, config: Config, options: TrainOptions) -> None:
    """-w replaces all weights; MODEL.backbone.pretrained those of the backbone."""
    if options.resume is not None:
        return  # the resume state holds everything
    if options.weights:
        logger.info("%s", load_weights(model, options.weights))
    elif config.MODEL.backbone.pretrained:
        try:
            logger.info("%s", load_pretrained_backbone(model, config.MODEL.backbone.pretrained))
        except WeightsError as err:
            place = config.place("MODEL", "backbone", "pretrained")
            raise WeightsError(
                f"{place}: {err} (-o MODEL.backbone.pretrained=null starts from random weights)"
            ) from err
    else:
        logger.info(
            "starting from random weights: neither MODEL.backbone.pretrained nor -w is given"
        )


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
        len(setup.train_loader.dataset),
        f", {len(setup.valid_loader.dataset)} for validation" if setup.valid_loader else "",
    )
    clips = len(setup.train_loader.dataset)
    left = clips - steps * setup.total_batch
    logger.info(
        "%s of %s of %d clips (%d per process x %d)%s, on %s, into %s",
        plural(config.epochs, "epoch"),
        plural(steps, "step"),
        min(setup.total_batch, clips),
        config.DATASET.batch_size,
        setup.world.size,
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
    if setup.schedule.scale != 1.0:
        logger.info(
            "learning rates are scaled by %.4g: they were set for a total batch of %d clips, "
            "this run has %d",
            setup.schedule.scale,
            config.OPTIMIZER.learning_rate.total_batch_size,
            min(setup.total_batch, clips),
        )
