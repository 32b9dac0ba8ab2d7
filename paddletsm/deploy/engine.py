# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Paddle Inference behind one small interface: an array of clips in, an array of logits out."""

from __future__ import annotations

import logging
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from paddletsm.deploy.quiet import quiet_paddle, quiet_stdout
from paddletsm.errors import ConfigError, ExportError
from paddletsm.utils.text import nearest
from paddletsm.utils.threads import import_paddle, most_threads, threads_per_process, usable_cores

logger = logging.getLogger(__name__)

_GPU_POOL_MB = 256
_TENSORRT_WORKSPACE = 1 << 30
# What Paddle's C++ checks become in Python (paddle/fluid/pybind/exception.cc).
_PADDLE_ERRORS = (
    RuntimeError,
    ValueError,
    IndexError,
    MemoryError,
    NotImplementedError,
    OSError,
    SystemError,
)


class Engine(Protocol):
    """Whatever can run an exported network."""

    @property
    def output_name(self) -> str:
        """Name of the logits in the network."""
        ...

    def run(self, clips: np.ndarray) -> np.ndarray:
        """[N, T, 3, H, W] float32 -> logits [N, K] float32, for any N of at least 1."""
        ...


@dataclass(frozen=True)
class EngineOptions:
    """How to run a network.

    Attributes:
        device: "cpu", "gpu" or "gpu:1".
        threads: CPU threads; None for as many as this process may use cores.
        mkldnn: oneDNN kernels on the CPU.
        use_tensorrt: TensorRT sub-graphs on a GPU.
        max_batch: most clips of one call; TensorRT plans for it.
    """

    device: str = "cpu"
    threads: int | None = None
    mkldnn: bool = True
    use_tensorrt: bool = False
    max_batch: int = 1


def default_threads() -> int:
    """Threads for one predictor: the cores of this process, or what the user's variables say."""
    under_launcher = "PADDLE_LOCAL_SIZE" in os.environ or "PADDLE_TRAINERS_NUM" in os.environ
    if "paddle" in sys.modules and not under_launcher:
        if os.environ.get("OMP_NUM_THREADS") == "1":  # set by Paddle's own import
            return usable_cores()
    return threads_per_process()


class PaddleEngine:
    """A network run by Paddle Inference.

    oneDNN is left, with one warning, for Paddle's own kernels when it cannot run the network on
    this processor (https://github.com/PaddlePaddle/Paddle/issues/77340).

    Args:
        model_file: .pdmodel, or .json of Paddle 3.
        params_file: .pdiparams.
        options: device, threads and accelerators.

    Raises:
        ConfigError: the options contradict each other or this build of Paddle.
        ExportError: Paddle cannot load the files.
    """

    def __init__(
        self, model_file: str | Path, params_file: str | Path, options: EngineOptions | None = None
    ) -> None:
        self.options = options or EngineOptions()
        self.uses_mkldnn = self.options.mkldnn and self.options.device == "cpu"
        self._files = (Path(model_file), Path(params_file))
        check_threads(self.options.threads)
        self._threads = self.options.threads or default_threads()
        import_paddle(self._threads)
        _check_options(self.options)
        self._predictor = self._create()

    @property
    def output_name(self) -> str:
        """Name that Paddle gave the logits."""
        return self._predictor.get_output_names()[0]

    def run(self, clips: np.ndarray) -> np.ndarray:
        """[N, T, 3, H, W] float32 -> logits [N, K] float32.

        Raises:
            ExportError: Paddle cannot run the network on this input.
        """
        try:
            return self._run(clips)
        except _PADDLE_ERRORS as err:
            if not self.uses_mkldnn:
                raise ExportError(f"{self._files[0]}: Paddle cannot run it: {_short(err)}") from err
            self._leave_mkldnn(err)
        self._predictor = self._create()
        return self.run(clips)

    def _run(self, clips: np.ndarray) -> np.ndarray:
        source = self._predictor.get_input_handle(self._predictor.get_input_names()[0])
        source.reshape(list(clips.shape))
        source.copy_from_cpu(np.ascontiguousarray(clips, dtype=np.float32))
        self._predictor.run()
        target = self._predictor.get_output_handle(self.output_name)
        return target.copy_to_cpu()

    def _create(self) -> Any:
        import paddle
        import paddle.inference

        try:
            with quiet_paddle(), quiet_stdout():
                return paddle.inference.create_predictor(self._config())
        except _PADDLE_ERRORS as err:
            if not self.uses_mkldnn:
                message = f"{self._files[0]}: Paddle {paddle.__version__} cannot load it"
                raise ExportError(f"{message}: {_short(err)}") from err
            self._leave_mkldnn(err)
        return self._create()

    def _leave_mkldnn(self, err: Exception) -> None:
        self.uses_mkldnn = False
        logger.warning(
            "oneDNN cannot run this model here (%s); continuing without it, which is slower",
            _short(err),
        )

    def _config(self) -> Any:
        from paddle import inference

        options = self.options
        config = inference.Config(*(str(path) for path in self._files))
        config.disable_glog_info()
        if self._files[0].suffix == ".json":  # the memory pass fails on this format without these
            config.enable_new_ir(True)
            config.enable_new_executor(True)
        if options.device == "cpu":
            config.disable_gpu()
            config.set_cpu_math_library_num_threads(self._threads)
            if self.uses_mkldnn:
                config.enable_mkldnn()
            elif hasattr(config, "disable_mkldnn"):  # Paddle 3 turns it on by itself
                config.disable_mkldnn()
        else:
            config.enable_use_gpu(_GPU_POOL_MB, _gpu_index(options.device))
            if options.use_tensorrt:
                # float32, because the artefact's parity figure was measured in it
                config.enable_tensorrt_engine(
                    workspace_size=_TENSORRT_WORKSPACE,
                    max_batch_size=options.max_batch,
                    min_subgraph_size=3,
                    precision_mode=inference.PrecisionType.Float32,
                    use_static=False,
                    use_calib_mode=False,
                )
        config.enable_memory_optim()
        return config


