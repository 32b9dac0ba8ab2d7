# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Predict with an artefact: everything but the clips comes from its folder.

file -> pipeline of inference.yml -> views [V,T,3,H,W] -> network -> logits [V,K] -> scores [K]
"""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paddletsm.deploy.ahead import in_order
from paddletsm.deploy.artefact import Artefact, read_artefact
from paddletsm.deploy.engine import Engine, EngineOptions, default_threads
from paddletsm.deploy.engine_process import EngineProcess
from paddletsm.deploy.engines import make_engines
from paddletsm.deploy.predictor_checks import (
    check_numbers,
    check_paths,
    check_takes_clips,
    check_top_k,
    warn_of_random_weights,
)
from paddletsm.errors import DataError
from paddletsm.metrics import average_views
from paddletsm.utils.io import nearest_file
from paddletsm.utils.threads import usable_cores

if TYPE_CHECKING:
    from paddletsm.data import Batch, ClipLoader

# Fewer files are read in this process: a worker's start takes as long as reading some.
_FEW_FILES = 4
_TIMEOUT_S = 60.0


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the network says about one clip.

    Attributes:
        path: the file or frame folder.
        labels: class names, the most probable first; as many as were asked for.
        label_ids: their numbers.
        scores: theirs, softmax or sigmoid, views averaged, as the artefact's protocol says.
        logits: [V, K] float32 before that, one row per view of the protocol: all clips of the
            first crop, then those of the second.
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


def default_workers(*, device: str = "cpu", precision: str = "fp32") -> int:
    """Processes that read clips for one predictor.

    A floating-point network on a CPU computes several times longer than a clip takes to read.
    """
    cores = min(usable_cores(), default_threads())
    return cores if device != "cpu" or precision == "int8" else max(1, cores // 2)


class Predictor:
    """Runs an exported network on video files (or frame folders, where it was made for them).

    Args:
        model_dir: artefact folder written by ``export_model``.
        device: "cpu", "gpu" or "gpu:1".
        threads: CPU threads; by default the cores this process may use.
        mkldnn: oneDNN kernels on the CPU; left with a warning where they cannot run.
        openvino: with the engine "paddle", the OpenVINO that Paddle 3 brings, where it can run the
            network: faster than oneDNN. Without ``mkldnn`` it is left alone as well.
        batch_size: views per forward pass; a clip of a ten-crop protocol has ten.
        use_tensorrt: TensorRT on a GPU.
        engine: "paddle", "openvino", "onnxruntime", or "auto": the fastest that is installed and
            that the artefact has a file for.
        precision: "fp32" or "int8".
        format: of the formats that the artefact holds, the one to run; by default the first that
            the engine runs of pdmodel, json and onnx.
        num_workers: processes that read clips for ``predict_many``; 0: a thread of this process.
            By default none for a few files, else as ``default_workers`` says.
        instances: how often the network is loaded, to compute as many batches at the same time,
            each with its share of the threads, Paddle's in processes of their own: more clips per
            second, each a little later.
        timeout_s: limit for reading one file.

    Raises:
        ExportError: the folder is not a complete artefact.
        ConfigError: device, threads, another number or engine cannot be had.
    """

    def __init__(
        self,
        model_dir: str | Path,
        *,
        device: str = "cpu",
        threads: int | None = None,
        mkldnn: bool = True,
        openvino: bool = True,
        batch_size: int = 1,
        use_tensorrt: bool = False,
        engine: str = "paddle",
        precision: str = "fp32",
        format: str | None = None,
        num_workers: int | None = None,
        instances: int = 1,
        timeout_s: float = _TIMEOUT_S,
    ) -> None:
        from paddletsm.data import build_pipeline  # imports OpenCV

        check_numbers(batch_size, num_workers, instances, timeout_s)
        self.model_dir = Path(model_dir)
        self.batch_size = batch_size
        self.artefact: Artefact = read_artefact(self.model_dir)
        check_takes_clips(self.artefact, self.model_dir)
        warn_of_random_weights(self.artefact, self.model_dir)
        where = f"{self.model_dir / 'inference.yml'}: pipeline"
        self.pipeline = build_pipeline(self.artefact.pipeline, where=where)
        if instances > 1:
            threads = max(1, (threads or default_threads()) // instances)
        options = EngineOptions(
            device, threads, mkldnn, use_tensorrt, max_batch=batch_size, openvino=openvino
        )
        self._free: queue.SimpleQueue[tuple[Engine, ThreadPoolExecutor]] = queue.SimpleQueue()
        self._instances = instances
        self._engines = make_engines(
            self.model_dir,
            self.artefact if format is None else self.artefact.only(format),
            instances,
            engine=engine,
            precision=precision,
            options=options,
        )
        self.engine: Engine = self._engines[0]
        for one in self._engines:
            self._free.put((one, ThreadPoolExecutor(1, "paddletsm-engine")))
        self._num_workers = num_workers
        self._default_workers = default_workers(device=device, precision=precision)
        self._timeout_s = timeout_s
        self._idle_loaders: dict[int, ClipLoader] = {}  # by their number of workers

    @property
    def labels(self) -> tuple[str, ...]:
        """K class names in the order of the logits."""
        return self.artefact.labels

    def predict(self, path: str | os.PathLike[str], top_k: int = 5) -> Prediction:
        """Classify one file, which is read in this process.

        Args:
            path: a video file, or a frame folder where the artefact's decoder reads those.
            top_k: number of classes to name; more than there are means all.

        Raises:
            DataError: the file is missing, or cannot be decoded within the time limit.
            ConfigError: top_k is below 1.
        """
        check_top_k(top_k)
        loader = self._take_loader(0)
        (loaded,) = _read(loader, [os.fspath(path)])
        self._give_loader(loader)
        (prediction,) = self._finish([loaded], top_k)
        if prediction.error is not None:
            raise DataError(prediction.error)
        return prediction

    def predict_many(
        self, paths: Iterable[str | os.PathLike[str]], top_k: int = 5
    ) -> Iterator[Prediction]:
        """Classify files: while some are computed, the next ones are read.

        Memory holds the clips of a few batches, however many paths there are.

        Args:
            paths: files; taken from the iterator a few ahead, by another thread.
            top_k: number of classes to name; more than there are means all.

        Yields:
            One prediction per path, in the order of ``paths``. A file that cannot be read, or not
            in time, has ``error`` set and no scores; no other file takes its place.

        Raises:
            ConfigError: top_k is below 1, or ``paths`` is one path.
        """
        check_top_k(top_k)
        check_paths(paths)
        return self._predict_many(map(os.fspath, paths), top_k)

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
        with self._free_instance() as (engine, thread):
            batches = [clips[i : i + size] for i in range(0, len(clips), size)]
            parts = [thread.submit(engine.run, batch).result() for batch in batches]
        return np.concatenate(parts)

    def close(self) -> None:
        """End the threads and processes that read or compute; the next call starts others."""
        for engine in self._engines:
            if isinstance(engine, EngineProcess):
                engine.close()
        while self._idle_loaders:
            self._idle_loaders.popitem()[1].close()

    def __enter__(self) -> Predictor:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _free_instance(self) -> Iterator[tuple[Engine, ThreadPoolExecutor]]:
        """Lend an engine, which runs one batch at a time, and the only thread it may run in.

        Engines that run side by side in threads that change make oneDNN fail ("could not execute a
        primitive").
        """
        instance = self._free.get()
        try:
            yield instance
        finally:
            self._free.put(instance)

    def _take_loader(self, num_workers: int) -> ClipLoader:
        """Take a loader whose workers run already, or make one."""
        from paddletsm.data import ClipDataset, ClipLoader

        idle = self._idle_loaders.pop(num_workers, None)
        if idle is not None:
            return idle
        dataset = ClipDataset((), self.pipeline)
        return ClipLoader(dataset, num_workers=num_workers, timeout_s=self._timeout_s)

    def _give_loader(self, loader: ClipLoader) -> None:
        if self._idle_loaders.setdefault(loader.num_workers, loader) is not loader:
            loader.close()

    def _predict_many(self, paths: Iterator[str], top_k: int) -> Iterator[Prediction]:
        first = list(itertools.islice(paths, _FEW_FILES))
        workers = self._num_workers
        if workers is None:
            workers = self._default_workers if len(first) == _FEW_FILES else 0
        loader = self._take_loader(workers)
        found = in_order(
            self._batches(_read(loader, itertools.chain(first, paths))),
            lambda batch: self._finish(batch, top_k),
            threads=self._instances,
            interrupt=loader.close,
        )
        with contextlib.closing(found):
            for predictions in found:
                yield from predictions
        self._give_loader(loader)

    def _batches(self, files: Iterator[_Loaded]) -> Iterator[list[_Loaded]]:
        """Gather files until their views fill a batch."""
        waiting: list[_Loaded] = []
        views = 0
        for loaded in files:
            waiting.append(loaded)
            views += 0 if loaded.views is None else len(loaded.views)
            # A failure is told at once unless earlier files must be told first.
            if views >= self.batch_size or not views:
                yield waiting
                waiting, views = [], 0
        if waiting:
            yield waiting

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
        """Average the views [V, K] and name the best classes."""
        scores = average_views(logits, self.artefact.average, self.artefact.activation)
        best = np.argsort(-scores, kind="stable")[:top_k]
        return Prediction(
            path=path,
            labels=tuple(self.labels[label] for label in best),
            label_ids=tuple(int(label) for label in best),
            scores=tuple(float(scores[label]) for label in best),
            logits=logits,
            times_ms=times_ms,
        )


def _read(loader: ClipLoader, paths: Iterable[str]) -> Iterator[_Loaded]:
    """Read one file after the other, some of them ahead."""
    from paddletsm.data import Sample

    samples = ([Sample(path, -1, number)] for number, path in enumerate(paths))
    sources, shown = itertools.tee(samples)  # the loader takes them ahead of their clips
    for batch, (sample,) in zip(loader.iterate_samples(sources), shown, strict=False):
        yield _loaded(sample.path, batch)


def _loaded(path: str, batch: Batch) -> _Loaded:
    if batch.clips is None:
        missing = f"{path} does not exist{nearest_file(path)}"
        return _Loaded(path, None, {}, batch.failed[0].reason if os.path.lexists(path) else missing)
    return _Loaded(path, batch.clips[0], _stages(batch.times_ms[0]))


def _stages(times: Mapping[str, float]) -> dict[str, float]:
    """Milliseconds of the loader's finer stages, put together."""
    return {
        "open": times["open"],
        "decode": times["seek"] + times["decode"],
        "transform": times["transform"] + times["normalize"],
    }
