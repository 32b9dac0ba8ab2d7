# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Self-contained HTML pages: one file, no network, light and dark, readable on a phone."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable, Sequence

# Nothing may be fetched: what a page shows is in the page.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)
_NUMBER = re.compile(r"[+\-\u2212]?[\d.,\u202f ]*\d(\s?(%|ms|s|MB|GB|MiB|GiB))?")

# Colours meet 4.5:1 for text in both schemes. Classes that pages may use: lead, muted, tiles and
# tile (a headline number), card, note, badge with ok, warn or bad, scroll, num.
_STYLE = """
:root{color-scheme:light dark;--bg:#fbfbfa;--surface:#fff;--text:#1c2127;--muted:#59626d;
--line:#dde1e6;--accent:#0a5fb0;--ok:#18723a;--warn:#8a5a00;--bad:#b3261e;--tint:#eef3f8;
--c1:#0a66c2;--c2:#c2570a;--c3:#2a7f46;--c4:#7a4fb5;--heat:10,95,176;--radius:8px;
--sans:system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","PingFang SC","Microsoft YaHei",
"Noto Sans CJK SC",sans-serif;--mono:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
@media (prefers-color-scheme:dark){:root{--bg:#13161a;--surface:#1a1e23;--text:#e6e9ed;
--muted:#9da7b3;--line:#2f363e;--accent:#74b6ff;--ok:#6fd08f;--warn:#e3b341;--bad:#ff9088;
--tint:#20272f;--c1:#68aefc;--c2:#f0995a;--c3:#6cc788;--c4:#bc9cf0;--heat:104,174,252}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0;background:var(--bg);color:var(--text);font:16px/1.55 var(--sans)}
main{max-width:68rem;margin:0 auto;padding:2rem 1.25rem 4rem}
h1{font-size:1.75rem;line-height:1.2;letter-spacing:-.015em;margin:0 0 .5rem}
h2{font-size:1.2rem;line-height:1.3;letter-spacing:-.005em;margin:2.75rem 0 .75rem}
h3{font-size:1rem;margin:1.5rem 0 .5rem}
h1,h2,h3,p,li,td,th,dd,figcaption{overflow-wrap:break-word}
p{margin:.5rem 0 1rem;max-width:44rem}
a{color:var(--accent)}
.lead{font-size:1.06rem;max-width:46rem}
.muted,figcaption{color:var(--muted);font-size:.9rem}
code,pre,kbd{font-family:var(--mono);font-size:.86em}
code{overflow-wrap:anywhere}
pre{background:var(--tint);border-radius:var(--radius);padding:1rem;overflow:auto;line-height:1.5;
max-height:32rem;margin:.75rem 0}
img,svg{max-width:100%;height:auto}
figure{margin:0 0 1.25rem}
.scroll{overflow-x:auto;margin:.75rem 0 1.25rem;border:1px solid var(--line);
border-radius:var(--radius);background:var(--surface)}
table{border-collapse:collapse;width:100%;font-size:.92rem;font-variant-numeric:tabular-nums}
th,td{padding:.42rem .8rem;text-align:left;vertical-align:top;border-top:1px solid var(--line);
font-weight:400}
thead th{border-top:0;color:var(--muted);font-weight:600;font-size:.84rem;white-space:nowrap}
.num{text-align:right;white-space:nowrap}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.75rem;
margin:1.25rem 0}
.tile,.card{background:var(--surface);border:1px solid var(--line);border-radius:var(--radius);
padding:.9rem 1rem;min-width:0}
.tile b{display:block;font-size:1.6rem;line-height:1.2;font-weight:600;letter-spacing:-.02em;
font-variant-numeric:tabular-nums}
.tile span{display:block;color:var(--muted);font-size:.86rem}
.note{border-left:3px solid var(--accent);background:var(--tint);padding:.7rem 1rem;
border-radius:0 var(--radius) var(--radius) 0;max-width:46rem}
.badge{display:inline-block;border:1px solid currentColor;border-radius:1rem;padding:0 .55rem;
font-size:.8rem;line-height:1.5;white-space:nowrap}
.ok{color:var(--ok)}.warn{color:var(--warn)}.bad{color:var(--bad)}
details{margin:.75rem 0}summary{cursor:pointer;color:var(--accent)}
button{font:inherit;color:var(--text);background:var(--surface);border:1px solid var(--line);
border-radius:6px;padding:.3rem .8rem;cursor:pointer}
button:hover{border-color:var(--accent)}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
@media (max-width:32rem){body{font-size:15px}main{padding:1.25rem .9rem 3rem}
th,td{padding:.4rem .6rem}h1{font-size:1.45rem}.tiles{grid-template-columns:1fr 1fr}
.tile b{font-size:1.3rem}}
@media print{main{max-width:none}pre,.scroll{max-height:none;overflow:visible}}
"""


