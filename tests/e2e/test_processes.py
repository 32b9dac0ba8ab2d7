# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Several processes and machines: the same training, the same metrics, and never a hang."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from paddletsm.models.weights import read_state
from tests.conftest import once
from tests.kill_resume import end_group, victims
from tests.tiny import NAME, command, make_clips, start, write_config

FROZEN = """
epochs: 1
OPTIMIZER: {learning_rate: {name: CosineDecay, base: 0.05, total_batch_size: 8}}
"""


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 clips to train on, 4 to validate, 101 to test."""
    return once(
        tmp_path_factory, "tiny_clips", lambda root: make_clips(root, train=24, valid=4, test=101)
    )


def finish(words: list[str], timeout: float = 240) -> str:
    """Output of a command that must succeed."""
    process = start(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = process.communicate(timeout=timeout)[0]
    assert process.returncode == 0, output[-3000:]
    return output


def test_processes_and_passes_train_like_one_large_batch(clips: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path / "tiny.yaml", clips, FROZEN)
    fixed = ["-o", "MODEL.backbone.norm_eval=true", "-o", "MODEL.head.drop_ratio=0.0"]
    results = []
    for name, batch, passes, processes in (
        ("whole", 8, 1, 1),
        ("processes", 4, 1, 2),
        ("both", 2, 2, 2),
    ):
        words = command(config, tmp_path / name, *fixed, "--no-validate", processes=processes)
        shape = ["-o", f"DATASET.batch_size={batch}", "-o", f"OPTIMIZER.accumulate_steps={passes}"]
        finish([*words, *shape])
        results.append(read_state(tmp_path / name / NAME / f"{NAME}_best.pdparams"))
    for other in results[1:]:
        for name, array in results[0].items():
            # Gradients are summed in another order; three steps with a large rate.
            np.testing.assert_allclose(other[name], array, rtol=1e-3, atol=1e-5, err_msg=name)


def test_metrics_do_not_depend_on_the_number_of_processes(clips: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path / "tiny.yaml", clips, "epochs: 1")
    finish(command(config, tmp_path / "run", "--no-validate"))
    weights = str(tmp_path / "run" / NAME / f"{NAME}_best.pdparams")
    tables, metrics = [], []
    folder = tmp_path / "run" / NAME / "test"
    for processes in (1, 2, 3):
        finish(command(config, tmp_path / "run", "--test", "-w", weights, processes=processes))
        tables.append((folder / "predictions.csv").read_bytes())
        metrics.append(json.loads((folder / "metrics.json").read_text()))
    assert metrics[0]["num_samples"] == 101
    assert metrics[0] == metrics[1] == metrics[2]
    assert tables[0] == tables[1] == tables[2]


@pytest.mark.parametrize("which", [0, 1])
def test_a_killed_process_ends_the_others(clips: Path, tmp_path: Path, which: int) -> None:
    config = write_config(tmp_path / "tiny.yaml", clips, "epochs: 1000")
    process = start(
        command(config, tmp_path, processes=2), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        for line in process.stdout:
            if "epoch 2/1000" in line:
                break
        workers = victims(process)[1:]
        assert len(workers) == 2
        os.kill(workers[which], signal.SIGKILL)
        output = process.communicate(timeout=60)[0]
    finally:
        end_group(process)
    assert process.returncode not in (0, None)
    assert not any(Path(f"/proc/{worker}/cmdline").is_file() for worker in workers)
    # Paddle may abort the other one before it can say that it has lost a peer.
    assert "Container failed" in output or "of this run has ended" in output


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_two_machines_train_together(clips: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path / "tiny.yaml", clips, "epochs: 2")
    words = command(config, tmp_path, processes=2)
    at = words.index("--nproc_per_node")
    nodes = ["--master", f"127.0.0.1:{free_port()}", "--nnodes", "2", "--nproc_per_node", "1"]
    runs = []
    for node in range(2):
        # Machines have folders of their own for the launcher's logs.
        mine = [w if w != str(tmp_path / "log") else f"{w}{node}" for w in words[at + 2 :]]
        runs.append(
            start([*words[:at], *nodes, *mine], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        )
    end = time.monotonic() + 120
    try:
        outputs = [run.communicate(timeout=end - time.monotonic())[0] for run in runs]
    finally:
        for run in runs:
            end_group(run)
    assert [run.returncode for run in runs] == [0, 0], outputs
    assert (tmp_path / NAME / f"{NAME}_epoch_00002.pdparams").is_file()
    log = (tmp_path / NAME / "train.log").read_text()
    assert "(4 per process x 2)" in log
