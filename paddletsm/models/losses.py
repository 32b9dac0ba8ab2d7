# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Losses on logits."""

from __future__ import annotations

import paddle.nn.functional as F
from paddle import Tensor


def classification_loss(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy.

    Args:
        logits: [N, K].
        labels: class numbers [N], int64.
        smoothing: share of the target spread evenly over all classes (Szegedy et al., 2016).

    Returns:
        Scalar.
    """
    if smoothing == 0.0:
        return F.cross_entropy(logits, labels)
    log_probabilities = F.log_softmax(logits, -1)
    right = F.nll_loss(log_probabilities, labels)
    return (1.0 - smoothing) * right - smoothing * log_probabilities.mean()
