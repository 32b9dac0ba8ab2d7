# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Kills a short training at random moments, fills its disk, resumes, compares with an unbroken run.

    python -m tests.kill_resume --kills 40
    python -m tests.kill_resume --kills 20 --processes 2

Every option that keeps state is on (EMA, precise BN, accumulation, balanced sampling), and a state
is written after every step, so many kills fall into a write: those that leave a temporary file
behind are counted. The disk is a tmpfs that a second process fills (as root), or else a limit on
the size of files.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from paddletsm.engine.checkpoint import find_state, read_resume_state
from paddletsm.errors import WeightsError
from paddletsm.models.weights import read_state
from tests.tiny import NAME, command, make_clips, start, write_config

OPTIONS = """
epochs: {epochs}
save_interval: 1
keep_checkpoints: 2
state_interval: 1
EMA: {{decay: 0.9}}
PRECISE_BN: {{clips: 8}}
OPTIMIZER:
  accumulate_steps: 2
  learning_rate: {{name: CosineDecay, base: 0.01, warmup_epochs: 1, total_batch_size: 8}}
"""


@dataclass
class Figures:
    """What happened: kills, those within a write, and whole runs that were compared."""

    kills: int = 0
    in_write: int = 0
    at_start: int = 0
    runs: int = 0


@dataclass(frozen=True)
class Case:
    """A training to be broken."""

    config: Path
    processes: int
    unbroken: Path

    def words(self, output: Path) -> list[str]:
        """The command, with --resume once there is something to resume."""
        has_state = bool(list((output / NAME).glob("resume_step_*.npz")))
        more = ["--resume"] if has_state else []
        return command(self.config, output, *more, processes=self.processes)


def fingerprint(folder: Path) -> dict[str, str]:
    """SHA-256 of every weights file, and of the history without its timings."""
    files = sorted(folder.glob("*.pdparams"))
    found = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for record in records:
        record.pop("clips_per_sec", None)
        record.pop("data_wait_percent", None)
    found["metrics.jsonl"] = hashlib.sha256(json.dumps(records).encode()).hexdigest()
    return found


