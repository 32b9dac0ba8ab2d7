# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Paddle Inference behind one small interface: an array of clips in, an array of logits out."""

from __future__ import annotations

import logging
import os
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from paddletsm.deploy.quiet import quiet_paddle, quiet_stdout
from paddletsm.errors import ConfigError, ExportError
from paddletsm.utils.memory import give_back_memory
from paddletsm.utils.text import nearest
from paddletsm.utils.threads import import_paddle, most_threads, threads_per_process, usable_cores

logger = logging.getLogger(__name__)

OPENVINO, ONEDNN, PLAIN = "OpenVINO", "oneDNN", "Paddle"

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
        mkldnn: oneDNN kernels on the CPU; without them, and without OpenVINO, Paddle's own.
        openvino: the OpenVINO that Paddle 3 brings, where it can run the network on the CPU.
        use_tensorrt: TensorRT sub-graphs on a GPU.
        max_batch: most clips of one call; TensorRT plans for it.
    """

    device: str = "cpu"
    threads: int | None = None
    mkldnn: bool = True
    use_tensorrt: bool = False
    max_batch: int = 1
    openvino: bool = True


def default_threads() -> int:
    """Threads for one predictor: the cores of this process, or what the user's variables say."""
    under_launcher = "PADDLE_LOCAL_SIZE" in os.environ or "PADDLE_TRAINERS_NUM" in os.environ
    if "paddle" in sys.modules and not under_launcher:
        if os.environ.get("OMP_NUM_THREADS") == "1":  # set by Paddle's own import
            return usable_cores()
    return threads_per_process()


class PaddleEngine:
    """A network run by Paddle Inference.

    On a CPU the kernels are OpenVINO's, which the packages of Paddle 3 for x86 hold, else oneDNN's,
    else Paddle's own; what cannot run the network on this processor is left with one warning
    (https://github.com/PaddlePaddle/Paddle/issues/77340).

    Args:
        model_file: .pdmodel, or .json of Paddle 3, which OpenVINO does not read.
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
        self._files = (Path(model_file), Path(params_file))
        check_threads(self.options.threads)
        self._threads = self.options.threads or default_threads()
        import_paddle(self._threads)
        _check_options(self.options)
        self._kernels = self._choose_kernels()
        self._compiled: tempfile.TemporaryDirectory[str] | None = None
        self._predictor = self._create()
        give_back_memory()

    @property
    def kernels(self) -> str:
        """Whose kernels run: "OpenVINO", "oneDNN" or "Paddle"."""
        return self._kernels[0]

    def _choose_kernels(self) -> list[str]:
        """Kernels that may be tried, the fastest first."""
        if self.options.device != "cpu" or not self.options.mkldnn:
            return [PLAIN]
        is_readable = self._files[0].suffix == ".pdmodel"
        # It binds its threads to cores, those of several processes to the same ones.
        is_alone = os.environ.get("PADDLE_LOCAL_SIZE", "1") == "1"
        if self.options.openvino and is_readable and is_alone and has_openvino():
            return [OPENVINO, ONEDNN, PLAIN]
        return [ONEDNN, PLAIN]

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
            found = self._run(clips)
        except _PADDLE_ERRORS as err:
            if self.kernels == PLAIN:
                raise ExportError(f"{self._files[0]}: Paddle cannot run it: {_short(err)}") from err
            self._leave_kernels(err)
        else:
            self._drop_compiled()
            return found
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
            if self.kernels == PLAIN:
                message = f"{self._files[0]}: Paddle {paddle.__version__} cannot load it"
                raise ExportError(f"{message}: {_short(err)}") from err
            self._leave_kernels(err)
        return self._create()

    def _leave_kernels(self, err: Exception) -> None:
        left = self._kernels.pop(0)
        self._drop_compiled()
        logger.warning(
            "%s cannot run this model here (%s); continuing with the slower kernels of %s",
            left,
            _short(err),
            self.kernels,
        )

    def _drop_compiled(self) -> None:
        """Delete what OpenVINO has compiled to disk: it is read once, by the first run."""
        if self._compiled is not None:
            self._compiled.cleanup()
            self._compiled = None

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
            self._set_kernels(config)
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

    def _set_kernels(self, config: Any) -> None:
        from paddle import inference

        if self.kernels == OPENVINO:
            # In a folder of its own: its default is one in the current folder, kept for ever.
            self._compiled = tempfile.TemporaryDirectory(
                prefix="paddletsm-", ignore_cleanup_errors=True
            )
            config.set_optim_cache_dir(self._compiled.name)
            # It would take bfloat16 by itself where it can.
            config.enable_openvino_engine(inference.PrecisionType.Float32)
        elif self.kernels == ONEDNN:
            config.enable_mkldnn()
        elif hasattr(config, "disable_mkldnn"):  # Paddle 3 turns it on by itself
            config.disable_mkldnn()


def has_openvino() -> bool:
    """Whether this build of Paddle holds OpenVINO and what reads Paddle's networks into it."""
    import paddle
    from paddle import inference

    libraries = Path(paddle.__file__).parent / "libs"
    return hasattr(inference.Config, "enable_openvino_engine") and any(
        libraries.glob("*openvino_paddle_frontend*")
    )


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
