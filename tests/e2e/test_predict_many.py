# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Many files: killed and resumed, shared by processes, with broken ones among them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from paddletsm.benchmarks.predict import break_files, soak
from paddletsm.deploy import Predictor
from tests.conftest import REPO, random_frames, write_video
from tests.unit.deploy.conftest import export, make_model

CLIPS = 12


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with model/ and clips/{00.avi, ..., list.txt}; every third clip is broken."""
    root = tmp_path_factory.mktemp("many")
    export(make_model(), root / "model")
    good = [
        str(write_video(root / "clips" / f"{n:02}.avi", random_frames(8, seed=n))) for n in range(2)
    ]
    broken = break_files(good, root / "clips")
    paths = [broken[n // 3] if n % 3 == 2 else good[n % 2] for n in range(CLIPS)]
    (root / "clips" / "list.txt").write_text("".join(f'"{path}" jump\n' for path in paths))
    return root


def words(place: Path, output: Path, *options: str) -> list[str]:
    clips = str(place / "clips" / "list.txt")
    script = [str(REPO / "tools" / "predict.py"), "--model_dir", str(place / "model")]
    return [*script, "-i", clips, "--output", str(output), "--cpu_threads", "1", *options]


def answers(output: Path) -> list[tuple[str, bool, tuple[int, ...]]]:
    records = [json.loads(line) for line in output.read_text().splitlines()]
    return [
        (one["path"], one["error"] is None, tuple(row["id"] for row in one["top"]))
        for one in records
    ]


@pytest.fixture(scope="module")
def expected(place: Path) -> list[tuple[str, bool, tuple[int, ...]]]:
    """What one process says that nobody disturbs."""
    output = place / "whole.jsonl"
    done = subprocess.run(
        [sys.executable, *words(place, output)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert f"{CLIPS} clips, 4 failed" in done.stdout
    assert "top-1 of 8 labelled clips" in done.stdout
    found = answers(output)
    assert [is_good for _, is_good, _ in found] == [n % 3 != 2 for n in range(CLIPS)]
    return found


def test_processes_share_the_clips(
    place: Path, tmp_path: Path, expected: list[tuple[str, bool, tuple[int, ...]]]
) -> None:
    output = tmp_path / "shared.jsonl"
    launch = ["-m", "paddle.distributed.launch", "--nproc_per_node", "2"]
    log = ["--log_dir", str(tmp_path / "log")]
    done = subprocess.run(
        [sys.executable, *launch, *log, *words(place, output)],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        cwd=tmp_path,
    )
    assert done.returncode == 1, "there are broken files"
    assert f"written: {output}, {CLIPS} clips, 4 failed" in done.stdout, "whoever was last"
    assert "top-1 of 8 labelled clips" in done.stdout
    assert "missing" not in done.stdout
    assert answers(output) == expected
    assert sorted(item.name for item in tmp_path.iterdir()) == ["log", "shared.jsonl"]


def test_a_killed_run_is_resumed(
    place: Path, tmp_path: Path, expected: list[tuple[str, bool, tuple[int, ...]]]
) -> None:
    output = tmp_path / "killed.jsonl"
    process = subprocess.Popen([sys.executable, *words(place, output)], stdout=subprocess.DEVNULL)
    end = time.monotonic() + 120
    while not (output.exists() and output.stat().st_size) and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with output.open("ab") as file:
        file.write(b'{"path": "half')
    done = subprocess.run(
        [sys.executable, *words(place, output, "--resume")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "already" in done.stdout
    assert answers(output) == expected


def test_sigterm_tells_how_to_continue(place: Path, tmp_path: Path) -> None:
    """Paddle sets a handler of its own when it loads a network."""
    output, long = tmp_path / "ended.jsonl", tmp_path / "long.txt"
    long.write_text(f'"{place / "clips" / "00.avi"}" jump\n' * 20000)
    command = [sys.executable, *words(place, output, "--instances", "2")]
    command[command.index("-i") + 1] = str(long)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    end = time.monotonic() + 120
    while not (output.exists() and output.stat().st_size) and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.01)
    process.terminate()
    error = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 128 + signal.SIGTERM, error
    done = len(output.read_text().splitlines())
    assert f"interrupted: {done} of 20000 clips done" in error
    assert "--resume" in error
    assert "Traceback" not in error


def test_several_processes_need_a_file(place: Path) -> None:
    command = [sys.executable, *words(place, place / "unused.jsonl")]
    at = command.index("--output")
    done = subprocess.run(
        [*command[:at], *command[at + 2 :]],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PADDLE_TRAINERS_NUM": "2", "PADDLE_TRAINER_ID": "1"},
    )
    assert done.returncode == 2
    assert "2 processes need --output" in done.stderr


def test_long_loops_report_every_broken_file(place: Path) -> None:
    good = sorted(str(path) for path in (place / "clips").glob("0*.avi"))
    with Predictor(place / "model", threads=1) as predictor:
        found = soak(predictor, good, 100)
    assert (found.clips, found.broken) == (100, 20)
    assert found.is_fine
    assert len(found.marks) == 20
