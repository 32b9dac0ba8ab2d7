# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""report.html: the sections of the page, from what ``collect`` and ``strips`` have found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from paddletsm.report import charts, strip_page
from paddletsm.report.charts import Series, line_chart, matrix_chart
from paddletsm.report.collect import Run, TestResult
from paddletsm.report.strips import Strip
from paddletsm.report.words import (
    accuracy_key,
    facts,
    headline,
    percent,
    probe_verdict,
    protocol,
    sentence,
)
from paddletsm.utils.html import Raw, escape, page, table
from paddletsm.utils.text import plural

_MATRIX_LIMIT = 150  # classes; above it those with errors are shown
_MOST_CONFUSED = 60

_STYLE = """
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(18rem,100%),1fr));gap:1rem}
.charts figure{margin:0}.charts h3{margin:0;font-size:.95rem}.charts svg{display:block;width:100%}
.rate{white-space:nowrap}.meter{display:inline-block;width:6rem;height:.5rem;border-radius:3px;background:var(--tint);
margin-right:.6rem;overflow:hidden;vertical-align:middle}
.meter i{display:block;height:100%;background:var(--c1)}
th button{all:unset;cursor:pointer}th button:hover{color:var(--text)}
th button:focus-visible{outline:2px solid var(--accent);outline-offset:3px;border-radius:2px}
th[aria-sort=ascending] button::after{content:" \\2191"}
th[aria-sort=descending] button::after{content:" \\2193"}
.tall .scroll{max-height:34rem;overflow:auto}.tall thead th{position:sticky;top:0;
background:var(--surface);box-shadow:0 1px var(--line)}
@media (max-width:32rem){.meter{display:none}}
.heat{padding:.6rem}.heat svg{display:block;margin:auto}
.path{overflow-wrap:anywhere}
nav{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;font-size:.92rem;margin:1.2rem 0 0}
"""

_SORT = """
for (const table of document.querySelectorAll(".sortable table")) {
  table.querySelectorAll("thead th").forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      const value = (row) => {
        const cell = row.cells[column], mark = cell.querySelector("[data-value]");
        return mark ? mark.dataset.value : cell.textContent;
      };
      const rows = [...table.tBodies[0].rows].sort((one, other) => sign *
        value(one).localeCompare(value(other), undefined, {numeric: true}));
      table.tBodies[0].append(...rows);
      table.querySelectorAll("th[aria-sort]").forEach((th) => th.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    });
  });
}
"""


def report_page(run: Run, strips: Sequence[Strip], note: str = "") -> str:
    """The whole document.

    Args:
        run: the run folder.
        strips: clips to play.
        note: what the reader must know about missing strips, "" when nothing is missing.
    """
    test = run.test
    parts = [
        ("training", "Training", _training(run)),
        ("probe", "Does the network use motion?", _probe(run)),
        ("classes", "Classes", _classes(test) if test else ""),
        ("confusion", "Confusion", _confusion(test) if test else ""),
        ("clips", _clips_title(test), _clips(test, strips, note) if test else ""),
        ("failed", "Clips that could not be read", _failed(test) if test else ""),
        ("tests", "All tests", _tests(run) if len(run.tests) > 1 else ""),
        ("environment", "Environment", _environment(run)),
        ("config", "Configuration", _config(run)),
    ]
    shown = [(key, title, html) for key, title, html in parts if html]
    links = "".join(f'<a href="#{key}">{escape(title)}</a>' for key, title, _ in shown)
    sections = "".join(
        f'<section aria-labelledby="{key}"><h2 id="{key}">{escape(title)}</h2>\n{html}</section>\n'
        for key, title, html in shown
    )
    body = (
        f"<style>{_STYLE}{charts.STYLE}{strip_page.STYLE}</style>\n"
        f'<header><h1>{escape(run.name)}</h1>\n<p class="lead">{escape(sentence(run))}</p>\n'
        f'{_tiles(headline(run))}<nav aria-label="Sections">{links}</nav></header>\n{sections}'
    )
    return page(f"{run.name}: report", body, script=_SORT + strip_page.SCRIPT)


def _tiles(items: Sequence[tuple[str, str]]) -> str:
    tiles = "".join(
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(text)}</span></div>'
        for value, text in items
    )
    return f'<div class="tiles">{tiles}</div>\n' if tiles else ""


