# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Who runs a streaming network, and where the state of its streams lies.

engine.start(n) -> Streams    next(frames) -> logits: the state stays with the engine
engine.step(frames, state)    -> logits and state: the caller keeps it

Paddle takes and gives copies of the state. ONNX Runtime and OpenVINO read it from one set of arrays
and write it to another; for the next frame the sets change places, so nothing is copied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from paddletsm.deploy.artefact import Artefact
from paddletsm.deploy.engine import EngineOptions, PaddleEngine
from paddletsm.deploy.engines import AUTO, ENGINES, choose_engine, is_installed
from paddletsm.deploy.onnx_engines import OnnxRuntimeEngine, OpenVinoEngine
from paddletsm.errors import DataError

# For one frame at a time another engine is the fastest than for clips.
_FASTEST_FIRST = ("onnxruntime", "paddle", "openvino")


@dataclass(frozen=True)
class StreamShapes:
    """Shapes of what goes into and out of a streaming network, without the axis of the streams.

    Attributes:
        frame: (3, H, W).
        state: of each shift, (C // shift_div, h, w).
        num_classes: K.
    """

    frame: tuple[int, ...]
    state: tuple[tuple[int, ...], ...]
    num_classes: int

    @classmethod
    def of(cls, artefact: Artefact) -> StreamShapes:
        """What ``inference.yml`` says."""
        state = tuple(item.shape[1:] for item in artefact.state)
        return cls(artefact.input.shape[1:], state, len(artefact.labels))

    def zeros(self, streams: int) -> list[np.ndarray]:
        """State of streams before their first frame, [N, C // shift_div, h, w] float32 each."""
        return [np.zeros((streams, *shape), np.float32) for shape in self.state]

    def check(self, frames: np.ndarray, state: Sequence[np.ndarray]) -> None:
        """Refuse what the network cannot take.

        Raises:
            DataError: frames or state of another shape, or of different numbers of streams.
        """
        if frames.shape[1:] != self.frame or not len(frames):
            sizes = ", ".join(map(str, self.frame))
            raise DataError(f"the network takes frames [N, {sizes}], not {list(frames.shape)}")
        if len(state) != len(self.state):
            raise DataError(
                f"the state of this network is {len(self.state)} arrays, not {len(state)}; "
                "begin with zero_state"
            )
        for number, (array, shape) in enumerate(zip(state, self.state, strict=True)):
            if array.shape != (len(frames), *shape):
                raise DataError(
                    f"state {number} must be {[len(frames), *shape]} for a batch of {len(frames)} "
                    f"frames, not {list(array.shape)}; each stream has its own state"
                )


