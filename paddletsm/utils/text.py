# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Wording of messages: suggestions and short lists."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


def nearest(word: str, choices: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the choice closest to ``word``, or "" when none is close."""
    found = closest(word, choices)
    return "" if found is None else f"; did you mean {found!r}?"


def closest(word: str, choices: Iterable[str]) -> str | None:
    """Return the choice closest to ``word``, or None when none is close."""
    names = [str(choice) for choice in choices]
    lowered = {name.lower(): name for name in reversed(names)}
    match = difflib.get_close_matches(str(word).lower(), lowered, n=1, cutoff=0.6)
    return lowered[match[0]] if match else None


def listing(items: Iterable[object], limit: int = 12) -> str:
    """Join items with commas, cut after ``limit`` of them with the number of the rest."""
    names = [str(item) for item in items]
    shown = ", ".join(names[:limit])
    return shown + (f", ... ({len(names) - limit} more)" if len(names) > limit else "")


def label_name(label: int, names: Sequence[str] | None) -> str:
    """Return "3 (Archery)", or "3" when the class has no known name."""
    return f"{label} ({names[label]})" if names and 0 <= label < len(names) else str(label)


def plural(count: int, noun: str) -> str:
    """Return "1 clip" or "3 clips"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
