# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Pictures of a run, drawn with matplotlib."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from paddletsm.utils.io import atomic_path

# The first of these that is installed and has the character draws it.
FONTS = ["DejaVu Sans", "Noto Sans CJK SC", "Noto Sans SC", "WenQuanYi Micro Hei", "SimHei"]


@contextmanager
def quiet_fonts() -> Iterator[None]:
    """Say nothing of fonts that are not installed, and of characters that none of them has."""
    logger = logging.getLogger("matplotlib.font_manager")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _figure(width: float, height: float) -> Any:
    """A figure that needs no display and no global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Any, path: Path) -> None:
    with atomic_path(path) as temporary, quiet_fonts():
        figure.savefig(temporary, format="png", bbox_inches="tight", pad_inches=0.15)


def draw_curves(records: list[dict[str, Any]], path: Path, title: str) -> None:
    """Draw loss, accuracy and learning rate over epochs from the records of metrics.jsonl."""
    from matplotlib.ticker import MaxNLocator

    figure = _figure(11, 3.6)
    loss, accuracy, rate = figure.subplots(1, 3)
    series = {
        split: [r for r in records if r.get("split") == split] for split in ("train", "valid")
    }
    _plot(loss, series["train"], "loss", "train", color="tab:blue", marker=".")
    _plot(loss, series["valid"], "loss", "valid", color="tab:orange", marker="o")
    _plot(accuracy, series["train"], "top1", "train top-1", color="tab:blue", marker=".")
    _plot(accuracy, series["valid"], "top1", "valid top-1", color="tab:orange", marker="o")
    _plot(accuracy, series["valid"], "top5", "valid top-5", color="tab:green", marker=".")
    _plot(accuracy, series["train"], "hit1", "train hit@1", color="tab:blue", marker=".")
    _plot(accuracy, series["valid"], "mAP", "valid mAP", color="tab:orange", marker="o")
    _plot(accuracy, series["valid"], "hit1", "valid hit@1", color="tab:green", marker=".")
    _plot(rate, series["train"], "lr", "learning rate", color="tab:gray", marker=".")
    loss.set(title="loss", xlabel="epoch", ylim=(0, None))
    accuracy.set(title="accuracy, %", xlabel="epoch", ylim=(0, 102))
    rate.set(title="learning rate", xlabel="epoch", ylim=(0, None))
    for axes in (loss, accuracy, rate):
        axes.grid(alpha=0.3)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if axes.has_data() and axes is not rate:
            axes.legend(fontsize=8)
    figure.suptitle(title, fontsize=11)
    _save(figure, path)


def _plot(axes: Any, records: list[dict[str, Any]], key: str, label: str, **style: Any) -> None:
    points = [(r["epoch"], r[key]) for r in records if r.get(key) is not None]
    if points:
        axes.plot(*zip(*points, strict=True), label=label, markersize=4, linewidth=1.4, **style)


def draw_confusion_matrix(
    matrix: np.ndarray, names: list[str], path: Path, title: str = ""
) -> None:
    """Draw counts [K, K] as shares of each label's row; numbers and names where they fit."""
    from matplotlib.colors import Normalize, PowerNorm

    classes = len(names)
    size = min(20.0, max(4.5, 2.2 + 0.42 * classes))
    figure = _figure(size + 0.8, size)
    axes = figure.subplots()
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    # Without numbers a single error must still be seen: small shares get more of the scale.
    scale = Normalize(0, 1) if classes <= 20 else PowerNorm(0.5, 0, 1)
    image = axes.imshow(shares, cmap="Blues", norm=scale)
    figure.colorbar(image, ax=axes, shrink=0.8, label="share of the label's clips")
    if classes <= 150:
        style = {"fontsize": 8 if classes <= 30 else 6, "family": FONTS}
        names = [name.replace("$", r"\$") for name in names]  # a dollar sign is no formula
        axes.set_xticks(range(classes), names, rotation=90, **style)
        axes.set_yticks(range(classes), names, **style)
    if classes <= 20:
        for row, column in zip(*np.nonzero(matrix), strict=True):
            color = "white" if shares[row, column] > 0.5 else "black"
            text = str(matrix[row, column])
            axes.text(column, row, text, ha="center", va="center", fontsize=8, color=color)
    axes.set(xlabel="prediction", ylabel="label", title=title)
    _save(figure, path)
