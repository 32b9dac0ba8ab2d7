# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Write lists without the entries that a check has found defective."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from paddletsm.data.frame_files import FRAME_PATTERN
from paddletsm.errors import ConfigError, DataError
from paddletsm.prepare.build_lists import write_list, write_text
from paddletsm.prepare.check import CheckReport, Source
from paddletsm.utils.text import listing, plural


@dataclass(frozen=True)
class CleanList:
    """One list that was written.

    Attributes:
        path: the list.
        kept: entries in it.
        dropped: entries that were left out.
        emptied: labels that have no entry any more.
        unfixed: errors of the whole split, which leaving entries out does not mend.
    """

    path: Path
    kept: int
    dropped: int
    emptied: tuple[int, ...]
    unfixed: tuple[str, ...]

    def __str__(self) -> str:
        text = f"{self.path}: {plural(self.kept, 'entry')}, {self.dropped} left out".replace(
            "entrys", "entries"
        )
        if self.emptied:
            text += f"; no clip is left of label {listing(self.emptied)}"
        if self.unfixed:
            text += f"; not mended: {listing(self.unfixed)}"
        return text


def write_clean(report: CheckReport, out: str | Path) -> list[CleanList]:
    """Write the entries without errors, labels untouched.

    One split goes to ``out``; of several, split "train" goes to ``<out>_train.txt`` and so on.
    Lines of a list are kept as they are; a folder becomes a list of its files, and
    ``<out>_classes.txt`` names its classes, one per line.

    Raises:
        ConfigError: it would overwrite what was checked.
        DataError: nothing would be left, or a file cannot be written.
    """
    out = Path(out)
    targets = clean_targets(report.sources, out)
    for source in report.sources:
        if len(report.defective(source.split)) == len(source.samples):
            raise DataError(f"{source.file_path}: no entry is sound, so there is no clean list")
    written = [_write(source, report, targets[source.split]) for source in report.sources]
    names = next((s.class_names for s in report.sources if s.class_names), None)
    if names:
        write_text(class_names_path(out), names)
    return written


def clean_targets(sources: Sequence[Source], out: str | Path) -> dict[str, Path]:
    """Where ``write_clean`` puts the list of each split.

    Raises:
        ConfigError: it would overwrite what is checked.
    """
    out = Path(out)
    targets = {source.split: _target(out, source.split, len(sources)) for source in sources}
    for source in sources:
        if Path(source.file_path).resolve() in {path.resolve() for path in targets.values()}:
            raise ConfigError(f"--fix {out}: would overwrite {source.file_path}; name another file")
    return targets


def class_names_path(out: str | Path) -> Path:
    """Where ``write_clean`` puts the class names of a folder."""
    out = Path(out)
    return out.with_name(f"{out.stem}_classes.txt")


def training_overrides(
    report: CheckReport, out: str | Path, *, data_prefix: str = "", suffix: str | None = None
) -> list[str]:
    """Return what a configuration needs to train on the clean lists: DATASET.train.file_path=...

    Args:
        report: of what was checked.
        out: as in ``write_clean``.
        data_prefix: as in ``load_source``.
        suffix: as in ``load_source``.
    """
    found = []
    for split, path in clean_targets(report.sources, out).items():
        source = next(source for source in report.sources if source.split == split)
        values = {"file_path": str(path)}
        if source.class_names is None and data_prefix:
            values["data_prefix"] = data_prefix
        if source.format == "FrameDataset":
            values["format"] = source.format
            pattern = getattr(source.decoder, "suffix", FRAME_PATTERN)
            # In quotes: a pattern that begins with a brace would be a mapping.
            values |= {} if pattern == FRAME_PATTERN else {"suffix": f'"{pattern}"'}
        elif source.class_names is None and suffix:
            values["suffix"] = suffix
        found += [f"DATASET.{split}.{key}={value}" for key, value in values.items()]
    if any(source.class_names for source in report.sources):
        found.append(f"DATASET.class_names={class_names_path(out)}")
    return found


def _target(out: Path, split: str, count: int) -> Path:
    if count == 1:
        return out
    return out.with_name(f"{out.stem}_{split}{out.suffix or '.txt'}")


def _write(source: Source, report: CheckReport, path: Path) -> CleanList:
    bad = report.defective(source.split)
    kept = [sample for sample in source.samples if sample.id not in bad]
    if source.class_names is None:
        _write_lines(source, [int(sample.where.rpartition(":")[2]) for sample in kept], path)
    else:
        frames = {e.sample.id: e.frames for e in report.entries[source.split]}
        with_count = source.format == "FrameDataset"
        write_list(
            path,
            [
                (s.path, frames[s.id], s.label) if with_count else (s.path, s.label)
                for s in kept
            ],
        )  # fmt: skip
    labels = {sample.label for sample in source.samples}
    left = Counter(sample.label for sample in kept)
    whole = (f for f in report.errors if f.split == source.split and f.sample_id is None)
    return CleanList(
        path,
        len(kept),
        len(bad) + len(source.malformed),
        tuple(sorted(labels - set(left))),
        tuple(dict.fromkeys(f.title for f in whole if f.kind != "malformed")),
    )


def _write_lines(source: Source, numbers: list[int], path: Path) -> None:
    """Copy lines, counted from 1, as they stand."""
    with Path(source.file_path).open(encoding="utf-8-sig") as file:
        lines = [line.rstrip("\r\n") for line in file]
    write_text(path, [lines[number - 1] for number in numbers])
