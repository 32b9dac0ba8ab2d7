# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Scores over the time of a video as a picture."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from paddletsm.utils.plots import FONTS, _figure, _save
from paddletsm.utils.text import plural

logger = logging.getLogger(__name__)

_told: list[str] = []
_ROWS = 8
_NO_FRAMES = "0.8"  # grey: a score of 0 is nearly white
_LEAST_GAP_S = 1e-6  # rounding
_PLACEHOLDERS = "Last Resort"  # a font of frames with numbers, which comes with matplotlib


def draw_timeline(
    times: Sequence[float],
    ends: Sequence[float],
    scores: np.ndarray,
    labels: Sequence[str],
    spans: Sequence[tuple[float, float, int]],
    *,
    seconds: float,
    path: Path,
    title: str,
) -> None:
    """Draw a strip per class, dark where its score is high, and events as bars on their strips.

    Args:
        times: [M] seconds, rising: where each row of scores begins to stand.
        ends: [M] seconds: where it ceases to; grey up to the next row.
        scores: [M, K] in 0 to 1.
        labels: K class names; the strips show the 8 that reach the highest scores.
        spans: events: start, end (seconds), class number.
        seconds: length of the video, which the axis shows.
        path: the PNG.
        title: above the picture.
    """
    strongest = np.argsort(-scores.max(axis=0), kind="stable")[:_ROWS]
    shown = sorted({*strongest.tolist(), *(label for _, _, label in spans)})
    rows = {label: row for row, label in enumerate(shown)}
    names = [str(labels[label]).replace("$", r"\$") for label in shown]  # no formulas
    title = title.replace("$", r"\$")
    font = {"family": fonts_for([*names, title])}
    figure = _figure(max(9.0, min(24.0, 4 + seconds / 5)), 1.2 + 0.42 * len(shown))
    axes = figure.subplots()
    axes.set_facecolor(_NO_FRAMES)
    edges, cells = _with_gaps(times, ends, scores[:, shown])
    mesh = axes.pcolormesh(
        edges, np.arange(len(shown) + 1) - 0.5, cells.T, cmap="Blues", vmin=0, vmax=1
    )
    for begin, stop, label in spans:
        axes.plot(
            [begin, max(stop, begin + seconds / 500)],  # wide enough to be seen
            [rows[label] + 0.42] * 2,
            color="tab:orange",
            linewidth=3,
            solid_capstyle="butt",
        )
    axes.set_yticks(range(len(shown)), names, **font)
    axes.set_title(title, **font)
    axes.set(xlabel="seconds", xlim=(0.0, seconds))
    axes.invert_yaxis()
    figure.colorbar(mesh, ax=axes, label="score", pad=0.01)
    _save(figure, path)


def _with_gaps(
    times: Sequence[float], ends: Sequence[float], scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Edges [M' + 1] and cells [M', K] of a strip; NaN where no scores stand."""
    edges, cells = [times[0]], []
    nothing = np.full(scores.shape[1], np.nan)
    for start, end, row in zip(times, ends, scores, strict=True):
        if start > edges[-1] + _LEAST_GAP_S:
            edges.append(start)
            cells.append(nothing)
        edges.append(end)
        cells.append(row)
    return np.array(edges, np.float64), np.array(cells)


def fonts_for(texts: Iterable[str]) -> list[str]:
    """Families of installed fonts that have, together, every character; warns where none has it.

    The first ones of ``plots.FONTS`` that are installed, and any other font for what they lack.
    """
    from matplotlib.font_manager import fontManager

    installed = {font.name: font.fname for font in reversed(fontManager.ttflist)}
    wanted = {ord(char) for char in "".join(texts) if char.isprintable()}
    others = sorted(name for name in installed if not name.startswith(_PLACEHOLDERS))
    families = FONTS[:1]
    for name in [*FONTS, *others]:
        if not wanted:
            break
        found = wanted & _characters(installed[name]) if name in installed else set()
        if found:
            families = [*dict.fromkeys([*families, name])]
            wanted -= found
    if wanted:
        _warn_once("".join(map(chr, sorted(wanted))))
    return families


@functools.cache
def _characters(font: str) -> frozenset[int]:
    """Codes that a font file has pictures of; none where it cannot be read."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(font).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()


def _warn_once(missing: str) -> None:
    """Say what is drawn as boxes; of the first picture only."""
    if _told:
        return
    _told.append(missing)
    some = missing[:8] + ("..." if len(missing) > 8 else "")
    logger.warning(
        "no installed font has %s of the class and file names (%s), the picture shows boxes in "
        "their place; install a font such as Noto Sans CJK SC",
        plural(len(missing), "character"),
        some,
    )