class OnlineEngine:
    """A streaming network in one engine: what the engines share.

    Attributes:
        name: of the engine, and of the kernels that Paddle uses.

    Args:
        paths: files of the network, the structure first.
        shapes: of its inputs and outputs.
        options: how to run it.

    Raises:
        ConfigError: the engine does not take the options.
        ExportError: it cannot load the files.
    """

    name = ""

    def __init__(
        self, paths: Sequence[Path], shapes: StreamShapes, options: EngineOptions | None = None
    ) -> None:
        super().__init__(*paths, options)  # type: ignore[call-arg]
        self.shapes = shapes

    def zero_state(self, streams: int) -> list[np.ndarray]:
        """State of streams before their first frame."""
        return self.shapes.zeros(streams)

    def start(self, streams: int = 1) -> Streams:
        """Follow N streams from their beginning; any number of such sets is independent."""
        return Streams(self, streams)

    def step(
        self, frames: np.ndarray, state: Sequence[np.ndarray]
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Run one frame of each of N streams whose state the caller keeps.

        Args:
            frames: [N, 3, H, W] float32, normalised.
            state: per shift [N, C // shift_div, h, w] float32: of the frames before, or zeros.

        Returns:
            Logits [N, K] float32 of these frames, and the new state; ``state`` is left as it was.

        Raises:
            DataError: frames or state of another shape.
            ExportError: the engine cannot run the network.
        """
        self.shapes.check(frames, state)
        arrays = [np.ascontiguousarray(array, np.float32) for array in (frames, *state)]
        logits, *new_state = self._step(arrays)
        return logits, new_state

    def _step(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """(frames, state 0, ...) -> (logits, state 0, ...), new arrays."""
        raise NotImplementedError


class Streams:
    """N streams and their state; made by ``OnlineEngine.start``.

    Attributes:
        state: per shift [N, C // shift_div, h, w] float32; of rows that have seen nothing, zeros.
    """

    def __init__(self, engine: OnlineEngine, count: int) -> None:
        self._engine, self._count = engine, count
        self.state = engine.zero_state(count)

    def next(self, frames: np.ndarray, rows: Sequence[int] | None = None) -> np.ndarray:
        """Run the next frame of each stream.

        Args:
            frames: [N, 3, H, W] float32, normalised; one for each of ``rows``.
            rows: streams that have a frame, the others stay as they are; None: all.

        Returns:
            Logits [N, K] float32 of these frames.

        Raises:
            DataError: frames of another shape, or another number of them.
            ExportError: the engine cannot run the network.
        """
        if rows is None or list(rows) == list(range(self._count)):
            self._engine.shapes.check(frames, self.state)
            return self._next(frames)
        index = list(rows)
        logits, new = self._engine.step(frames, [array[index] for array in self.state])
        for array, part in zip(self.state, new, strict=True):
            array[index] = part
        return logits

    def reset(self, row: int | None = None) -> None:
        """Begin anew, in one stream or in all."""
        for array in self.state:
            array[slice(None) if row is None else row] = 0.0

    def _next(self, frames: np.ndarray) -> np.ndarray:
        logits, self.state = self._engine.step(frames, self.state)
        return logits


class _InPlaceStreams(Streams):
    """Streams of an engine that reads and writes given arrays."""

    def __init__(self, engine: _InPlaceEngine, count: int) -> None:
        super().__init__(engine, count)
        shapes = engine.shapes
        self._other = engine.zero_state(count)
        self._frames = np.zeros((count, *shapes.frame), np.float32)
        self._logits = np.zeros((count, shapes.num_classes), np.float32)
        self._runs = [
            engine.bind([self._frames, *one], [self._logits, *other])
            for one, other in ((self.state, self._other), (self._other, self.state))
        ]

    def _next(self, frames: np.ndarray) -> np.ndarray:
        self._frames[:] = frames
        self._runs[0]()
        self._runs.reverse()
        self.state, self._other = self._other, self.state
        return self._logits.copy()


class _InPlaceEngine(OnlineEngine):
    def start(self, streams: int = 1) -> Streams:
        """See ``OnlineEngine``; the state lies in arrays that the engine reads and writes."""
        return _InPlaceStreams(self, streams)

    def bind(
        self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]
    ) -> Callable[[], None]:
        """Make what runs the network from these arrays to those; they have to live on."""
        raise NotImplementedError


class _PaddleOnline(OnlineEngine, PaddleEngine):
    @property
    def name(self) -> str:
        return f"paddle {self.kernels}"

    def _step(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        return self.run(inputs)  # leaves kernels that cannot

    def _create(self) -> Any:
        predictor = super()._create()
        # Once: looking for them by name in every frame takes time.
        names = input_names(len(predictor.get_input_names()) - 1)
        self._inputs = [predictor.get_input_handle(name) for name in names]
        self._outputs = [predictor.get_output_handle(name) for name in predictor.get_output_names()]
        return predictor

    def _run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        for handle, value in zip(self._inputs, inputs, strict=True):
            handle.reshape(list(value.shape))
            handle.copy_from_cpu(value)
        self._predictor.run()
        return [handle.copy_to_cpu() for handle in self._outputs]


class _OnnxRuntimeOnline(_InPlaceEngine, OnnxRuntimeEngine):
    name = "onnxruntime"

    def _step(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        names = input_names(len(inputs) - 1)
        with self._running():
            return self._session.run(None, dict(zip(names, inputs, strict=True)))

    def bind(
        self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]
    ) -> Callable[[], None]:
        from onnxruntime import OrtValue

        binding = self._session.io_binding()
        for name, array in zip(input_names(len(inputs) - 1), inputs, strict=True):
            binding.bind_ortvalue_input(name, OrtValue.ortvalue_from_numpy(array))
        for target, array in zip(self._session.get_outputs(), outputs, strict=True):
            binding.bind_ortvalue_output(target.name, OrtValue.ortvalue_from_numpy(array))

        def run() -> None:
            with self._running():
                self._session.run_with_iobinding(binding)

        return run


class _OpenVinoOnline(_InPlaceEngine, OpenVinoEngine):
    name = "openvino"

    def _step(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        names = input_names(len(inputs) - 1)
        with self._running():
            network = self._compiled_for(len(inputs[0]))
            found = network(dict(zip(names, inputs, strict=True)))
            return [np.array(found[number]) for number in range(len(inputs))]

    def bind(
        self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]
    ) -> Callable[[], None]:
        from openvino import Tensor

        with self._running():
            request = self._compiled_for(len(inputs[0])).create_infer_request()
        for name, array in zip(input_names(len(inputs) - 1), inputs, strict=True):
            request.set_tensor(name, Tensor(array, shared_memory=True))
        for number, array in enumerate(outputs):
            request.set_output_tensor(number, Tensor(array, shared_memory=True))

        def run() -> None:
            with self._running():
                request.infer()

        return run


def input_names(states: int) -> list[str]:
    """Names of the inputs of a streaming network, the frame first."""
    return ["frame", *(f"state_{index}" for index in range(states))]


def choose_online_engine(
    artefact: Artefact, engine: str = "paddle", *, device: str = "cpu"
) -> tuple[str, str]:
    """Find an engine and a format of a streaming artefact; see ``choose_engine``.

    "auto" is another one than for clips: fastest for single frames.
    """
    if engine == AUTO and device == "cpu":
        for name in _FASTEST_FIRST:
            if is_installed(name) and set(ENGINES[name]) & set(artefact.formats):
                return choose_engine(artefact, name)
    return choose_engine(artefact, engine, device=device)


def make_online_engine(
    folder: Path,
    artefact: Artefact,
    *,
    engine: str = "paddle",
    options: EngineOptions | None = None,
) -> OnlineEngine:
    """Open the network of a streaming artefact; arguments as in ``choose_online_engine``.

    Raises:
        ConfigError: nothing fits, see ``choose_engine``, or the options do not.
        ExportError: the files cannot be loaded.
    """
    options = options or EngineOptions()
    name, form = choose_online_engine(artefact, engine, device=options.device)
    paths = [folder / file for file in artefact.files_of(form)]
    return open_online_engine(name, paths, StreamShapes.of(artefact), options)


def open_online_engine(
    name: str, paths: Sequence[Path], shapes: StreamShapes, options: EngineOptions
) -> OnlineEngine:
    """Open the files of a streaming network with one engine."""
    makers: dict[str, Callable[..., OnlineEngine]] = {
        "paddle": _PaddleOnline,
        "onnxruntime": _OnnxRuntimeOnline,
        "openvino": _OpenVinoOnline,
    }
    return makers[name](paths, shapes, options)
