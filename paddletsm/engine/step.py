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
    # Dropout depends on (seed, step, process) alone, so a resumed run needs no generator state.
    paddle.seed(_step_seed(setup.config.seed, global_step, setup.world.rank))
    failed = len(batch.failed)
    if batch.clips is not None:
        clips, labels = paddle.to_tensor(batch.clips[:, 0]), paddle.to_tensor(batch.labels)
        logits, loss = _forward_and_backward(setup, clips, labels)
        _update(setup)
        return _step_sums(logits.detach(), labels, loss.detach(), failed)
    if setup.world.size > 1:
        # The others wait for this process's gradients: zeros, from a clip that leaves no trace in
        # the statistics. Their share of the step is smaller by that, as with fewer clips.
        setup.model.eval()
        _forward_and_backward(setup, *_dummy_batch(setup), weight=0.0)
        _update(setup)
        setup.model.train()
    return paddle.to_tensor([0.0, 0.0, 0.0, 0.0, float(failed)])


def _forward_and_backward(
    setup: Setup, clips: paddle.Tensor, labels: paddle.Tensor, weight: float = 1.0
) -> tuple[paddle.Tensor, paddle.Tensor]:
    """Logits [N, K] and the loss; gradients are left in the parameters."""
    options = setup.options
    with paddle.amp.auto_cast(enable=options.amp, level=options.amp_level):
        logits = setup.network(clips)
        loss = classification_loss(logits, labels, setup.config.MODEL.label_smoothing)
    weighted = loss * weight if weight != 1.0 else loss
    (weighted if setup.scaler is None else setup.scaler.scale(weighted)).backward()
    return logits, loss


def _update(setup: Setup) -> None:
    if setup.scaler is None:
        setup.optimizer.step()
    else:
        setup.scaler.step(setup.optimizer)
        setup.scaler.update()
    setup.optimizer.clear_grad()


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
