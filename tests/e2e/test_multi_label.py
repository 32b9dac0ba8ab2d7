# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Clips with several labels: train, test, export and predict on tiny clips, and what is refused."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from paddletsm.builders import build_dataset, load_config
from paddletsm.cli import export as export_command
from paddletsm.cli import fuse as fuse_command
from paddletsm.cli import predict as predict_command
from paddletsm.cli import train as train_command
from paddletsm.data import ClipLoader
from paddletsm.deploy import Predictor
from paddletsm.errors import ConfigError
from tests.tiny import NAME, make_clips, write_config

NAMES = ["left", "right", "every second"]
LABELS = ["0", "1", "0,2", "1,2"]  # of the clips in turn; left and right alternate


@pytest.fixture(scope="module")
def config_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_clips(tmp_path_factory.mktemp("multi_label"), train=16, valid=8, test=8)
    path = write_config(root / "tiny.yaml", root, "epochs: 2")
    text = path.read_text()
    for split in ("train", "valid", "test"):
        clips = sorted((root / split).rglob("*.avi"), key=lambda clip: clip.name)
        lines = [f"{clip} {LABELS[i % 4]}\n" for i, clip in enumerate(clips)]
        (root / f"{split}.list").write_text("".join(lines))
        text = text.replace(f"{root / split}}}", f"{root / split}.list}}")
    flip = "PIPELINE:\n  train:\n    sample: {num_seg: 2}\n    transform:\n"
    flip += "    - RandomFlip: {p: 1.0, label_map: [[0, 1]]}\n    - CenterCrop: {target_size: 32}\n"
    flip += "    - Normalization: {mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]}\n"
    text = text.replace("MODEL:\n", f"{flip}MODEL:\n  loss: bce\n")
    text = text.replace("drop_ratio: 0.1}", "drop_ratio: 0.1, num_classes: 3, std: 0.3}")
    text = text.replace("DATASET:\n", f"DATASET:\n  class_names: {json.dumps(NAMES)}\n")
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def run(config_file: Path) -> Path:
    """Folder of a training that was tested with ten crops."""
    output = config_file.parent / "output"
    words = ["-c", str(config_file), "--device", "cpu", "--output_dir", str(output)]
    mix = ["-o", "MIX={name: Mixup, alpha: 0.5}", "-o", "MODEL.class_weights=[1, 1, 2]"]
    assert train_command.main([*words, *mix, "-o", "OPTIMIZER.accumulate_steps=2"]) == 0
    assert train_command.main([*words, "--test", "--protocol", "ten-crop"]) == 0
    return output / NAME


def targets() -> np.ndarray:
    return np.array([[str(k) in labels.split(",") for k in range(3)] for labels in LABELS * 2], int)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_training_is_judged_by_its_map(run: Path) -> None:
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    train, valid = ([r for r in records if r["split"] == s] for s in ("train", "valid"))
    assert len(train) == len(valid) == 2
    assert {"hit1", "exact", "loss"} <= set(train[0])
    assert {"mAP", "hit1", "exact", "loss"} <= set(valid[0])
    assert not {"top1", "top5"} & {*train[0], *valid[0]}
    log = (run / "train.log").read_text()
    assert f"best validation: mAP {max(r['mAP'] for r in valid):.2f}" in log
    assert (run / f"{NAME}_best.pdparams").is_file()


def test_the_files_of_a_test_agree(run: Path) -> None:
    stored = np.load(run / "test/scores.npz")
    np.testing.assert_array_equal(stored["labels"], targets())
    scores = stored["scores"].astype(np.float64)
    metrics = json.loads((run / "test/metrics.json").read_text())
    assert metrics["protocol"]["activation"] == "sigmoid"
    is_right = (scores > 0.5) == targets()
    assert metrics["exact"] == pytest.approx(100 * is_right.all(1).mean())
    own = np.where(targets(), scores, 1 - scores)
    assert metrics["loss"] == pytest.approx(-np.log(own).mean(), abs=1e-5)
    classes = rows(run / "test/per_class.csv")
    mean = np.mean([float(row["average_precision"]) for row in classes])
    assert metrics["mAP"] == pytest.approx(mean, abs=0.01)
    assert [int(row["clips"]) for row in classes] == targets().sum(0).tolist()
    for row, line, clip in zip(rows(run / "test/predictions.csv"), scores, LABELS * 2, strict=True):
        above = {str(k) for k in np.flatnonzero(line > 0.5)}
        assert set(filter(None, row["predictions"].split(","))) == above
        assert row["labels"] == clip
        assert row["label_names"] == "; ".join(NAMES[int(k)] for k in clip.split(","))
    assert not list((run / "test").glob("confusion*"))
    page = (run / "report.html").read_text()
    assert "average precision" in page
    assert "Confusion" not in page
    assert "test mAP" in page


def test_a_prediction_is_what_the_test_stored(
    config_file: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["-c", str(config_file), "--override", f"output_dir={run.parent}"]
    words += ["--protocol", "ten-crop", "-o", str(tmp_path / "artefact")]
    assert export_command.main(words) == 0
    assert "measured mAP of these weights" in capsys.readouterr().out
    stored = np.load(run / "test/scores.npz")
    predictor = Predictor(tmp_path / "artefact", threads=1, batch_size=10)
    assert predictor.artefact.activation == "sigmoid"
    for path, scores in zip(stored["paths"], stored["scores"], strict=True):
        prediction = predictor.predict(path)
        found = dict(zip(prediction.label_ids, prediction.scores, strict=True))
        np.testing.assert_allclose([found[k] for k in range(3)], scores, rtol=1e-4)
        sigmoid = 1 / (1 + np.exp(-prediction.logits.astype(np.float64)))
        np.testing.assert_allclose(sigmoid.mean(0), scores, rtol=1e-4)
    listed = ["--model_dir", str(tmp_path / "artefact"), "--cpu_threads", "1"]
    listed += ["--input_file", str(config_file.parent / "test.list")]
    assert predict_command.main(listed) == 0
    assert "top-1" not in capsys.readouterr().out
    assert export_command.main([*words, "--online"]) == 2
    assert "MODEL.loss" in capsys.readouterr().err


def test_labels_reach_the_batch_flipped(config_file: Path) -> None:
    config = load_config(config_file)
    expected = targets()[:, [1, 0, 2]]
    for workers in (0, 1):
        with ClipLoader(build_dataset(config, "train"), num_workers=workers) as loader:
            (batch,) = loader.iterate([np.arange(8)])
        assert batch.labels.tolist() == [1, 0, 1, 0] * 2
        np.testing.assert_array_equal(batch.with_multi_hot(3).labels, expected)


def test_fusion_is_refused(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    test = str(run / "test")
    assert fuse_command.main([test, test, "--output", str(tmp_path / "fused")]) == 2
    assert "several labels" in capsys.readouterr().err


@pytest.mark.parametrize(
    "override",
    ["MODEL.label_smoothing=0.1", "MODEL.class_weights=balanced", "DATASET.sampling=balanced"],
)
def test_what_needs_one_label_is_refused(config_file: Path, override: str) -> None:
    key = override.partition("=")[0]
    with pytest.raises(ConfigError, match=rf"{key}.*MODEL\.loss: bce"):
        load_config(config_file, [override])
