# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""A data set small enough to train on in seconds, and the commands as a user types them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import REPO, once, write_video

Command = Callable[..., subprocess.CompletedProcess]


def _clip(rng: np.random.Generator, is_left: bool) -> np.ndarray:
    """A bright bar that moves right over noise; played backwards it moves left."""
    frames = np.repeat(rng.integers(0, 90, (1, 64, 64, 3), dtype=np.uint8), 12, 0)
    top, left = rng.integers(4, 36), rng.integers(0, 24)
    for index in range(12):
        frames[index, top : top + 20, left + 2 * index : left + 2 * index + 12] = 230
    return frames[::-1] if is_left else frames


@pytest.fixture(scope="session")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with train/ val/ test/, two classes that only the order of frames tells apart.

    The numbers of clips do not divide by two processes or by the batch.
    """

    def make(root: Path) -> None:
        rng = np.random.default_rng(0)
        for split, count in (("train", 48), ("val", 13), ("test", 11)):
            for index in range(count):
                for name in ("left", "right"):
                    path = root / split / name / f"clip_{index:03d}.avi"
                    if split == "train" or index < count - (name == "left"):
                        write_video(path, _clip(rng, name == "left"))

    return once(tmp_path_factory, "bars", make)


@pytest.fixture(scope="session")
def config(bars: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A config of the tiny data set: eighth-width ResNet-18, 4 segments, 32 pixels."""
    path = tmp_path_factory.mktemp("config") / "bars.yaml"
    path.write_text(
        f"""
_base_: {REPO / "configs/_base_/data/motion.yaml"}
model_name: TSM_bars
MODEL:
  backbone: {{name: ResNetTSM, depth: 18, width: 0.125, num_seg: 4, shift_div: 4}}
  head: {{name: TSMHead, drop_ratio: 0.1}}
DATASET:
  batch_size: 8
  train: {{file_path: {bars / "train"}}}
  valid: {{file_path: {bars / "val"}}}
  test: {{file_path: {bars / "test"}}}
PIPELINE:
  train: {{transform: [{{RandomCrop: {{target_size: 48}}}}, {{Normalization: {{}}}}]}}
  valid: {{transform: [{{CenterCrop: {{target_size: 48}}}}, {{Normalization: {{}}}}]}}
OPTIMIZER:
  learning_rate: {{name: CosineDecay, base: 0.01, warmup_epochs: 1, total_batch_size: 8}}
epochs: 12
log_interval: 4
"""
    )
    return path


@pytest.fixture(scope="session")
def command() -> Command:
    """Run python with the given words in a folder; returns the finished process."""

    def run(
        *words: object, cwd: Path = REPO, timeout: float = 240, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, *map(str, words)],
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, "PADDLETSM_NUM_THREADS": "1", **(env or {})},
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def trained(config: Path, command: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run folder of a training that has succeeded, on two processes."""

    def make(output: Path) -> None:
        result = command(
            "-m", "paddle.distributed.launch", "--nproc_per_node", "2", "--log_dir", output / "log",
            "main.py", "-c", config, "--output_dir", output, "--device", "cpu",
            "-o", "DATASET.batch_size=4",
        )  # fmt: skip
        assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]

    return once(tmp_path_factory, "trained", make) / "TSM_bars"
