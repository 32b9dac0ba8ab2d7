# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Trains thousands of steps in tiny epochs and watches memory, open files and processes.

    python -m tests.soak_training --steps 10000

Every epoch of four steps validates, writes weights and a resume state, with EMA and precise BN on
and two loader workers. The numbers of the last quarter are compared with those of the second one.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.tiny import NAME, command, make_clips, start, write_config

OPTIONS = """
epochs: {epochs}
save_interval: 1
keep_checkpoints: 2
EMA: {{decay: 0.99}}
PRECISE_BN: {{clips: 4}}
"""
STEPS_PER_EPOCH = 4
MEMORY_GROWTH_MB = 15.0


@dataclass(frozen=True)
class Reading:
    """One look at the running process."""

    seconds: float
    memory_mb: float
    files: int
    threads: int


def look(pid: int, seconds: float) -> Reading | None:
    """Resident memory, open files and threads; None once the process is gone."""
    try:
        status = dict(
            line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        )
        files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        return Reading(
            seconds, int(status["VmRSS"].split()[0]) / 1024, files, int(status["Threads"])
        )
    except (OSError, KeyError):
        return None


def watch(process: subprocess.Popen, every: float) -> list[Reading]:
    """Readings until the process ends."""
    begin, readings = time.monotonic(), []
    while process.poll() is None:
        reading = look(process.pid, time.monotonic() - begin)
        if reading is not None:
            readings.append(reading)
        time.sleep(every)
    return readings


def quarter(readings: list[Reading], number: int) -> list[Reading]:
    """One of the four quarters of the readings, 0 to 3."""
    size = len(readings) // 4
    return readings[number * size : (number + 1) * size]


def summary(readings: list[Reading]) -> str:
    """Medians of a part of the readings."""
    memory = statistics.median(r.memory_mb for r in readings)
    files = [r.files for r in readings]
    threads = statistics.median(r.threads for r in readings)
    return (
        f"{memory:.1f} MB, {statistics.median(files):.0f} open files (at most {max(files)}), "
        f"{threads:.0f} threads"
    )


def main() -> int:
    """Parse the command line, train, print the figures; 1 when something has grown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = make_clips(folder / "data", train=4 * STEPS_PER_EPOCH, valid=4, test=2)
        epochs = -(-args.steps // STEPS_PER_EPOCH)
        config = write_config(folder / "tiny.yaml", data, OPTIONS.format(epochs=epochs))
        words = command(config, folder, "-o", f"DATASET.num_workers={args.workers}")
        with (folder / "stderr.txt").open("w") as errors:
            process = start(words, stderr=errors)
            readings = watch(process, every=1.0)
        if process.returncode:
            print((folder / "stderr.txt").read_text()[-3000:])
            return 1
        states = len(list((folder / NAME).glob("resume_step_*.npz")))
        weights = len(list((folder / NAME).glob("*_epoch_*.pdparams")))
    steps = epochs * STEPS_PER_EPOCH
    print(f"{steps} steps, {epochs} epochs, {epochs} validations, {readings[-1].seconds:.0f} s")
    for number in range(4):
        print(f"quarter {number + 1}: {summary(quarter(readings, number))}")
    print(f"left in the folder: {states} resume states, {weights} epoch weights")
    second, last = quarter(readings, 1), quarter(readings, 3)
    growth = statistics.median(r.memory_mb for r in last) - statistics.median(
        r.memory_mb for r in second
    )
    more = max(r.files for r in last) - max(r.files for r in second)
    print(f"from the second to the last quarter: {growth:+.1f} MB, {more:+d} open files")
    return int(growth > MEMORY_GROWTH_MB or more > 2)


if __name__ == "__main__":
    sys.exit(main())
