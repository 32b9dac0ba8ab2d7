# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Running mean over the last frames of several streams, what it says, and latencies."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np

from paddletsm.deploy.predictor import Prediction


class RunningMean:
    """Mean of the last k rows of each of several streams.

    Args:
        streams: number of streams.
        window: k, at least 1.

    Raises:
        ValueError: a number below 1.
    """

    def __init__(self, streams: int, window: int) -> None:
        if streams < 1 or window < 1:
            raise ValueError(f"streams {streams} and window {window} must be at least 1")
        self._rows: list[deque[np.ndarray]] = [deque(maxlen=window) for _ in range(streams)]

    def push(self, stream: int, row: np.ndarray) -> np.ndarray:
        """Add a row [K] and return the mean [K] of the last k, or of as many as there are."""
        rows = self._rows[stream]
        rows.append(np.asarray(row))
        return np.mean(rows, axis=0, dtype=np.float64).astype(np.float32)

    def reset(self, stream: int) -> None:
        """Forget the rows of a stream."""
        self._rows[stream].clear()


def softmax(logits: np.ndarray) -> np.ndarray:
    """Scores [K] float64 of logits [K]."""
    powers = np.exp(logits.astype(np.float64) - logits.max())
    return powers / powers.sum()


def as_prediction(
    logits: np.ndarray,
    labels: Sequence[str],
    *,
    path: str,
    top_k: int,
    times_ms: Mapping[str, float],
) -> Prediction:
    """Name the best classes of logits [K]."""
    scores = softmax(logits)
    best = np.argsort(-scores, kind="stable")[:top_k]
    return Prediction(
        path=path,
        labels=tuple(labels[label] for label in best),
        label_ids=tuple(int(label) for label in best),
        scores=tuple(float(scores[label]) for label in best),
        logits=logits[None],
        times_ms=dict(times_ms),
    )


class Latencies:
    """The last milliseconds of a run, of bounded number, and their quantiles."""

    def __init__(self, limit: int = 20_000) -> None:
        self._values: deque[float] = deque(maxlen=limit)

    def add(self, milliseconds: float) -> None:
        """Note one."""
        self._values.append(milliseconds)

    def quantile(self, share: float) -> float:
        """The value that ``share`` (0 to 1) of them do not exceed; NaN without any."""
        return float(np.quantile(self._values, share)) if self._values else float("nan")
