# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""A test in this process: what it leaves, and that a prediction is the same."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest

from paddletsm.builders import build_model, class_names, load_config, pipeline_spec
from paddletsm.config import config_hash
from paddletsm.deploy import Predictor, export_model
from paddletsm.engine import evaluate
from paddletsm.engine.evaluate import bounded_batch
from paddletsm.engine.testing import run_test
from paddletsm.protocols import protocol_name, with_protocol
from paddletsm.utils.io import sha256_of
from tests.conftest import REPO, random_frames, write_video

Test = Callable[..., dict[str, Any]]
FOLDER = Path("output/tiny/test")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Six clips of three classes, the last of which cannot be read."""
    for number in range(6):
        folder = tmp_path / "data" / ("left", "right", "up")[number % 3]
        write_video(folder / f"clip {number}.avi", random_frames(9, 48, 64, seed=number))
    (tmp_path / "data/up/clip 5.avi").write_bytes(b"no video")
    return tmp_path / "data"


@pytest.fixture
def config_file(data: Path, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(
        f"""
_base_: {REPO / "configs/_base_/data/motion.yaml"}
model_name: tiny
MODEL:
  backbone: {{name: ResNetTSM, depth: 18, width: 0.125, num_seg: 4}}
  head: {{name: TSMHead, std: 0.3}}
DATASET:
  train: {{file_path: {data}}}
  valid: {{file_path: {data}}}
  test: {{file_path: {data}}}
