# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Check a data set: every entry is decoded, then entries, labels and splits are compared."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from paddletsm.data import READERS, Index, load_index
from paddletsm.data.frame_files import FRAME_PATTERN
from paddletsm.data.index import VIDEO_SUFFIXES
from paddletsm.data.pipeline import DecoderLike
from paddletsm.data.types import Sample
from paddletsm.errors import ConfigError, DataError
from paddletsm.prepare import check_findings, check_folder, check_labels, check_scan
from paddletsm.prepare.check_findings import ERROR, WARNING, Finding
from paddletsm.prepare.check_scan import Entry

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Source:
    """One split to check.

    Attributes:
        split: "train", "valid" or "test".
        file_path: list file or class folder.
        format: "VideoDataset" or "FrameDataset".
        samples: what it holds.
        class_names: of a class folder, else None.
        malformed: (where, what is wrong) of the lines that are no entries.
        decoder: opens a sample, as in training.
        num_seg: frames that a clip needs.
        pattern: of the frames' names, where neither the caller nor a configuration stated one and
            the folders told another than the default; else "".
        has_tail: training draws from it, and never the frames behind ``num_seg`` equal segments.
    """

    split: str
    file_path: str
    format: str
    samples: tuple[Sample, ...]
    class_names: tuple[str, ...] | None
    malformed: tuple[tuple[str, str], ...]
    decoder: DecoderLike
    num_seg: int
    pattern: str = ""
    has_tail: bool = False


@dataclass(frozen=True)
class CheckSettings:
    """How to check.

    Attributes:
        workers: processes that decode, 1 or more.
        timeout_s: limit for one entry.
        quick: decode only as many frames as a clip has, instead of all.
        group: what a recording is, see ``groups.recording_of``; "auto" finds out from the names.
        num_classes: as stated; None: the largest label tells.
        class_names: in the order of the labels; None: unknown.
        flipped: whether training mirrors clips; None: not known.
        label_map: labels that the mirroring exchanges, both ways.
        no_flip: labels whose clips are not mirrored.
    """

    workers: int = 1
    timeout_s: float = 60.0
    quick: bool = False
    group: str = "auto"
    num_classes: int | None = None
    class_names: tuple[str, ...] | None = None
    flipped: bool | None = None
    label_map: Mapping[int, int] = field(default_factory=dict)
    no_flip: Collection[int] = ()


@dataclass(frozen=True)
class CheckReport:
    """What was found.

    Attributes:
        sources: the splits, in the order train, valid, test.
        entries: of each split, in the order of its list.
        findings: of lines and of what is not read, then of single entries in their order, then of
            whole splits.
        settings: how it was checked.
        notes: sentences on what could not be checked.
    """

    sources: tuple[Source, ...]
    entries: dict[str, list[Entry]]
    findings: tuple[Finding, ...]
    settings: CheckSettings = field(default_factory=CheckSettings)
    notes: tuple[str, ...] = ()

    @property
    def errors(self) -> list[Finding]:
        """Findings that make the data unfit."""
        return [finding for finding in self.findings if finding.level == ERROR]

    @property
    def warnings(self) -> list[Finding]:
        """Findings that a person should look at."""
        return [finding for finding in self.findings if finding.level == WARNING]

    def defective(self, split: str) -> set[int]:
        """Numbers of the entries of a split that an error names."""
        of_split = (f for f in self.errors if f.split == split and f.sample_id is not None)
        return {finding.sample_id for finding in of_split}

    def class_counts(self, split: str) -> dict[int, int]:
        """Entries of each label, in the order of the labels."""
        counts = Counter(entry.sample.label for entry in self.entries[split])
        return dict(sorted(counts.items()))

    def kinds(self) -> dict[str, int]:
        """Findings of each kind."""
        return dict(Counter(finding.kind for finding in self.findings).most_common())


def load_source(
    split: str,
    file_path: str,
    *,
    format: str | None = None,
    data_prefix: str = "",
    suffix: str | None = None,
    class_names: Sequence[str] | None = None,
    decode: dict[str, object] | None = None,
    num_seg: int = 8,
    has_tail: bool | None = None,
) -> Source:
    """Read a list or folder for ``check_data``; malformed lines are kept for the report.

    Args:
        split: "train", "valid" or "test".
        file_path: list file, or folder with one sub-folder per class.
        format: of ``load_index``; None: what its lines or its sub-folders look like.
        data_prefix: folder that the paths of a list start from.
        suffix: ending of the video files, or pattern of the frames' names; None: for frames, what
            the folders tell.
        class_names: of a folder, when another one defines the labels.
        decode: PIPELINE.decode of a configuration; None: what fits the format.
        num_seg: frames that a clip needs.
        has_tail: see ``Source``; None: of training, as ``Sampler`` does it.

    Raises:
        ConfigError: unknown format, or a wrong suffix.
        DataError: missing, empty, a video itself, a folder of splits, or without a single entry.
    """
    if Path(file_path).suffix.lower() in VIDEO_SUFFIXES and Path(file_path).is_file():
        raise DataError(f"{file_path}: a video, not a list or folder of them")
    check_folder.refuse_splits(file_path)
    if suffix and format is None:
        format = "FrameDataset" if "{" in suffix else "VideoDataset"
    index, malformed, format = _load(file_path, format, data_prefix, suffix, class_names)
    pattern = ""
    if decode is None and format == "FrameDataset":
        told = suffix or check_folder.common_pattern(index.samples)
        decode = {"name": "FrameDecoder", "suffix": told} if told else {"name": "FrameDecoder"}
        pattern = told if told and not suffix and told != FRAME_PATTERN else ""
    elif decode is None:
        decode = {"name": "VideoDecoder"}
    args = {key: value for key, value in decode.items() if key != "name"}
    decoder = READERS.build(decode["name"], args, where="--suffix")
    return Source(
        split,
        str(file_path),
        format,
        index.samples,
        index.class_names,
        tuple(malformed),
        decoder,
        num_seg,
        pattern,
        split == "train" if has_tail is None else has_tail,
    )


