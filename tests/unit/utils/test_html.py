# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
import re

import pytest

from paddletsm.utils.html import Raw, escape, image, page, table


def test_a_page_forbids_every_request_and_follows_the_colour_scheme() -> None:
    text = page("A <title>", "<h1>hi</h1>", script="let x = 1 < 2;")
    assert "default-src 'none'" in text
    assert "img-src data:" in text
    assert "prefers-color-scheme:dark" in text
    assert "<title>A &lt;title&gt;</title>" in text
    assert "let x = 1 < 2;" in text
    assert "http:" not in text
    assert "https:" not in text


def test_a_script_cannot_end_itself() -> None:
    with pytest.raises(ValueError, match="script"):
        page("t", "", script="document.write('</SCRIPT>')")


def test_cells_are_escaped_unless_raw_and_numbers_stand_right() -> None:
    text = table(["name", "n", "share"], [["<b>", 3, "4.5 %"], [Raw("<i>x</i>"), 12, ""]])
    assert "&lt;b&gt;" in text
    assert "<i>x</i>" in text
    assert text.count('class="num"') == 2 * 2 + 2
    assert '<th scope="col">name</th>' in text
    assert '<th scope="row">&lt;b&gt;</th>' in text
    assert 'tabindex="0"' in text  # the keyboard can scroll it


def test_an_empty_column_and_an_empty_table_are_text() -> None:
    assert "num" not in table(["a", "b"], [["x", ""], ["y", ""]])
    assert "num" not in table(["a", "b"], [])


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="3 cells under a header of 2"):
        table(["a", "b"], [[1, 2, 3]])


def test_images_carry_their_bytes_and_a_text() -> None:
    text = image(b"\xff\xd8", 'a "clip"')
    assert base64.b64encode(b"\xff\xd8").decode() in text
    assert 'alt="a &quot;clip&quot;"' in text


def test_names_that_are_no_text_can_be_written() -> None:
    escape("caf\udce9.avi").encode("utf-8")


def _luminance(color: str) -> float:
    digits = color[1:] if len(color) == 7 else "".join(2 * digit for digit in color[1:])
    shares = [int(digits[k : k + 2], 16) / 255 for k in (0, 2, 4)]
    parts = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_every_background(scheme: str) -> None:
    blocks = re.findall(r":root\{(.*?)\}", page("t", ""), re.DOTALL)
    colors: dict[str, str] = {}
    for block in blocks[: 1 if scheme == "light" else 2]:
        colors.update(re.findall(r"--(\w+):(#[0-9a-f]{3,6})\b", block))
    for back in ("bg", "surface", "tint"):
        for front in ("text", "muted", "accent", "ok", "warn", "bad"):
            one, other = sorted((_luminance(colors[back]), _luminance(colors[front])))
            ratio = (other + 0.05) / (one + 0.05)
            assert ratio >= 4.5, f"{front} on {back}: {ratio:.2f}"  # WCAG 2 AA for text