def _training(run: Run) -> str:
    train, valid = run.of_split("train"), run.of_split("valid")
    if not train and not valid:
        return ""
    pictures = [
        line_chart(
            "Loss", [_series("train", train, "loss", 1), _series("valid", valid, "loss", 2)]
        ),
        line_chart(
            "Accuracy, %",
            [
                _series("train top-1", train, "top1", 1),
                _series("valid top-1", valid, "top1", 2),
                _series("valid top-5", valid, "top5", 3),
            ]
            if accuracy_key(run) == "top1"
            else [
                _series("train hit@1", train, "hit1", 1),
                _series("valid mAP", valid, "mAP", 2),
                _series("valid hit@1", valid, "hit1", 3),
            ],
            top=100,
            unit=" %",
        ),
        line_chart("Learning rate", [_series("learning rate", train, "lr", 4)]),
    ]
    skipped = sum(int(record.get("failed") or 0) for record in train)
    note = f"<p>{plural(skipped, 'unreadable clip')} skipped in training.</p>" if skipped else ""
    return f'<div class="charts">{"".join(pictures)}</div>\n{note}'


def _series(name: str, records: Sequence[Mapping[str, Any]], key: str, color: int) -> Series:
    points = [(float(r["epoch"]), float(r[key])) for r in records if r.get(key) is not None]
    return Series(name, points, color)


def _probe(run: Run) -> str:
    probe = run.probe
    if len(probe) < 2 or probe["ordered"].is_multi_label:  # mAP has no interval to judge by
        return ""
    rows = []
    for order, test in probe.items():
        top1 = test.metrics.get("top1")
        rows.append(["in order" if order == "ordered" else order, _meter(top1), _interval(test)])
    return f"<p>{escape(probe_verdict(run))}</p>\n" + table(
        ["frames", "top-1", "95 % interval"], rows
    )


def _meter(value: float | None) -> Raw:
    """A bar of a percentage, with its number."""
    if value is None:
        return Raw('<span class="muted" data-value="-1">none</span>')
    return Raw(
        f'<span class="rate" data-value="{value:.4f}"><span class="meter"><i '
        f'style="width:{value:.1f}%"></i></span>{percent(value)}</span>'
    )


def _interval(test: TestResult) -> str:
    return f"{test.interval[0]:.2f} to {percent(test.interval[1])}" if test.interval else ""


def _classes(test: TestResult) -> str:
    if test.is_multi_label:
        return _multi_label_classes(test)
    if not test.names or not test.guesses:
        return ""
    matrix = test.matrix()
    rows = []
    for label, name in enumerate(test.names):
        clips, hits = int(matrix[label].sum()), int(matrix[label, label])
        errors = matrix[label].copy()
        errors[label] = 0
        worst = int(errors.argmax())
        mistaken = f"{test.names[worst]} ({errors[worst]})" if errors[worst] else ""
        share = 100.0 * hits / clips if clips else None
        rows.append([name, _meter(share), hits, clips, mistaken])
    header = ["class", "top-1", "right", "clips", "most often taken for"]
    tall = " tall" if len(rows) > 14 else ""
    return f'<div class="sortable{tall}">{table(header, rows)}</div>\n'


def _multi_label_classes(test: TestResult) -> str:
    """Average precision; precision and recall of the scores above 0.5."""
    rows = [
        [row["name"], _meter(_number(row["average_precision"])), row["clips"], row["predicted"]]
        + [percent(_number(row[key])) for key in ("precision", "recall")]
        for row in test.classes
    ]
    header = ["class", "average precision", "clips", "predicted", "precision", "recall"]
    tall = " tall" if len(rows) > 14 else ""
    return (
        "<p>Average precision needs no threshold; predicted are scores above 0.5.</p>\n"
        f'<div class="sortable{tall}">{table(header, rows)}</div>\n'
    )


def _number(text: str) -> float | None:
    return float(text) if text else None


