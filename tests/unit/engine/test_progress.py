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
from paddletsm.engine.progress import Bar, Eta, Meter
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


class _Run:
    """A simulated run: time passes in steps, validations and saving, nowhere else."""

    def __init__(self, *, epochs: int, steps: int, seed: int, first_step: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.now, self.epochs, self.steps, self.first = 0.0, epochs, steps, first_step
        self.step_sec = 0.4 * rng.lognormal(0.0, 0.25, epochs * steps)
        warm_up = first_step + np.arange(3)
        self.step_sec[warm_up] *= [40, 6, 2]  # compilation, allocation, cold caches
        self.valid_sec = 0.2 * 0.4 * steps * rng.lognormal(0.0, 0.05, epochs)
        self.save_sec = 0.03 * 0.4 * steps

    def total(self) -> float:
        first_epoch = self.first // self.steps
        validations = self.valid_sec[first_epoch:].sum()
        return (
            self.step_sec[self.first :].sum()
            + validations
            + self.save_sec * (self.epochs - first_epoch)
        )

    def play(self) -> list[tuple[float, float]]:
        """(seconds that had passed, seconds that were said to be left) after every step."""
        todo = self.epochs * self.steps - self.first
        clips = 0.6 * self.steps  # so that a forward pass of a third costs what validation does
        eta = Eta(todo, self.epochs - self.first // self.steps, clips, clock=lambda: self.now)
        told = []
        for index in range(self.first, self.epochs * self.steps):
            self.now += self.step_sec[index]
            eta.step(self.step_sec[index])
            told.append((self.now, eta.seconds()))
            if (index + 1) % self.steps == 0:
                seconds = self.valid_sec[index // self.steps]
                self.now += seconds
                eta.validation(seconds)
                self.now += self.save_sec
        return told


@pytest.mark.parametrize(
    ("epochs", "steps", "first"),
    [(50, 100, 0), (8, 400, 0), (30, 100, 1250)],
    ids=["many epochs", "5 % lie in the first epoch", "resumed within an epoch"],
)
def test_eta_is_within_a_tenth_after_a_twentieth_of_the_run(
    epochs: int, steps: int, first: int
) -> None:
    for seed in range(5):
        run = _Run(epochs=epochs, steps=steps, seed=seed, first_step=first)
        total = run.total()
        for passed, left in run.play():
            if 0.05 * total <= passed <= 0.95 * total:
                assert passed + left == pytest.approx(total, rel=0.1)
                assert left == pytest.approx(total - passed, rel=0.1, abs=0.01 * total)


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


def test_a_bar_is_drawn_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with_file = Bar(4, "run")
    with_file.advance(1, "loss 1 ETA 0:00:03")
    with_file.close()
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    bar = Bar(4, "run", initial=1)
    bar.advance(3, "loss 1 ETA 0:00:00")
    bar._bar.refresh()
    bar.close()
    text = capsys.readouterr().err
    assert "100%" in text
    assert "ETA 0:00:00" in text
    assert "<" not in text.split("4/4")[-1]  # one remaining time, ours
