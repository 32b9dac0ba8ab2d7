# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What the data sets' commands share: progress, lists of complaints."""

from __future__ import annotations

import sys
from collections.abc import Sequence

_SHOWN = 20  # names that are listed; more would scroll the count away


def complain(what: str, names: Sequence[str]) -> None:
    """Print "what: name" for the first names, and the number of the rest, to stderr."""
    for name in names[:_SHOWN]:
        print(f"{what}: {name}", file=sys.stderr)
    if len(names) > _SHOWN:
        print(f"... and {len(names) - _SHOWN} more", file=sys.stderr)


def show_progress(done: int, total: int) -> None:
    """Keep a counter on the last line of a terminal."""
    if sys.stderr.isatty() and (done % 20 == 0 or done == total):
        end = "\n" if done == total else ""
        print(f"\r{done}/{total} clips", end=end, file=sys.stderr, flush=True)
