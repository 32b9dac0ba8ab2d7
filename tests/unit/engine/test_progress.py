# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from paddletsm.engine.evaluate import Scored, reorder_frames
from paddletsm.engine.progress import Eta, Meter
from paddletsm.engine.signals import StopRequest
from tests.conftest import REPO


def test_meter_weighs_clips_not_batches() -> None:
    meter = Meter()
    meter.add(np.array([8.0, 4, 8, 8, 0]), wait_sec=1.0, step_sec=2.0)
    meter.add(np.array([0.0, 1, 1, 1, 2]), wait_sec=0.0, step_sec=2.0)
    values = meter.values()
    assert values["loss"] == pytest.approx(8 / 9)
    assert values["top1"] == pytest.approx(100 * 5 / 9)
    assert values["clips_per_sec"] == pytest.approx(9 / 4)
    assert values["data_wait_percent"] == pytest.approx(25)
    assert meter.failed == 2


def test_eta_counts_steps_and_validations_of_all_epochs() -> None:
    eta = Eta(steps_left=100, validations_left=4, validation_clips=30)
    assert str(eta) == "?"
    eta.step(2.0)
    assert eta.seconds() == pytest.approx(99 * 2.0 + 4 * 30 * 2.0 / 3)
    eta.validation(5.0)
    assert eta.seconds() == pytest.approx(99 * 2.0 + 3 * 5.0)
    for _ in range(99):
        eta.step(2.0)
    assert eta.seconds() == pytest.approx(15.0)
    assert str(eta) == "0:00:15"


def test_stop_request_remembers_the_first_signal_and_restores_handlers() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with StopRequest() as stop:
        for _ in range(3):  # the launcher repeats it
            os.kill(os.getpid(), signal.SIGTERM)
        assert stop.signum == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.signum == signal.SIGINT


def test_second_ctrl_c_ends_the_process_at_once() -> None:
    code = (
        "import os, signal, time\n"
        "from paddletsm.engine.signals import StopRequest\n"
        "with StopRequest():\n"
        "    for _ in range(2):\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(30)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60
    )
    assert result.returncode == 130
    assert "Ctrl-C again quits without saving" in result.stderr
    assert "Traceback" not in result.stderr


def test_frame_orders() -> None:
    clips = np.arange(2 * 4, dtype="float32").reshape(2, 1, 4, 1, 1, 1)
    ids = np.array([3, 9])
    assert reorder_frames(clips, ids, "ordered") is clips
    assert reorder_frames(clips, ids, "reversed")[0].ravel().tolist() == [3, 2, 1, 0]
    shuffled = reorder_frames(clips, ids, "shuffled")
    assert sorted(shuffled[0].ravel()) == [0, 1, 2, 3]
    np.testing.assert_array_equal(shuffled[1:], reorder_frames(clips[1:], ids[1:], "shuffled"))


def test_scored_loss_and_counts() -> None:
    scores = np.array([[0.5, 0.5], [0.25, 0.75]])
    scored = Scored(np.arange(2), scores, np.array([0, 1]), ())
    values = scored.metrics()
    assert values["loss"] == pytest.approx(-(np.log(0.5) + np.log(0.75)) / 2)
    assert values["num_samples"] == 2