def _confusion(test: TestResult) -> str:
    if not test.names or not test.guesses:
        return ""
    matrix, names, note = test.matrix(), test.names, ""
    if len(names) > _MATRIX_LIMIT:
        errors = matrix.sum(0) + matrix.sum(1) - 2 * np.diag(matrix)
        kept = np.sort(np.argsort(-errors, kind="stable")[:_MOST_CONFUSED])
        matrix, names = matrix[np.ix_(kept, kept)], tuple(names[k] for k in kept)
        note = f" The {len(names)} of {len(test.names)} classes with the most errors are shown."
    picture = matrix_chart(
        matrix, names, f"Confusion matrix of {len(names)} classes; the table of pairs says the same"
    )
    return (
        "<p>Rows are labels, columns are predictions; the stronger the colour, the larger the "
        f"share of the label's clips. Right ones are blue, errors orange.{note}</p>\n"
        f'<div class="scroll heat" role="region" tabindex="0" aria-label="Confusion matrix">'
        f"{picture}</div>\n{_pairs(test)}"
    )


def _pairs(test: TestResult) -> str:
    """The most frequent errors."""
    matrix = test.matrix()
    np.fill_diagonal(matrix, 0)
    order = np.argsort(-matrix, axis=None, kind="stable")[:10]
    places = [divmod(int(k), len(test.names)) for k in order]
    rows = [(test.names[a], test.names[b], int(matrix[a, b])) for a, b in places if matrix[a, b]]
    return (
        "<h3>Most frequent errors</h3>\n" + table(["label", "taken for", "clips"], rows)
        if rows
        else ""
    )


def _clips_title(test: TestResult | None) -> str:
    if test and all(guess.is_right for guess in test.guesses):
        return "Least certain clips"
    return "Worst errors"


def _clips(test: TestResult, strips: Sequence[Strip], note: str) -> str:
    if not strips and not note:
        return ""
    wrong = sum(not guess.is_right for guess in test.guesses)
    text = (
        f"{wrong} of {plural(len(test.guesses), 'clip')} {'is' if wrong == 1 else 'are'} "
        "classified wrongly; those that the network was surest of come first."
        if wrong
        else "No clip is classified wrongly; these are the right ones with the lowest scores."
    )
    text += (
        " The frames are those that the network saw. The bars below them are the scores of each "
        "frame by itself, before the mean over frames; a bar as high as the row is 100 %."
    )
    missing = f'<p class="note">{escape(note)}</p>\n' if note else ""
    if not strips:
        return missing
    return f"<p>{text}</p>\n{missing}{strip_page.clips_section(strips, test.names)}"


def _failed(test: TestResult) -> str:
    failed = [f for f in test.metrics.get("failed") or [] if isinstance(f, dict)]
    if not failed:
        return ""
    rows = [[f.get("path", ""), f.get("reason", "")] for f in failed]
    return "<p>They are in none of the numbers of this page.</p>\n" + table(
        ["path", "reason"], rows
    )


def _tests(run: Run) -> str:
    if run.tests[0].is_multi_label:
        return _multi_label_tests(run)
    rows = []
    for test in run.tests:
        values = test.metrics
        rows.append(
            [
                test.folder.name,
                protocol(test),
                percent(values.get("top1")),
                _interval(test),
                percent(values.get("top5")),
                percent(values.get("mean_class")),
                values.get("num_samples", ""),
            ]
        )
    header = ["folder", "protocol", "top-1", "95 % interval", "top-5", "mean class", "clips"]
    return table(header, rows)


def _multi_label_tests(run: Run) -> str:
    keys = ("mAP", "hit1", "exact")
    rows = []
    for test in run.tests:
        shares = [percent(test.metrics.get(key)) for key in keys]
        count = test.metrics.get("num_samples", "")
        rows.append([test.folder.name, protocol(test), *shares, count])
    return table(["folder", "protocol", "mAP", "hit@1", "exact", "clips"], rows)


def _environment(run: Run) -> str:
    rows = [(name, Raw(f'<code class="path">{escape(value)}</code>')) for name, value in facts(run)]
    return table(["fact", "value"], rows) if rows else ""


def _config(run: Run) -> str:
    if not run.config_text:
        return ""
    return (
        "<details><summary>The resolved configuration, every value as it was used</summary>\n"
        f'<pre tabindex="0">{escape(run.config_text.rstrip())}</pre></details>\n'
    )
