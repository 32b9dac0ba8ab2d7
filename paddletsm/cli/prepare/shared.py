# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What the data sets' commands share: progress, lists of complaints."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

_SHOWN = 20  # names that are listed; more would scroll the count away
_LINE_EVERY_S = 10.0  # of progress where there is no terminal to count on


def complain(what: str, names: Sequence[str]) -> None:
    """Print "what: name" for the first names, and the number of the rest, to stderr."""
    for name in names[:_SHOWN]:
        print(f"{what}: {name}", file=sys.stderr)
    if len(names) > _SHOWN:
        print(f"... and {len(names) - _SHOWN} more", file=sys.stderr)


class Progress:
    """A counter on the last line of a terminal; elsewhere a line every ten seconds; on stderr.

    Attributes:
        done: clips so far.
        total: clips in all; 0 before the first.
    """

    def __init__(self) -> None:
        self.done = self.total = 0
        self._start = self._said = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        """So many clips are done."""
        self.done, self.total = done, total
        if sys.stderr.isatty():
            if done % 20 == 0 or done == total:
                end = "\n" if done == total else ""
                print(f"\r{done}/{total} clips", end=end, file=sys.stderr, flush=True)
            return
        now = time.monotonic()
        if now - self._said >= _LINE_EVERY_S or done == total:
            self._said = now
            seconds = now - self._start
            print(f"{done}/{total} clips, {seconds:.0f} s", file=sys.stderr, flush=True)
