# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The engines of .onnx files: OpenVINO and ONNX Runtime, both imported when one is made."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from paddletsm.deploy.engine import EngineOptions, check_threads, default_threads
from paddletsm.errors import ConfigError, ExportError
from paddletsm.utils.memory import give_back_memory


class OpenVinoEngine:
    """An .onnx file run by OpenVINO on the CPU.

    Args:
        model_file: .onnx.
        options: threads, and whether clips come one by one.

    Raises:
        ConfigError: another device than the CPU.
        ExportError: OpenVINO cannot load the file.
    """

    def __init__(self, model_file: str | Path, options: EngineOptions | None = None) -> None:
        options = options or EngineOptions()
        _check_cpu_only("openvino", options)
        import openvino

        self._path = Path(model_file)
        self._settings = {
            "INFERENCE_NUM_THREADS": options.threads or default_threads(),
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",  # it takes bfloat16 by itself where it can
        }
        self._core = openvino.Core()
        try:
            self._model = self._core.read_model(str(self._path))
            self._compile(is_single=options.max_batch == 1)
        except RuntimeError as err:
            raise ExportError(f"{self._path}: OpenVINO cannot load it: {_first(err)}") from err

    def _compile(self, *, is_single: bool) -> None:
        """Compile for a batch of one, which runs faster and in less memory, or for any batch."""
        model = self._model
        if is_single:
            model = model.clone()
            shapes = {one: one.get_partial_shape() for one in model.inputs}
            for shape in shapes.values():
                shape[0] = 1
            model.reshape(shapes)
        self._is_single = is_single
        self._compiled = self._core.compile_model(model, "CPU", self._settings)
        give_back_memory()

    def _compiled_for(self, batch: int) -> Any:
        """The network for this batch; once a larger one has come, the one for any batch."""
        if self._is_single and batch > 1:
            self._compile(is_single=False)
        return self._compiled

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
            network = self._compiled_for(len(clips))
            return np.array(network(np.ascontiguousarray(clips, np.float32))[0])

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
