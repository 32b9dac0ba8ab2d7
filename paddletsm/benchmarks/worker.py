# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""One contestant in a process of its own: loads, then runs once for every line it reads.

stdin: the task as one line of JSON, then a line per run. stdout: a line of JSON for each.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

_GEMM_SIDE = 2048


def main() -> None:
    """Serve the process that measures."""
    task = json.loads(sys.stdin.readline())
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print must not mix with the answers
    run = _MAKERS[task["kind"]](task)
    loaded = time.time() - task["spawned"]
    start = time.perf_counter()
    run()
    first = time.perf_counter() - start
    facts = {"startup_s": loaded, "first_run_s": first, "resident_mb": _resident_mb()}
    channel.write(json.dumps(facts) + "\n")
    for _ in sys.stdin:
        answer = run() if task["kind"] == "stream" else _timing(run)
        channel.write(json.dumps(answer) + "\n")


def _timing(run: Callable[[], object]) -> dict[str, float]:
    run()  # its threads may have gone to sleep while the others ran
    start, used = time.perf_counter(), time.process_time()
    run()
    return {"wall_s": time.perf_counter() - start, "cpu_s": time.process_time() - used}


def _clips(task: dict[str, Any]) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(task["clips"], np.float32)


def _network(task: dict[str, Any]) -> Callable[[], object]:
    from paddletsm.deploy.engine import EngineOptions
    from paddletsm.deploy.engines import open_engine

    clips = _clips(task)
    options = EngineOptions(
        threads=task["threads"], max_batch=len(clips), openvino=task["openvino"]
    )
    engine = open_engine(task["engine"], [Path(path) for path in task["paths"]], options)
    return lambda: engine.run(clips)


def _predictor(task: dict[str, Any]) -> Callable[[], object]:
    from paddletsm.deploy.predictor import Predictor

    predictor = Predictor(
        task["folder"],
        engine=task["engine"],
        precision=task["precision"],
        threads=task["threads"],
        openvino=task["openvino"],
        batch_size=task["clips"][0],
    )
    clips = _clips(task)
    return lambda: predictor.logits(clips)


def _stream(task: dict[str, Any]) -> Callable[[], object]:
    """Frames of a stream beside a clip; it times itself, see ``stream.py``."""
    from paddletsm.benchmarks.stream import contestant

    options = {name: task[name] for name in ("engine", "threads", "openvino")}
    return contestant(task["online"], task["offline"], rest_s=task["rest_s"], **options)


def _gemm(task: dict[str, Any]) -> Callable[[], object]:
    """Square products of NumPy's BLAS that add up to the multiply-adds of the network."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, _GEMM_SIDE, _GEMM_SIDE), np.float32)
    rows = task["multiply_adds"] / _GEMM_SIDE**2
    whole, rest = divmod(round(rows), _GEMM_SIDE)

    def run() -> None:
        for _ in range(whole):
            a @ b
        a[:rest] @ b

    return run


def _training_step(task: dict[str, Any]) -> Callable[[], object]:
    """Forward, backward and update of one batch; threads as ``main.py`` sets them by itself."""
    from paddletsm.builders import build_model, load_config
    from paddletsm.utils.threads import import_paddle

    import_paddle(task["threads"])
    import paddle

    from paddletsm.benchmarks.contestants import without_shift
    from paddletsm.models.losses import classification_loss

    model = build_model(load_config(task["config"], task["overrides"]))
    if task["is_floor"]:
        without_shift(model)
    model.train()
    trained = [p for p in model.parameters() if not p.stop_gradient]
    optimizer = paddle.optimizer.Momentum(1e-4, parameters=trained)
    clips = paddle.to_tensor(_clips(task))
    labels = paddle.zeros([len(clips)], "int64")

    def run() -> None:
        classification_loss(model(clips), labels).backward()
        optimizer.step()
        optimizer.clear_grad()

    return run


def _resident_mb() -> float:
    """Memory in use now, not its peak."""
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    except OSError:  # not Linux
        pass
    return float("nan")


_MAKERS: dict[str, Callable[[dict[str, Any]], Callable[[], object]]] = {
    "network": _network,
    "predictor": _predictor,
    "gemm": _gemm,
    "stream": _stream,
    "train": _training_step,
}

if __name__ == "__main__":
    main()
