# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C, SIGTERM and kills: nothing is lost, and a continued run equals an unbroken one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from paddletsm.models.weights import read_state
from tests import kill_resume
from tests.conftest import REPO, once
from tests.e2e.conftest import Command

SHORT = ("-o", "epochs=3", "--device", "cpu")


def start(*words: object) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *map(str, words)],
        cwd=REPO,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PADDLETSM_NUM_THREADS": "1"},
        start_new_session=True,
    )


def wait_for_line(process: subprocess.Popen, text: str, timeout: float = 120) -> str:
    seen, end = "", time.monotonic() + timeout
    while time.monotonic() < end:
        line = process.stdout.readline()
        seen += line
        if text in line:
            return seen
        if not line and process.poll() is not None:
            break
    raise AssertionError(f"no {text!r} in:\n{seen}")


def weights_of(folder: Path) -> dict[str, np.ndarray]:
    return read_state(folder / "TSM_bars_epoch_00003.pdparams")


@pytest.fixture(scope="module")
def unbroken(command: Command, config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    def make(output: Path) -> None:
        result = command("main.py", "-c", config, *SHORT, "--output_dir", output)
        assert result.returncode == 0, result.stderr[-3000:]

    return once(tmp_path_factory, "unbroken", make) / "TSM_bars"


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (signal.SIGINT, "epoch 2/3  step 4/12"),
        (signal.SIGKILL, "epoch 2/3  step 4/12"),
        (signal.SIGTERM, "epoch 3/3  step 12/12"),  # the validation is still to come
        (signal.SIGTERM, "epoch 3/3  validation"),  # only the last files are
    ],
)
def test_stopped_and_resumed_equals_unbroken(
    number: int, line: str, command: Command, config: Path, tmp_path: Path, unbroken: Path
) -> None:
    arguments = ["main.py", "-c", config, *SHORT, "--output_dir", tmp_path]
    process = start(*arguments)
    wait_for_line(process, line)
    os.kill(process.pid, number)
    output = process.communicate(timeout=60)[0]
    if number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        # A signal after the very last step may come too late to stop anything.
        assert process.returncode in ((128 + number, 0) if "3/3" in line else (128 + number,))
        if process.returncode:
            assert "the state is saved in" in output
            assert "--resume" in output
        assert "Traceback" not in output
    result = command(*arguments, "--resume")
    assert result.returncode == 0, result.stderr[-3000:]
    first, second = weights_of(unbroken), weights_of(tmp_path / "TSM_bars")
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], name)
    best = "TSM_bars_best.pdparams"
    assert (tmp_path / "TSM_bars" / best).read_bytes() == (unbroken / best).read_bytes()
    drop = ("clips_per_sec", "data_wait_percent")
    logs = [
        (f / "metrics.jsonl").read_text().splitlines() for f in (unbroken, tmp_path / "TSM_bars")
    ]
    cleaned = [[_without(line, drop) for line in log] for log in logs]
    assert cleaned[0] == cleaned[1]


def _without(line: str, keys: tuple[str, ...]) -> dict:
    import json

    return {key: value for key, value in json.loads(line).items() if key not in keys}


def launched(config: Path, output: Path, *words: object) -> list[object]:
    return [
        "-m", "paddle.distributed.launch", "--nproc_per_node", "2", "--log_dir", output / "log",
        "main.py", "-c", config, "-o", "epochs=4", "--device", "cpu",
        "--output_dir", output, *words,
    ]  # fmt: skip


def test_two_processes_stopped_by_their_launcher_and_resumed_equal_unbroken_ones(
    command: Command, config: Path, tmp_path: Path
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    result = command(*launched(config, whole))
    assert result.returncode == 0, result.stdout[-3000:]
    process = start(*launched(config, parts))
    wait_for_line(process, "epoch 2/4  step 4/6")
    os.kill(process.pid, signal.SIGTERM)
    output = process.communicate(timeout=90)[0]
    assert output.count("Run the same command with --resume") >= 1
    assert "Traceback" not in output
    log = (parts / "TSM_bars/train.log").read_text()
    assert log.count("the state is saved in") == 1
    result = command(*launched(config, parts, "--resume"))
    assert result.returncode == 0, result.stdout[-3000:]
    last = "TSM_bars/TSM_bars_epoch_00004.pdparams"
    first, second = read_state(whole / last), read_state(parts / last)
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], name)


def test_refused_resume_changes_nothing(
    command: Command, config: Path, unbroken: Path, tmp_path: Path
) -> None:
    before = {path: path.read_bytes() for path in unbroken.iterdir() if path.is_file()}
    arguments = ["main.py", "-c", config, *SHORT, "--resume", "--output_dir"]
    result = command(*arguments, unbroken.parent, "-o", "DATASET.batch_size=4")
    assert result.returncode == 2
    assert "total batch size = 8, now it is 4" in result.stderr
    assert "Traceback" not in result.stderr
    assert before == {path: path.read_bytes() for path in unbroken.iterdir() if path.is_file()}
    assert command(*arguments, tmp_path).returncode == 2
    assert not list(tmp_path.iterdir())


def test_two_runs_do_not_share_a_folder(command: Command, config: Path, tmp_path: Path) -> None:
    arguments = ["main.py", "-c", config, "--device", "cpu", "--output_dir", tmp_path]
    process = start(*arguments, "-o", "epochs=50")
    wait_for_line(process, "epoch 1/50  step 4/12")
    result = command(*arguments)
    os.kill(process.pid, signal.SIGTERM)
    process.communicate(timeout=60)
    assert result.returncode == 2
    assert f"process {process.pid} is training into this folder" in result.stderr
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["TSM_bars"]


def test_a_new_run_keeps_the_old_folder(command: Command, config: Path, tmp_path: Path) -> None:
    arguments = ["main.py", "-c", config, "--device", "cpu", "--max_iters", "1", "--no-validate"]
    for _ in range(2):
        assert command(*arguments, "--output_dir", tmp_path).returncode == 0
    assert (tmp_path / "TSM_bars.1/TSM_bars_best.pdparams").is_file()
    assert (tmp_path / "TSM_bars/TSM_bars_best.pdparams").is_file()


def test_killed_at_random_and_with_a_full_disk(tmp_path: Path) -> None:
    """The short form of ``python -m tests.kill_resume``."""
    case, seconds = kill_resume.prepare(tmp_path, epochs=8, processes=1)
    window = max(seconds, 2.0)
    rng = random.Random(os.getpid())  # other moments in every test run
    figures = kill_resume.run_kills(case, tmp_path, kills=3, rng=rng, window=window)
    assert figures.kills == 3
    assert "resumed identical" in kill_resume.run_file_limit(case, tmp_path)
