# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Everything a training run needs, built in named phases before the first step."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import paddle
from paddle import nn

from paddletsm.builders import build_dataset, build_model, index_of, resolve_classes
from paddletsm.config import Config
from paddletsm.data import (
    BalancedSampling,
    ClipDataset,
    ClipLoader,
    Sample,
    share_order,
    train_batches,
)
from paddletsm.engine.distributed import World, join_world, select_device, wrap
from paddletsm.engine.ema import Ema
from paddletsm.engine.optim import build_optimizer, build_schedule
from paddletsm.engine.results import MetricsLog
from paddletsm.engine.schedule import Schedule
from paddletsm.engine.writers import make_writers
from paddletsm.errors import ConfigError, DataError, WeightsError
from paddletsm.models import Recognizer2D
from paddletsm.models.weights import load_pretrained_backbone, load_weights
from paddletsm.utils.text import listing

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
        amp_dtype: "float16" or "bfloat16".
        max_iters: stop after this many steps.
        deterministic: refuse GPU algorithms whose result varies.
    """

    device: str | None = None
    weights: str | None = None
    resume: str | None = None
    validate: bool = True
    amp: bool = False
    amp_level: str = "O1"
    amp_dtype: str = "float16"
    max_iters: int | None = None
    deterministic: bool = False


@dataclass(frozen=True)
class Setup:
    """A run, ready to start.

    Attributes:
        network: the model, or its distributed wrapper.
        class_weights: factors of the loss by class, [K].
        balanced: how training samples are drawn, unless each comes once per epoch.
        notes: what this process found out about a loss that is not finite.
    """

    config: Config
    options: TrainOptions
    world: World
    device: str
    folder: Path
    model: Recognizer2D
    network: nn.Layer
    optimizer: paddle.optimizer.Optimizer
    scaler: paddle.amp.GradScaler | None
    schedule: Schedule
    train_loader: ClipLoader
    valid_loader: ClipLoader | None
    log: MetricsLog
    ema: Ema | None = None
    class_weights: paddle.Tensor | None = None
    balanced: BalancedSampling | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def total_batch(self) -> int:
        """Clips of one step over all processes and forward passes."""
        return step_clips(self.config) * self.world.size

    @property
    def epoch_clips(self) -> int:
        """Clips that an epoch draws: as many as there are samples."""
        return self.balanced.draws if self.balanced else len(self.train_loader.dataset)

    def batches(self, epoch: int) -> list[np.ndarray]:
        """Sample numbers of this process's steps of an epoch."""
        return _epoch_batches(self.config, self.epoch_clips, self.balanced, self.world, epoch=epoch)

    def paths_of(self, ids: Iterable[int]) -> list[str]:
        """Files of training samples, by their ids."""
        samples = self.train_loader.dataset.samples
        wanted = set(map(int, ids))
        paths = {sample.id: sample.path for sample in samples if sample.id in wanted}
        return [paths[int(one)] for one in ids]

    def close(self) -> None:
        """Stop the loaders' workers and finish the log."""
        self.log.close()
        self.train_loader.close()
        if self.valid_loader is not None:
            self.valid_loader.close()


def step_clips(config: Config) -> int:
    """Clips of one step and process."""
    return config.DATASET.batch_size * config.OPTIMIZER.accumulate_steps


def make_loader(config: Config, mode: str, samples: Sequence[Sample] | None = None) -> ClipLoader:
    """Loader of one mode with the configured workers and time limit; of other samples if given."""
    dataset = build_dataset(config, mode, on_device=True)
    if samples is not None:
        dataset = ClipDataset(samples, dataset.pipeline, seed=dataset.seed)
    return ClipLoader(
        dataset,
        num_workers=config.DATASET.num_workers,
        timeout_s=config.DATASET.sample_timeout_sec,
    )


def prepare(config: Config, options: TrainOptions) -> Setup:
    """Build a run; nothing is written yet.

    Raises:
        ConfigError, DataError, WeightsError: anything the user got wrong, before the first step.
    """
    # Device
    device = _prepare_device(options, config)
    # Data
    config = resolve_classes(config)
    samples = index_of(config, "train").samples
    balanced = BalancedSampling(samples) if config.DATASET.sampling == "balanced" else None
    train_loader = make_loader(config, "train", balanced.samples if balanced else None)
    _check_samples(config, samples)
    weights = class_weights(config, [sample.label for sample in samples])
    valid_loader = make_loader(config, "valid") if options.validate else None
    # Model, then the other processes: whatever is wrong so far ends each process by itself
    paddle.seed(config.seed)
    model = build_model(config)
    _load_initial_weights(model, config, options)
    world = join_world()
    if config.sync_bn and world.size > 1:
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        model.train()  # the new layers obey the policy of the backbone
    # Optimiser and schedule
    optimizer, scaler = build_optimizer(model, config), None
    if options.amp:
        model, optimizer, scaler = _mixed_precision(model, optimizer, options)
    steps = len(_epoch_batches(config, len(samples), balanced, world, epoch=0))
    total_batch = min(step_clips(config) * world.size, len(samples))
    schedule = build_schedule(config, steps, total_batch)
    return Setup(
        config=config,
        options=options,
        world=world,
        device=device,
        folder=run_folder(config),
        model=model,
        network=wrap(_compiled(model) if config.to_static else model, world),
        optimizer=optimizer,
        scaler=scaler,
        schedule=schedule,
        train_loader=train_loader,
        valid_loader=valid_loader,
        log=MetricsLog(
            run_folder(config) / "metrics.jsonl", make_writers(config.writers, run_folder(config))
        ),
        ema=Ema(model, config.EMA.decay) if config.EMA is not None else None,
        class_weights=weights,
        balanced=balanced,
    )


