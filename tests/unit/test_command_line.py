# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What all commands share: options of the same name and meaning, and what --help says of them."""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from paddletsm.cli import benchmark
from paddletsm.cli.common import (
    add_common_arguments,
    add_override_argument,
    check_target,
    make_parser,
    run_command,
)
from paddletsm.cli.entry import COMMANDS, main
from paddletsm.errors import ConfigError

REPO = Path(__file__).resolve().parents[2]
MOTION = str(REPO / "configs/tsm_motion.yaml")
INT8 = ["export", "-c", MOTION, "--random_weights", "--format", "int8"]

HELPS = [
    *([name] for name in COMMANDS),
    *(["benchmark", name] for name in benchmark._COMMANDS),
    *(["prepare", name] for name in ("browse", "folder", "motion", "ucf101")),
]


def help_of(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    assert ended.value.code == 0
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("words", HELPS, ids=" ".join)
def test_help_shows_no_empty_default(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert "(default: )" not in help_of(words, capsys)


def test_the_help_of_benchmark_names_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    shown = help_of(["benchmark"], capsys)
    assert f"commands: {', '.join(benchmark._COMMANDS)};" in shown


@pytest.mark.parametrize("words", [["train"], ["verify"], ["check"], ["benchmark", "model"]])
def test_overrides_read_alike(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    shown = help_of(words, capsys)
    assert (
        "-o KEY.SUB=VALUE, --override KEY.SUB=VALUE replace a value of the configuration; "
        "repeatable" in shown
    )


def test_overrides_add_up() -> None:
    def parse(*flags: str) -> argparse.Namespace:
        parser = make_parser("x", "y")
        add_override_argument(parser, *flags)
        return parser.parse_args(["--override", "a=1", "--override", "b.c=2"])

    assert parse().override == parse("--override").override == ["a=1", "b.c=2"]
    parser = make_parser("x", "y")
    add_override_argument(parser, "--override")
    with pytest.raises(SystemExit):
        parser.parse_args(["-o", "a=1"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["benchmark", "modle"],
            r"unknown command 'modle'; did you mean 'model'\?",
        ),
        (["benchmark", "model", "-c", MOTION, "--engines", "foo"], "--engines: 'foo' is unknown"),
        (["benchmark", "model", "-c", MOTION, "--json", "{here}"], "--json .*: is a folder"),
        (["benchmark", "model", "-c", MOTION, "--png", "{file}/a.png"], "--png .*is not a folder"),
        (["browse", "-c", MOTION, "--out", "{file}/a.png"], "--out .*file is not a folder"),
        (["export", "-c", MOTION, "--max_drop", "3"], "--max_drop needs --format int8"),
        (["export", "-c", MOTION, "--calibration", "a"], "--calibration needs --format int8"),
        ([*INT8, "--max_drop", "nan"], "--max_drop must lie in 0 to 100"),
        ([*INT8, "--calibration_clips", "0"], "--calibration_clips must be at least 1"),
        (["verify", "-w", "{file}", "--tolerance", "inf"], "--tolerance must be finite and not"),
        (["verify", "-w", "{file}", "--min_cosine", "nan"], r"--min_cosine must lie in \[-1, 1\]"),
        (["verify", "-w", "{file}", "--min_agreement", "101"], r"must lie in \[0, 100\], not 101"),
        (["verify", "-w", "{here}"], "a folder, not a weights file"),
        (["report", "{file}"], "file: is a file, no run folder$"),
        (["suggest", "{here}", "--memory", "inf"], "--memory must be above 0"),
        (["suggest", "{here}", "--name", "../x"], "--name must be a plain file name, not '../x'"),
        (["suggest", "{here}", "--name", ""], "--name must be a plain file name, not ''"),
        (["suggest", "{here}", "--pretrained", "{file}"], "file: not a weights file by its ext"),
        (["suggest", "{here}", "--pretrained", "{here}"], "a folder, not a weights file"),
        (["suggest", "{here}", "--out", "{file}/x.yaml"], "--out .*file is not a folder"),
        (["predict", "-i", "{file}", "--threshold", "0.7"], "--threshold needs --timeline"),
        (["predict", "-i", "{file}", "--timeline_format", "srt"], "--timeline_format needs --time"),
        (
            ["predict", "-i", "{file}", "--model_dir", "{file}"],
            "is a file, not an artefact folder; ",
        ),
        (["train", "-c", "{here}"], "cannot read config file .*: it is a folder$"),
        (["train", "-c", "{binary}"], "cannot read config file .*: it is not UTF-8 text$"),
        (
            ["train", "-c", MOTION, "-o", "epochs=100000000000"],
            r"100000000000 \(int\) is out of",
        ),
    ],
)
def test_wrong_words_are_refused_by_name(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("some text")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\xfd")
    paths = {"here": tmp_path, "file": tmp_path / "file", "binary": tmp_path / "binary"}
    assert main([word.format(**paths) for word in words]) == 2
    shown = capsys.readouterr().err
    assert re.search(message, shown, re.MULTILINE), shown
    assert "Traceback" not in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["predict", "-i", "a", "--timeout", "nan"], "--timeout: expected seconds above 0, not"),
        (["predict", "-i", "a", "--timeout", "inf"], "--timeout: expected seconds above 0, not"),
        (["predict", "-i", "a", "--cpu_threads", "0"], "--cpu_threads: expected a whole number"),
        (["predict", "-i", "a", "--cpu_threads", "100000"], "--cpu_threads: expected a whole"),
        (["predict", "-i", "a", "--top_k", "0"], "--top_k: expected a whole number from 1 on"),
        (["predict", "-i", "a", "--batch_size", "2.5"], "--batch_size: expected a whole number"),
        (["predict", "-i", "a", "--num_workers", "-1"], "--num_workers: expected a whole number"),
        (["predict", "-i", "a", "--instances", "0"], "--instances: expected a whole number from 1"),
        (["predict", "-i", "a", "--clip_seconds", "0"], "--clip_seconds: expected seconds above"),
        (["predict", "-i", "a", "--timeline_stride", "0"], "--timeline_stride: expected a whole"),
        (["stream", "-i", "0", "--smooth", "0"], "--smooth: expected a whole number from 1 on"),
        (["stream", "-i", "0", "--cpu_threads", "x"], "--cpu_threads: expected a whole number"),
        (["stream", "-i", "0", "--max_seconds", "0"], "--max_seconds: expected seconds above 0"),
        (["stream", "-i", "0", "--retries", "-2"], "--retries: expected a whole number from -1 on"),
        (["export", "-c", MOTION, "--online", "--clip_seconds", "0"], "--clip_seconds: expected"),
        (["export", "-c", MOTION, "--average_frames", "0"], "--average_frames: expected a whole"),
        (["verify", "-w", "a", "--cpu_threads", "0"], "--cpu_threads: expected a whole number"),
        (["verify", "-w", "a", "--num_clips", "0"], "--num_clips: expected a whole number"),
        (["check", "a", "--timeout", "-1"], "--timeout: expected seconds above 0, not '-1'"),
        (["check", "a", "--workers", "0"], "--workers: expected a whole number from 1 on, not '0'"),
        (["benchmark", "stream", "-c", MOTION, "--threads", "0"], "--threads: expected a whole"),
        (["benchmark", "stream", "-c", MOTION, "--rounds", "0"], "--rounds: expected a whole"),
        (["benchmark", "stream", "-c", MOTION, "--soak", "inf"], "--soak: expected seconds above"),
        (["benchmark", "data", "a", "--workers", "1", "-1"], "--workers: expected a whole number"),
        (["benchmark", "data", "a", "--batch_size", "0"], "--batch_size: expected a whole number"),
        (["benchmark", "data", "a", "--num", "0"], "--num: expected a whole number from 1 on"),
        (["benchmark", "model", "-c", MOTION, "--threads", "0"], "--threads: expected a whole"),
        (["benchmark", "model", "-c", MOTION, "--runs", "0"], "--runs: expected a whole number"),
        (["benchmark", "train", "-c", MOTION, "--size", "0"], "--size: expected a whole number"),
        (["benchmark", "predict", "a", "--clips", "0"], "--clips: expected a whole number from 1"),
        (["benchmark", "predict", "a", "--soak", "9"], "--soak: expected a whole number from 10"),
        (["benchmark", "predict", "a", "--num_workers", "-1"], "--num_workers: expected a whole"),
        (["browse", "-c", MOTION, "--seed", "-1"], "--seed: expected a whole number from 0 on"),
        (["prepare", "ucf101", "--workers", "0"], "--workers: expected a whole number from 1 on"),
    ],
)
def test_numbers_are_refused_by_the_name_of_their_option(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert f"error: argument {message}" in capsys.readouterr().err


@pytest.mark.parametrize("script", ["main.py", "tools/predict.py", "tools/check_data.py"])
def test_an_interrupt_while_a_command_is_imported_is_one_line(script: str, tmp_path: Path) -> None:
    """Python ends by the signal, which a shell shows as 130."""
    (tmp_path / "argparse.py").write_text("raise KeyboardInterrupt\n")
    done = subprocess.run(
        [sys.executable, str(REPO / script), "-c", MOTION],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGINT
    assert done.stderr == f"{Path(script).name}: interrupted\n"


def test_a_target_may_lie_in_folders_that_are_made_later(tmp_path: Path) -> None:
    assert check_target("--out", str(tmp_path / "a/b/c.png")) == tmp_path / "a/b/c.png"
    with pytest.raises(ConfigError, match="is a folder; name a file"):
        check_target("--out", str(tmp_path))


def test_a_file_in_the_way_of_a_folder_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()

    parser = make_parser("x", "y")
    add_common_arguments(parser)

    def make(name: str) -> int:
        return run_command(parser, lambda args: (tmp_path / name).mkdir(exist_ok=True) or 0, [])

    assert make("file") == 2
    assert "file: a file is where a folder is needed" in capsys.readouterr().err
    assert make("file/folder") == 2
    assert "file/folder: a part of this path is a file" in capsys.readouterr().err
