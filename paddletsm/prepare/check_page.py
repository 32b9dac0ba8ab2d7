# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The report of a check as one HTML file, with pictures of the clips."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from paddletsm.data.types import Sample
from paddletsm.errors import DataError
from paddletsm.prepare import check_scan
from paddletsm.prepare.check import CheckReport, Source
from paddletsm.prepare.check_findings import ERROR, Finding
from paddletsm.utils.disk import problem_of
from paddletsm.utils.html import Raw, escape, image, page, table
from paddletsm.utils.io import write_atomic
from paddletsm.utils.text import label_name, plural

_PER_CLASS = 4
_SAMPLED = 240  # pictures of sampled clips in all: the page stays below about 3 MB
_SUSPICIOUS = 60
_ROWS = 2000  # of findings: a browser must open the page
_BAR = 160
_INSTEAD = {  # of a picture: what to say of a clip that has none, for a good reason
    "missing": "missing",
    "no_picture": "only sound",
    "no_decoder": "no decoder for it",
    "stuck": "not read in time",
    "crash": "it kills its reader",
}


def write_page(report: CheckReport, path: str | Path) -> None:
    """Write the page; decodes one frame of each clip that it shows.

    Raises:
        DataError: it cannot be written.
    """
    try:
        write_atomic(path, make_page(report).encode())
    except OSError as err:
        raise DataError(f"{path}: cannot be written: {problem_of(err)}") from err


def make_page(report: CheckReport) -> str:
    """Return the whole document."""
    body = [
        "<h1>Data check</h1>",
        _verdict(report),
        _tiles(report),
        "<h2>Findings</h2>",
        _findings(report.findings),
        "<h2>Suspicious clips</h2>",
        _suspicious(report),
        "<h2>Clips of each class</h2>",
        _histogram(report),
        "<h2>Contact sheet</h2>",
        _contact_sheet(report),
    ]
    return page("Data check", "\n".join(body))


def _verdict(report: CheckReport) -> str:
    sources = ", ".join(
        f"{source.split} <code>{escape(source.file_path)}</code>" for source in report.sources
    )
    if report.errors:
        badge, text = "bad", "Something is wrong with this data."
    elif report.warnings:
        badge, text = "warn", "Nothing is broken; see the warnings."
    else:
        badge, text = "ok", "Nothing was found."
    word = {"bad": "errors", "warn": "warnings", "ok": "clean"}[badge]
    return (
        f'<p class="lead"><span class="badge {badge}">{word}</span> {text}</p>'
        f'<p class="muted">{sources}</p>'
        + "".join(f"<p>{_breakable(note)}</p>" for note in report.notes)
    )


def _tiles(report: CheckReport) -> str:
    labels = {s.label for source in report.sources for s in source.samples}
    numbers = [
        (sum(len(source.samples) for source in report.sources), "clips"),
        (len(report.settings.class_names or labels), "classes"),
        (len(report.errors), "errors"),
        (len(report.warnings), "warnings"),
        (sum(len(report.defective(s.split)) for s in report.sources), "clips to leave out"),
    ]
    cells = (f'<div class="tile"><b>{n}</b><span>{text}</span></div>' for n, text in numbers)
    return f'<div class="tiles">{"".join(cells)}</div>'


def _findings(findings: Sequence[Finding]) -> str:
    if not findings:
        return "<p>None.</p>"
    rows = [
        (
            Raw(
                f'<span class="badge {_badge(f)}">{escape(f.title)}</span><br>'
                f'{_breakable(f.path)}<br><span class="muted">{_breakable(_place(f))}</span>'
            ),
            Raw(f'{_breakable(f.text)}<br><span class="muted">{escape(f.remedy)}</span>'),
        )
        for f in findings[:_ROWS]
    ]
    header = ("finding", "what, and what to do")
    more = len(findings) - _ROWS
    note = f"<p>{more} more are in the JSON report.</p>" if more > 0 else ""
    return table(header, rows) + note


def _place(finding: Finding) -> str:
    return f"{finding.split}, {finding.where}" if finding.where else finding.split


def _breakable(text: str) -> str:
    """Text that may be cut into lines behind the slashes and underscores of its paths."""
    return re.sub("([/_])", r"\1<wbr>", escape(text))


