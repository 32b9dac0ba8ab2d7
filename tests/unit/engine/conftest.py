# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Runs without data on disk: a tiny network, and clips made of noise."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import paddle
import pytest

from paddletsm.builders import load_config
from paddletsm.data import Batch, Sample
from paddletsm.engine.distributed import World
from paddletsm.engine.optim import build_optimizer, build_schedule
from paddletsm.engine.results import MetricsLog
from paddletsm.engine.setup import Setup, TrainOptions
from paddletsm.models import Recognizer2D, ResNetTSM, TSMHead

CONFIG = Path(__file__).resolve().parents[3] / "configs/tsm_motion.yaml"
SAMPLES = tuple(Sample(f"clip_{i}.avi", i % 3, i) for i in range(12))
MakeRun = Callable[..., Setup]


def noise(sample_id: int, epoch: int = 0) -> np.ndarray:
    """Frames [1, T, 3, H, W] of a sample in an epoch."""
    rng = np.random.default_rng((epoch, sample_id))
    return rng.standard_normal((1, 4, 3, 32, 32), np.float32)


def noise_batch(ids: np.ndarray, epoch: int = 0) -> Batch:
    clips = np.stack([noise(int(one), epoch) for one in ids])
    return Batch(clips, np.asarray(ids, np.int64) % 3, np.asarray(ids, np.int64), (), 0.0)


class NoiseData:
    """Stands in for a ClipDataset."""

    samples = SAMPLES
    pipeline = SimpleNamespace(target_size=32)

    def __len__(self) -> int:
        return len(self.samples)

    def read(self, sample: Sample, epoch: int) -> SimpleNamespace:
        return SimpleNamespace(frames=noise(sample.id, epoch))


class NoiseLoader:
    """Stands in for a ClipLoader."""

    def __init__(self) -> None:
        self.dataset = NoiseData()

    def iterate(self, batches: list[np.ndarray], epoch: int = 0) -> list[Batch]:
        return [noise_batch(ids, epoch) for ids in batches]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """A run of overrides; frozen=True keeps batch norm out of it, drop_ratio lets dropout in."""

    def make(
        *overrides: str, frozen: bool = False, drop_ratio: float = 0.0, **fields: object
    ) -> Setup:
        paddle.seed(0)
        config = load_config(CONFIG, ["DATASET.batch_size=4", *overrides])
        net = ResNetTSM(depth=18, width=0.125, num_seg=4, norm_eval=frozen)
        model = Recognizer2D(net, TSMHead(3, net.out_channels, drop_ratio))
        optimizer = build_optimizer(model, config)
        optimizer.set_lr(0.1)
        run = Setup(
            config=config,
            options=TrainOptions(),
            world=World(),
            device="cpu",
            folder=tmp_path,
            model=model,
            network=model,
            optimizer=optimizer,
            scaler=None,
            schedule=build_schedule(config, 3, 4),
            train_loader=NoiseLoader(),
            valid_loader=None,
            log=MetricsLog(tmp_path / "metrics.jsonl"),
        )
        return dataclasses.replace(run, **fields)

    return make