def finish(words: list[str]) -> None:
    """Run a command to its end.

    Raises:
        RuntimeError: it failed; with its output.
    """
    result = start(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = result.communicate(timeout=600)[0]
    if result.returncode:
        raise RuntimeError(f"{' '.join(words)}\nended with {result.returncode}:\n{output[-4000:]}")


def prepare(folder: Path, *, epochs: int, processes: int) -> tuple[Case, float]:
    """Make data and configuration, train without a break; also returns its seconds."""
    data = make_clips(folder / "data", train=16, valid=6, test=6)
    config = write_config(folder / "tiny.yaml", data, OPTIONS.format(epochs=epochs))
    case = Case(config, processes, folder / "unbroken" / NAME)
    begin = time.monotonic()
    finish(case.words(folder / "unbroken"))
    return case, time.monotonic() - begin


def newest_step(folder: Path) -> int:
    """Step of the newest state that is complete, 0 without any."""
    if not list(folder.glob("resume_step_*.npz")):
        return 0
    return read_resume_state(find_state(folder))[1]["global_step"]


def step_so_far(folder: Path) -> int:
    """The same of a run that goes on, which may delete an older state while it is read."""
    with contextlib.suppress(WeightsError):
        return newest_step(folder)
    return 0


def check_nothing_lost(folder: Path, before: int) -> int:
    """Check all files after a kill: whole, and no older than before. Returns the newest step."""
    for path in folder.glob("*.pdparams"):
        read_state(path)  # raises when it is damaged
    for path in folder.glob("resume_step_*.npz"):
        read_resume_state(path)
    step = newest_step(folder)
    assert step >= before, f"{folder}: the newest state was of step {before}, now of {step}"
    return step


def victims(process: subprocess.Popen) -> list[int]:
    """The process and, below a launcher, those that train."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    with contextlib.suppress(OSError):
        return [process.pid, *map(int, children.read_text().split())]
    return [process.pid]


def kill_at_random(case: Case, output: Path, rng: random.Random, window: float) -> bool:
    """Start or resume, kill after a random time; False when the run had ended before."""
    process = start(case.words(output))
    try:
        process.wait(timeout=rng.uniform(0.2, window))
    except subprocess.TimeoutExpired:
        if case.processes > 1 and rng.random() < 0.5:  # one of them dies, the others must end
            with contextlib.suppress(ProcessLookupError):
                os.kill(rng.choice(victims(process)[1:] or [process.pid]), signal.SIGKILL)
            process.wait(timeout=60)
            end_group(process)
        else:
            end_group(process)
        return True
    if process.returncode:
        raise RuntimeError(f"{' '.join(case.words(output))} ended with {process.returncode}")
    return False


def end_group(process: subprocess.Popen) -> None:
    """Kill the process and all that it started; the launcher's workers have groups of their own."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGSTOP)  # it starts no more while we look
    pids = victims(process)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
    process.wait()
    for pid in pids[1:]:
        while Path(f"/proc/{pid}").exists() and "(zombie)" not in _state_of(pid):
            time.sleep(0.02)  # until it has given its lock back


def _state_of(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/status").read_text()
    return "(zombie)"


def run_kills(
    case: Case, folder: Path, *, kills: int, rng: random.Random, window: float
) -> Figures:
    """Break trainings until so many kills have hit, end each, compare each.

    Raises:
        AssertionError: a file was lost or differs.
    """
    figures = Figures()
    expected = fingerprint(case.unbroken)
    while figures.kills < kills:
        figures.runs += 1
        output, step = folder / f"broken{figures.runs}", 0
        run = output / NAME
        while figures.kills < kills and kill_at_random(case, output, rng, window):
            figures.kills += 1
            figures.in_write += bool(list(run.glob(".*.tmp")))
            before, step = step, check_nothing_lost(run, step)
            figures.at_start += step == before
        if not (run / "curves.png").exists():
            finish(case.words(output))
        assert fingerprint(run) == expected, f"{run} differs from {case.unbroken}"
        assert not list(run.glob(".*.tmp")), "left-over temporary files"
    return figures


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mount a tmpfs of 16 MB on ``folder`` where that is allowed; yields whether it is."""
    folder.mkdir(parents=True)
    words = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    try:
        is_mounted = subprocess.run(words, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        is_mounted = False
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", str(folder)], check=True)


def run_full_disk(case: Case, folder: Path) -> str:
    """Fill the disk under a run, make room, resume, compare.

    Returns:
        What was done, or why it was not.
    """
    output = folder / "small"
    with small_disk(output) as is_mounted:
        if not is_mounted:
            return "skipped: mounting a tmpfs needs root"
        process = start(case.words(output), stderr=subprocess.PIPE)
        while step_so_far(output / NAME) < 5:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        filler = output / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        errors = process.communicate(timeout=120)[1]
        check_refusal(process.returncode, errors, "No space left on device")
        step = check_nothing_lost(output / NAME, 5)
        filler.unlink()
        finish(case.words(output))
        assert fingerprint(output / NAME) == fingerprint(case.unbroken)
    return f"full at step {step}: said so, lost nothing, and the resumed run is identical"


def run_file_limit(case: Case, folder: Path) -> str:
    """As a full disk, with a limit on the size of files, which needs no rights."""
    output = folder / "limited"
    process = start(case.words(output))
    while step_so_far(output / NAME) < 5:
        assert process.poll() is None
        time.sleep(0.05)
    end_group(process)
    step = check_nothing_lost(output / NAME, 5)
    limit = (20_000, resource.RLIM_INFINITY)
    process = start(
        case.words(output),
        stderr=subprocess.PIPE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
    )
    errors = process.communicate(timeout=120)[1]
    check_refusal(process.returncode, errors, "File too large")
    check_nothing_lost(output / NAME, step)
    finish(case.words(output))
    assert fingerprint(output / NAME) == fingerprint(case.unbroken)
    return f"no file larger than 20 kB at step {step}: said so, lost nothing, resumed identical"


def check_refusal(code: int, errors: str, reason: str) -> None:
    """Check exit code and message of a run that could not write."""
    assert code == 2, f"exit code {code}: {errors[-3000:]}"
    assert reason in errors, errors[-3000:]
    assert "saved before is intact" in errors, errors[-3000:]
    assert "Traceback" not in errors, errors[-3000:]


def main() -> int:
    """Parse the command line, run everything, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        case, seconds = prepare(folder, epochs=args.epochs, processes=args.processes)
        print(f"unbroken: {args.epochs} epochs, {args.processes} process(es), {seconds:.0f} s")
        rng = random.Random(args.seed)
        figures = run_kills(case, folder, kills=args.kills, rng=rng, window=0.6 * seconds)
        print(
            f"{figures.kills} kills, {figures.in_write} of them within a write, "
            f"{figures.at_start} before the first new state; {figures.runs} runs ended, all "
            "identical to the unbroken one; no file damaged or lost"
        )
        if args.processes == 1:
            print("disk full:", run_full_disk(case, folder))
            print("file limit:", run_file_limit(case, folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
