# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""One training step: one update of the weights, from one or several forward passes."""

from __future__ import annotations

import contextlib
import itertools
import math

import numpy as np
import paddle

from paddletsm.data import Batch
from paddletsm.engine.distributed import without_exchange
from paddletsm.engine.mixing import draw_blend
from paddletsm.engine.nonfinite import explain
from paddletsm.engine.setup import Setup, TrainOptions
from paddletsm.errors import DataError
from paddletsm.metrics import top_k_hits
from paddletsm.models.losses import MixedLabels, classification_loss, multi_label_loss


def train_step(setup: Setup, batch: Batch, global_step: int) -> paddle.Tensor:
    """One update of the weights from this process's clips of the step.

    With ``OPTIMIZER.accumulate_steps`` the clips pass through the network in so many parts; the
    gradients are those of the mean loss over all of them.

    Returns:
        [loss, top1, top5, clips, failed] summed over this process's clips; for clips of several
        labels hit1 and exact (see ``multi_label_metrics``) instead of top1 and top5.
    """
    if setup.config.MODEL.is_multi_label:
        batch = batch.with_multi_hot(setup.model.head.num_classes)
    # Dropout depends on (seed, step, process) alone, so a resumed run needs no generator state.
    paddle.seed(_step_seed(setup.config.seed, global_step, setup.world.rank))
    failed = len(batch.failed)
    if setup.config.sync_bn and setup.world.size > 1:
        _check_passes(setup, batch, global_step)
    if batch.clips is not None:
        sums = paddle.to_tensor([0.0, 0.0, 0.0, 0.0, float(failed)])
        parts = split_rows(len(batch.labels), setup)
        blend = draw_blend(setup.config, batch, step=global_step, rank=setup.world.rank)
        for number, rows in enumerate(parts):
            clips = paddle.to_tensor(batch.clips[rows, 0])
            labels = targets = paddle.to_tensor(batch.labels[rows])
            if blend is not None:  # accuracy then counts the labels with the larger share
                clips, targets = blend.apply(setup.model, batch, rows)
                labels = targets.dominant
            is_last = number == len(parts) - 1
            with contextlib.nullcontext() if is_last else without_exchange(setup.network):
                share = len(labels) / len(batch.labels)
                logits, loss = _forward_and_backward(setup, clips, targets, weight=share)
            _note_if_not_finite(setup, loss, batch, rows)
            sums = sums + _step_sums(logits.detach(), labels, loss.detach(), 0)
        _update(setup, global_step)
        return sums
    if setup.world.size > 1:
        # The others wait for this process's gradients: zeros, from a clip that leaves no trace in
        # the statistics. Their share of the step is smaller by that, as with fewer clips.
        setup.model.eval()
        _forward_and_backward(setup, *_dummy_batch(setup), weight=0.0)
        _update(setup, global_step)
        setup.model.train()
    return paddle.to_tensor([0.0, 0.0, 0.0, 0.0, float(failed)])


def _check_passes(setup: Setup, batch: Batch, global_step: int) -> None:
    """With sync_bn every forward pass of a process waits for one of all others."""
    if len(batch.labels) < setup.config.OPTIMIZER.accumulate_steps and batch.failed:
        raise DataError(
            f"only {len(batch.labels)} clips of step {global_step + 1} could be read on process "
            f"{setup.world.rank}; with sync_bn the other processes cannot go on without the rest. "
            f"The first: {batch.failed[0].reason}"
        )


def split_rows(count: int, setup: Setup) -> list[slice]:
    """Rows of a batch for each forward pass: ``accumulate_steps`` parts of about equal size."""
    parts = min(count, setup.config.OPTIMIZER.accumulate_steps)
    edges = np.linspace(0, count, parts + 1).round().astype(int)
    return [slice(int(first), int(last)) for first, last in itertools.pairwise(edges)]


