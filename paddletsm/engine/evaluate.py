# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Score a data set: every sample once, whatever the number of processes."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
import paddle

from paddletsm.data import Batch, ClipLoader, eval_batches
from paddletsm.engine.distributed import World, gather
from paddletsm.engine.scored import Scored
from paddletsm.errors import PaddleTSMError
from paddletsm.metrics import Activation, Average, average_views
from paddletsm.models import Recognizer2D

logger = logging.getLogger(__name__)

FrameOrder = Literal["ordered", "shuffled", "reversed"]
FRAME_ORDERS = ("ordered", "shuffled", "reversed")

# Limits of one forward pass, so that a test of many views needs no more memory than another:
# clips, and pixels of all their frames (16 clips of 8 frames of 256 x 256).
_MAX_CLIPS = 32
_MAX_PIXELS = 16 * 8 * 256 * 256


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
    average: Average = "scores",
    activation: Activation = "softmax",
    amp_level: str | None = None,
    amp_dtype: str = "float16",
    on_batch: Callable[[int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Scored:
    """Run the network over a data set and gather the scores of all processes.

    Args:
        model: the network, not its distributed wrapper; its mode is restored afterwards.
        loader: of the data set.
        batch_size: samples per batch and process; fewer are read at once where they have so many
            views that a batch would hold more than 32 clips.
        world: the processes that share the work.
        frame_order: "shuffled" and "reversed" change the order of the frames of every clip, to see
            whether a network uses it.
        average: what is averaged over the views of a clip, see ``average_views``.
        activation: "sigmoid" where clips may have several labels; those of the result are [N, K].
        amp_level: "O1" or "O2" for a network that is trained in mixed precision.
        amp_dtype: of it, "float16" or "bfloat16".
        on_batch: called with the number of samples after each batch.
        should_stop: asked after each batch; when it is true on any process, all stop.

    Raises:
        EvaluationStoppedError: ``should_stop`` was true somewhere.
    """
    world = world or World()
    is_stopped = False
    ids, logits, labels, failures = [], [], [], []
    pipeline = loader.dataset.pipeline
    size = bounded_batch(batch_size, pipeline.num_clips * pipeline.num_crops)
    batches = eval_batches(len(loader.dataset), size, rank=world.rank, world=world.size)
    autocast = paddle.amp.auto_cast(
        enable=amp_level is not None, level=amp_level or "O1", dtype=amp_dtype
    )
    with evaluating(model), autocast:
        for batch in loader.iterate(batches):
            failures.extend(batch.failed)
            if batch.clips is not None:
                ids.append(batch.ids)
                labels.append(_labels(model, batch, activation))
                logits.append(_batch_logits(model, batch, frame_order, average, activation))
            if on_batch:
                on_batch(len(batch.ids))
            # A stopped process still meets the others below: they may wait there already.
            is_stopped = should_stop is not None and should_stop()
            if is_stopped:
                break
    parts = gather((ids, logits, labels, failures, is_stopped), world)
    if any(part[-1] for part in parts):
        raise EvaluationStoppedError("the evaluation was stopped")
    return _merge(parts, model.head.num_classes, average, activation)


def bounded_batch(batch_size: int, views: int) -> int:
    """Samples of a batch that together have no more than 32 views; at least 1."""
    return max(1, min(batch_size, _MAX_CLIPS // views))


def _batch_logits(
    model: Recognizer2D,
    batch: Batch,
    frame_order: FrameOrder,
    average: Average,
    activation: Activation,
) -> np.ndarray:
    """Views joined: float64 scores [N, K], or where logits are averaged those."""
    clips = reorder_frames(batch.clips, batch.ids, frame_order)
    samples, views = clips.shape[:2]
    flat = clips.reshape(-1, *clips.shape[2:])  # [N*V, T, 3, H, W]
    parts = [model(paddle.to_tensor(part)).astype("float32").numpy() for part in _chunks(flat)]
    logits = np.concatenate(parts).reshape(samples, views, -1)
    if average == "logits":
        return logits.astype(np.float64).mean(1)
    return average_views(logits, average, activation)


def _labels(model: Recognizer2D, batch: Batch, activation: Activation) -> np.ndarray:
    if activation == "sigmoid":
        return batch.with_multi_hot(model.head.num_classes).labels
    return batch.labels


def _chunks(clips: np.ndarray) -> Iterator[np.ndarray]:
    pixels = clips[0].size // 3  # of all frames of a clip
    step = max(1, min(_MAX_CLIPS, _MAX_PIXELS // pixels))
    for start in range(0, len(clips), step):
        yield clips[start : start + step]


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


def _merge(
    parts: list[tuple], num_classes: int, average: Average, activation: Activation
) -> Scored:
    """Join what the processes scored, sorted by sample."""
    ids = [array for part in parts for array in part[0]]
    joined = [array for part in parts for array in part[1]]
    labels = [array for part in parts for array in part[2]]
    failures = sorted((f for part in parts for f in part[3]), key=lambda f: f.sample_id)
    if not ids:
        empty, nothing = np.zeros(0, np.int64), np.zeros((0, num_classes), np.float32)
        no_labels = nothing if activation == "sigmoid" else empty
        return Scored(empty, nothing, no_labels, tuple(failures))
    all_ids = np.concatenate(ids)
    order = np.argsort(all_ids)
    values = np.concatenate(joined)[order]
    has_logits = average == "logits"
    scores = average_views(values[:, None], average, activation) if has_logits else values
    return Scored(
        all_ids[order],
        scores.astype(np.float32),
        np.concatenate(labels)[order],
        tuple(failures),
        values.astype(np.float32) if has_logits else None,
    )
