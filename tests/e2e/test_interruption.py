# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C, SIGTERM and kills: nothing is lost, and a continued run equals an unbroken one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from paddletsm.models.weights import read_state
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopped_and_resumed_equals_unbroken(
    number: int, command: Command, config: Path, tmp_path: Path, unbroken: Path
) -> None:
    arguments = ["main.py", "-c", config, *SHORT, "--output_dir", tmp_path]
    process = start(*arguments)
    wait_for_line(process, "epoch 2/3  step 4/12")
    os.kill(process.pid, number)
    output = process.communicate(timeout=60)[0]
    if number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 128 + number
        assert "the state is saved in" in output
        assert "--resume" in output
        assert "Traceback" not in output
    result = command(*arguments, "--resume")
    assert result.returncode == 0, result.stderr[-3000:]
    first, second = weights_of(unbroken), weights_of(tmp_path / "TSM_bars")
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], name)
    drop = ("clips_per_sec", "data_wait_percent")
    logs = [
        (f / "metrics.jsonl").read_text().splitlines() for f in (unbroken, tmp_path / "TSM_bars")
    ]
    cleaned = [[_without(line, drop) for line in log] for log in logs]
    assert cleaned[0] == cleaned[1]


def _without(line: str, keys: tuple[str, ...]) -> dict:
    import json

    return {key: value for key, value in json.loads(line).items() if key not in keys}


def test_sigterm_to_the_launcher_saves_once_and_says_how_to_resume(
    config: Path, tmp_path: Path
) -> None:
    process = start(
        "-m", "paddle.distributed.launch", "--nproc_per_node", "2", "--log_dir", tmp_path / "log",
        "main.py", "-c", config, "-o", "epochs=50", "--device", "cpu", "--output_dir", tmp_path,
    )  # fmt: skip
    wait_for_line(process, "epoch 2/50  step 4/6")
    os.kill(process.pid, signal.SIGTERM)
    output = process.communicate(timeout=90)[0]
    assert "--resume" in output
    assert list((tmp_path / "TSM_bars").glob("resume_step_*.npz"))
    assert "stopped at epoch" in (tmp_path / "TSM_bars/train.log").read_text()


def test_resume_refuses_another_run(command: Command, config: Path, unbroken: Path) -> None:
    arguments = ["main.py", "-c", config, *SHORT, "--output_dir", unbroken.parent]
    result = command(*arguments, "--resume", "-o", "DATASET.batch_size=4")
    assert result.returncode == 2
    assert "total batch size = 8, now it is 4" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_new_run_keeps_the_old_folder(command: Command, config: Path, tmp_path: Path) -> None:
    arguments = ["main.py", "-c", config, "--device", "cpu", "--max_iters", "1", "--no-validate"]
    for _ in range(2):
        assert command(*arguments, "--output_dir", tmp_path).returncode == 0
    assert (tmp_path / "TSM_bars.1/TSM_bars_best.pdparams").is_file()
    assert (tmp_path / "TSM_bars/TSM_bars_best.pdparams").is_file()
