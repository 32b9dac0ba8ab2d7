# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Class-balanced sampling: every class equally often in every epoch."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from paddletsm.data.types import Sample


class BalancedSampling:
    """Draws epochs in which all classes that have samples come equally often.

    An epoch has as many draws as there are samples. A class gets an equal share of them: in a
    large class each sample comes at most once in an epoch, in a small one all come about equally
    often. A repetition is a copy of the sample with an id of its own, so that its frames and
    crops are drawn anew.

    Args:
        samples: of the data set.

    Attributes:
        samples: the samples and their copies, at most twice as many; ``order`` numbers them.
    """

    def __init__(self, samples: Sequence[Sample]) -> None:
        self.draws = len(samples)
        labels = np.array([sample.label for sample in samples], np.int64)
        rows = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        most = -(-self.draws // max(1, len(rows)))
        kept = list(samples)
        self._copies: list[np.ndarray] = []  # per class [copies, samples], numbers into `samples`
        for row in rows:
            table = [row]
            for copy in range(1, -(-most // len(row))):
                table.append(np.arange(len(kept), len(kept) + len(row)))
                kept += [
                    dataclasses.replace(samples[i], id=samples[i].id + copy * self.draws)
                    for i in row
                ]
            self._copies.append(np.stack(table))
        self.samples = tuple(kept)

    def order(self, *, epoch: int, seed: int) -> np.ndarray:
        """Numbers of the samples of one epoch, in the order of their use, int64."""
        rng = np.random.default_rng((seed, epoch))
        share, rest = divmod(self.draws, max(1, len(self._copies)))
        shares = np.full(len(self._copies), share)
        shares[rng.permutation(len(shares))[:rest]] += 1
        parts = []
        for table, count in zip(self._copies, shares, strict=True):
            whole, more = divmod(int(count), table.shape[1])
            parts.append(table[:whole].ravel())
            if more:
                parts.append(rng.choice(table[whole], more, replace=False))
        return rng.permutation(np.concatenate(parts)) if parts else np.zeros(0, np.int64)
