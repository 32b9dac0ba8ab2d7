# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Learning rate as a pure function of the step, so that resuming needs no scheduler state."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """Learning rate by step.

    Attributes:
        rate: rate as a function of the time in epochs, without warm-up.
        steps_per_epoch: steps of one epoch.
        warmup_epochs: the rate rises linearly to ``rate`` over these first epochs.
        warmup_start: rate at step 0 of the warm-up.
        scale: factor of all rates (linear scaling to the total batch).
    """

    rate: Callable[[float], float]
    steps_per_epoch: int
    warmup_epochs: float = 0.0
    warmup_start: float = 0.0
    scale: float = 1.0

    def __call__(self, step: int) -> float:
        """Rate of the 0-based global step."""
        epoch = step / self.steps_per_epoch
        rate = self.rate(epoch)
        if epoch < self.warmup_epochs:
            # (step + 1): the first step of a warm-up from 0 must not be a step of size 0.
            done = min(1.0, (step + 1) / (self.warmup_epochs * self.steps_per_epoch))
            rate = self.warmup_start + (rate - self.warmup_start) * done
        return rate * self.scale


def piecewise(boundaries: Sequence[float], values: Sequence[float]) -> Callable[[float], float]:
    """Constant rates: values[i] until epoch boundaries[i], then the next."""

    def rate(epoch: float) -> float:
        return values[sum(epoch >= boundary for boundary in boundaries)]

    return rate


def cosine(base: float, final: float, epochs: float) -> Callable[[float], float]:
    """Half a cosine from ``base`` to ``final`` over all epochs."""

    def rate(epoch: float) -> float:
        progress = min(1.0, epoch / epochs)
        return final + (base - final) * 0.5 * (1.0 + math.cos(math.pi * progress))

    return rate
