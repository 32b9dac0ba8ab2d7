# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Progress of a training run: sums over the clips, one log line per interval, ETA, a bar."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np

# The first steps of a process take several times as long as the others.
_WARM_UP_STEPS = 5

_WITH_TEXT = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"


@dataclass
class Meter:
    """Sums over clips since the last reset, already summed over processes.

    Where clips have several labels, ``top1`` and ``top5`` hold the sums of hit1 and exact.
    """

    loss: float = 0.0
    top1: float = 0.0
    top5: float = 0.0
    clips: float = 0.0
    failed: float = 0.0
    wait_sec: float = 0.0
    step_sec: float = 0.0
    steps: int = 0

    def add(self, sums: np.ndarray, wait_sec: float, step_sec: float, steps: int = 1) -> None:
        """Add [loss, top1, top5, clips, failed] sums and this process's seconds."""
        self.loss += float(sums[0])
        self.top1 += float(sums[1])
        self.top5 += float(sums[2])
        self.clips += float(sums[3])
        self.failed += float(sums[4])
        self.wait_sec += wait_sec
        self.step_sec += step_sec
        self.steps += steps

    def values(self, names: tuple[str, str] = ("top1", "top5")) -> dict[str, float]:
        """Means and rates; the two accuracies, under these names, in percent; NaN without clips."""
        clips = self.clips or float("nan")
        seconds = max(self.step_sec, 1e-9)
        return {
            "loss": self.loss / clips,
            names[0]: 100.0 * self.top1 / clips,
            names[1]: 100.0 * self.top5 / clips,
            "clips_per_sec": self.clips / seconds,
            "data_wait_percent": 100.0 * self.wait_sec / seconds,
        }


@dataclass
class Eta:
    """Remaining time from the recent pace of steps and from how long validations took.

    The first steps of a process compile, allocate and fill caches; once there are others, they no
    longer count. What happens between steps and validations (saving, mostly) is spread over the
    steps done so far.

    Attributes:
        steps_left: training steps still to do.
        validations_left: validations still to do.
        validation_clips: clips of one validation, over the clips of one step; used until the first
            validation has been timed (a forward pass takes about a third of a training step).
        clock: seconds of a clock that only goes forward.
    """

    steps_left: int
    validations_left: int
    validation_clips: float = 0.0
    clock: Callable[[], float] = time.perf_counter
    _start: float = field(init=False)
    _steps: int = field(default=0, init=False)
    _counted_sec: float = field(default=0.0, init=False)
    _recent_sec: float = field(default=0.0, init=False)  # weighted sums over recent steps
    _recent_steps: float = field(default=0.0, init=False)
    _validation_sec: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._start = self.clock()

    def step(self, seconds: float, steps: int = 1) -> None:
        """Count finished steps; the pace follows the last 50 or so."""
        # Nothing but warm-up so far: what comes now replaces it.
        kept = 0.98**steps if self._steps >= _WARM_UP_STEPS else 0.0
        self._recent_sec = kept * self._recent_sec + seconds
        self._recent_steps = kept * self._recent_steps + steps
        self._steps += steps
        self._counted_sec += seconds
        self.steps_left -= steps

    def validation(self, seconds: float) -> None:
        """Count a finished validation."""
        self._validation_sec = seconds
        self._counted_sec += seconds
        self.validations_left -= 1

    def seconds(self) -> float:
        """Estimated seconds left; NaN before the first step."""
        if not self._steps:
            return float("nan")
        pace = self._recent_sec / self._recent_steps
        validation = self._validation_sec
        if validation is None:
            validation = pace * self.validation_clips / 3.0
        other = max(0.0, self.clock() - self._start - self._counted_sec) / self._steps
        return self.steps_left * (pace + other) + self.validations_left * validation

    def __str__(self) -> str:
        seconds = self.seconds()
        return "?" if seconds != seconds else str(timedelta(seconds=round(max(0.0, seconds))))


class Bar:
    """A tqdm bar on a terminal, nothing elsewhere."""

    def __init__(
        self, total: int, description: str, *, initial: int = 0, show: bool = True
    ) -> None:
        self._bar = None
        if show and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(
                total=total, desc=description, initial=initial, leave=False, dynamic_ncols=True
            )

    def advance(self, steps: int = 1, text: str = "") -> None:
        """Move on, showing a short text behind the bar instead of tqdm's pace and time left."""
        if self._bar is not None:
            if text:
                self._bar.bar_format = _WITH_TEXT
                self._bar.set_postfix_str(text, refresh=False)
            self._bar.update(steps)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()


class Stopwatch:
    """Seconds since the last lap."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    def lap(self) -> float:
        """Return the seconds since the previous lap and start the next."""
        now = time.perf_counter()
        seconds, self._start = now - self._start, now
        return seconds
