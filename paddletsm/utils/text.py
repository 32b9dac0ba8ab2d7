# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Wording of messages: suggestions and short lists."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, choices: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the choice closest to ``word``, or "" when none is close."""
    names = [str(choice) for choice in choices]
    lowered = {name.lower(): name for name in reversed(names)}
    match = difflib.get_close_matches(str(word).lower(), lowered, n=1, cutoff=0.6)
    return f"; did you mean {lowered[match[0]]!r}?" if match else ""


def listing(items: Iterable[object], limit: int = 12) -> str:
    """Join items with commas, cut after ``limit`` of them with the number of the rest."""
    names = [str(item) for item in items]
    shown = ", ".join(names[:limit])
    return shown + (f", ... ({len(names) - limit} more)" if len(names) > limit else "")


def plural(count: int, noun: str) -> str:
    """Return "1 clip" or "3 clips"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