def _compiled(model: Recognizer2D) -> nn.Layer:
    """The network as a static graph; as a whole, for the piecewise compiler fails in places."""
    return paddle.jit.to_static(model, full_graph=True)


def class_weights(config: Config, labels: Sequence[int]) -> paddle.Tensor | None:
    """MODEL.class_weights as a tensor [K]; "balanced": n / (classes x clips of the class).

    Raises:
        ConfigError: a list of another length, or with a weight that is negative.
    """
    stated, classes = config.MODEL.class_weights, config.MODEL.head.num_classes
    if stated is None:
        return None
    if stated == "balanced":
        return paddle.to_tensor(balanced_weights(labels, classes).astype("float32"))
    if len(stated) != classes or min(stated) < 0 or max(stated) == 0:
        raise ConfigError(
            f"{config.place('MODEL', 'class_weights')}: expected {classes} weights of 0 or more, "
            f"one per class, or balanced; got {len(stated)}: {listing(stated)}"
        )
    return paddle.to_tensor(np.array(stated, "float32"))


def balanced_weights(labels: Sequence[int], classes: int) -> np.ndarray:
    """n / (classes that have clips x clips of the class), float64 [K]; 0 for a class without."""
    counts = np.bincount(labels, minlength=classes).astype(np.float64)
    present = counts > 0
    values = np.zeros(classes)
    values[present] = len(labels) / (present.sum() * counts[present])
    return values


def _mixed_precision(
    model: Recognizer2D, optimizer: paddle.optimizer.Optimizer, options: TrainOptions
) -> tuple[Recognizer2D, paddle.optimizer.Optimizer, paddle.amp.GradScaler | None]:
    """Network and optimiser for mixed precision; float16 gradients need their loss scaled."""
    dtype = options.amp_dtype
    scaler = None
    if dtype == "float16":
        scaler = paddle.amp.GradScaler(init_loss_scaling=2.0**10)
    model, optimizer = paddle.amp.decorate(model, optimizer, level=options.amp_level, dtype=dtype)
    return model, optimizer, scaler


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
            + (f" To prepare the data: {prepare}" if (prepare := config.DATASET.prepare) else "")
        )
    present = {label for sample in samples for label in sample.labels}
    absent = set(range(config.MODEL.head.num_classes)) - present
    if absent:
        names = config.DATASET.class_names
        shown = [names[k] if isinstance(names, tuple) else k for k in sorted(absent)]
        logger.warning("classes without a single training clip: %s", listing(shown))


def _prepare_device(options: TrainOptions, config: Config) -> str:
    device = select_device(options.device)
    if options.amp and device == "cpu":
        raise ConfigError(
            "--amp: mixed precision needs a GPU; Paddle computes in float32 on a CPU whatever it "
            "is asked for, so leave it out on --device cpu"
        )
    if config.sync_bn and device == "cpu":
        raise ConfigError(
            f"{config.place('sync_bn')}: Paddle's SyncBatchNorm runs on GPUs only; leave it out on "
            "--device cpu (with frozen statistics, norm_eval, processes agree without it)"
        )
    if options.deterministic and config.cudnn_benchmark:
        raise ConfigError(
            f"{config.place('cudnn_benchmark')}: --deterministic forbids choosing algorithms by "
            "their speed; leave one of the two out"
        )
    if device.startswith("gpu"):
        paddle.set_flags(
            {
                "FLAGS_cudnn_deterministic": options.deterministic,
                "FLAGS_cudnn_exhaustive_search": config.cudnn_benchmark,
            }
        )
    return device


def _epoch_batches(
    config: Config, clips: int, balanced: BalancedSampling | None, world: World, *, epoch: int
) -> list[np.ndarray]:
    size, seed, rank = step_clips(config), config.seed, world.rank
    if balanced is not None:
        order = balanced.order(epoch=epoch, seed=seed)
        return share_order(order, size, rank=rank, world=world.size)
    return train_batches(clips, size, epoch=epoch, seed=seed, rank=rank, world=world.size)


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
