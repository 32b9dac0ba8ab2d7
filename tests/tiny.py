# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""A data set and a configuration on which a training takes seconds; used by scripts and tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.conftest import REPO, write_video

NAME = "TSM_tiny"


def make_clips(root: Path, **counts: int) -> Path:
    """Write ``counts`` clips per split, half of each class: a bar that moves right or left."""
    rng = np.random.default_rng(0)
    for split, count in counts.items():
        for index in range(count):
            name = ("left", "right")[index % 2]
            frames = np.repeat(rng.integers(0, 90, (1, 40, 40, 3), dtype=np.uint8), 8, 0)
            top = rng.integers(2, 20)
            for frame in range(8):
                frames[frame, top : top + 16, 3 * frame : 3 * frame + 12] = 230
            path = root / split / name / f"clip_{index:03d}.avi"
            write_video(path, frames[::-1] if name == "left" else frames)
    return root


def write_config(path: Path, data: Path, more: str = "") -> Path:
    """Write a configuration of the clips; ``more`` is YAML of further top-level keys."""
    path.write_text(
        f"""
_base_: {REPO / "configs/_base_/data/motion.yaml"}
model_name: {NAME}
MODEL:
  backbone: {{name: ResNetTSM, depth: 18, width: 0.0625, num_seg: 2, shift_div: 2}}
  head: {{name: TSMHead, drop_ratio: 0.1}}
DATASET:
  batch_size: 4
  train: {{file_path: {data / "train"}}}
  valid: {{file_path: {data / "valid"}}}
  test: {{file_path: {data / "test"}}}
log_interval: 1
{more}
"""
    )
    return path


def environment() -> dict[str, str]:
    """One thread per process, and this checkout before an installed one."""
    return {**os.environ, "PADDLETSM_NUM_THREADS": "1", "PYTHONPATH": str(REPO)}


def command(config: Path, output: Path, *words: str, processes: int = 1) -> list[str]:
    """Words of a training command on the CPU."""
    launch = ["-m", "paddle.distributed.launch", "--nproc_per_node", str(processes)]
    launch = [*launch, "--log_dir", str(output / "log")] if processes > 1 else []
    main = ["main.py", "-c", str(config), "--device", "cpu", "--output_dir", str(output)]
    return [sys.executable, *launch, *main, *words]


def start(words: list[str], **options: object) -> subprocess.Popen:
    """Start a command in the background; its output goes nowhere unless asked for."""
    defaults = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "text": True}
    return subprocess.Popen(
        words, cwd=REPO, env=environment(), start_new_session=True, **{**defaults, **options}
    )