def check_threads(threads: int | None) -> None:
    """Refuse numbers of threads that cannot be.

    Raises:
        ConfigError: below 1, or many times the cores of this machine.
    """
    if threads is not None and threads < 1:
        raise ConfigError(f"threads must be at least 1, not {threads}")
    if threads is not None and threads > most_threads():
        raise ConfigError(f"threads must be at most {most_threads()} here, not {threads}")


def _check_options(options: EngineOptions) -> None:
    kind = options.device.split(":")[0]
    if kind not in ("cpu", "gpu"):
        raise ConfigError(
            f"device {options.device!r} is not supported for prediction"
            f"{nearest(kind, ('cpu', 'gpu'))} (allowed: cpu, gpu, gpu:N)"
        )
    if kind == "cpu":
        if options.device != "cpu":
            raise ConfigError(f"device {options.device!r}: the CPU has no number; write 'cpu'")
        if options.use_tensorrt:
            raise ConfigError("TensorRT runs on a GPU only; add the device 'gpu' or leave it out")
        return
    index = _gpu_index(options.device)
    import paddle

    if not paddle.is_compiled_with_cuda():
        raise ConfigError(
            f"device {options.device!r}: the installed Paddle {paddle.__version__} is a CPU build; "
            "use the device 'cpu', or install paddlepaddle-gpu"
        )
    count = paddle.device.cuda.device_count()
    if index >= count:
        raise ConfigError(
            f"device {options.device!r}: Paddle sees {count} GPUs (the first is gpu:0); "
            "check CUDA_VISIBLE_DEVICES and the driver, or use the device 'cpu'"
        )


def _gpu_index(device: str) -> int:
    _, _, number = device.partition(":")
    if number and not (number.isascii() and number.isdecimal()):
        raise ConfigError(f"device {device!r}: write 'gpu' or 'gpu:N', N a number from 0")
    return int(number or 0)


def _short(err: Exception) -> str:
    """The line of one of Paddle's many-line messages that says what happened."""
    lines = [line.strip() for line in str(err).splitlines() if line.strip()]
    telling = [line for line in lines if re.match(r"\(?\w+\)? ?\w*Error: |\(\w+\) ", line)]
    return (telling or lines or [type(err).__name__])[0][:300]
