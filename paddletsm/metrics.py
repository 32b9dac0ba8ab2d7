# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Metrics over whole data sets: exact, whatever the batches and the number of processes were.

A metric is given every sample once (the engine gathers them over processes) and computes once.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from paddletsm.registry import Registry

METRICS = Registry("metric")


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
