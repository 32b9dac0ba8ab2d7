# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""``paddletsm predict``: what it refuses, and what it says of many clips."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from paddletsm.cli import predict as command
from paddletsm.cli import predict_run
from paddletsm.deploy import Prediction
from tests.unit.deploy.conftest import LABELS

Capture = pytest.CaptureFixture[str]


class FakePredictor:
    """Gives every clip class 1, "jump"; a clip named "broken" fails, at "stop" a signal comes."""

    opened: list[dict[str, Any]] = []  # noqa: RUF012

    def __init__(self, folder: Path, **options: Any) -> None:
        self.opened.append(options)

    def predict_many(self, paths: list[str], top_k: int) -> Iterator[Prediction]:
        for path in paths:
            if "stop" in path:
                os.kill(os.getpid(), getattr(signal, Path(path).stem.removeprefix("stop_")))
            if "broken" in path:
                yield Prediction(path, error=f"{path}: truncated")
                continue
            ids = (1, 0, 2, 3, 4)[:top_k]
            yield Prediction(path, tuple(LABELS[n] for n in ids), ids, (0.2,) * len(ids))


@pytest.fixture
def place(artefact_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cwd: inference/tiny with the network as json too, and clips of no content."""
    shutil.copytree(artefact_dir, tmp_path / "inference" / "tiny")
    for name in ("a", "b", "c", "broken", "stop_SIGINT", "stop_SIGTERM"):
        (tmp_path / f"{name}.avi").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("paddletsm.deploy.predictor.Predictor", FakePredictor)
    FakePredictor.opened.clear()
    return tmp_path


def run(*words: str) -> int:
    return command.main(["--model_dir", "inference/tiny", *words])


def write_list(text: str, name: str = "list.txt") -> str:
    Path(name).write_text(text)
    return name


@pytest.mark.parametrize("how", ["list", "link", "clip", "resume"])
def test_results_never_replace_an_input(place: Path, capsys: Capture, how: str) -> None:
    content = "a.avi,jump\nb.avi,run\n"
    write_list(content, "in.csv")
    output, inputs = "in.csv", ["in.csv"]
    if how == "link":
        output = "link.csv"
        Path(output).symlink_to("in.csv")
    if how == "clip":  # nothing keeps a video from being called so
        inputs = ["a.avi", "clips"]
        Path("clips").mkdir()
        Path("clips/b.avi").hardlink_to("in.csv")
    assert run("-i", *inputs, "--output", output, *(["--resume"] if how == "resume" else [])) == 2
    assert f"--output {output}: would overwrite" in capsys.readouterr().err
    assert Path("in.csv").read_text() == content
    assert not FakePredictor.opened


@pytest.mark.parametrize("output", ["out.jsonl", "out.csv"])
def test_top1_speaks_of_all_clips_of_the_input(place: Path, capsys: Capture, output: str) -> None:
    name = write_list("a.avi jump\nb.avi run\nbroken.avi jump\n")
    half = "top-1 of 2 labelled clips: 50.00 %, without 1 that failed"
    assert run("-i", name, "--output", output) == 1
    assert capsys.readouterr().out.splitlines()[-1] == half
    assert run("-i", name, "--output", output, "--resume") == 1
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1] == half, "nothing was left to do"
    write_list("a.avi jump\nb.avi run\nc.avi 1\n")
    assert run("-i", name, "--output", output, "--resume") == 0, "the failed clip is gone"
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1] == "top-1 of 3 labelled clips: 66.67 %"
    assert "1 earlier result of clips that are not among the inputs" in printed
    assert len(FakePredictor.opened) == 2


def test_without_output_top1_is_that_of_this_run(place: Path, capsys: Capture) -> None:
    assert run("-i", write_list("a.avi jump\nbroken.avi 0\nb.avi 0\nc.avi\n")) == 1
    last = "top-1 of 2 labelled clips: 50.00 %, without 1 that failed"
    assert capsys.readouterr().out.splitlines()[-1] == last


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a.avi jump\nb.avi jmp\n", "list.txt:2: the label 'jmp', the last field of the line, is"),
        ("a.avi jump\nb.avi jmp\n", "did you mean 'jump'"),
        ("a.avi 0\nb.avi 99\nc.avi 98\n", "list.txt:2: the label '99'"),
        ("a.avi 0\nb.avi 99\nc.avi 98\n", "(its classes are 0 to 4); so it is with 1 line more"),
        ("a.avi 0\nb.avi -1\n", "list.txt:2: the label '-1'"),
    ],
)
def test_labels_that_are_no_class_are_refused(
    place: Path, capsys: Capture, text: str, words: str
) -> None:
    assert run("-i", write_list(text), "--output", "out.jsonl") == 2
    assert words in capsys.readouterr().err
    assert not Path("out.jsonl").exists()


def test_a_list_of_another_data_set_is_predicted_without_top1(place: Path, capsys: Capture) -> None:
    other = write_list("a.avi archery\nb.avi jmp\n", "other.txt")
    assert run("-i", other) == 0
    said = capsys.readouterr()
    assert "top-1" not in said.out
    assert "other.txt: none of its labels is a class of the model (2 labels, the first" in said.err
    assert run("-i", other, write_list("c.avi jump\n")) == 0
    assert "top-1 of 1 labelled clip: 100.00 %" in capsys.readouterr().out


def test_timeline_is_refused_under_the_launcher(
    place: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PADDLE_TRAINERS_NUM", "2")
    assert run("-i", "a.avi", "--timeline", "out") == 2
    assert "--timeline runs in one process, not in 2" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupted_run_tells_how_to_continue(place: Path, capsys: Capture, name: str) -> None:
    before = signal.getsignal(signal.SIGTERM)
    words = ["-i", "a.avi", "b.avi", f"stop_{name}.avi", "c.avi", "--output", "out.jsonl"]
    assert run(*words) == 128 + getattr(signal, name)
    error = capsys.readouterr().err
    assert "interrupted: 2 of 4 clips done" in error
    assert "with --resume" in error
    assert "Traceback" not in error
    assert len(Path("out.jsonl").read_text().splitlines()) == 2
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--engine", "openvino", "--enable_openvino", "False"], "contradicts --enable_openvino"),
        (["--model_file", "inference/tiny/tiny.pdiparams"], "not the structure and weights of one"),
        (["--model_file", "{json}", "--params_file", "{pdiparams}"], "of one format (pdmodel: t"),
        (["--model_file", "{onnx}"], "network for openvino and onnxruntime, not for paddle"),
        (["--model_file", "{int8}", "--engine", "auto"], "use --precision int8"),
        (["--model_file", "{json}", "--precision", "int8"], "use --precision fp32"),
        (["--engine", "opnvino"], "did you mean 'openvino'"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    place: Path, capsys: Capture, all_forms: dict[str, str], words: list[str], message: str
) -> None:
    old = Path("out.jsonl")
    old.write_text("of an earlier run\n")
    words = [word.format(**all_forms) for word in words]
    assert run("-i", "a.avi", "--output", "out.jsonl", *words) == 2
    assert message in capsys.readouterr().err
    assert old.read_text() == "of an earlier run\n"


@pytest.fixture
def all_forms(place: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Files by a name of theirs; the artefact is said to hold four formats."""
    from paddletsm.deploy import artefact, engines

    files = {
        "pdmodel": ["tiny.pdmodel", "tiny.pdiparams"],
        "json": ["tiny.json", "tiny.json.pdiparams"],
        "onnx": ["tiny.onnx"],
        "int8": ["tiny_int8.onnx"],
    }
    found = artefact.read_artefact("inference/tiny")
    networks = {form: {"files": names} for form, names in files.items()}
    digests = {name: "" for names in files.values() for name in names}
    several = artefact.dataclasses.replace(found, networks=networks, files=digests)
    monkeypatch.setattr(artefact, "read_artefact", lambda folder: several)
    monkeypatch.setattr(engines, "is_installed", lambda name: True)
    paths = {form: f"inference/tiny/{names[0]}" for form, names in files.items()}
    return {**paths, "pdiparams": "inference/tiny/tiny.pdiparams"}


@pytest.mark.parametrize(
    ("words", "engine", "form"),
    [
        ([], "paddle", "pdmodel"),
        (["--model_file", "{json}"], "paddle", "json"),
        (["--model_file", "{pdmodel}", "--engine", "auto"], "paddle", "pdmodel"),
        (["--params_file", "inference/tiny/tiny.json.pdiparams"], "paddle", "json"),
        (["--engine", "auto"], "openvino", "onnx"),
        (["--engine", "auto", "--precision", "int8"], "openvino", "int8"),
        (["--model_file", "{onnx}", "--engine", "onnxruntime"], "onnxruntime", "onnx"),
    ],
)
def test_a_file_chooses_the_format_and_the_choice_is_told(
    place: Path,
    capsys: Capture,
    all_forms: dict[str, str],
    words: list[str],
    engine: str,
    form: str,
) -> None:
    assert run("-i", "a.avi", *(word.format(**all_forms) for word in words)) == 0
    said = capsys.readouterr()
    assert f"engine: {engine}, {form}\n" in said.err
    assert "engine" not in said.out
    (options,) = FakePredictor.opened
    assert (options["engine"], options["format"]) == (engine, form)


def test_a_stream_is_not_run_from_another_file_than_is_named(
    place: Path, capsys: Capture, all_forms: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from paddletsm.deploy import artefact

    online = artefact.dataclasses.replace(artefact.read_artefact("x"), stream={"fps": None})
    monkeypatch.setattr(artefact, "read_artefact", lambda folder: online)
    words = ["-i", "a.avi", "--model_file"]
    assert run(*words, all_forms["json"], "--timeline") == 2
    assert "runs from tiny.pdmodel and tiny.pdiparams here" in capsys.readouterr().err
    Path("out.jsonl").write_text("of an earlier run\n")
    assert run(*words, all_forms["pdmodel"], "--output", "out.jsonl") == 2
    assert "holds a streaming network" in capsys.readouterr().err
    assert Path("out.jsonl").read_text() == "of an earlier run\n"


Start = Callable[[int], int]


@pytest.fixture
def as_process(place: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Run the command as one of two processes."""
    write_list("a.avi jump\nb.avi run\nc.avi run\n")
    monkeypatch.setenv("PADDLE_TRAINERS_NUM", "2")

    def start(rank: int) -> int:
        monkeypatch.setenv("PADDLE_TRAINER_ID", str(rank))
        return run("-i", "list.txt", "--output", "out.jsonl", "--timeout", "0.01")

    return start


def test_who_merges_tells_the_top1_of_all(as_process: Start, capsys: Capture) -> None:
    assert as_process(1) == 0
    printed = capsys.readouterr().out
    assert "1 clip (share of process 1 of 2), 0 failed" in printed
    assert "top-1" not in printed
    assert "out.jsonl: follows when the other processes are done (2 clips to come)" in printed
    assert as_process(0) == 0
    printed = capsys.readouterr().out
    assert "written: out.jsonl, 3 clips\n" in printed
    assert printed.splitlines()[-1] == "top-1 of 3 labelled clips: 33.33 %"


def test_process_0_waits_for_the_others_but_not_for_ever(
    as_process: Start, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict_run, "_PATIENCE_S", 0.01)
    assert as_process(0) == 0
    printed = capsys.readouterr().out
    assert "waiting for the other processes: 1 clip to come" in printed
    assert "top-1" not in printed
    assert "--resume" in printed.splitlines()[-1]
    assert sorted(path.name for path in Path().glob("*out*")) == ["out.part-0-of-2.jsonl"]
    assert as_process(1) == 0, "the other one was only slow"
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1] == "top-1 of 3 labelled clips: 33.33 %"
    records = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert [record["path"] for record in records] == ["a.avi", "b.avi", "c.avi"]
