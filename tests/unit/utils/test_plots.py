# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Class names that no formula and no font must trip over."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.font_manager import fontManager

from paddletsm.utils import timeline_plot
from paddletsm.utils.plots import draw_confusion_matrix


def test_class_names_of_any_alphabet_are_drawn_in_silence(tmp_path: Path) -> None:
    path = tmp_path / "matrix.png"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_confusion_matrix(np.eye(3, dtype=int), ["跳跃", "wave $x", "$\\frac$"], path)
    assert path.read_bytes().startswith(b"\x89PNG")


def axes_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **changed: Any) -> Any:
    """Draw a timeline of 10 s with a hole from 3 to 6 s; give the axes back."""
    figures = []
    monkeypatch.setattr(timeline_plot, "_save", lambda figure, path: figures.append(figure))
    arguments = {
        "times": [0.0, 1.0, 6.0],
        "ends": [1.0, 3.0, 10.0],
        "scores": np.array([[0.9, 0.1], [0.2, 0.8], [1.0, 0.0]]),
        "labels": ("wave", "point"),
        "spans": [(0.0, 1.0, 0), (6.0, 10.0, 0)],
        "seconds": 10.0,
        "path": tmp_path / "t.png",
        "title": "a.avi",
    }
    timeline_plot.draw_timeline(**{**arguments, **changed})
    return figures[0].axes[0]


def test_a_timeline_is_empty_where_frames_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    axes = axes_of(monkeypatch, tmp_path)
    (mesh,) = axes.collections
    cells = np.ma.filled(mesh.get_array().reshape(2, -1), np.nan)
    np.testing.assert_array_equal(mesh.get_coordinates()[0, :, 0], [0, 1, 3, 6, 10])
    np.testing.assert_array_equal(cells[0], [0.9, 0.2, np.nan, 1.0])
    assert axes.get_facecolor()[:3] == (0.8, 0.8, 0.8), "not the white of a low score"


def test_a_timeline_spans_the_video_and_bars_end_with_their_cells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    axes = axes_of(monkeypatch, tmp_path)
    assert axes.get_xlim() == (0.0, 10.0)
    assert [line.get_xdata().tolist() for line in axes.lines] == [[0.0, 1.0], [6.0, 10.0]]


def tiny_font(path: Path, family: str, characters: str) -> None:
    """A font of empty pictures."""
    builder = FontBuilder(1000)
    names = {ord(char): f"u{number}" for number, char in enumerate(characters)}
    glyphs = [".notdef", *names.values()]
    builder.setupGlyphOrder(glyphs)
    builder.setupCharacterMap(names)
    builder.setupGlyf({name: TTGlyphPen(None).glyph() for name in glyphs})
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (500, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": family, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)


def test_a_font_is_found_for_chinese_names_or_its_lack_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plain = [font for font in fontManager.ttflist if font.name == "DejaVu Sans"]
    monkeypatch.setattr(fontManager, "ttflist", list(plain))
    monkeypatch.setattr(timeline_plot, "_told", [])
    assert timeline_plot.fonts_for(["wave", "跃龘龘"]) == ["DejaVu Sans"]
    timeline_plot.fonts_for(["wave", "跃龘龘跳"])
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "no installed font has 2 characters" in caplog.text
    tiny_font(tmp_path / "tiny.ttf", "Tiny Han", "跃龘")
    fontManager.addfont(tmp_path / "tiny.ttf")
    assert timeline_plot.fonts_for(["wave", "跃龘龘"]) == ["DejaVu Sans", "Tiny Han"]
    assert len(caplog.records) == 1
    axes = axes_of(monkeypatch, tmp_path, labels=("跃", "龘"), title="$跃")
    for text in (*axes.get_yticklabels(), axes.title):
        assert text.get_fontfamily() == ["DejaVu Sans", "Tiny Han"]
