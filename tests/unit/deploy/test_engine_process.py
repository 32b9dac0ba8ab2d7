# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""An engine in a process of its own answers like one in this process, and its end is told."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from paddletsm.deploy.engine import EngineOptions
from paddletsm.deploy.engine_process import _BOOTSTRAP, EngineProcess
from paddletsm.deploy.predictor import Predictor
from paddletsm.errors import ExportError


def open_process(folder: Path) -> EngineProcess:
    return EngineProcess(
        folder, engine="paddle", precision="fp32", options=EngineOptions(threads=1)
    )


def test_killed_and_started_again(artefact_dir: Path) -> None:
    predictor = Predictor(artefact_dir)
    clips = np.random.default_rng(0).standard_normal(
        (2, *predictor.artefact.input.shape[1:]), np.float32
    )
    expected = predictor.engine.run(clips)
    engine = open_process(artefact_dir)
    np.testing.assert_allclose(engine.run(clips), expected, atol=1e-5)
    os.kill(engine._process.pid, signal.SIGKILL)
    with pytest.raises(ExportError, match=r"has ended \(exit code -9"):
        engine.run(clips)
    np.testing.assert_allclose(engine.run(clips[:1]), expected[:1], atol=1e-5)
    engine.close()


def test_a_network_that_cannot_be_loaded_is_refused_as_here(
    artefact_dir: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(artefact_dir, folder)
    engine = open_process(folder)
    next(folder.glob("*.pdiparams")).write_bytes(b"")
    with pytest.raises(ExportError, match=r"pdiparams is not the file"):
        engine.wait_ready()
    engine.close()


def test_the_child_of_a_killed_parent_ends_quietly(artefact_dir: Path) -> None:
    """Its parent reads nothing any more, or has sent half of its clips."""
    setup = dict(json.loads(open_process(artefact_dir)._setup))
    command = [sys.executable, "-c", _BOOTSTRAP, json.dumps(setup), *sys.path]
    pipe = subprocess.PIPE
    children = [subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) for _ in range(2)]
    children[0].stdout.close()
    assert len(children[1].stdout.read(8)) == 8, "it is ready"
    children[1].stdin.write(b"\x01\x00\x00\x00half")
    for child in children:
        child.stdin.close()
        error = child.stderr.read().decode()
        assert "Traceback" not in error
        assert "BrokenPipe" not in error
        assert child.wait() == 1
