# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Scores of a whole data set; needs no Paddle, so that stored scores are read without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from paddletsm.data import Failure
from paddletsm.metrics import METRICS, multi_label_metrics, top_k_hits, wilson_interval


@dataclass(frozen=True)
class Scored:
    """Scores of a data set, in the order of its list.

    Attributes:
        ids: sample numbers [N].
        scores: of the clips, their views averaged [N, K]: softmax; sigmoid for several labels.
        labels: [N]; [N, K] of zeros and ones where clips may have several.
        failures: samples that could not be read; they are in none of the arrays.
        logits: [N, K] averaged over views where that was asked for, else None.
    """

    ids: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    failures: tuple[Failure, ...]
    logits: np.ndarray | None = None

    @property
    def is_multi_label(self) -> bool:
        """Whether clips may have several labels."""
        return self.labels.ndim == 2

    def metrics(self) -> dict[str, Any]:
        """top1, top5, mean_class in percent, loss, and the counts they rest on.

        For clips of several labels mAP, hit1 and exact, see ``multi_label_metrics``.
        """
        values: dict[str, Any] = {}
        if self.is_multi_label:
            values.update(multi_label_metrics(self.scores, self.labels))
        for name in () if self.is_multi_label else METRICS.names():
            metric = METRICS.get(name)()
            metric.update(self.ids, self.scores, self.labels)
            values.update(metric.compute())
        values["loss"] = self.loss()
        return {**values, "num_samples": len(self.ids), "num_failed": len(self.failures)}

    def top1_interval(self) -> tuple[float, float]:
        """95 % interval of top-1 in percent; see ``wilson_interval``."""
        hits = int(top_k_hits(self.scores, self.labels, 1).sum()) if len(self.ids) else 0
        return wilson_interval(hits, len(self.ids))

    def loss(self) -> float:
        """Mean of -log(score of the label), or binary cross-entropy; NaN without samples."""
        if not len(self.ids):
            return float("nan")
        if self.is_multi_label:
            of_right = np.where(self.labels > 0, self.scores, 1.0 - self.scores.astype(np.float64))
            return float(-np.log(np.maximum(of_right, 1e-12)).mean())
        own = np.take_along_axis(self.scores, self.labels[:, None], axis=1)[:, 0]
        return float(-np.log(np.maximum(own.astype(np.float64), 1e-12)).mean())
