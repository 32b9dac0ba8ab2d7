# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""A suggested configuration trains as typed."""

from __future__ import annotations

from pathlib import Path

from paddletsm.builders import load_config
from tests.e2e.conftest import Command


def test_suggest_then_train(bars: Path, command: Command, tmp_path: Path) -> None:
    out = tmp_path / "bars.yaml"
    options = ["--device", "cpu", "--memory", "2.52", "--name", "suggested"]
    suggested = command("main.py", "--suggest", bars, "--out", out, *options)
    assert suggested.returncode == 0, suggested.stderr
    config = load_config(out)
    assert config.OPTIMIZER.accumulate_steps > 1, "so little memory needs several batches a step"
    assert "RandomFlip: {label_map: [[0, 1]]}" in out.read_text()
    trained = command(
        "main.py", "-c", out, "--output_dir", tmp_path, "--max_iters", "2", "--no-validate"
    )
    assert trained.returncode == 0, trained.stdout[-2000:] + trained.stderr[-2000:]
    assert (tmp_path / "suggested/config.yaml").is_file()
