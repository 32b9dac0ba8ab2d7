# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Score a data set: every sample once, whatever the number of processes."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import paddle
import paddle.nn.functional as F

from paddletsm.data import Batch, ClipLoader, Failure, eval_batches
from paddletsm.engine.distributed import World, gather
from paddletsm.errors import PaddleTSMError
from paddletsm.metrics import METRICS
from paddletsm.models import Recognizer2D

logger = logging.getLogger(__name__)

FrameOrder = Literal["ordered", "shuffled", "reversed"]
FRAME_ORDERS = ("ordered", "shuffled", "reversed")

# Clips of one forward pass, so that ten-crop tests need no more memory than others.
_MAX_CLIPS = 32


@dataclass(frozen=True)
class Scored:
    """Scores of a data set, in the order of its list.

    Attributes:
        ids: sample numbers [N].
        scores: softmax scores averaged over views [N, K].
        labels: [N].
        failures: samples that could not be read; they are in none of the arrays.
    """

    ids: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    failures: tuple[Failure, ...]

    def metrics(self) -> dict[str, float]:
        """top1, top5, mean_class in percent, loss, and the counts they rest on."""
        values: dict[str, float] = {}
        for name in METRICS.names():
            metric = METRICS.get(name)()
            metric.update(self.ids, self.scores, self.labels)
            values.update(metric.compute())
        values["loss"] = self.loss()
        return {**values, "num_samples": len(self.ids), "num_failed": len(self.failures)}

    def loss(self) -> float:
        """Mean of -log(score of the label); NaN without samples."""
        if not len(self.ids):
            return float("nan")
        own = np.take_along_axis(self.scores, self.labels[:, None], axis=1)[:, 0]
        return float(-np.log(np.maximum(own.astype(np.float64), 1e-12)).mean())


class EvaluationStoppedError(PaddleTSMError):
    """A process was asked to stop; all have left the evaluation together."""


@contextlib.contextmanager
def evaluating(model: Recognizer2D) -> Iterator[None]:
    """Evaluation mode without gradients; the mode is restored."""
    was_training = model.training
    model.eval()
    try:
        with paddle.no_grad():
            yield
    finally:
        if was_training:
            model.train()


def score_dataset(
    model: Recognizer2D,
    loader: ClipLoader,
    *,
    batch_size: int,
    world: World | None = None,
    frame_order: FrameOrder = "ordered",
    amp_level: str | None = None,
    on_batch: Callable[[int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Scored:
    """Run the network over a data set and gather the scores of all processes.

    Args:
        model: the network, not its distributed wrapper; its mode is restored afterwards.
        loader: of the data set.
        batch_size: samples per batch and process.
        world: the processes that share the work.
        frame_order: "shuffled" and "reversed" change the order of the frames of every clip, to see
            whether a network uses it.
        amp_level: "O1" or "O2" for a network that is trained in mixed precision.
        on_batch: called with the number of samples after each batch.
        should_stop: asked after each batch; when it is true on any process, all stop.

    Raises:
        EvaluationStoppedError: ``should_stop`` was true somewhere.
    """
    world = world or World()
    is_stopped = False
    ids, scores, labels, failures = [], [], [], []
    batches = eval_batches(len(loader.dataset), batch_size, rank=world.rank, world=world.size)
    autocast = paddle.amp.auto_cast(enable=amp_level is not None, level=amp_level or "O1")
    with evaluating(model), autocast:
        for batch in loader.iterate(batches):
            failures.extend(batch.failed)
            if batch.clips is not None:
                ids.append(batch.ids)
                labels.append(batch.labels)
                scores.append(_batch_scores(model, batch, frame_order))
            if on_batch:
                on_batch(len(batch.ids))
            # A stopped process still meets the others below: they may wait there already.
            is_stopped = should_stop is not None and should_stop()
            if is_stopped:
                break
    parts = gather((ids, scores, labels, failures, is_stopped), world)
    if any(part[-1] for part in parts):
        raise EvaluationStoppedError("the evaluation was stopped")
    return _merge(parts, model.head.num_classes)


def _batch_scores(model: Recognizer2D, batch: Batch, frame_order: FrameOrder) -> np.ndarray:
    """Softmax scores averaged over views, [N, K]."""
    clips = reorder_frames(batch.clips, batch.ids, frame_order)
    samples, views = clips.shape[:2]
    flat = clips.reshape(-1, *clips.shape[2:])  # [N*V, T, 3, H, W]
    parts = [
        F.softmax(model(paddle.to_tensor(part)).astype("float32"), -1).numpy()
        for part in _chunks(flat)
    ]
    return np.concatenate(parts).reshape(samples, views, -1).mean(1)


def _chunks(clips: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(clips), _MAX_CLIPS):
        yield clips[start : start + _MAX_CLIPS]


def reorder_frames(clips: np.ndarray, ids: np.ndarray, order: FrameOrder) -> np.ndarray:
    """Change the order of the frames of clips [N, V, T, 3, H, W]; a shuffle is fixed per sample."""
    if order == "ordered":
        return clips
    if order == "reversed":
        return np.ascontiguousarray(clips[:, :, ::-1])
    shuffled = np.empty_like(clips)
    for index, sample_id in enumerate(ids):
        permutation = np.random.default_rng([int(sample_id), 7]).permutation(clips.shape[2])
        shuffled[index] = clips[index][:, permutation]
    return shuffled


def _merge(parts: list[tuple], num_classes: int) -> Scored:
    """Join what the processes scored, sorted by sample."""
    ids = [array for part in parts for array in part[0]]
    scores = [array for part in parts for array in part[1]]
    labels = [array for part in parts for array in part[2]]
    failures = sorted((f for part in parts for f in part[3]), key=lambda f: f.sample_id)
    if not ids:
        empty = np.zeros(0, np.int64)
        return Scored(empty, np.zeros((0, num_classes), np.float32), empty, tuple(failures))
    all_ids = np.concatenate(ids)
    order = np.argsort(all_ids)
    return Scored(
        all_ids[order],
        np.concatenate(scores)[order],
        np.concatenate(labels)[order],
        tuple(failures),
    )
