# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""``paddletsm export``: its words about the next step, replaced files, and weights of others."""

from __future__ import annotations

from pathlib import Path

import paddle
import pytest
import yaml

from paddletsm.builders import build_model, load_config
from paddletsm.cli import export as export_command
from paddletsm.cli import predict as predict_command
from paddletsm.cli import stream as stream_command
from tests.conftest import random_frames, write_video
from tests.unit.deploy.test_cli import CONFIG

RANDOM = ["-c", "tiny.yaml", "--random_weights"]
ONLINE = [*RANDOM, "--online", "--override", "MODEL.backbone.shift_mode=online"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with tiny.yaml and class folders "left" and "right", and it is the cwd."""
    for number, name in enumerate(("left", "right")):
        write_video(tmp_path / "data" / name / "clip.avi", random_frames(8, seed=number))
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(CONFIG))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("formats", "options"),
    [
        (["pdmodel", "onnx"], ""),
        (["json"], ""),
        (["onnx"], " --engine auto"),
        (["int8"], " --engine auto --precision int8"),
        (["int8", "onnx"], " --engine auto"),
    ],
)
def test_the_next_step_works(
    project: Path, formats: list[str], options: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime")
    words = ["--format", *formats, *(["--max_drop", "100"] if "int8" in formats else [])]
    assert export_command.main([*RANDOM, *words]) == 0
    line = (
        f"next: python tools/predict.py --model_dir inference/tiny --input_file CLIP.avi{options}"
    )
    printed = capsys.readouterr().out.splitlines()
    assert line in printed
    typed = line.replace("CLIP.avi", "data/left/clip.avi").split()[3:]
    assert predict_command.main(typed) == 0
    if "int8" in formats:
        assert any("on 2 clips" in text and "layer" in text for text in printed)


def test_the_next_step_of_a_stream_works(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxruntime")
    assert export_command.main([*ONLINE, "--format", "onnx"]) == 0
    line = (
        "next: python tools/predict_stream.py --model_dir inference/tiny --input CLIP.avi "
        "--engine auto"
    )
    assert line in capsys.readouterr().out.splitlines()
    typed = line.replace("CLIP.avi", "data/left/clip.avi").split()[3:]
    assert stream_command.main(typed) == 0


@pytest.mark.parametrize("word", ["MODEL.head.num_classes=27", "seed=3", "DATASET=3"])
def test_an_override_is_no_folder(
    project: Path, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export_command.main([*RANDOM, "-o", word]) == 2
    shown = capsys.readouterr().err
    assert (
        f"-o {word}: here -o is the output folder; to replace a value: --override {word}" in shown
    )
    assert sorted(path.name for path in project.iterdir()) == ["data", "tiny.yaml"]


def test_folders_with_an_equals_sign_can_be_had(project: Path) -> None:
    assert export_command.main([*RANDOM, "-o", "out/lr=0.1"]) == 0
    assert (project / "out/lr=0.1/inference.yml").is_file()


def test_formats_that_an_export_takes_away_are_named(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime")
    assert export_command.main([*RANDOM, "--format", "pdmodel", "json", "onnx"]) == 0
    assert "no longer there" not in capsys.readouterr().out
    (project / "inference/tiny/notes.txt").touch()
    assert export_command.main(RANDOM) == 0
    assert (
        "replaced; no longer there: tiny.json, tiny.json.pdiparams, tiny.onnx (an export writes "
        "all formats of a folder: name them together with --format)"
    ) in capsys.readouterr().out.splitlines()
    assert export_command.main(RANDOM) == 0
    assert "no longer there" not in capsys.readouterr().out


def trained(folder: Path, *overrides: str) -> Path:
    """Weights of a training of tiny.yaml with these overrides, as a run folder has them."""
    config = load_config("tiny.yaml", list(overrides))
    folder.mkdir(parents=True)
    paddle.save(build_model(config).state_dict(), str(folder / "tiny_best.pdparams"))
    (folder / "config.yaml").write_text(yaml.safe_dump(config.to_dict()))
    return folder / "tiny_best.pdparams"


def test_weights_of_another_training_are_refused(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    online = "MODEL.backbone.shift_mode=online"
    weights = trained(project / "online", online)
    assert export_command.main(["-c", "tiny.yaml", "-p", str(weights)]) == 2
    assert (
        f"tiny.yaml:{_line('backbone')}: MODEL.backbone.shift_mode: offline, but the weights were "
        f"trained with online ({weights.with_name('config.yaml')}); export with -c "
        f"{weights.with_name('config.yaml')}, or set --override MODEL.backbone.shift_mode=online"
    ) in capsys.readouterr().err
    assert not (project / "inference").exists()
    for words in (["-c", "tiny.yaml", "--override", online], ["-c", "online/config.yaml"]):
        assert export_command.main([*words, "-p", str(weights)]) == 0
        assert "warning" not in capsys.readouterr().err.lower()


def _line(key: str) -> int:
    lines = Path("tiny.yaml").read_text().splitlines()
    return 1 + next(number for number, line in enumerate(lines) if line.strip() == f"{key}:")


def test_another_number_of_frames_than_trained_is_warned_of(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = trained(project / "long", "MODEL.backbone.num_seg=8")
    assert export_command.main(["-c", "tiny.yaml", "-p", str(weights)]) == 0
    shown = capsys.readouterr().err
    assert "MODEL.backbone.num_seg: 4, but the weights were trained with 8" in shown


def test_a_config_beside_that_cannot_be_read_says_nothing(project: Path) -> None:
    weights = trained(project / "odd")
    for text in ("a: [", "model: PaddleVideo", ""):
        weights.with_name("config.yaml").write_text(text)
        assert export_command.main(["-c", "tiny.yaml", "-p", str(weights)]) == 0


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (["DATASET.train.file_path=gone", 'DATASET.class_names=["a","b"]'], "gone"),
        ([], "the file is empty (0 bytes)"),
    ],
)
def test_an_unknown_rate_tells_why_and_what_to_pass(
    project: Path, overrides: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for clip in project.glob("data/*/*.avi"):
        clip.write_bytes(b"")
    words = [word for override in overrides for word in ("--override", override)]
    assert export_command.main([*ONLINE, *words]) == 0
    shown = capsys.readouterr().out
    assert "unknown rate of frames: " in shown
    assert reason in shown
    assert "export with --clip_seconds SEC, the length of a training clip" in shown
    assert "or give --fps to predict_stream" in shown
    assert export_command.main([*ONLINE, *words, "--clip_seconds", "0.5"]) == 0
    assert "expects 8 frames per second" in capsys.readouterr().out
