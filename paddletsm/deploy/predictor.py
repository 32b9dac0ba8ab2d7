# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Predict with an artefact: everything but the clips comes from its folder.

file -> pipeline of inference.yml -> views [V,T,3,H,W] -> network -> logits [V,K] -> mean of scores
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from paddletsm.deploy.artefact import Artefact, read_artefact
from paddletsm.deploy.engine import Engine, EngineOptions, PaddleEngine
from paddletsm.errors import ConfigError, DataError
from paddletsm.utils.io import nearest_file


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the network says about one clip.

    Attributes:
        path: the file or frame folder.
        labels: class names, the most probable first; as many as were asked for.
        label_ids: their numbers.
        scores: their softmax scores, averaged over the views.
        logits: [V, K] float32 before softmax, one row per view of the protocol.
        times_ms: milliseconds per stage: open, decode, transform, infer.
        error: why there is no prediction; None when there is one.
    """

    path: str
    labels: tuple[str, ...] = ()
    label_ids: tuple[int, ...] = ()
    scores: tuple[float, ...] = ()
    logits: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    times_ms: dict[str, float] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True)
class _Loaded:
    """A file after the pipeline: ``views`` [V, T, 3, H, W], or None and ``error``."""

    path: str
    views: np.ndarray | None
    times_ms: dict[str, float]
    error: str | None = None


class Predictor:
    """Runs an exported network on video files (or frame folders, where it was made for them).

    Args:
        model_dir: artefact folder written by ``export_model``.
        device: "cpu", "gpu" or "gpu:1".
        threads: CPU threads; by default the cores this process may use.
        mkldnn: oneDNN kernels on the CPU; left with a warning where they cannot run.
        batch_size: views per forward pass; a clip of a ten-crop protocol has ten.
        use_tensorrt: TensorRT on a GPU.

    Raises:
        ExportError: the folder is not a complete artefact.
        ConfigError: device, threads or batch size cannot be had.
    """

    def __init__(
        self,
        model_dir: str | Path,
        *,
        device: str = "cpu",
        threads: int | None = None,
        mkldnn: bool = True,
        batch_size: int = 1,
        use_tensorrt: bool = False,
    ) -> None:
        from paddletsm.data import build_pipeline  # imports OpenCV

        if batch_size < 1:
            raise ConfigError(f"batch_size must be at least 1, not {batch_size}")
        self.model_dir = Path(model_dir)
        self.batch_size = batch_size
        self.artefact: Artefact = read_artefact(self.model_dir)
        where = f"{self.model_dir / 'inference.yml'}: pipeline"
        self.pipeline = build_pipeline(self.artefact.pipeline, where=where)
        structure, weights = self.artefact.network_files
        self.engine: Engine = PaddleEngine(
            self.model_dir / structure,
            self.model_dir / weights,
            EngineOptions(device, threads, mkldnn, use_tensorrt, max_batch=batch_size),
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """K class names in the order of the logits."""
        return self.artefact.labels

    def predict(self, path: str | os.PathLike[str], top_k: int = 5) -> Prediction:
        """Classify one file.

        Args:
            path: a video file, or a frame folder where the artefact's decoder reads those.
            top_k: number of classes to name; more than there are means all.

        Raises:
            DataError: the file is missing or cannot be decoded.
            ConfigError: top_k is below 1.
        """
        prediction = next(self.predict_many([path], top_k))
        if prediction.error is not None:
            raise DataError(prediction.error)
        return prediction

    def predict_many(
        self, paths: Iterable[str | os.PathLike[str]], top_k: int = 5
    ) -> Iterator[Prediction]:
        """Classify files one after another.

        Args:
            paths: files; taken from the iterator as they are needed.
            top_k: number of classes to name; more than there are means all.

        Yields:
            One prediction per path, in the order of ``paths``. A file that cannot be read has
            ``error`` set and no scores; no other file takes its place.

        Raises:
            ConfigError: top_k is below 1.
        """
        if top_k < 1:
            raise ConfigError(f"top_k must be at least 1, not {top_k}")
        return self._predict_many(paths, top_k)

    def logits(self, clips: np.ndarray) -> np.ndarray:
        """Run the network alone, ``batch_size`` clips at a time.

        Args:
            clips: [N, T, 3, H, W] float32, normalised as the pipeline does.

        Returns:
            Logits [N, K] float32, before softmax.

        Raises:
            DataError: the shape is not the network's.
        """
        clips = np.asarray(clips)
        expected = self.artefact.input.shape[1:]
        if clips.ndim != 5 or clips.shape[1:] != expected or not len(clips):
            sizes = ", ".join(map(str, expected))
            raise DataError(f"the network takes clips [N, {sizes}], not {list(clips.shape)}")
        size = self.batch_size
        parts = [self.engine.run(clips[i : i + size]) for i in range(0, len(clips), size)]
        return np.concatenate(parts)

    def _predict_many(
        self, paths: Iterable[str | os.PathLike[str]], top_k: int
    ) -> Iterator[Prediction]:
        """Gather files until their views fill a batch, then run them together."""
        waiting: list[_Loaded] = []
        views = 0
        for number, path in enumerate(paths):
            loaded = self._load(os.fspath(path), number)
            waiting.append(loaded)
            views += 0 if loaded.views is None else len(loaded.views)
            # A failure is told at once unless earlier files must be told first.
            if views >= self.batch_size or not views:
                yield from self._finish(waiting, top_k)
                waiting, views = [], 0
        yield from self._finish(waiting, top_k)

    def _load(self, path: str, number: int) -> _Loaded:
        from paddletsm.data import Sample

        if not os.path.exists(path):
            return _Loaded(path, None, {}, f"{path} does not exist{nearest_file(path)}")
        try:
            clip, times = self.pipeline.run(
                Sample(path=path, label=-1, id=number), np.random.default_rng(0)
            )
        except DataError as err:
            return _Loaded(path, None, {}, str(err))
        stages = {key.removesuffix("_ms"): value for key, value in times.items()}
        return _Loaded(path, clip.frames, stages)

    def _finish(self, waiting: Sequence[_Loaded], top_k: int) -> list[Prediction]:
        """Run all views in batches and hand each file its own rows."""
        clips = [item.views for item in waiting if item.views is not None]
        if not clips:
            return [Prediction(item.path, error=item.error) for item in waiting]
        start = time.perf_counter()
        logits = self.logits(clips[0] if len(clips) == 1 else np.concatenate(clips))
        per_view_ms = (time.perf_counter() - start) * 1e3 / len(logits)
        predictions, row = [], 0
        for item in waiting:
            if item.views is None:
                predictions.append(Prediction(item.path, error=item.error))
                continue
            rows = logits[row : row + len(item.views)]
            row += len(rows)
            times = {**item.times_ms, "infer": per_view_ms * len(rows)}
            predictions.append(self._rank(item.path, rows, times, top_k))
        return predictions

    def _rank(
        self, path: str, logits: np.ndarray, times_ms: dict[str, float], top_k: int
    ) -> Prediction:
        """Average the scores of the views [V, K] and name the best classes."""
        scores = mean_scores(logits)
        best = np.argsort(-scores, kind="stable")[:top_k]
        return Prediction(
            path=path,
            labels=tuple(self.labels[label] for label in best),
            label_ids=tuple(int(label) for label in best),
            scores=tuple(float(scores[label]) for label in best),
            logits=logits,
            times_ms=times_ms,
        )


def mean_scores(logits: np.ndarray) -> np.ndarray:
    """Average the softmax scores of the views: [V, K] -> [K] float64.

    Source: MMAction2 averages scores, not logits, over the views of a video.
    """
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return (shifted / shifted.sum(axis=1, keepdims=True)).mean(axis=0)