def _badge(finding: Finding) -> str:
    return "bad" if finding.level == ERROR else "warn"


def _histogram(report: CheckReport) -> str:
    names = report.settings.class_names
    counts = {source.split: report.class_counts(source.split) for source in report.sources}
    highest = max((label for held in counts.values() for label in held), default=-1)
    largest = max((n for held in counts.values() for n in held.values()), default=1)
    first = report.sources[0].split
    rows = []
    for label in range(max(highest + 1, len(names or ()))):
        numbers = [counts[source.split].get(label, 0) for source in report.sources]
        rows.append(
            (label_name(label, names), *numbers, _bar(counts[first].get(label, 0), largest))
        )
    return table(("class", *counts, first), rows)


def _bar(count: int, largest: int) -> Raw:
    width = max(1, round(_BAR * count / largest)) if count else 0
    return Raw(
        f'<svg width="{_BAR}" height="10" viewBox="0 0 {_BAR} 10" role="img" '
        f'aria-label="{plural(count, "clip")}"><rect width="{width}" height="10" rx="2" '
        'style="fill:var(--c1)"/></svg>'
    )


def _suspicious(report: CheckReport) -> str:
    named = [f for f in report.findings if f.sample_id is not None]
    if not named:
        return "<p>None.</p>"
    figures = []
    for source in report.sources:
        findings = [f for f in named[:_SUSPICIOUS] if f.split == source.split]
        # What hangs would hang again, for as long.
        shown = [f for f in findings if f.kind not in ("stuck", "crash")]
        samples = [source.samples[f.sample_id] for f in shown]
        pictures = dict(zip(shown, _pictures(report, source, samples), strict=True))
        for finding in findings:
            data = pictures.get(finding, b"")
            caption = (
                f'<span class="badge {_badge(finding)}">{escape(finding.title)}</span> '
                f"{_breakable(_short(finding.path))}"
            )
            figures.append(_figure(data, finding.path, caption, _INSTEAD.get(finding.kind)))
    more = len(named) - _SUSPICIOUS
    note = f"<p>{more} more are in the table above.</p>" if more > 0 else ""
    return _grid(figures) + note


def _contact_sheet(report: CheckReport) -> str:
    """Up to four sound clips of each class, spread over the first split's list."""
    source = report.sources[0]
    bad = report.defective(source.split)
    groups: dict[int, list[Sample]] = {}
    for sample in source.samples:
        if sample.id not in bad:
            groups.setdefault(sample.label, []).append(sample)
    each = max(1, min(_PER_CLASS, _SAMPLED // max(1, len(groups))))
    labels = sorted(groups)[:_SAMPLED]
    chosen = [sample for label in labels for sample in _spread(groups[label], each)]
    pictures = iter(zip(chosen, _pictures(report, source, chosen), strict=True))
    parts = []
    for label in labels:
        figures = []
        for _ in _spread(groups[label], each):
            sample, data = next(pictures)
            figures.append(_figure(data, sample.path, _breakable(_short(sample.path))))
        name = escape(label_name(label, report.settings.class_names))
        parts.append(f"<h3>{name}</h3>{_grid(figures)}")
    more = len(groups) - len(labels)
    note = f"<p>{more} more classes are not shown.</p>" if more else ""
    return "\n".join(parts) + note


def _spread(samples: Sequence[Sample], count: int) -> list[Sample]:
    count = min(count, len(samples))
    return [samples[i * len(samples) // count] for i in range(count)]


def _pictures(report: CheckReport, source: Source, samples: Sequence[Sample]) -> list[bytes]:
    settings = report.settings
    return check_scan.thumbnails(
        samples, source.decoder, workers=settings.workers, timeout_s=settings.timeout_s
    )


def _figure(data: bytes, path: str, caption: str, instead: str | None = None) -> str:
    text = f"<p>{instead or 'no frame can be decoded'}</p>"
    picture = image(data, f"a frame of {path}") if data else text
    return f'<figure class="card">{picture}<figcaption>{caption}</figcaption></figure>'


def _grid(figures: Iterable[str]) -> str:
    return f'<div class="tiles">{"".join(figures)}</div>'


def _short(path: str) -> str:
    return "/".join(Path(path).parts[-2:])
