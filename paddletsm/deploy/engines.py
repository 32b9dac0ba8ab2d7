# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Which program runs an artefact's network: Paddle, OpenVINO or ONNX Runtime.

Only the chosen one is imported. OpenVINO starts in a third of the time and memory of Paddle.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from paddletsm.deploy.artefact import Artefact
from paddletsm.deploy.engine import (
    Engine,
    EngineOptions,
    PaddleEngine,
    check_threads,
    default_threads,
)
from paddletsm.deploy.engine_process import EngineProcess
from paddletsm.deploy.quiet import quiet_stdout
from paddletsm.errors import ConfigError, ExportError
from paddletsm.utils.memory import give_back_memory
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
    return (
        f"the artefact of {artefact.model_name} holds {listing(artefact.formats)}, nothing that "
        f"the engine {engine} runs in {precision}; export it again with --format "
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
    name, _ = choose_engine(artefact, engine, precision, device=options.device)
    if count == 1 or name != "paddle":
        return [
            make_engine(folder, artefact, engine=name, precision=precision, options=options)
            for _ in range(count)
        ]
    processes = [
        EngineProcess(folder, engine=name, precision=precision, options=options, cores=cores)
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


class OpenVinoEngine:
    """An .onnx file run by OpenVINO on the CPU.

    Args:
        model_file: .onnx.
        options: threads.

    Raises:
        ConfigError: another device than the CPU.
        ExportError: OpenVINO cannot load the file.
    """

    def __init__(self, model_file: str | Path, options: EngineOptions | None = None) -> None:
        options = options or EngineOptions()
        _check_cpu_only("openvino", options)
        import openvino

        self._path = Path(model_file)
        settings = {
            "INFERENCE_NUM_THREADS": options.threads or default_threads(),
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",  # it takes bfloat16 by itself where it can
        }
        try:
            self._compiled = openvino.Core().compile_model(str(self._path), "CPU", settings)
        except RuntimeError as err:
            raise ExportError(f"{self._path}: OpenVINO cannot load it: {_first(err)}") from err
        give_back_memory()

    @property
    def output_name(self) -> str:
        """Name of the logits."""
        return self._compiled.output(0).get_any_name()

    def run(self, clips: np.ndarray) -> np.ndarray:
        """[N, T, 3, H, W] float32 -> logits [N, K] float32.

        Raises:
            ExportError: OpenVINO cannot run the network on this input.
        """
        with self._running():
            return np.array(self._compiled(np.ascontiguousarray(clips, np.float32))[0])

    @contextlib.contextmanager
    def _running(self) -> Iterator[None]:
        """Around every run: OpenVINO's errors become ours."""
        try:
            yield
        except RuntimeError as err:
            raise ExportError(f"{self._path}: OpenVINO cannot run it: {_first(err)}") from err


class OnnxRuntimeEngine:
    """An .onnx file run by ONNX Runtime on the CPU.

    Args:
        model_file: .onnx.
        options: threads.

    Raises:
        ConfigError: another device than the CPU.
        ExportError: ONNX Runtime cannot load the file.
    """

    def __init__(self, model_file: str | Path, options: EngineOptions | None = None) -> None:
        options = options or EngineOptions()
        _check_cpu_only("onnxruntime", options)
        import onnxruntime

        self._path = Path(model_file)
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = options.threads or default_threads()
        settings.log_severity_level = 3
        self._errors = _runtime_errors()
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(self._path), settings, providers=["CPUExecutionProvider"]
            )
        except self._errors as err:
            raise ExportError(f"{self._path}: ONNX Runtime cannot load it: {_first(err)}") from err
        self._input = self._session.get_inputs()[0].name

    @property
    def output_name(self) -> str:
        """Name of the logits."""
        return self._session.get_outputs()[0].name

    def run(self, clips: np.ndarray) -> np.ndarray:
        """[N, T, 3, H, W] float32 -> logits [N, K] float32.

        Raises:
            ExportError: ONNX Runtime cannot run the network on this input.
        """
        source = {self._input: np.ascontiguousarray(clips, np.float32)}
        with self._running():
            return self._session.run(None, source)[0]

    @contextlib.contextmanager
    def _running(self) -> Iterator[None]:
        """Around every run: ONNX Runtime's errors become ours."""
        try:
            yield
        except self._errors as err:
            raise ExportError(f"{self._path}: ONNX Runtime cannot run it: {_first(err)}") from err


def _runtime_errors() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises; its own classes have no common base but Exception."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NotImplemented")
    own = [getattr(state, name) for name in (*names, "NoSuchFile", "RuntimeException")]
    return (*own, RuntimeError, ValueError)


def _check_cpu_only(name: str, options: EngineOptions) -> None:
    if options.device != "cpu" or options.use_tensorrt:
        raise ConfigError(
            f"the engine {name} runs on the CPU here, not on {options.device!r}; leave the device "
            "out, or use the engine paddle"
        )
    check_threads(options.threads)


def _first(err: Exception) -> str:
    lines = [line.strip() for line in str(err).splitlines() if line.strip()]
    return (lines or [type(err).__name__])[0][:300]
