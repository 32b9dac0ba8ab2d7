# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Pictures of the report as SVG in the page's own colours, so that they follow light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paddletsm.utils.html import escape

# Of the SVG classes below; stands in the page's style once.
STYLE = """
.chart text{fill:var(--muted);font:11px var(--sans)}.chart .grid{stroke:var(--line)}
.chart .line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.s1{stroke:var(--c1)}.s2{stroke:var(--c2)}.s3{stroke:var(--c3)}.s4{stroke:var(--c4)}
.d1{fill:var(--c1)}.d2{fill:var(--c2)}.d3{fill:var(--c3)}.d4{fill:var(--c4)}
.legend{display:flex;flex-wrap:wrap;gap:.1rem .9rem;font-size:.84rem;color:var(--muted);
margin:.15rem 0 .3rem;padding:0;list-style:none}
.legend i{display:inline-block;width:.85rem;height:.2rem;border-radius:1px;margin-right:.35rem;
vertical-align:middle}
.legend .d1{background:var(--c1)}.legend .d2{background:var(--c2)}.legend .d3{background:var(--c3)}
.legend .d4{background:var(--c4)}
.matrix text{fill:var(--text);font:11px var(--sans)}.matrix .axis{fill:var(--muted)}
.matrix rect{fill:rgb(var(--heat))}.matrix .back{fill:var(--tint)}
.matrix .rules{stroke:var(--surface);stroke-width:1}
.matrix .on{fill:var(--bg)}.matrix .miss{fill:var(--c2)}
.matrix .mid{fill:var(--text)}
@media (prefers-color-scheme:dark){.matrix .mid{fill:var(--bg)}}
"""

_WIDTH, _HEIGHT = 360, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 8, 34


@dataclass(frozen=True)
class Series:
    """A line of a chart: ``points`` are (x, y); ``color`` is 1 to 4."""

    name: str
    points: Sequence[tuple[float, float]]
    color: int


def line_chart(
    title: str, series: Sequence[Series], *, top: float | None = None, unit: str = ""
) -> str:
    """A figure over epochs, from 0 upwards.

    Args:
        title: heading; read out with the last values.
        series: lines; those without points are left out.
        top: end of the y axis; the largest value when not given.
        unit: behind the numbers.
    """
    series = [line for line in series if line.points]
    if not series:
        return ""
    last = max(x for line in series for x, _ in line.points)
    highest = max(y for line in series for _, y in line.points)
    ticks = _ticks(top or highest or 1.0)
    top = max(ticks[-1], top or 0.0)
    first = 0.0 if last > 1 else last - 1
    parts = [*_y_axis(ticks, top), *_x_axis(first, last)]
    for line in series:
        parts.append(_line(line, (first, last), top, unit))
    spoken = ", ".join(f"{s.name} {short(s.points[-1][1])}{unit}" for s in series)
    label = escape(f"{title} over {short(last)} epochs; at the end: {spoken}")
    items = "".join(f'<li><i class="d{line.color}"></i>{escape(line.name)}</li>' for line in series)
    legend = f'<ul class="legend">{items}</ul>'
    return (
        f'<figure class="card chart"><h3>{escape(title)}</h3>{legend}'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">'
        f"{''.join(parts)}</svg></figure>\n"
    )


def _y_axis(ticks: Sequence[float], top: float) -> list[str]:
    parts = []
    for tick in ticks:
        y = _y(tick, top)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{_LEFT - 7}" y="{y + 4}" text-anchor="end">{short(tick)}</text>')
    return parts


def _x_axis(first: float, last: float) -> list[str]:
    parts = []
    for tick in _ticks(last):
        if first <= tick <= last and tick == int(tick):
            x = _x(tick, (first, last))
            parts.append(
                f'<text x="{x}" y="{_HEIGHT - 16}" text-anchor="middle">{short(tick)}</text>'
            )
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{_HEIGHT}" text-anchor="middle" dy="-4">epoch</text>')
    return parts


def _line(line: Series, span: tuple[float, float], top: float, unit: str) -> str:
    places = [(_x(x, span), _y(min(y, top), top)) for x, y in line.points]
    path = " ".join(f"{x},{y}" for x, y in places)
    dots = "".join(
        f'<circle class="d{line.color}" cx="{x}" cy="{y}" r="{2.4 if len(places) < 60 else 1.4}">'
        f"<title>{escape(line.name)}, epoch {short(epoch)}: {short(value)}{unit}</title></circle>"
        for (x, y), (epoch, value) in zip(places, line.points, strict=True)
    )
    return f'<polyline class="line s{line.color}" points="{path}"/>{dots}'


def _x(value: float, span: tuple[float, float]) -> float:
    share = (value - span[0]) / (span[1] - span[0])
    return round(_LEFT + share * (_WIDTH - _RIGHT - _LEFT), 1)


def _y(value: float, top: float) -> float:
    return round(_HEIGHT - _BOTTOM - value / top * (_HEIGHT - _BOTTOM - _TOP), 1)


