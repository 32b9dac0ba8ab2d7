# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The two commands: what they print, write and return."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import paddle
import pytest
import yaml

from paddletsm.builders import build_model, load_config, pipeline_hash
from paddletsm.cli import export as export_command
from paddletsm.cli import predict as predict_command
from paddletsm.deploy import read_artefact
from paddletsm.utils.io import sha256_of
from tests.conftest import random_frames, write_video
from tests.unit.deploy.conftest import LABELS, NUM_SEG, SIZE

TRANSFORM = [
    {"Scale": {"short_size": 40}},
    {"CenterCrop": {"target_size": SIZE}},
    {"Normalization": {}},
]
PIPELINE = {"sample": {"name": "Sampler"}, "transform": TRANSFORM}
SPLIT = {"file_path": "data", "format": "VideoDataset"}
CONFIG = {
    "MODEL": {
        "framework": "Recognizer2D",
        "backbone": {"name": "ResNetTSM", "depth": 18, "width": 0.125, "num_seg": NUM_SEG},
        "head": {"name": "TSMHead"},
    },
    "DATASET": {"train": SPLIT, "valid": SPLIT},
    "PIPELINE": {"train": PIPELINE, "valid": PIPELINE},
    "OPTIMIZER": {
        "name": "Momentum",
        "learning_rate": {"name": "PiecewiseDecay", "boundaries": [1], "values": [0.1, 0.01]},
    },
    "model_name": "tiny",
    "epochs": 1,
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with tiny.yaml and class folders "left" and "right", and it is the cwd."""
    for number, name in enumerate(("left", "right")):
        write_video(tmp_path / "data" / name / "clip.avi", random_frames(8, seed=number))
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(CONFIG))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def with_model(artefact_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with inference/tiny, and it is the cwd."""
    shutil.copytree(artefact_dir, tmp_path / "inference" / "tiny")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_export_then_predict_with_the_defaults(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = project / "output" / "tiny" / "tiny_best.pdparams"
    weights.parent.mkdir(parents=True)
    model = build_model(load_config("tiny.yaml"))
    paddle.save(model.state_dict(), str(weights))
    figures = _write_test_figures(weights, project / "output/tiny/test/metrics.json")
    assert export_command.main(["-c", "tiny.yaml"]) == 0
    printed = capsys.readouterr().out
    for words in ("tiny.pdmodel", "tiny.pdiparams", "inference.yml", "largest difference"):
        assert words in printed
    assert "next: python tools/predict.py --model_dir inference/tiny --input_file" in printed
    artefact = read_artefact("inference/tiny")
    assert artefact.labels == ("left", "right")
    assert artefact.model["backbone"]["depth"] == 18
    assert artefact.weights_sha256 == sha256_of(weights)
    assert artefact.metrics == {"top1": 62.5, "num_samples": 8}
    assert "top-1 of these weights: 62.50 %" in printed
    _refuse_other_figures(figures, project / "output/tiny/test/metrics.json")
    assert predict_command.main(["-i", "data/left/clip.avi"]) == 0
    printed = capsys.readouterr().out
    assert "data/left/clip.avi" in printed
    assert "left" in printed
    assert "infer" in printed


def _write_test_figures(weights: Path, path: Path) -> dict[str, object]:
    path.parent.mkdir()
    figures = {
        "top1": 62.5,
        "num_samples": 8,
        "weights": str(weights),
        "weights_sha256": sha256_of(weights),
        "protocol": {"segments": NUM_SEG, "clips": 1, "crops": 1},
        "pipeline_sha256": pipeline_hash(load_config("tiny.yaml"), "test"),
    }
    path.write_text(json.dumps(figures))
    return figures


def _refuse_other_figures(figures: dict[str, object], path: Path) -> None:
    """Figures of other weights or of other preprocessing are not those of this artefact."""
    config = load_config("tiny.yaml")
    digest, pipeline = figures["weights_sha256"], figures["pipeline_sha256"]
    assert export_command._measured(config, digest, pipeline) == {"top1": 62.5, "num_samples": 8}
    larger = load_config("tiny.yaml", ["PIPELINE.valid.transform.0.Scale.short_size=48"])
    assert export_command._measured(config, digest, pipeline_hash(larger, "test")) is None
    assert export_command._measured(config, "0" * 64, pipeline) is None
    assert export_command._measured(config, None, pipeline) is None
    for text in (json.dumps({**figures, "pipeline_sha256": None}), "[1]", "{"):
        path.write_text(text)
        assert export_command._measured(config, digest, pipeline) is None


def test_random_weights_are_said_loudly(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["-c", "tiny.yaml", "--random_weights", "-o", "elsewhere"]
    assert export_command.main([*arguments, "--override", "model_name=trial"]) == 0
    assert "RANDOM WEIGHTS" in capsys.readouterr().out
    assert read_artefact("elsewhere").model_name == "trial"
    assert read_artefact("elsewhere").weights_sha256 == "random"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-c", "tiny.yaml"], "output/tiny/tiny_best.pdparams does not exist"),
        (["-c", "tiny.yaml"], "python main.py -c tiny.yaml"),
        (["-c", "tiny.yaml", "-p", "gone.pdparams"], "gone.pdparams"),
        (["-c", "tiny.yaml", "-p", "a", "--random_weights"], "exclude each other"),
        (["-c", "tny.yaml"], "did you mean 'tiny.yaml'"),
        (["-c", "tiny.yaml", "--random_weights", "--override", "seed=-1"], "seed: must not be"),
        (
            ["-c", "tiny.yaml", "--random_weights", "--override", "MODEL.head.name=TSMhead"],
            "-o MODEL.head.name=TSMhead: MODEL.head.name: unknown head",
        ),
        (["-c", "tiny.yaml", "--override", "MODEL.head.nme=3"], "did you mean 'name'"),
        (["-c", "tiny.yaml", "--random_weights", "-o", "data"], "holds other things"),
    ],
)
def test_export_refuses_in_one_message(
    project: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert export_command.main(arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error
    assert not (project / "inference").exists()


def test_every_clip_is_told_and_failures_give_exit_code_1(
    with_model: Path,
    videos: list[Path],
    broken_video: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    inputs = [str(path) for path in (videos[0], broken_video, videos[1])]
    assert predict_command.main(["-i", *inputs, "--output", "out.jsonl", "--top_k", "9"]) == 1
    printed = capsys.readouterr().out
    assert "3 clips, 1 failed" in printed
    assert "failed: " in printed
    records = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert [record["path"] for record in records] == inputs
    assert [record["error"] is None for record in records] == [True, False, True]
    assert len(records[0]["top"]) == len(LABELS)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_name_that_is_no_unicode_fails_alone(with_model: Path, videos: list[Path]) -> None:
    odd = os.fsdecode(b"odd \xff.avi")
    shutil.copy(videos[0], odd)
    assert predict_command.main(["-i", odd, str(videos[0]), "--output", "out.jsonl"]) == 1
    records = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert "not valid UTF-8" in records[0]["error"]
    assert records[0]["path"] == odd
    assert records[1]["error"] is None


@pytest.mark.parametrize(
    "options",
    [
        ["--model_dir", "inference/tiny"],
        ["--model_file", "inference/tiny/tiny.pdmodel"],
        [
            "--model_file=inference/tiny/tiny.pdmodel",
            "--params_file=inference/tiny/tiny.pdiparams",
            "--use_gpu=False",
            "--use_tensorrt=False",
            "--enable_mkldnn=False",
            "--cpu_threads=1",
            "--batch_size=2",
        ],
        ["--config", "inference/tiny/inference.yml", "--enable_mkldnn", "--use_gpu", "0"],
        ["--device", "cpu", "--enable_mkldnn", "1"],
    ],
    ids=lambda options: options[0],
)
def test_options_of_paddlevideo(with_model: Path, videos: list[Path], options: list[str]) -> None:
    assert predict_command.main(["--input_file", str(videos[0]), *options]) == 0


def test_config_names_the_model(project: Path, artefact_dir: Path) -> None:
    shutil.copytree(artefact_dir, project / "inference" / "tiny")
    clip = ["-i", "data/left/clip.avi"]
    assert predict_command.main([*clip, "--config", "tiny.yaml"]) == 0
    other = yaml.safe_dump({**CONFIG, "model_name": "other"})
    (project / "other.yaml").write_text(other)
    with_file = ["--model_file", "inference/tiny/tiny.pdmodel"]
    assert predict_command.main([*clip, *with_file, "--config", "other.yaml"]) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-i", "{video}x"], "did you mean"),
        (["-i", "{video}", "--model_dir", "inference/tny"], "did you mean 'inference/tiny'"),
        (
            ["-i", "{video}", "--model_file", "inference/tiny/TSM.pdmodel"],
            "consists of tiny.pdmodel",
        ),
        (
            ["-i", "{video}", "--params_file", "x/y.pdiparams", "--model_dir", "z"],
            "different folders",
        ),
        (["-i", "{video}", "--output", "out.txt"], "must end in .jsonl or .csv"),
        (["-i", "{video}", "--use_gpu", "--device", "cpu"], "contradicts"),
        (["-i", "{video}", "--device", "gqu"], "did you mean 'gpu'"),
        (["-i", "{video}", "--config", "inference/tiny/inference.yaml"], "inference.yaml"),
    ],
)
def test_predict_refuses_in_one_message(
    with_model: Path,
    videos: list[Path],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    arguments = [text.format(video=videos[0]) for text in arguments]
    assert predict_command.main(arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error


def test_without_any_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert predict_command.main(["-i", "clip.avi"]) == 2
    assert "no exported model under 'inference'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [[], ["-i"], ["-i", "a", "--topk", "3"], ["-i", "a", "--use_gpu", "maybe"]]
)
def test_wrong_usage_gives_exit_code_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        predict_command.main(arguments)
    assert caught.value.code == 2


@pytest.mark.parametrize("tool", ["predict", "export_model"])
def test_help_of_the_tools_imports_no_paddle(repo_dir: Path, tmp_path: Path, tool: str) -> None:
    code = (
        "import runpy, sys; sys.argv = ['tool', '--help']\n"
        f"try: runpy.run_path({str(repo_dir / 'tools' / f'{tool}.py')!r}, run_name='__main__')\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert not {'paddle', 'cv2', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout
