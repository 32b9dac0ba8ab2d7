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
from paddletsm.deploy.online_engine import OnlineEngine
from paddletsm.deploy.predictor import Prediction
from paddletsm.deploy.stream.frames import FrameTransform
from paddletsm.deploy.stream.smoothing import RunningMean, as_prediction
from paddletsm.errors import ConfigError, DataError, ExportError


class StreamPredictor:
    """Runs a streaming network on frames as they come.

    Args:
        model_dir: artefact folder written by ``export_online``.
        device: "cpu", "gpu" or "gpu:1".
        threads: CPU threads; by default the cores this process may use.
        mkldnn: oneDNN kernels on the CPU; left with a warning where they cannot run.
        streams: number of streams (cameras) that it follows at once.
        average_frames: k, predictions average the logits of the last k frames; by default what the
            artefact says: the T frames of a training clip.
        top_k: number of classes that a prediction names.

    Raises:
        ExportError: the folder is not a complete streaming artefact.
        ConfigError: device, threads, streams, average_frames or top_k cannot be had.
    """

    def __init__(
        self,
        model_dir: str | Path,
        *,
        device: str = "cpu",
        threads: int | None = None,
        mkldnn: bool = True,
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
        files = [self.model_dir / file for file in self.artefact.files_of("pdmodel")]
        options = EngineOptions(device, threads, mkldnn, max_batch=streams)
        self.engine = OnlineEngine(*files, options)
        self._mean = RunningMean(streams, self.average_frames)
        self._state = self.zero_state(streams)
        self.streams = streams
        self.delay_s = 0.0  # a prediction is of the time of its frame

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
            raise DataError(f"{len(frames)} frames for {self.streams} streams; give one of each")
        rows = [row for row, frame in enumerate(frames) if frame is not None]
        if not rows:
            return [None] * self.streams
        start = time.perf_counter()
        batch = self._transform.batch([frames[row] for row in rows])
        transformed = time.perf_counter()
        logits = self._step(batch, rows)
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
            for tensor in self._state:
                tensor[row] = 0.0

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
        state, found = self.zero_state(1), []
        for frame in frames:
            batch = self._transform.batch([frame]) if is_raw else frame[None]
            logits, state = self.engine.step(batch, state)
            found.append(logits[0])
        return np.stack(found)

    def zero_state(self, streams: int) -> list[np.ndarray]:
        """State of streams before their first frame, for ``engine.step``."""
        return [np.zeros((streams, *item.shape[1:]), np.float32) for item in self.artefact.state]

    def _step(self, batch: np.ndarray, rows: Sequence[int]) -> np.ndarray:
        """Run the streams of these rows; their state changes."""
        if len(rows) == self.streams:
            logits, self._state = self.engine.step(batch, self._state)
            return logits
        index = list(rows)
        logits, new_state = self.engine.step(batch, [tensor[index] for tensor in self._state])
        for tensor, new in zip(self._state, new_state, strict=True):
            tensor[index] = new
        return logits
