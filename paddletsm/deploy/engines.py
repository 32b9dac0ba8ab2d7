# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Which program runs an artefact's network: Paddle, OpenVINO or ONNX Runtime.

Only the chosen one is imported. OpenVINO starts in a third of the time and memory of Paddle.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from paddletsm.deploy.artefact import Artefact
from paddletsm.deploy.engine import Engine, EngineOptions, PaddleEngine
from paddletsm.deploy.engine_process import EngineProcess
from paddletsm.deploy.onnx_engines import OnnxRuntimeEngine, OpenVinoEngine
from paddletsm.deploy.quiet import quiet_stdout
from paddletsm.errors import ConfigError
from paddletsm.utils.text import listing, nearest

# Engine -> the formats it runs, the fastest engine first (``tools/benchmark.py model``).
ENGINES = {
    "openvino": ("onnx", "int8"),
    "onnxruntime": ("onnx", "int8"),
    "paddle": ("pdmodel", "json"),
}
AUTO = "auto"
PRECISIONS = ("fp32", "int8")
_EXTRAS = {"openvino": "openvino", "onnxruntime": "onnx", "paddle": "cpu"}


def is_installed(engine: str) -> bool:
    """Whether the package of an engine can be imported; it is not."""
    return importlib.util.find_spec(engine) is not None


def choose_engine(
    artefact: Artefact, engine: str = "paddle", precision: str = "fp32", *, device: str = "cpu"
) -> tuple[str, str]:
    """Find an engine and a format of the artefact that fit what is wanted.

    Args:
        artefact: tells what formats there are.
        engine: a name of ``ENGINES``, or "auto": the fastest that is installed and has a file.
        precision: "fp32" or "int8".
        device: "auto" stays with Paddle on anything but the CPU.

    Returns:
        Names of the engine and the format.

    Raises:
        ConfigError: unknown names, a package that is missing, or no such format in the artefact.
    """
    choices = (("engine", engine, (*ENGINES, AUTO)), ("precision", precision, PRECISIONS))
    for what, word, known in choices:
        if word not in known:
            raise ConfigError(
                f"{what} {word!r} is unknown{nearest(word, known)} (known: {listing(known)})"
            )
    wanted = ("int8",) if precision == "int8" else ("pdmodel", "json", "onnx")
    usable = {
        name: form
        for name, formats in ENGINES.items()
        for form in reversed(formats)
        if form in wanted and form in artefact.formats
    }
    if engine == AUTO and usable:
        fitting = [name for name in usable if device == "cpu" or name == "paddle"]
        for name in filter(is_installed, fitting):
            return name, usable[name]
        if not fitting:
            raise ConfigError(
                f"{artefact.model_name} runs in {precision} with {listing(usable)} alone, on the "
                f"CPU, not on {device!r}; leave the device out"
            )
        raise ConfigError(
            f"no engine is installed that runs {artefact.model_name} in {precision}; "
            f"{_how_to_install(fitting)}"
        )
    if engine not in usable:
        raise ConfigError(_no_such_form(artefact, engine, precision))
    if not is_installed(engine):
        raise ConfigError(
            f"the engine {engine} is not installed; {_how_to_install([engine])}, or choose "
            "another engine"
        )
    return engine, usable[engine]


def _how_to_install(engines: Sequence[str]) -> str:
    return " or ".join(f"pip install 'paddletsm[{_EXTRAS[name]}]'" for name in engines)


def _no_such_form(artefact: Artefact, engine: str, precision: str) -> str:
    known = {name for formats in ENGINES.values() for name in formats}
    formats = ENGINES.get(engine, tuple(known))
    wanted = [name for name in formats if (name == "int8") == (precision == "int8")]
    if not wanted:
        others = [name for name in ENGINES if name != engine]
        remedy = "" if any(map(is_installed, others)) else f" ({_how_to_install(others)})"
        return (
            f"the engine {engine} does not run in {precision}; use openvino or onnxruntime, or "
            f"auto{remedy}"
        )
    int8 = "int8" if precision == "fp32" and "int8" in artefact.formats else ""
    if int8:
        others = "" if int8 in formats else "--engine auto "
        int8 = f"run it in 8 bit with {others}--precision int8, or "
    what = "any engine" if engine == AUTO else f"the engine {engine}"
    return (
        f"the artefact of {artefact.model_name} holds {listing(artefact.formats)}, nothing that "
        f"{what} runs in {precision}; {int8}export it again with --format "
        f"{' '.join([*artefact.formats, sorted(wanted)[-1]])}"
    )


def make_engine(
    folder: Path,
    artefact: Artefact,
    *,
    engine: str = "paddle",
    precision: str = "fp32",
    options: EngineOptions | None = None,
) -> Engine:
    """Open an artefact's network; arguments as in ``choose_engine``.

    Raises:
        ConfigError: nothing fits, see ``choose_engine``, or the options do not.
        ExportError: the files cannot be loaded.
    """
    options = options or EngineOptions()
    name, form = choose_engine(artefact, engine, precision, device=options.device)
    opened = open_engine(name, [folder / file for file in artefact.files_of(form)], options)
    if form == "json":
        run_once_quietly(opened, artefact)
    return opened


def run_once_quietly(engine: Engine, artefact: Artefact) -> None:
    """Run on zeros: Paddle 3 prints to standard output during the first run of a .json network."""
    with quiet_stdout():
        engine.run(np.zeros((1, *artefact.input.shape[1:]), np.float32))


def make_engines(
    folder: Path,
    artefact: Artefact,
    count: int,
    *,
    engine: str,
    precision: str,
    options: EngineOptions,
) -> list[Engine]:
    """Open a network ``count`` times, so that all compute at the same time.

    Paddle computes in one thread of a process at a time: several engines of it get processes.

    Raises:
        ConfigError, ExportError: as ``make_engine``.
    """
    name, form = choose_engine(artefact, engine, precision, device=options.device)
    if count == 1 or name != "paddle":
        return [
            make_engine(folder, artefact, engine=name, precision=precision, options=options)
            for _ in range(count)
        ]
    processes = [
        EngineProcess(
            folder, engine=name, precision=precision, options=options, form=form, cores=cores
        )
        for cores in _shares_of_cores(count)
    ]
    try:
        for process in processes:
            process.start()
        for process in processes:
            process.wait_ready()
    except BaseException:
        for process in processes:
            process.close()
        raise
    return list(processes)


def _shares_of_cores(count: int) -> list[list[int]]:
    """Cores of each of ``count`` processes; none where they cannot be bound or are too few."""
    try:
        cores = sorted(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        cores = []
    return [cores[i::count] if len(cores) >= count else [] for i in range(count)]


def open_engine(name: str, paths: Sequence[Path], options: EngineOptions) -> Engine:
    """Open a network's files with one engine."""
    makers: dict[str, Callable[..., Engine]] = {
        "paddle": PaddleEngine,
        "openvino": OpenVinoEngine,
        "onnxruntime": OnnxRuntimeEngine,
    }
    return makers[name](*paths, options)
