# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Scores over the time of a video as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from paddletsm.utils.plots import _figure, _save

_ROWS = 8


def draw_timeline(
    times: Sequence[float],
    scores: np.ndarray,
    labels: Sequence[str],
    spans: Sequence[tuple[float, float, int]],
    *,
    path: Path,
    title: str,
) -> None:
    """Draw a strip per class, dark where its score is high, and events as bars on their strips.

    Args:
        times: [M] seconds, rising.
        scores: [M, K] in 0 to 1.
        labels: K class names; the strips show the 8 that reach the highest scores.
        spans: events: start, end (seconds), class number.
        path: the PNG.
        title: above the picture.
    """
    strongest = np.argsort(-scores.max(axis=0), kind="stable")[:_ROWS]
    shown = sorted({*strongest.tolist(), *(label for _, _, label in spans)})
    rows = {label: row for row, label in enumerate(shown)}
    seconds = np.asarray(times, np.float64)
    end = seconds[-1] + (seconds[1] - seconds[0] if len(seconds) > 1 else 1.0)
    figure = _figure(max(9.0, min(24.0, 4 + (end - seconds[0]) / 5)), 1.2 + 0.42 * len(shown))
    axes = figure.subplots()
    edges = np.append(seconds, end)
    mesh = axes.pcolormesh(
        edges, np.arange(len(shown) + 1) - 0.5, scores[:, shown].T, cmap="Blues", vmin=0, vmax=1
    )
    for begin, stop, label in spans:
        row = rows[label]
        axes.plot(
            [begin, max(stop, begin + (end - seconds[0]) / 500)],
            [row + 0.42] * 2,
            color="tab:orange",
            linewidth=3,
            solid_capstyle="butt",
        )
    axes.set_yticks(range(len(shown)), [str(labels[label]) for label in shown])
    axes.set(xlabel="seconds", xlim=(seconds[0], end), title=title)
    axes.invert_yaxis()
    figure.colorbar(mesh, ax=axes, label="score", pad=0.01)
    _save(figure, path)
