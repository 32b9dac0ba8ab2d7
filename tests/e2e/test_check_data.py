# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Fifteen defects among 200 clips: all are named, nothing else is, and what is left trains."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import REPO
from tests.e2e.conftest import Command
from tests.e2e.planted import make_planted

CONFIG = """
_base_: {repo}/configs/_base_/data/motion.yaml
model_name: planted
MODEL:
  backbone: {{name: ResNetTSM, depth: 18, width: 0.125, num_seg: 8}}
  head: {{name: TSMHead, num_classes: 4, drop_ratio: 0.1}}
DATASET:
  class_names: {root}/classes.txt
  max_bad_fraction: 0.0
  train: {{file_path: {root}/clean_train.txt, data_prefix: {root}/clips}}
  valid: {{file_path: {root}/clean_valid.txt, data_prefix: {root}/clips}}
  test: {{file_path: {root}/clean_valid.txt, data_prefix: {root}/clips}}
epochs: 1
output_dir: {root}/output
"""


def test_planted_defects(tmp_path: Path, command: Command) -> None:
    planted = make_planted(tmp_path)
    assert len(planted) == 15
    options = (
        "--data_prefix", tmp_path / "clips", "--class_names", tmp_path / "classes.txt",
        "--workers", "2",
    )  # fmt: skip
    result = command(
        "tools/check_data.py", tmp_path / "train.txt", "--val", tmp_path / "val.txt", *options,
        "--json", tmp_path / "r.json", "--html", tmp_path / "r.html",
        "--fix", tmp_path / "clean.txt",
    )  # fmt: skip
    assert result.returncode == 1, result.stderr
    findings = json.loads((tmp_path / "r.json").read_text())["findings"]
    assert {finding["path"]: finding["kind"] for finding in findings} == planted
    assert len(findings) == 15
    assert all(path in result.stdout for path in planted)

    lines = (tmp_path / "train.txt").read_text().splitlines()
    clean = (tmp_path / "clean_train.txt").read_text().splitlines()
    assert clean == [line for line in lines if f"{tmp_path}/clips/{line.split()[0]}" not in planted]
    assert (tmp_path / "clean_valid.txt").read_text() == (tmp_path / "val.txt").read_text()

    (tmp_path / "own.yaml").write_text(CONFIG.format(repo=REPO, root=tmp_path))
    again = command("tools/check_data.py", "-c", tmp_path / "own.yaml")
    assert again.returncode == 0, again.stdout
    result = command("main.py", "-c", tmp_path / "own.yaml", "--device", "cpu")
    assert result.returncode == 0, result.stderr[-3000:]
    assert "skipped in training" not in result.stderr
