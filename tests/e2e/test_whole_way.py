# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Train through the launcher, test, export, predict: the same clip, the same answer."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from paddletsm import Predictor
from tests.conftest import REPO
from tests.e2e.conftest import Command

LAUNCH = ("-m", "paddle.distributed.launch", "--nproc_per_node", "2")


def run_test(command: Command, config: Path, trained: Path, out: Path, *words: object) -> Path:
    """Test the trained weights into a folder of this test's own; return the folder of results."""
    arguments = [
        "main.py", "--test", "-c", config, "-w", trained / "TSM_bars_best.pdparams",
        "--output_dir", out, "--device", "cpu",
    ]  # fmt: skip
    is_launched = words[:1] == LAUNCH[:1]
    result = command(*words, *arguments) if is_launched else command(*arguments, *words)
    assert result.returncode == 0, result.stderr[-3000:]
    return out / "TSM_bars" / ("test_shuffled" if "shuffled" in words else "test")


def metrics_of(folder: Path) -> dict:
    return json.loads((folder / "metrics.json").read_text())


def test_run_folder_holds_what_it_promises(trained: Path) -> None:
    names = {path.name for path in trained.iterdir()}
    assert {"config.yaml", "train.log", "metrics.jsonl", "curves.png"} <= names
    assert {"TSM_bars_best.pdparams", "TSM_bars_epoch_00012.pdparams"} <= names
    assert not [name for name in names if name.endswith(".tmp")]
    records = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    for split in ("train", "valid"):
        assert [r["epoch"] for r in records if r["split"] == split] == list(range(1, 13))
    assert (trained / "curves.png").read_bytes().startswith(b"\x89PNG")
    log = (trained / "train.log").read_text()
    assert "ETA" in log
    assert "12 steps of 8 clips (4 per process x 2)" in log


def test_tsm_uses_the_order_of_frames(
    command: Command, config: Path, trained: Path, tmp_path: Path
) -> None:
    ordered = metrics_of(run_test(command, config, trained, tmp_path))
    shuffled = metrics_of(run_test(command, config, trained, tmp_path, "--frame_order", "shuffled"))
    assert ordered["num_samples"] == 21
    assert ordered["top1"] >= 90, ordered
    assert ordered["top5"] == 100.0  # two classes: top-5 is top-2
    assert ordered["top1"] - shuffled["top1"] >= 30, (ordered["top1"], shuffled["top1"])


def test_two_processes_give_the_metrics_of_one(
    command: Command, config: Path, trained: Path, tmp_path: Path
) -> None:
    one = run_test(command, config, trained, tmp_path / "one")
    launch = (*LAUNCH, "--log_dir", tmp_path / "log")
    two = run_test(command, config, trained, tmp_path / "two", *launch)
    for name in ("metrics.json", "predictions.csv", "per_class.csv"):
        assert (one / name).read_text() == (two / name).read_text()
    with (one / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    hits = sum(row["label"] == row["prediction"] for row in rows)
    assert 100.0 * hits / len(rows) == pytest.approx(metrics_of(one)["top1"], abs=1e-4)
    with (one / "per_class.csv").open() as file:
        assert sum(int(row["correct"]) for row in csv.DictReader(file)) == hits


def test_exported_copy_gives_the_same_logits_from_the_file_on(
    command: Command, config: Path, trained: Path, bars: Path, tmp_path: Path
) -> None:
    weights = trained / "TSM_bars_best.pdparams"
    result = command("tools/export_model.py", "-c", config, "-p", weights, "-o", tmp_path / "out")
    assert result.returncode == 0, result.stderr[-3000:]
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"TSM_bars.pdmodel", "TSM_bars.pdiparams", "inference.yml"}
    clips = sorted((bars / "test").rglob("*.avi"))[::5]
    eager = _eager_logits(config, weights, clips)
    moved = tmp_path / "elsewhere"  # the artefact needs nothing but itself
    shutil.move(tmp_path / "out", moved)
    predictor = Predictor(moved, threads=1)
    for clip, logits in zip(clips, eager, strict=True):
        prediction = predictor.predict(clip, top_k=5)
        np.testing.assert_allclose(prediction.logits, logits[None], atol=1e-4)  # one view
        assert prediction.labels[0] == ("left", "right")[int(logits.argmax())]
        assert sum(prediction.scores) == pytest.approx(1.0, abs=1e-5)
    result = command("tools/predict.py", "--input_file", clips[0], "--model_dir", moved, cwd=REPO)
    assert result.returncode == 0, result.stderr
    assert predictor.predict(clips[0]).labels[0] in result.stdout


def _eager_logits(config: Path, weights: Path, clips: list[Path]) -> list[np.ndarray]:
    import paddle

    import paddletsm
    from paddletsm.builders import build_data_pipeline
    from paddletsm.data import Sample

    cfg = paddletsm.load_config(config)
    model = paddletsm.build_model(cfg)
    paddletsm.load_weights(model, weights)
    model.eval()
    pipeline = build_data_pipeline(cfg, "test")
    rng = np.random.default_rng(0)
    result = []
    for number, clip in enumerate(clips):
        frames = pipeline(Sample(path=str(clip), label=0, id=number), rng).frames
        result.append(model(paddle.to_tensor(frames)).numpy()[0])
    return result
