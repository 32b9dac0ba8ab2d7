# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The network as it is validated and saved: averaged weights, exact statistics."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Iterator

import numpy as np
import paddle
from paddle import nn

from paddletsm.engine.distributed import sum_over_processes
from paddletsm.engine.setup import Setup
from paddletsm.engine.step import autocast, split_rows
from paddletsm.models.norm_policy import NORMS

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def published_weights(setup: Setup, epoch: int) -> Iterator[None]:
    """While entered, the network has the weights of EMA and the statistics of PRECISE_BN.

    Training goes on with the tensors it had: neither option changes its course.

    Args:
        setup: the run.
        epoch: 0-based, whose clips the statistics are computed from.
    """
    if setup.ema is None and setup.config.PRECISE_BN is None:
        yield
        return
    own = setup.model.state_dict()
    kept = {name: tensor.clone() for name, tensor in own.items()}
    try:
        if setup.ema is not None:
            setup.ema.copy_to_model()
        if setup.config.PRECISE_BN is not None:
            _recompute_statistics(setup, epoch, setup.config.PRECISE_BN.clips)
        yield
    finally:
        for name, tensor in own.items():
            tensor.set_value(kept[name])


def _recompute_statistics(setup: Setup, epoch: int, clips: int) -> None:
    """Set mean and variance of the layers that learn them to those over the first clips.

    The variance is that of all values: mean of (variance + mean^2) over the batches, minus the
    square of the mean (Wu and Johnson, arXiv:2105.07576, 3.1).
    """
    setup.model.train()
    norms = [layer for layer in setup.model.sublayers() if isinstance(layer, NORMS)]
    norms = [layer for layer in norms if layer.training]
    if not norms:
        return
    batches = setup.batches(epoch)[: math.ceil(clips / setup.total_batch)]
    sums = [np.zeros([2, layer._mean.shape[0]]) for layer in norms]
    count = 0
    with _last_batch_only(norms), paddle.no_grad(), autocast(setup.options):
        for batch in setup.train_loader.iterate(batches, epoch=epoch):
            if batch.clips is None:
                continue
            for rows in split_rows(len(batch.labels), setup):
                part = batch.clips[rows, 0]
                setup.model(paddle.to_tensor(part))
                count += len(part)
                for total, layer in zip(sums, norms, strict=True):
                    mean, variance = layer._mean.numpy(), layer._variance.numpy()
                    total += len(part) * np.stack([mean, variance + mean.astype(np.float64) ** 2])
    flat = np.concatenate([np.array([float(count)]), *[total.ravel() for total in sums]])
    flat = sum_over_processes(flat, setup.world)
    if not flat[0]:
        logger.warning("PRECISE_BN: none of its clips could be read; the statistics stay")
        return
    flat, start = flat[1:] / flat[0], 0
    for layer in norms:
        mean, square = flat[start : start + 2 * len(layer._mean)].reshape(2, -1)
        start += 2 * len(layer._mean)
        layer._mean.set_value(mean.astype("float32"))
        layer._variance.set_value(np.maximum(square - mean**2, 0.0).astype("float32"))


@contextlib.contextmanager
def _last_batch_only(norms: list[nn.Layer]) -> Iterator[None]:
    """While entered, the stored statistics are those of the latest batch alone."""
    kept = [layer._momentum for layer in norms]
    for layer in norms:
        layer._momentum = 0.0
    try:
        yield
    finally:
        for layer, momentum in zip(norms, kept, strict=True):
            layer._momentum = momentum