def autocast(options: TrainOptions) -> contextlib.AbstractContextManager[None]:
    """Mixed precision as the command line asks for it, or none."""
    return paddle.amp.auto_cast(
        enable=options.amp, level=options.amp_level, dtype=options.amp_dtype
    )


def _forward_and_backward(
    setup: Setup, clips: paddle.Tensor, labels: paddle.Tensor | MixedLabels, weight: float = 1.0
) -> tuple[paddle.Tensor, paddle.Tensor]:
    """Logits [N, K] and the loss; gradients are left in the parameters."""
    with autocast(setup.options):
        logits = setup.network(clips)
        loss = _loss(setup, logits, labels)
    weighted = loss * weight if weight != 1.0 else loss
    (weighted if setup.scaler is None else setup.scaler.scale(weighted)).backward()
    return logits, loss


def _loss(
    setup: Setup, logits: paddle.Tensor, labels: paddle.Tensor | MixedLabels
) -> paddle.Tensor:
    config = setup.config.MODEL
    if config.is_multi_label:
        return multi_label_loss(logits, labels, setup.class_weights)
    return classification_loss(logits, labels, config.label_smoothing, setup.class_weights)


def _note_if_not_finite(setup: Setup, loss: paddle.Tensor, batch: Batch, rows: slice) -> None:
    """Find the culprit while the weights still are as the step found them.

    Only where reading a number does not wait for a device; all processes end the run together when
    they have exchanged the sums of the step.
    """
    if setup.device == "cpu" and not setup.notes and not math.isfinite(float(loss)):
        clips, ids = batch.clips[rows, 0], batch.ids[rows]
        setup.notes.append(explain(setup.model, clips, setup.paths_of(ids)))


def _update(setup: Setup, global_step: int) -> None:
    if setup.scaler is None:
        setup.optimizer.step()
    else:
        setup.scaler.step(setup.optimizer)
        setup.scaler.update()
    setup.optimizer.clear_grad()
    if setup.ema is not None:
        setup.ema.update(global_step)


def _step_sums(
    logits: paddle.Tensor, labels: paddle.Tensor, loss: paddle.Tensor, failed: int
) -> paddle.Tensor:
    count = len(labels)
    if labels.ndim == 2:
        hits = _multi_label_hits(logits, labels)
    elif logits.place.is_cpu_place():
        scores, numbers = logits.numpy(), labels.numpy()
        top1, top5 = (int(top_k_hits(scores, numbers, k).sum()) for k in (1, 5))
        return paddle.to_tensor([float(loss) * count, top1, top5, count, failed], "float32")
    else:
        own = paddle.take_along_axis(logits, labels.unsqueeze(1), 1)
        not_worse = (logits >= own).sum(1)
        hits = [(not_worse <= min(k, logits.shape[1])).astype("float32").sum() for k in (1, 5)]
    counts = paddle.to_tensor([float(count), float(failed)])
    return paddle.concat([paddle.stack([loss.astype("float32") * count, *hits]), counts])


def _multi_label_hits(logits: paddle.Tensor, labels: paddle.Tensor) -> list[paddle.Tensor]:
    """Clips whose best class is one of theirs, and those whose scores above 0.5 are all right."""
    best = paddle.take_along_axis(labels, logits.argmax(1, keepdim=True), 1)
    is_right = (logits > 0.0) == (labels > 0.5)
    return [best.astype("float32").sum(), is_right.all(1).astype("float32").sum()]


def _step_seed(seed: int, global_step: int, rank: int) -> int:
    return int(np.random.SeedSequence([seed, global_step, rank]).generate_state(1)[0])


def _dummy_batch(setup: Setup) -> tuple[paddle.Tensor, paddle.Tensor]:
    size = setup.train_loader.dataset.pipeline.target_size or 224
    clips = paddle.zeros([1, setup.model.num_seg, 3, size, size])
    if setup.config.MODEL.is_multi_label:
        return clips, paddle.zeros([1, setup.model.head.num_classes])
    return clips, paddle.zeros([1], "int64")