def _ticks(top: float) -> list[float]:
    """0 and up to five round numbers, the last at or above ``top``."""
    step = 10.0 ** math.floor(math.log10(top / 4))
    step = next(step * k for k in (1, 2, 2.5, 5, 10) if step * k * 5 >= top)
    return [round(k * step, 10) for k in range(math.ceil(round(top / step, 6)) + 1)]


def short(value: float) -> str:
    """A number with four digits at most that matter."""
    return f"{value:.4g}"


def frame_chart(own: Sequence[float], other: Sequence[float] | None, names: Sequence[str]) -> str:
    """Scores of every frame as two bars that stand below the frames of a strip.

    Args:
        own: of the label, 0..1, from left to right.
        other: of the rival, None without one.
        names: of the label and the rival.
    """
    lines = [own] if other is None else [own, other]
    parts = ['<line class="grid" x1="0" x2="1000" y1="99.5" y2="99.5"/>']
    slot = 1000 / len(own)
    width = slot * (0.5 if other is None else 0.3)
    for index, values in enumerate(lines):
        for frame, value in enumerate(values):
            left = slot * (frame + 0.5) + (index - len(lines) / 2) * width
            height = max(1.0, 98 * value)
            parts.append(
                f'<rect class="d{index + 1}" x="{left:.1f}" y="{99 - height:.1f}" '
                f'width="{width:.1f}" height="{height:.1f}"><title>frame {frame + 1}, '
                f"{escape(names[index])}: {100 * value:.0f} %</title></rect>"
            )
    spoken = "; ".join(
        f"{name}: {', '.join(f'{100 * value:.0f} %' for value in values)}"
        for name, values in zip(names, lines, strict=False)
    )
    return (
        f'<svg class="chart bars" viewBox="0 0 1000 100" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape("Score of each frame. " + spoken)}">{"".join(parts)}</svg>'
    )


def matrix_chart(matrix: np.ndarray, names: Sequence[str], title: str) -> str:
    """A confusion matrix as a heat map; shares of each label's row, numbers where they fit.

    Args:
        matrix: counts [K, K], rows are labels.
        names: K class names.
        title: what a reader who does not see it is told.
    """
    count = len(names)
    cell = 44 if count <= 12 else 30 if count <= 24 else 13
    rows = matrix.sum(1)
    margin = min(150, 12 + round(6.4 * max(len(name) for name in names)))
    side = cell * count
    parts = [f'<rect class="back" x="{margin}" y="{margin}" width="{side}" height="{side}"/>']
    for row, column in zip(*np.nonzero(matrix), strict=True):
        parts.append(_cell(matrix, (int(row), int(column)), names, rows, (margin, cell)))
    for index, name in enumerate(names):
        middle = margin + cell * (index + 0.5)
        text = escape(_cut(name, 22))
        parts.append(f'<text x="{margin - 6}" y="{middle + 4}" text-anchor="end">{text}</text>')
        parts.append(
            f'<text transform="translate({middle + 4} {margin - 6}) rotate(-90)">{text}</text>'
        )
    size = margin + side + 2
    least = size if count <= 24 else round(0.7 * size)  # many classes shrink to be seen at once
    return (
        f'<svg class="matrix" style="width:100%;max-width:{size}px;min-width:{least}px" '
        f'viewBox="0 0 {size} {size}" '
        f'role="img" aria-label="{escape(title)}">{"".join(parts)}'
        f'<text class="axis" x="6" y="14">label \u2193 prediction \u2192</text></svg>'
    )


def _cell(
    matrix: np.ndarray,
    place: tuple[int, int],
    names: Sequence[str],
    rows: np.ndarray,
    layout: tuple[int, int],
) -> str:
    row, column = place
    margin, cell = layout
    number, share = int(matrix[place]), matrix[place] / rows[row]
    x, y = margin + cell * column, margin + cell * row
    # Errors are what one looks for: they have the other colour, and never fade away.
    style = "" if row == column else ' class="miss"'
    opacity = f"{max(0.15 if row == column else 0.35, share):.2f}"
    text = ""
    if cell >= 30:
        shade = " class=on" if share > 0.8 else " class=mid" if share > 0.6 else ""
        text = (
            f'<text x="{x + cell / 2}" y="{y + cell / 2 + 4}" text-anchor="middle"{shade}>'
            f"{number}</text>"
        )
    said = f"{escape(names[row])} \u2192 {escape(names[column])}: {number} ({100 * share:.0f} %)"
    return (
        f'<g><title>{said}</title><rect{style} x="{x + 0.5}" y="{y + 0.5}" width="{cell - 1}" '
        f'height="{cell - 1}" rx="2" fill-opacity="{opacity}"/>{text}</g>'
    )


def _cut(name: str, limit: int) -> str:
    return name if len(name) <= limit else name[: limit - 1] + "\u2026"