class Raw(str):
    """Text that is HTML already and is not escaped again."""

    __slots__ = ()


def escape(text: object) -> str:
    """Text as HTML, for content and quoted attributes; a lone surrogate is shown by its number."""
    return html.escape(str(text).encode("utf-8", "backslashreplace").decode("utf-8"))


def page(title: str, body: str, *, script: str = "") -> str:
    """A whole document around a body.

    Args:
        title: plain text of the browser's tab.
        body: HTML; goes into ``<main>``, so it starts with its ``<h1>``.
        script: JavaScript, run at the end of the body. The page must be readable without it.

    Raises:
        ValueError: the script would end its own element.
    """
    if "</script" in script.lower():
        raise ValueError("a script cannot contain '</script'; write '<\\/script'")
    code = f"<script>\n{script}\n</script>\n" if script else ""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n{code}</body>\n</html>\n"
    )


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table that scrolls sideways where it does not fit.

    Cells are escaped unless ``Raw``; numbers stand right. The first cell heads its row.

    Raises:
        ValueError: a row has another number of cells than the header.
    """
    body, numeric = [], [True] * len(header)
    cells = [list(row) for row in rows]
    for row in cells:
        if len(row) != len(header):
            raise ValueError(f"a row of {len(row)} cells under a header of {len(header)}: {row}")
        numeric = [was and _is_number(cell) for was, cell in zip(numeric, row, strict=True)]
    is_filled = [any(cell != "" for cell in column) for column in zip(*cells, strict=True)]
    numeric = [both == (True, True) for both in zip(numeric, is_filled, strict=False)]
    numeric = numeric or [False] * len(header)
    for row in cells:
        parts = []
        for column, cell in enumerate(row):
            tag = 'th scope="row"' if column == 0 else "td"
            style = ' class="num"' if numeric[column] else ""
            text = cell if isinstance(cell, Raw) else escape(cell)
            parts.append(f"<{tag}{style}>{text}</{tag[:2]}>")
        body.append(f"<tr>{''.join(parts)}</tr>\n")
    heads = []
    for name, is_number in zip(header, numeric, strict=True):
        style = ' class="num"' if is_number else ""
        text = name if isinstance(name, Raw) else escape(name)
        heads.append(f'<th scope="col"{style}>{text}</th>')
    label = escape(", ".join(re.sub(r"<[^>]*>", "", name) for name in header))
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="Table: {label}"><table>\n'
        f"<thead><tr>{''.join(heads)}</tr></thead>\n<tbody>\n{''.join(body)}</tbody>\n"
        "</table></div>\n"
    )


def _is_number(cell: object) -> bool:
    if isinstance(cell, Raw):
        return False
    if isinstance(cell, (int, float)) or cell == "":
        return True
    return isinstance(cell, str) and _NUMBER.fullmatch(cell) is not None


def image(data: bytes, alt: str, *, mime: str = "image/jpeg") -> str:
    """An ``<img>`` that carries its picture as a data: address.

    Args:
        data: the encoded picture.
        alt: what a reader who does not see it is told; "" for decoration.
        mime: of ``data``.
    """
    code = base64.b64encode(data).decode("ascii")
    return f'<img src="data:{mime};base64,{code}" alt="{escape(alt)}">'
