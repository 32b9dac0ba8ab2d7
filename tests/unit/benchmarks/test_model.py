# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of networks runs as typed and compares what it says it compares."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from paddletsm.benchmarks.contestants import with_operator, without_shift
from paddletsm.benchmarks.model import Timing, draw, measure, table
from paddletsm.cli.benchmark import main
from paddletsm.deploy.engine import has_openvino
from paddletsm.deploy.engines import is_installed
from paddletsm.errors import ExportError
from paddletsm.models import MobileNetV2, MobileNetV2TSM, Recognizer2D, ResNet, ResNetTSM, TSMHead
from tests.conftest import REPO

CONFIG = str(REPO / "configs/tsm_motion.yaml")
NETWORK = ["-c", CONFIG, "-o", "MODEL.head.num_classes=8"]  # the data need not be there
HAS_ONNX = is_installed("onnx") and is_installed("onnxruntime")


def test_model_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    engine = "onnxruntime" if HAS_ONNX else "paddle"  # the former starts faster
    results, picture = tmp_path / "model.json", tmp_path / "model.png"
    words = ["model", *NETWORK, "--runs", "1", "--threads", "1", "--engines", engine]
    assert main([*words, "--json", str(results), "--png", str(picture)]) == 0
    found = json.loads(results.read_text())
    names = [one["name"] for one in found["results"]]
    forms = ["no shift", "exported", "slices"] + ["temporal_shift operator"] * (not HAS_ONNX)
    gemm = "GEMM of the same multiply-adds"
    plain = f"{engine} oneDNN" if has_openvino() and not HAS_ONNX else engine
    slower = [f"{plain} fp32, {form}" for form in forms]
    faster = [f"{engine} OpenVINO fp32, {form}" for form in forms[:3]] if plain != engine else []
    assert names == [*faster, *slower, gemm]
    assert found["results"][0]["ratio"] == 1
    for one in found["results"]:
        assert one["p95_ms"] >= one["p50_ms"] > 0
        assert one["resident_mb"] > 20
        assert one["startup_s"] > 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert "0.70 M parameters" in printed
    assert all(name in printed for name in names)


def test_train_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *NETWORK, "--runs", "1", "--batch_size", "2", "--threads", "1"]) == 0
    assert "training step, no shift" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "say what to measure: model, train, "),
        (["model", "-c", CONFIG, "--engines", "padle"], "did you mean 'paddle'"),
        (["model", "-c", CONFIG, "--precision", "int4"], "known: fp32, int8"),
    ],
)
def test_wrong_options(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("shifted", "plain"),
    [
        (ResNetTSM(18, 0.125, 4), ResNet(18, 0.125, 4)),
        (MobileNetV2TSM(0.25, 4), MobileNetV2(0.25, 4)),
    ],
    ids=["resnet", "mobilenet"],
)
def test_the_floor_is_the_network_without_shift(shifted: ResNet, plain: ResNet) -> None:
    import paddle

    floor = without_shift(Recognizer2D(shifted, TSMHead(3, shifted.out_channels)))
    reference = Recognizer2D(plain, TSMHead(3, plain.out_channels))
    reference.set_state_dict(floor.state_dict())
    for model in (floor, reference):
        model.eval()
    clips = paddle.to_tensor(np.random.default_rng(0).standard_normal((1, 4, 3, 32, 32), "float32"))
    np.testing.assert_array_equal(floor(clips).numpy(), reference(clips).numpy())


def test_the_operator_computes_the_same() -> None:
    import paddle

    network = ResNetTSM(18, 0.125, 4)
    model = Recognizer2D(network, TSMHead(3, network.out_channels))
    model.eval()
    clips = paddle.to_tensor(np.random.default_rng(0).standard_normal((1, 4, 3, 32, 32), "float32"))
    found = with_operator(model)(clips).numpy()
    np.testing.assert_allclose(found, model(clips).numpy(), atol=1e-6)
    assert not np.allclose(found, without_shift(model)(clips).numpy(), atol=1e-6)


def test_a_process_that_dies_is_told() -> None:
    task = {"kind": "network", "engine": "paddle", "paths": ["no", "no"], "threads": 1}
    with pytest.raises(ExportError, match="broken: the measuring process has ended"):
        measure({"broken": {**task, "clips": [1, 4, 3, 32, 32]}}, runs=1)


def test_picture_and_table_of_known_figures(tmp_path: Path) -> None:
    timings = [Timing(name, 10.0, 12.0, 9.0, 100.0, 1.0, 300.0, 2.0, 0.5) for name in ("a", "bb")]
    assert table(timings).splitlines()[1].split()[:3] == ["a", "10.0", "12.0"]
    draw(timings, tmp_path / "x.png", "title")
    assert (tmp_path / "x.png").stat().st_size > 1000