def _load(
    file_path: str,
    format: str | None,
    data_prefix: str,
    suffix: str | None,
    class_names: Sequence[str] | None,
) -> tuple[Index, list[tuple[str, str]], str]:
    """Read the index; without a stated format by the one under which more entries are right."""
    tried = []
    failures = []
    for name in (format,) if format else ("VideoDataset", "FrameDataset"):
        malformed: list[tuple[str, str]] = []

        def keep(where: str, err: DataError, held: list[tuple[str, str]] = malformed) -> None:
            held.append((where, str(err).removeprefix(f"{where}: ")))

        try:
            index = load_index(
                file_path,
                format=name,
                data_prefix=data_prefix,
                suffix=suffix if name == "VideoDataset" else None,
                class_names=class_names,
                on_bad_line=keep,
                is_reported=True,
            )
        except DataError as err:
            failures.append(err)
        else:
            others = check_folder.of_other_kind(index, name)
            tried.append((others, len(malformed), name, index, malformed))
    if not tried:
        raise failures[0]
    _, _, name, index, malformed = min(tried, key=lambda item: item[:2])
    return index, malformed, name


def check_data(
    sources: Sequence[Source],
    settings: CheckSettings,
    *,
    progress: Callable[[], None] | None = None,
) -> CheckReport:
    """Decode every entry of all splits, and compare them.

    Args:
        sources: of ``load_source``, each split once.
        settings: how to check.
        progress: called after each entry.

    Raises:
        ConfigError: a split is there twice, or a number that makes no sense.
    """
    sources = tuple(sorted(sources, key=lambda source: SPLITS.index(source.split)))
    if len({source.split for source in sources}) < len(sources):
        raise ConfigError("each split is checked once; two sources are of the same one")
    if settings.workers < 1:
        raise ConfigError(f"workers must be 1 or more, not {settings.workers}")
    entries = {
        source.split: check_scan.scan(
            source.samples,
            source.decoder,
            split=source.split,
            workers=settings.workers,
            timeout_s=settings.timeout_s,
            quick=source.num_seg if settings.quick else 0,
            progress=progress,
        )
        for source in sources
    }
    num_seg = {source.split: source.num_seg for source in sources}
    of_entries = _labels_out_of_range(sources, entries, settings)
    splits = [entries[source.split] for source in sources]
    with_tail = [source.split for source in sources if source.has_tail]
    of_entries += check_findings.problems(splits, num_seg, settings.group, with_tail=with_tail)
    note = check_findings.not_compared(splits, settings.group)
    of_entries.sort(key=lambda f: (SPLITS.index(f.split), f.sample_id))
    findings = [
        Finding("malformed", source.split, source.file_path, where, text)
        for source in sources
        for where, text in source.malformed
    ]
    for source in sources:
        if source.class_names is not None:
            findings += check_folder.unread_entries(
                source.split,
                source.file_path,
                format=source.format,
                class_names=source.class_names,
            )
    findings += of_entries + _label_findings(sources, settings)
    return CheckReport(sources, entries, tuple(findings), settings, (note,) if note else ())


def _labels_out_of_range(
    sources: Sequence[Source], entries: dict[str, list[Entry]], settings: CheckSettings
) -> list[Finding]:
    count = settings.num_classes
    found = []
    for source in sources:
        for row in check_labels.out_of_range([s.label for s in source.samples], count):
            entry = entries[source.split][row]
            text = f"label {entry.sample.label}, but there are {count} classes (0 to {count - 1})"
            found.append(check_findings.of_entry(entry, "label_range", text))
    return found


def _label_findings(sources: Sequence[Source], settings: CheckSettings) -> list[Finding]:
    first = sources[0]
    found = check_labels.label_findings(
        {source.split: [sample.label for sample in source.samples] for source in sources},
        {source.split: source.file_path for source in sources},
        num_classes=settings.num_classes,
        names=settings.class_names,
    )
    return found + check_labels.direction_findings(
        settings.class_names,
        split=first.split,
        source=first.file_path,
        flipped=settings.flipped,
        label_map=settings.label_map,
        no_flip=settings.no_flip,
    )


def as_json(report: CheckReport) -> str:
    """The whole report as JSON text."""
    names = report.settings.class_names
    splits = [
        {
            "split": source.split,
            "source": source.file_path,
            "format": source.format,
            "entries": len(source.samples),
            "defective": len(report.defective(source.split)),
            "classes": {str(k): n for k, n in report.class_counts(source.split).items()},
        }
        for source in report.sources
    ]
    findings = [
        {**asdict(finding), "level": finding.level, "remedy": finding.remedy}
        for finding in report.findings
    ]
    content = {
        "ok": not report.errors,
        "errors": len(report.errors),
        "warnings": len(report.warnings),
        "kinds": report.kinds(),
        "notes": list(report.notes),
        "class_names": list(names) if names else None,
        "splits": splits,
        "findings": findings,
    }
    return json.dumps(content, indent=2, ensure_ascii=True) + "\n"
