# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""From a configuration to a stream that agrees with the offline test, and what it costs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import paddle
import pytest

import paddletsm
from paddletsm.benchmarks import stream as stream_benchmark
from paddletsm.builders import build_dataset, build_model, load_config
from paddletsm.cli.benchmark import main as benchmark
from paddletsm.cli.export import main as export
from paddletsm.deploy import read_artefact
from paddletsm.deploy.engine import has_openvino
from paddletsm.deploy.engines import is_installed
from tests.conftest import REPO
from tests.tiny import make_clips, write_config

NETWORK = ["-c", str(REPO / "configs/tsm_motion_online.yaml"), "-o", "MODEL.head.num_classes=8"]


@pytest.fixture(autouse=True)
def _no_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    """The figures are not looked at."""
    monkeypatch.setattr(stream_benchmark, "_REST_S", 0.0)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of one second: 8 frames at 8 per second, 2 of them seen."""
    root = tmp_path_factory.mktemp("stream")
    data = make_clips(root, train=6, valid=2, test=6)
    path = write_config(root / "tiny.yaml", data)
    text = path.read_text().replace("shift_div: 2}", "shift_div: 2, shift_mode: online}")
    path.write_text(text.replace("num_seg: 2", "num_seg: 4"))
    return path


@pytest.fixture(scope="module")
def weights(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random, but with logits that tell clips apart."""
    paddle.seed(0)
    model = build_model(load_config(config))
    model.head.fc.weight.set_value(paddle.randn(model.head.fc.weight.shape))
    path = tmp_path_factory.mktemp("weights") / "weights.pdparams"
    paddle.save(model.state_dict(), str(path))
    return path


def test_a_stream_agrees_with_the_offline_test(
    config: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, figures = tmp_path / "online", tmp_path / "figures.json"
    words = ["--online", "-c", str(config), "-p", str(weights), "-o", str(folder)]
    assert export(words) == 0
    printed = capsys.readouterr().out
    assert "expects 4 frames per second: 4 frames of clips of 1 s" in printed
    assert "predict_stream.py" in printed
    assert read_artefact(folder).stream["fps"] == pytest.approx(4.0)

    settings = load_config(config)
    model = build_model(settings)
    paddletsm.load_weights(model, weights)
    model.eval()
    data = build_dataset(settings, "test")
    stream = paddletsm.StreamPredictor(folder, threads=1)
    right = 0
    for number, sample in enumerate(data.samples):
        clip = data.load(number).frames
        with paddle.no_grad():
            offline = model(paddle.to_tensor(clip)).numpy()[0]
        np.testing.assert_allclose(stream.logits(clip[0]).mean(0), offline, rtol=1e-4, atol=1e-4)
        right += offline.argmax() == sample.label

    words = ["stream", "--evaluate", str(folder), "-c", str(config), "--json", str(figures)]
    assert benchmark(words) == 0
    (found,) = json.loads(figures.read_text())
    assert found["agreement"]["clips"] == 6
    assert found["agreement"]["same_frames"] == pytest.approx(100 * right / 6)


def test_cost_and_a_long_stream(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = tmp_path / "figures.json"
    words = ["stream", *NETWORK, "--threads", "1", "--rounds", "2", "--json", str(figures)]
    assert benchmark([*words, "--soak", "2", "--fps", "10", "--fast"]) == 0
    (found,) = json.loads(figures.read_text())
    kernels = ["OpenVINO", "oneDNN"] if has_openvino() else ["oneDNN"]
    others = filter(is_installed, ("onnxruntime", "openvino"))
    names = [*(f"paddle {name}" for name in kernels), *others]
    assert [cost.pop("engine") for cost in found["costs"]] == names
    assert all(min(cost.values()) > 0 for cost in found["costs"])
    assert found["soak"]["engine"] == names[0]
    assert sum(line["frames"] for line in found["soak"]["minutes"]) == 20
    assert found["soak"]["seconds"] == 2
    printed = capsys.readouterr().out
    assert all(name in printed for name in names)


def test_one_engine_may_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = tmp_path / "figures.json"
    words = ["stream", *NETWORK, "--threads", "1", "--rounds", "1", "--json", str(figures)]
    words += ["--soak", "1", "--fps", "4", "--fast", "--engine", "onnxruntime"]
    assert benchmark(words) == 0
    (found,) = json.loads(figures.read_text())
    assert [cost["engine"] for cost in found["costs"]] == ["onnxruntime"]
    assert found["soak"]["engine"] == "onnxruntime"
    assert "onnxruntime, 1 s at 4 frames" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--fps", "0"], "--fps must be from"),
        (["--engine", "paddle", "opnvino"], "did you mean 'openvino'"),
        (["--json", "."], "is a folder"),
    ],
)
def test_wrong_numbers(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark(["stream", *NETWORK, *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--clip_seconds", "2"], "needs --online"),
        (["--average_frames", "2"], "needs --online"),
        (["--online", "--format", "int8"], "the formats pdmodel, onnx, not int8"),
        (["--online", "--format", "pdmodel", "onx"], "did you mean 'onnx'"),
        (["--online", "--override", "MODEL.backbone.shift_mode=offline"], "shift_mode: online"),
        (["--online", "--protocol", "accurate"], "3 crops"),
        (["--override", "MODEL.backbone.temporal_pool=true"], "temporal_pool"),
        (["--override", "MODEL.backbone.shift_padding=circulant"], "circulant"),
        (["--override", "MODEL.backbone.non_local=gaussian"], "non_local"),
    ],
)
def test_export_refuses(
    config: Path, tmp_path: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert export(["-c", str(config), "--random_weights", "-o", str(out), *words]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()
