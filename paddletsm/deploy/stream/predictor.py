# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Predict frame by frame with a streaming artefact: a camera, a stream, several at once.

frame -> transforms of inference.yml -> network with the state of its stream -> logits of the frame
      -> mean of the last k -> scores
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from paddletsm.deploy.artefact import Artefact, read_artefact
from paddletsm.deploy.engine import EngineOptions
from paddletsm.deploy.online_engine import make_online_engine
from paddletsm.deploy.predictor import Prediction
from paddletsm.deploy.stream.frames import FrameTransform
from paddletsm.deploy.stream.smoothing import RunningMean, as_prediction
from paddletsm.errors import ConfigError, DataError, ExportError
from paddletsm.utils.text import plural


class StreamPredictor:
    """Runs a streaming network on frames as they come.

    Args:
        model_dir: artefact folder written by ``export_online``.
        device: "cpu", "gpu" or "gpu:1".
        threads: CPU threads; by default the cores this process may use.
        mkldnn: oneDNN kernels on the CPU; left with a warning where they cannot run.
        openvino: with the engine "paddle", the OpenVINO that Paddle 3 brings; see ``Predictor``.
        engine: "paddle", "onnxruntime", "openvino", or "auto": the fastest for single frames that
            is installed and that the artefact has a file for.
        streams: number of streams (cameras) that it follows at once.
        average_frames: k, predictions average the logits of the last k frames; by default what the
            artefact says: the T frames of a training clip.
        top_k: number of classes that a prediction names.

    Raises:
        ExportError: the folder is not a complete streaming artefact.
        ConfigError: device, threads, engine, streams, average_frames or top_k cannot be had.
    """

    def __init__(
        self,
        model_dir: str | Path,
        *,
        device: str = "cpu",
        threads: int | None = None,
        mkldnn: bool = True,
        openvino: bool = True,
        engine: str = "paddle",
        streams: int = 1,
        average_frames: int | None = None,
        top_k: int = 5,
    ) -> None:
        for name, value in (("streams", streams), ("top_k", top_k)):
            if value < 1:
                raise ConfigError(f"{name} must be at least 1, not {value}")
        if average_frames is not None and average_frames < 1:
            raise ConfigError(f"average_frames must be at least 1, not {average_frames}")
        self.model_dir = Path(model_dir)
        self.artefact: Artefact = read_artefact(self.model_dir)
        stream = self.artefact.stream
        if stream is None:
            raise ExportError(
                f"{self.model_dir} takes whole clips, not single frames; export an online network "
                "with --online (python tools/export_model.py --online -c CONFIG)"
            )
        self.fps: float | None = stream["fps"]
        self.average_frames = average_frames or int(stream["average_frames"])
        self.top_k = min(top_k, len(self.artefact.labels))
        where = f"{self.model_dir / 'inference.yml'}: pipeline"
        self._transform = FrameTransform(self.artefact.pipeline, where=where)
        options = EngineOptions(device, threads, mkldnn, max_batch=streams, openvino=openvino)
        self.engine = make_online_engine(
            self.model_dir, self.artefact, engine=engine, options=options
        )
        self._mean = RunningMean(streams, self.average_frames)
        self._states = self.engine.start(streams)
        self.streams = streams
        self.middle_s: float | None = None  # a prediction is of its frame

    @property
    def labels(self) -> tuple[str, ...]:
        """K class names in the order of the logits."""
        return self.artefact.labels

    def push(self, frame: np.ndarray) -> Prediction:
        """Take the next frame of the only stream.

        Args:
            frame: uint8 [H, W, 3] RGB, of any size; ``fps`` of them per second.

        Returns:
            What the network says about the video so far: classes and scores of the mean of the
            last k frames' logits, and that mean as ``logits`` [1, K].

        Raises:
            DataError: not such an array.
            ConfigError: the predictor follows several streams; see ``push_many``.
        """
        if self.streams != 1:
            raise ConfigError(f"push is for one stream, this follows {self.streams}: push_many")
        if frame is None:
            raise DataError("a frame must be uint8 [H, W, 3] RGB, not None")
        (prediction,) = self.push_many([frame])
        assert prediction is not None
        return prediction

    def push_many(self, frames: Sequence[np.ndarray | None]) -> list[Prediction | None]:
        """Take the next frame of each stream and run them together.

        Args:
            frames: one per stream; None where a stream has no new frame: its state stays.

        Returns:
            One prediction per stream, None where there was no frame; see ``push``.

        Raises:
            DataError: another number of frames than streams, or one is no frame.
        """
        if len(frames) != self.streams:
            given, wanted = plural(len(frames), "frame"), plural(self.streams, "stream")
            raise DataError(f"{given} for {wanted}; give one of each")
        rows = [row for row, frame in enumerate(frames) if frame is not None]
        if not rows:
            return [None] * self.streams
        start = time.perf_counter()
        batch = self._transform.batch([frames[row] for row in rows])
        transformed = time.perf_counter()
        logits = self._states.next(batch, rows)
        done = time.perf_counter()
        times = {"transform": 1e3 * (transformed - start), "infer": 1e3 * (done - transformed)}
        found: list[Prediction | None] = [None] * self.streams
        for row, of_frame in zip(rows, logits, strict=True):
            found[row] = as_prediction(
                self._mean.push(row, of_frame),
                self.labels,
                path=f"stream {row}",
                top_k=self.top_k,
                times_ms=times,
            )
        return found

    def finish(self) -> Prediction | None:
        """At the end of a video: nothing is left to be said."""
        return None

    def reset(self, stream: int | None = None) -> None:
        """Begin anew: forget what was seen by one stream, or by all."""
        if stream is not None and not 0 <= stream < self.streams:
            raise ConfigError(f"there is no stream {stream} (0 to {self.streams - 1})")
        for row in range(self.streams) if stream is None else (stream,):
            self._mean.reset(row)
            self._states.reset(row)

    def logits(self, frames: np.ndarray) -> np.ndarray:
        """Logits of each frame of one video, from its beginning; the streams stay as they are.

        Args:
            frames: uint8 [F, H, W, 3] RGB; or float32 [F, 3, H, W], normalised as the artefact's
                pipeline does.

        Returns:
            Logits [F, K] float32 of the single frames, before softmax: not averaged.

        Raises:
            DataError: another shape.
        """
        frames = np.asarray(frames)
        is_raw = frames.dtype == np.uint8
        expected = self.artefact.input.shape[1:]
        if not len(frames) or not (is_raw or frames.shape[1:] == expected):
            sizes = ", ".join(map(str, expected))
            raise DataError(
                f"the network takes frames [F, H, W, 3] uint8 or [F, {sizes}] float32, not "
                f"{frames.dtype} {list(frames.shape)}"
            )
        states = self.engine.start()
        batches = (self._transform.batch([frame]) if is_raw else frame[None] for frame in frames)
        return np.concatenate([states.next(batch) for batch in batches])
