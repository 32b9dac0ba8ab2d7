# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and SIGTERM as a request that the loop answers at the end of its step."""

from __future__ import annotations

import contextlib
import os
import signal
from types import FrameType


class StopRequest:
    """While entered, SIGINT and SIGTERM set ``signum`` instead of ending the process.

    A second Ctrl-C ends the process at once: an exception raised here would surface in the middle
    of Paddle's code. The launcher repeats SIGTERM several times a second, so repeated SIGTERMs mean
    nothing more.
    """

    def __init__(self) -> None:
        self.signum = 0
        self._previous: dict[int, object] = {}

    def __enter__(self) -> StopRequest:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.signum == signal.SIGINT:
            _say("quitting without saving")
            os._exit(128 + number)
        if not self.signum and number == signal.SIGINT:
            _say("stopping after this step; Ctrl-C again quits without saving")
        self.signum = self.signum or number


def _say(text: str) -> None:
    """Write past Python's buffers, which a signal handler may have interrupted."""
    with contextlib.suppress(OSError):
        os.write(2, f"\n{text}\n".encode())
