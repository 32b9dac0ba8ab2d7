# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Times of several programs that take turns, so that a slow phase of the machine hits them all."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from paddletsm.errors import ExportError

_ROOT = Path(__file__).resolve().parents[2]
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Timing:
    """One contestant's figures.

    Attributes:
        name: what ran.
        p50_ms: median latency of a batch.
        p95_ms: 95th percentile.
        cpu_ms: median processor time of all its threads.
        clips_per_s: batch size over the median.
        ratio: median over that of the first contestant, the floor.
        resident_mb: memory after the first run.
        startup_s: from starting the process to the loaded network.
        first_run_s: duration of the first run.
    """

    name: str
    p50_ms: float
    p95_ms: float
    cpu_ms: float
    clips_per_s: float
    ratio: float
    resident_mb: float
    startup_s: float
    first_run_s: float


class _Child:
    """A ``worker.py`` process."""

    def __init__(self, name: str, task: Mapping[str, Any]) -> None:
        self.name = name
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), *_python_path()])}
        for variable in _THREAD_VARIABLES:
            environment.pop(variable, None)
            if task["threads"]:
                environment[variable] = str(task["threads"])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "paddletsm.benchmarks.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self._write({**task, "spawned": time.time()})
        self.facts = self._read()

    def run(self) -> dict[str, Any]:
        """Let it run once; wall and processor seconds, or what else its task tells."""
        self._write("run")
        return self._read()

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)

    def kill(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()

    def _write(self, message: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ExportError(f"{self.name}: the measuring process has ended, see above")
        return json.loads(line)


def _python_path() -> list[str]:
    return [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]


def measure(
    tasks: Mapping[str, Mapping[str, Any]], *, runs: int, batch: int = 1, floor: str | None = None
) -> list[Timing]:
    """Start one process per task and let them run in turn.

    Args:
        tasks: name -> what ``worker.py`` is told.
        runs: timed runs of each; before each of them it runs once untimed.
        batch: clips per run.
        floor: name that ratios refer to; the first by default.

    Returns:
        Figures in the order of ``tasks``.

    Raises:
        ExportError: a process died.
    """
    turns = take_turns(tasks, runs=runs)
    base = _median(turns[floor or next(iter(tasks))].answers, "wall_s")
    return [_timing(name, turn, batch, base) for name, turn in turns.items()]


@dataclass(frozen=True)
class Turns:
    """What a process told of itself, and of each of its runs."""

    facts: Mapping[str, float]
    answers: Sequence[Mapping[str, Any]]


def take_turns(tasks: Mapping[str, Mapping[str, Any]], *, runs: int) -> dict[str, Turns]:
    """Start one process per task and let them run in turn; arguments as in ``measure``.

    Raises:
        ExportError: a process died.
    """
    children: list[_Child] = []
    answers: dict[str, list[dict[str, Any]]] = {name: [] for name in tasks}
    try:
        for name, task in tasks.items():  # one after the other: start-up is timed as well
            children.append(_Child(name, task))
        for _ in range(runs):
            for child in children:
                answers[child.name].append(child.run())
        for child in children:
            child.close()
    except BaseException:
        for child in children:
            child.kill()
        raise
    return {child.name: Turns(child.facts, answers[child.name]) for child in children}


def _timing(name: str, turns: Turns, batch: int, base: float) -> Timing:
    times = turns.answers
    median = _median(times, "wall_s")
    return Timing(
        name=name,
        p50_ms=1e3 * median,
        p95_ms=1e3 * float(np.percentile([one["wall_s"] for one in times], 95)),
        cpu_ms=1e3 * _median(times, "cpu_s"),
        clips_per_s=batch / median,
        ratio=median / base,
        **turns.facts,
    )


def _median(times: Sequence[Mapping[str, float]], key: str) -> float:
    return float(np.median([one[key] for one in times]))


def table(timings: Sequence[Timing]) -> str:
    """The figures as text."""
    width = max(len("network"), *(len(one.name) for one in timings))
    lines = [
        f"{'network':<{width}}  p50 ms  p95 ms  cpu ms  clips/s  ratio  memory MB  start s  first s"
    ]
    for one in timings:
        lines.append(
            f"{one.name:<{width}}  {one.p50_ms:>6.1f}  {one.p95_ms:>6.1f}  {one.cpu_ms:>6.1f}  "
            f"{one.clips_per_s:>7.2f}  {one.ratio:>5.2f}  {one.resident_mb:>9.0f}  "
            f"{one.startup_s:>7.2f}  {one.first_run_s:>7.2f}"
        )
    return "\n".join(lines)


def as_json(facts: Mapping[str, Any], timings: Sequence[Timing]) -> str:
    """The figures, the machine and the network, as JSON."""
    return json.dumps({**facts, "results": [asdict(one) for one in timings]}, indent=2)


def machine_facts() -> dict[str, Any]:
    """Processor, cores, load and Python."""
    from paddletsm.utils.threads import usable_cores

    name = platform.processor()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "processor": name,
        "cores": usable_cores(),
        "load_before": load,
        "python": platform.python_version(),
    }


def draw(timings: Sequence[Timing], path: Path, title: str) -> None:
    """Bars of the median latency, lines up to the 95th percentile."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 1.2 + 0.38 * len(timings)), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    places = np.arange(len(timings))[::-1]
    medians = np.array([one.p50_ms for one in timings])
    tails = np.array([one.p95_ms for one in timings]) - medians
    tails = np.maximum(tails, 0)
    axes.barh(places, medians, xerr=[0 * tails, tails], color=_colours(timings), height=0.7)
    axes.set_yticks(places, [one.name for one in timings])
    for place, end, median in zip(places, medians + tails, medians, strict=True):
        text = f"{median:.0f} ms" if median >= 100 else f"{median:.3g} ms"
        axes.annotate(text, (end, place), (4, 0), textcoords="offset points", va="center")
    axes.set_xlim(0, 1.12 * float((medians + tails).max()))
    axes.set_xlabel("milliseconds per batch, median and 95th percentile")
    axes.set_title(title)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, format="png")


def _colours(timings: Sequence[Timing]) -> list[str]:
    """What is exported stands out, in int8 more so."""
    return [
        "lightgrey"
        if not one.name.endswith("exported")
        else "tab:green"
        if " int8" in one.name
        else "tab:blue"
        for one in timings
    ]
