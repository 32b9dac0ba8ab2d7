# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Which frames of a stream the network sees: so many per second, whatever the camera gives."""

from __future__ import annotations

# Timestamps of containers are rounded to milliseconds; a frame that is early by less is on time.
_SLACK = 0.05


class Resampler:
    """Turns frames at any rate into ticks at the network's.

    Args:
        fps: ticks per second.
        longest_hold: a frame stands for at most so many ticks; after a longer gap the stream has
            to begin anew.

    Raises:
        ValueError: fps or longest_hold is not above 0.
    """

    def __init__(self, fps: float, *, longest_hold: int = 8) -> None:
        if not 0 < fps < float("inf") or longest_hold < 1:
            raise ValueError(f"fps {fps} and longest_hold {longest_hold} must be above 0")
        self.interval = 1.0 / fps
        self.longest_hold = longest_hold
        self._next: float | None = None

    def reset(self) -> None:
        """The next frame begins a new stream."""
        self._next = None

    def ticks(self, time: float) -> int:
        """How often the network is to see the frame of this time.

        Args:
            time: seconds, of any origin, not falling.

        Returns:
            0: skip it, the stream is faster than the network; 1; or more: the stream is slower,
            and the frame stands for the ticks since the one before. -1: it comes after a gap of
            more than ``longest_hold`` ticks (or time has run backwards), so ``reset`` has been
            called, and the frame is the first of a new stream.
        """
        if self._next is None:
            self._next = time + self.interval
            return 1
        behind = (time - self._next) / self.interval + _SLACK
        if behind < -self.longest_hold - 1 or behind >= self.longest_hold:
            self._next = time + self.interval
            return -1
        if behind < 0:
            return 0
        count = int(behind) + 1
        self._next += count * self.interval
        return count
