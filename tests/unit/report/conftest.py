# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

NAMES = ("left", "right <&>", "up")


def write_csv(path: Path, rows: list[list]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def write_test(
    folder: Path, order: str, guesses: list[tuple[int, int, float]], **metrics: object
) -> None:
    """A test folder of guesses (label, prediction, score)."""
    folder.mkdir(parents=True)
    hits = sum(label == predicted for label, predicted, _ in guesses)
    values = {
        "top1": 100.0 * hits / len(guesses), "top5": 100.0, "mean_class": 50.0, "loss": 1.0,
        "num_samples": len(guesses), "num_failed": 0, "weights_sha256": "aa",
        "protocol": {"segments": 8, "clips": 1, "crops": 3, "frame_order": order}, "failed": [],
        **metrics,
    }  # fmt: skip
    (folder / "metrics.json").write_text(json.dumps(values))
    rows = [["path", "label", "prediction", "score", "label_name", "prediction_name"]]
    for index, (label, predicted, score) in enumerate(guesses):
        rows.append([f"clips/{index}.avi", label, predicted, score, "", ""])
    rows.append(["clips/broken.avi", 0, "", "", NAMES[0], "failed"])
    write_csv(folder / "predictions.csv", rows)
    write_csv(folder / "per_class.csv", [["label", "name"], *enumerate(NAMES)])


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A finished run with a test and its shuffled twin, without weights or videos."""
    folder = tmp_path / "TSM_tiny"
    guesses = [(0, 0, 0.9)] * 40 + [(1, 1, 0.8)] * 40 + [(1, 0, 0.6), (1, 0, 0.95), (2, 1, 0.7)]
    rng = np.random.default_rng(0)
    shuffled = [(label, int(rng.integers(3)), 0.5) for label, _, _ in guesses]
    failed = [{"path": "clips/broken.avi", "reason": "cannot be opened"}]
    write_test(folder / "test", "ordered", guesses, failed=failed, num_failed=1)
    write_test(folder / "test_shuffled", "shuffled", shuffled)
    (folder / "config.yaml").write_text(
        "model_name: TSM_tiny\nepochs: 2\n"
        "MODEL: {backbone: {name: ResNetTSM, depth: 18, num_seg: 8}, head: {num_classes: 3}}\n"
    )
    records = []
    for epoch, loss in ((1, 1.5), (2, None)):
        head = {"epoch": epoch, "step": 10 * epoch}
        records.append({"split": "train", **head, "loss": loss, "top1": 40.0, "lr": 0.01})
        records.append({"split": "valid", **head, "loss": 1.0, "top1": 60.0, "top5": 100.0})
    lines = [json.dumps(record) for record in records] + ['{"split": "val']  # cut off by a crash
    (folder / "metrics.jsonl").write_text("\n".join(lines))
    (folder / "environment.json").write_text(
        json.dumps({"command": "python main.py", "training_clips": 96, "versions": {"paddle": "3"}})
    )
    return folder
