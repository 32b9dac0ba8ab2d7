# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Scores of a whole data set; needs no Paddle, so that stored scores are read without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from paddletsm.data import Failure
from paddletsm.metrics import METRICS, top_k_hits, wilson_interval


@dataclass(frozen=True)
class Scored:
    """Scores of a data set, in the order of its list.

    Attributes:
        ids: sample numbers [N].
        scores: softmax scores of the clips, their views averaged [N, K].
        labels: [N].
        failures: samples that could not be read; they are in none of the arrays.
        logits: [N, K] averaged over views where that was asked for, else None.
    """

    ids: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    failures: tuple[Failure, ...]
    logits: np.ndarray | None = None

    def metrics(self) -> dict[str, Any]:
        """top1, top5, mean_class in percent, loss, and the counts they rest on."""
        values: dict[str, Any] = {}
        for name in METRICS.names():
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
        """Mean of -log(score of the label); NaN without samples."""
        if not len(self.ids):
            return float("nan")
        own = np.take_along_axis(self.scores, self.labels[:, None], axis=1)[:, 0]
        return float(-np.log(np.maximum(own.astype(np.float64), 1e-12)).mean())
