# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Metrics over whole data sets: exact, whatever the batches and the number of processes were.

A metric is given every sample once (the engine gathers them over processes) and computes once.
"""

from __future__ import annotations

import math
from typing import Literal, Protocol

import numpy as np

from paddletsm.registry import Registry

METRICS = Registry("metric")

Average = Literal["scores", "logits"]
AVERAGES: tuple[Average, ...] = ("scores", "logits")
Activation = Literal["softmax", "sigmoid"]
ACTIVATIONS: tuple[Activation, ...] = ("softmax", "sigmoid")
_Z95 = 1.959963984540054  # of the normal distribution: 2.5 % lie above it


def average_views(
    logits: np.ndarray, average: Average = "scores", activation: Activation = "softmax"
) -> np.ndarray:
    """Join the views of each clip; testing and prediction both do it here.

    Args:
        logits: [..., V, K], before the activation.
        average: "scores" activates each view and averages; "logits" the other way round.
        activation: "softmax"; "sigmoid" for networks that give a clip several labels.

    Returns: scores float64 [..., K], each row of softmax with sum 1; NaN where a logit is not
        finite.

    Raises:
        ValueError: an unknown ``average`` or ``activation``.

    Source: MMAction2 averages scores by default (``average_clips="prob"``), logits with "score".
    """
    if average not in AVERAGES:
        raise ValueError(f"average {average!r} (known: scores, logits)")
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation {activation!r} (known: softmax, sigmoid)")
    activate = _softmax if activation == "softmax" else _sigmoid
    values = logits.astype(np.float64)
    if average == "logits":
        return activate(values.mean(-2))
    return activate(values).mean(-2)


def _softmax(logits: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # infinite logits give NaN, which is counted as wrong
        shifted = np.exp(logits - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    finite = np.where(np.isfinite(logits), logits, np.nan)
    return 0.5 * (1.0 + np.tanh(0.5 * finite))  # never overflows


def wilson_interval(hits: int, count: int) -> tuple[float, float]:
    """Interval in percent that covers the true accuracy in 95 % of tests; NaN without samples.

    Source: Wilson, JASA 22 (1927), 209-212; unlike the normal approximation it stays within
        0..100 and has a width at 0 % and 100 % too.
    """
    if not count:
        return float("nan"), float("nan")
    rate, square = hits / count, _Z95**2 / count
    centre = (rate + square / 2) / (1 + square)
    half = _Z95 * math.sqrt(rate * (1 - rate) / count + square / (4 * count)) / (1 + square)
    return 100 * max(0.0, centre - half), 100 * min(1.0, centre + half)


class Metric(Protocol):
    """What the engine asks of a metric."""

    def reset(self) -> None:
        """Forget all samples."""

    def update(self, ids: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> None:
        """Add samples: ids [N], scores [N, K] (higher is better), labels [N]."""

    def compute(self) -> dict[str, float]:
        """Values by name, accuracies in percent."""


class _Gathering:
    """Keeps samples by id, so that a repeated one counts once."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._samples: dict[int, tuple[np.ndarray, int]] = {}

    def update(self, ids: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> None:
        for sample_id, score, label in zip(ids, scores, labels, strict=True):
            self._samples[int(sample_id)] = (score, int(label))

    def _arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Scores [N, K] and labels [N] in the order of the ids."""
        ordered = [self._samples[key] for key in sorted(self._samples)]
        if not ordered:
            return np.zeros((0, 1), np.float32), np.zeros(0, np.int64)
        return np.stack([score for score, _ in ordered]), np.array([label for _, label in ordered])


def top_k_hits(scores: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """Whether the label is among the k best scores, [N] bool; k above K means K.

    Equal scores count as if the label stood last among them, so that a constant model has no luck.
    """
    own = np.take_along_axis(scores, labels[:, None], axis=1)
    not_worse = (scores >= own).sum(1)  # the label itself included
    k = min(k, scores.shape[1])
    return (not_worse <= k) & np.isfinite(own[:, 0])


@METRICS.register
class TopK(_Gathering):
    """Top-1 and top-5 accuracy in percent."""

    def __init__(self, ks: tuple[int, ...] = (1, 5)) -> None:
        super().__init__()
        self.ks = ks

    def compute(self) -> dict[str, float]:
        """Return {"top1": percent, "top5": percent}; NaN without samples."""
        scores, labels = self._arrays()
        if not len(labels):
            return {f"top{k}": float("nan") for k in self.ks}
        return {
            f"top{k}": 100.0 * int(top_k_hits(scores, labels, k).sum()) / len(labels)
            for k in self.ks
        }


@METRICS.register
class MeanClassAccuracy(_Gathering):
    """Mean over the classes that occur of their top-1 accuracy, in percent."""

    def compute(self) -> dict[str, float]:
        """Return {"mean_class": percent}."""
        scores, labels = self._arrays()
        if not len(labels):
            return {"mean_class": float("nan")}
        clips, hits = per_class_hits(scores, labels)
        present = clips > 0
        return {"mean_class": 100.0 * float((hits[present] / clips[present]).mean())}


def per_class_hits(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Clips [K] and top-1 hits [K] of every label."""
    classes = scores.shape[1]
    hits = top_k_hits(scores, labels, 1)
    clips = np.bincount(labels, minlength=classes)
    return clips, np.bincount(labels[hits], minlength=classes)


def predicted_labels(scores: np.ndarray) -> np.ndarray:
    """Best class of each row [N]; -1 where a score is undefined."""
    best = scores.argmax(1) if len(scores) else np.zeros(0, np.int64)
    return np.where(np.isfinite(scores).all(1), best, -1)


def confusion_matrix(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Counts [K, K]: rows are labels, columns are predictions."""
    classes = scores.shape[1]
    predicted = predicted_labels(scores)
    known = predicted >= 0
    pairs = labels[known] * classes + predicted[known]
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def precision_and_recall(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per class, from counts [K, K]: precision and recall [K] in percent, support [K].

    Precision is NaN for a class that is never predicted, recall for one without clips. Clips with
    undefined scores are in no count.
    """
    hits, predicted, support = matrix.diagonal(), matrix.sum(0), matrix.sum(1)
    with np.errstate(invalid="ignore"):
        return 100.0 * hits / predicted, 100.0 * hits / support, support


# -- several labels per clip ---------------------------------------------------------------------

THRESHOLD = 0.5  # sigmoid scores above it are predictions


def average_precision(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Average precision [K] in percent of every class; NaN for a class without a clip.

    The sum over all distinct scores of precision at that score times the recall won there. Clips of
    equal scores count together, so that a constant model gets the share of the class's clips. An
    undefined score counts as wrong: below all for a clip of the class, above all for another.

    Args:
        scores: [N, K].
        labels: [N, K] of zeros and ones.
    """
    return np.array([_average_precision(*pair) for pair in zip(scores.T, labels.T, strict=True)])


def _average_precision(scores: np.ndarray, labels: np.ndarray) -> float:
    """Of one class: scores [N], labels [N]."""
    is_own = labels > 0
    if not is_own.any():
        return float("nan")
    wrong = np.where(is_own, -np.inf, np.inf)
    keys = np.where(np.isfinite(scores), scores, wrong)
    order = np.argsort(-keys, kind="stable")
    hits = np.cumsum(is_own[order])
    last_of_equal = np.append(keys[order][1:] != keys[order][:-1], True)
    hits, ranks = hits[last_of_equal], np.flatnonzero(last_of_equal) + 1
    won = np.diff(hits, prepend=0) / hits[-1]
    return 100.0 * float((won * hits / ranks).sum())


def multi_label_metrics(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Metrics of sigmoid scores [N, K] and labels [N, K], in percent; NaN without samples.

    Returns: "mAP", the mean of ``average_precision`` over the classes that have clips; "hit1", the
        share of clips whose highest score is that of one of their labels; "exact", the share of
        clips whose scores above 0.5 are those of exactly their labels.
    """
    if not len(scores):
        return dict.fromkeys(("mAP", "hit1", "exact"), float("nan"))
    is_defined = np.isfinite(scores).all(1)
    best = np.take_along_axis(labels, scores.argmax(1)[:, None], 1)[:, 0] > 0
    exact = ((scores > THRESHOLD) == (labels > 0)).all(1)
    return {
        "mAP": float(np.nanmean(average_precision(scores, labels))),
        "hit1": 100.0 * float((best & is_defined).mean()),
        "exact": 100.0 * float((exact & is_defined).mean()),
    }
