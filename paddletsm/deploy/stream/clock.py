# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Which frames of a stream the network sees: so many per second, whatever the camera gives."""

from __future__ import annotations

import math

from paddletsm.errors import ConfigError

# Frames per second: one in a quarter of an hour, and more than cameras for slow motion give.
LEAST_FPS, MOST_FPS = 0.001, 1000.0
# Timestamps of containers are rounded to milliseconds; a frame that is early by less is on time.
_SLACK = 0.05
_FRAMES_TO_A_GAP = 2  # of a slow source: one may be late


def checked_fps(fps: float, what: str = "--fps") -> float:
    """Give a rate back, if frames can have it.

    Args:
        fps: frames per second.
        what: for the message.

    Raises:
        ConfigError: it is not a number from ``LEAST_FPS`` to ``MOST_FPS``.
    """
    if not LEAST_FPS <= fps <= MOST_FPS:
        raise ConfigError(
            f"{what} must be from {LEAST_FPS:g} to {MOST_FPS:g} frames per second, not {fps:g}"
        )
    return fps


class Resampler:
    """Turns frames at any rate into ticks at the network's.

    Args:
        fps: ticks per second.
        longest_hold: a frame stands for at most so many ticks; after a longer gap the stream has
            to begin anew.

    Raises:
        ValueError: longest_hold is below 1.
        ConfigError: fps is out of range, see ``checked_fps``.
    """

    def __init__(self, fps: float, *, longest_hold: int = 8) -> None:
        if longest_hold < 1:
            raise ValueError(f"longest_hold must be at least 1, not {longest_hold}")
        self.interval = 1.0 / checked_fps(fps, "the rate")
        self.longest_hold = longest_hold
        self._next: float | None = None

    def expect(self, source_fps: float) -> None:
        """Take frames at a source's rate (0: unknown) for no gap: they are held, however slow."""
        if source_fps > 0:
            needed = math.ceil(_FRAMES_TO_A_GAP / (self.interval * source_fps))
            self.longest_hold = max(self.longest_hold, needed)

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
