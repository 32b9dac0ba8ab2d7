# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""One training step."""

from __future__ import annotations

import numpy as np
import paddle

from paddletsm.data import Batch
from paddletsm.engine.setup import Setup
from paddletsm.metrics import top_k_hits
from paddletsm.models.losses import classification_loss


def train_step(setup: Setup, batch: Batch, global_step: int) -> paddle.Tensor:
    """One forward, backward and update.

    Returns:
        [loss, top1, top5, clips, failed] summed over this process's clips.
    """
    options = setup.options
    # Dropout depends on (seed, step, process) alone, so a resumed run needs no generator state.
    paddle.seed(_step_seed(setup.config.seed, global_step, setup.world.rank))
    is_empty = batch.clips is None
    if is_empty:  # the other processes wait for this one's gradients
        clips, labels = _dummy_batch(setup)
    else:
        clips, labels = paddle.to_tensor(batch.clips[:, 0]), paddle.to_tensor(batch.labels)
    with paddle.amp.auto_cast(enable=options.amp, level=options.amp_level):
        logits = setup.network(clips)
        loss = classification_loss(logits, labels, setup.config.MODEL.label_smoothing)
    if is_empty:
        loss = loss * 0.0
    if setup.scaler is None:
        loss.backward()
        setup.optimizer.step()
    else:
        setup.scaler.scale(loss).backward()
        setup.scaler.step(setup.optimizer)
        setup.scaler.update()
    setup.optimizer.clear_grad()
    if is_empty:
        return paddle.to_tensor([0.0, 0.0, 0.0, 0.0, float(len(batch.failed))])
    return _step_sums(logits.detach(), labels, loss.detach(), len(batch.failed))


def _step_sums(
    logits: paddle.Tensor, labels: paddle.Tensor, loss: paddle.Tensor, failed: int
) -> paddle.Tensor:
    count = len(labels)
    if logits.place.is_cpu_place():
        scores, numbers = logits.numpy(), labels.numpy()
        top1, top5 = (int(top_k_hits(scores, numbers, k).sum()) for k in (1, 5))
        return paddle.to_tensor([float(loss) * count, top1, top5, count, failed], "float32")
    own = paddle.take_along_axis(logits, labels.unsqueeze(1), 1)
    not_worse = (logits >= own).sum(1)
    hits = [(not_worse <= min(k, logits.shape[1])).astype("float32").sum() for k in (1, 5)]
    counts = paddle.to_tensor([float(count), float(failed)])
    return paddle.concat([paddle.stack([loss.astype("float32") * count, *hits]), counts])


def _step_seed(seed: int, global_step: int, rank: int) -> int:
    return int(np.random.SeedSequence([seed, global_step, rank]).generate_state(1)[0])


def _dummy_batch(setup: Setup) -> tuple[paddle.Tensor, paddle.Tensor]:
    size = setup.train_loader.dataset.pipeline.target_size or 224
    clips = paddle.zeros([1, setup.model.num_seg, 3, size, size])
    return clips, paddle.zeros([1], "int64")
