# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""From scores over time to events: threshold with hysteresis, minimum duration, silent classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from paddletsm.errors import ConfigError
from paddletsm.utils.text import listing, nearest

# Timestamps of containers are rounded to milliseconds; an event is not dropped over one.
_ROUNDING_S = 1e-3


@dataclass(frozen=True)
class Event:
    """One class over a stretch of time.

    Attributes:
        start: seconds from the start of the stream.
        end: seconds; where the next scores begin that do not belong to it, or the video ends.
        label: class name.
        label_id: class number.
        score: highest score in it.
    """

    start: float
    end: float
    label: str
    label_id: int
    score: float


@dataclass(frozen=True)
class EventRules:
    """When an event begins, ends and counts.

    Attributes:
        threshold: an event begins when the best class has at least this score.
        release: it ends when its class has less than this.
        min_seconds: shorter events are dropped.
        silent: class names that mean "nothing happens".

    Raises:
        ConfigError: not 0 < release <= threshold <= 1, or a negative duration.
    """

    threshold: float = 0.5
    release: float = 0.3
    min_seconds: float = 0.0
    silent: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.release <= self.threshold <= 1:
            raise ConfigError(
                f"threshold {self.threshold:g} and release {self.release:g}: they must lie in 0 to "
                "1, the release not above the threshold"
            )
        if not 0 <= self.min_seconds < float("inf"):
            raise ConfigError(
                f"the minimum duration must be 0 seconds or more, not {self.min_seconds:g}"
            )


class EventDetector:
    """Finds the events of one stream.

    Scores stand from their time until the next ones, so an event of one row of scores lasts until
    the next row. It also ends where another class that is not silent passes the threshold with a
    higher score, and that class's event begins.

    Args:
        labels: K class names in the order of the scores.
        rules: when an event begins, ends and counts.

    Raises:
        ConfigError: a silent class is not one of ``labels``.
    """

    def __init__(self, labels: Sequence[str], rules: EventRules | None = None) -> None:
        self.labels = tuple(labels)
        self.rules = rules or EventRules()
        _check_known(self.rules.silent, self.labels)
        self._audible = np.array([name not in self.rules.silent for name in self.labels])
        self._open: Event | None = None

    @property
    def current(self) -> Event | None:
        """The event that has begun and not ended, as it stands; None between events."""
        return self._open

    def step(self, time: float, scores: np.ndarray) -> list[Event]:
        """Take the scores [K] of a time, in seconds; return the event that has ended, if any."""
        ended: list[Event] = []
        loudest = np.where(self._audible, scores, -1.0)
        best = int(loudest.argmax())
        begins = bool(loudest[best] >= self.rules.threshold)
        if self._open is not None:
            own = float(scores[self._open.label_id])
            is_replaced = begins and best != self._open.label_id and loudest[best] > own
            if own < self.rules.release or is_replaced:
                ended = self.flush(time)
            else:
                self._open = _longer(self._open, time, own)
        if self._open is None and begins:
            self._open = Event(time, time, self.labels[best], best, float(scores[best]))
        return ended

    def flush(self, time: float) -> list[Event]:
        """End the open event at a time: the stream is over, or interrupted."""
        event, self._open = self._open, None
        if event is None or time - event.start < self.rules.min_seconds - _ROUNDING_S:
            return []
        return [replace(event, end=time)]


def _longer(event: Event, time: float, score: float) -> Event:
    return replace(event, end=time, score=max(event.score, score))


def _check_known(names: Iterable[str], labels: Sequence[str]) -> None:
    for name in names:
        if name not in labels:
            raise ConfigError(
                f"{name!r} is no class of this model{nearest(name, labels)} "
                f"(classes: {listing(labels)})"
            )