"""
    )
    return path


@pytest.fixture
def weights(config_file: Path, tmp_path: Path) -> Path:
    paddle.seed(3)
    path = tmp_path / "tiny.pdparams"
    paddle.save(build_model(load_config(config_file)).state_dict(), str(path))
    return path


@pytest.fixture
def run(config_file: Path, weights: Path) -> Test:
    def test(*overrides: str, **options: Any) -> dict[str, Any]:
        config = load_config(config_file, overrides)
        return run_test(config, weights=str(weights), device="cpu", **options)

    return test


def rows(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_files_of_a_test_agree(run: Test, data: Path, weights: Path) -> None:
    returned = run()
    metrics = json.loads((FOLDER / "metrics.json").read_text())
    assert metrics == returned
    assert metrics["config_sha256"] == config_hash(load_config(FOLDER / "config.yaml"))
    assert metrics["weights_sha256"] == sha256_of(weights)
    assert load_config(FOLDER / "config.yaml").model_name == "tiny"
    assert metrics["protocol"] == {
        "name": "efficient", "segments": 4, "clips": 1, "crops": 1, "size": 32,
        "average": "scores", "activation": "softmax", "frame_order": "ordered",
    }  # fmt: skip
    assert {"paddletsm", "paddle", "numpy", "opencv"} <= set(metrics["versions"])
    assert (metrics["num_samples"], metrics["num_failed"]) == (5, 1)
    (failed,) = metrics["failed"]
    assert failed["path"] == str(data / "up/clip 5.avi")
    assert failed["label"] == 2
    assert failed["reason"]
    stored = np.load(FOLDER / "scores.npz", allow_pickle=False)
    assert stored["scores"].shape == (5, 3)
    assert stored["scores"].dtype == np.float32
    np.testing.assert_allclose(stored["scores"].sum(1), 1, atol=1e-6)
    assert stored["class_names"].tolist() == ["left", "right", "up"]
    assert "logits" not in stored
    predictions = rows("predictions.csv")
    assert [row["path"] for row in predictions[:5]] == stored["paths"].tolist()
    best = stored["scores"].argmax(1)
    assert [int(row["prediction"]) for row in predictions[:5]] == best.tolist()
    assert predictions[5]["prediction_name"] == "failed"
    hits = best == stored["labels"]
    assert metrics["top1"] == pytest.approx(100 * hits.mean())
    low, high = metrics["top1_interval"]
    assert low < metrics["top1"] < high or low == 0 or high == 100
    support = [int(row["support"]) for row in rows("per_class.csv")]
    assert support == np.bincount(stored["labels"], minlength=3).tolist()
    matrix = list(csv.reader((FOLDER / "confusion_matrix.csv").open(newline="")))
    assert matrix[0][1:] == ["left", "right", "up"]
    counts = np.array([row[1:] for row in matrix[1:]], int)
    assert counts.sum() == 5
    assert counts.diagonal().sum() == hits.sum()


def test_results_of_another_protocol_are_kept(run: Test) -> None:
    run()
    before = (FOLDER / "scores.npz").read_bytes()
    metrics = run(protocol="ten_crop")
    assert metrics["protocol"]["name"] == "ten-crop"
    assert (metrics["protocol"]["clips"], metrics["protocol"]["crops"]) == (1, 10)
    assert FOLDER.with_name("test_efficient").joinpath("scores.npz").read_bytes() == before
    assert json.loads((FOLDER / "metrics.json").read_text()) == metrics
    run(protocol="ten-crop")
    assert not FOLDER.with_name("test_ten-crop").exists()


@pytest.mark.parametrize("average", ["scores", "logits"])
def test_prediction_is_what_the_test_stored(
    average: str, run: Test, config_file: Path, weights: Path, tmp_path: Path
) -> None:
    metrics = run(f"METRIC.average={average}", protocol="accurate")
    assert metrics["protocol"]["average"] == average
    stored = np.load(FOLDER / "scores.npz")
    config = load_config(config_file, [f"METRIC.average={average}"])
    config = with_protocol(config, "accurate")
    model = build_model(config)
    model.set_state_dict(paddle.load(str(weights)))
    folder = export_model(
        model,
        tmp_path / "artefact",
        name="tiny",
        spec=pipeline_spec(config, "test"),
        labels=class_names(config),
        target_size=36,
        protocol={"name": protocol_name(config), "average": config.METRIC.average},
    )
    predictor = Predictor(folder, threads=1, batch_size=6)
    assert predictor.artefact.protocol == {
        "clips": 2, "crops": 3, "average": average, "name": "accurate",
    }  # fmt: skip
    for row, path in enumerate(stored["paths"]):
        prediction = predictor.predict(path)
        scores = stored["scores"][row]
        assert prediction.label_ids == tuple(np.argsort(-scores, kind="stable"))
        np.testing.assert_allclose(prediction.scores, np.sort(scores)[::-1], rtol=1e-4)
        if average == "logits":
            expected = stored["logits"][row]
            np.testing.assert_allclose(prediction.logits.mean(0), expected, rtol=1e-5, atol=1e-4)


def test_the_rules_differ(run: Test) -> None:
    run(protocol="accurate")
    of_scores = np.load(FOLDER / "scores.npz")["scores"]
    run("METRIC.average=logits", protocol="accurate")
    stored = np.load(FOLDER / "scores.npz")
    assert np.abs(of_scores - stored["scores"]).max() > 1e-6
    exponents = np.exp(stored["logits"])
    expected = exponents / exponents.sum(1, keepdims=True)
    np.testing.assert_allclose(stored["scores"], expected, rtol=1e-5)


def test_many_views_are_read_and_computed_in_parts(
    run: Test, monkeypatch: pytest.MonkeyPatch
) -> None:
    """10 clips x 3 crops and batches of 8: one video at once, and no more clips than allowed."""
    sizes: list[int] = []
    chunks = evaluate._chunks

    def watched(clips: np.ndarray) -> Any:
        for part in chunks(clips):
            sizes.append(len(part))
            yield part

    monkeypatch.setattr(evaluate, "_chunks", watched)
    batches: list[list[int]] = []
    plan = evaluate.eval_batches

    def planned(*args: Any, **options: Any) -> Any:
        made = plan(*args, **options)
        batches.extend(made)
        return made

    monkeypatch.setattr(evaluate, "eval_batches", planned)
    run("DATASET.test_batch_size=8", protocol="dense")
    assert max(map(len, batches)) == 1
    assert sum(sizes) == 5 * 30
    monkeypatch.setattr(evaluate, "_MAX_PIXELS", 7 * 4 * 36 * 36)
    sizes.clear()
    run("DATASET.test_batch_size=8", protocol="dense")
    assert max(sizes) == 7
    assert sum(sizes) == 5 * 30


@pytest.mark.parametrize(
    ("batch", "views", "expected"), [(8, 1, 8), (64, 1, 32), (8, 10, 3), (8, 30, 1), (1, 90, 1)]
)
def test_batches_shrink_with_the_number_of_views(batch: int, views: int, expected: int) -> None:
    assert bounded_batch(batch, views) == expected
