# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Losses on logits."""

from __future__ import annotations

from dataclasses import dataclass

import paddle
import paddle.nn.functional as F
from paddle import Tensor


@dataclass(frozen=True)
class MixedLabels:
    """Soft labels of clips that were mixed in pairs: ``share`` of one class, the rest of another.

    Attributes:
        own: class numbers [N], int64; or float32 [N, K] where clips have several.
        others: those of the partners.
        share: weight of ``own``, 0..1.
    """

    own: Tensor
    others: Tensor
    share: float

    @property
    def dominant(self) -> Tensor:
        """The labels with the larger share."""
        return self.own if self.share >= 0.5 else self.others


def classification_loss(
    logits: Tensor,
    labels: Tensor | MixedLabels,
    smoothing: float = 0.0,
    class_weights: Tensor | None = None,
) -> Tensor:
    """Mean cross-entropy.

    Args:
        logits: [N, K].
        labels: class numbers [N], int64, or those of mixed clips: the loss is linear in the target,
            so that of a soft label is the mean of those of its classes.
        smoothing: share of the target spread evenly over all classes (Szegedy et al., 2016).
        class_weights: [K], factors of the loss of each class's clips. The mean is over clips, not
            over weights, so that parts of a batch add up to the batch.

    Returns:
        Scalar.
    """
    if isinstance(labels, MixedLabels):
        own, others = (
            classification_loss(logits, part, smoothing, class_weights)
            for part in (labels.own, labels.others)
        )
        return labels.share * own + (1.0 - labels.share) * others
    if class_weights is not None:
        log_probabilities = F.log_softmax(logits.astype("float32"), -1)
        right = F.nll_loss(log_probabilities, labels, reduction="none")
        losses = (1.0 - smoothing) * right - smoothing * log_probabilities.mean(-1)
        return (losses * paddle.gather(class_weights, labels)).mean()
    if smoothing == 0.0:
        return F.cross_entropy(logits, labels)
    log_probabilities = F.log_softmax(logits, -1)
    right = F.nll_loss(log_probabilities, labels)
    return (1.0 - smoothing) * right - smoothing * log_probabilities.mean()


def multi_label_loss(
    logits: Tensor, labels: Tensor | MixedLabels, class_weights: Tensor | None = None
) -> Tensor:
    """Mean binary cross-entropy of all clips and classes: each class is a yes or no of its own.

    Args:
        logits: [N, K].
        labels: [N, K] float32 of zeros and ones, or those of mixed clips.
        class_weights: [K], factors of the loss of each class.

    Returns:
        Scalar.
    """
    if isinstance(labels, MixedLabels):
        labels = labels.share * labels.own + (1.0 - labels.share) * labels.others
    losses = F.binary_cross_entropy_with_logits(logits.astype("float32"), labels, reduction="none")
    return (losses if class_weights is None else losses * class_weights).mean()
