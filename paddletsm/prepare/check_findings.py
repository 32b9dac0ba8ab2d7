# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""From what the entries hold to findings: what is wrong, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from paddletsm.prepare.check_scan import Entry
from paddletsm.prepare.groups import recording_of, rule_to_compare
from paddletsm.utils.text import plural

ERROR, WARNING = "error", "warning"


@dataclass(frozen=True)
class Kind:
    """One kind of finding: its name for people, its level, what to do."""

    title: str
    level: str
    remedy: str


_MUCH = 0.25  # share of the frames: that training never draws fewer is not worth a word

_AGAIN = "copy or download it again, or leave it out"

KINDS = {
    "malformed": Kind("malformed line", ERROR, "correct the line, or leave it out"),
    "unread": Kind("not read", ERROR, "move it into the folder of its class, or away"),
    "no_clip": Kind("no clip", WARNING, "remove it, or make it a video that is read"),
    "missing": Kind(
        "missing", ERROR, "restore it, or correct the path (see also data_prefix and suffix)"
    ),
    "corrupt": Kind("corrupt", ERROR, _AGAIN),
    "no_picture": Kind("no picture", ERROR, "leave it out"),
    "no_decoder": Kind(
        "no decoder", ERROR, "pip install 'paddletsm[av]'; or encode it anew, as H.264"
    ),
    "truncated": Kind("truncated", ERROR, _AGAIN),
    "perhaps_truncated": Kind("perhaps truncated", WARNING, "play it to the end"),
    "zero_frames": Kind("zero-frame", ERROR, _AGAIN),
    "too_short": Kind("too short", ERROR, "leave it out; frames would be repeated"),
    "frame_missing": Kind("missing frame", ERROR, "extract its frames again, or leave it out"),
    "from_zero": Kind("frames from 0", ERROR, "rename its frames: the first one is number 1"),
    "short": Kind(
        "short for training",
        WARNING,
        "take longer clips, or set PIPELINE.train.sample.keep_tail: true",
    ),
    "num_frames": Kind("wrong num_frames", ERROR, "correct the number in the list"),
    "stuck": Kind("not read in time", ERROR, "leave it out; for a long video raise --timeout"),
    "crash": Kind("kills its reader", ERROR, "encode it anew, or leave it out"),
    "duplicate": Kind("duplicate", ERROR, "keep one of the two"),
    "same_content": Kind("leak: same content", ERROR, "leave it out of the former split"),
    "same_recording": Kind(
        "leak: same recording",
        ERROR,
        "leave it out of the former split; --group tells what a recording is, or none",
    ),
    "label_range": Kind("label out of range", ERROR, "correct the label, or num_classes"),
    "one_based": Kind("one-based labels", ERROR, "subtract 1 from every label: they start at 0"),
    "label_gap": Kind("label gap", ERROR, "add clips, or number the classes without the gap"),
    "few_classes": Kind("class without clips", WARNING, "add clips of these classes"),
    "imbalance": Kind("imbalance", WARNING, "add clips of the rare class; see mean class accuracy"),
    "flip": Kind(
        "left and right under a flip", ERROR, "take RandomFlip out, or have it swap these labels"
    ),
    "direction": Kind(
        "left and right as classes", WARNING, "train without RandomFlip, or have it swap labels"
    ),
}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        kind: key of ``KINDS``.
        split: "train", "valid" or "test".
        path: of the entry; of the list or folder when the finding concerns all of it.
        where: "list.txt:12", "" for an entry of a folder.
        text: what is wrong, in words.
        label: of the entry, None when the finding concerns the whole split.
        sample_id: number of the entry in its split, None likewise.
    """

    kind: str
    split: str
    path: str
    where: str
    text: str
    label: int | None = None
    sample_id: int | None = None

    @property
    def level(self) -> str:
        """Level, "error" or "warning"."""
        return KINDS[self.kind].level

    @property
    def title(self) -> str:
        """Name of the kind."""
        return KINDS[self.kind].title

    @property
    def remedy(self) -> str:
        """What to do."""
        return KINDS[self.kind].remedy


def of_entry(entry: Entry, kind: str, text: str) -> Finding:
    """Return the finding that an entry has."""
    sample = entry.sample
    return Finding(kind, entry.split, sample.path, sample.where, text, sample.label, sample.id)


def broken_entries(
    entries: Iterable[Entry], num_seg: int, *, has_tail: bool = False
) -> list[Finding]:
    """Findings of single entries: unreadable ones, and those of too few frames.

    Args:
        entries: of a split.
        num_seg: frames that a clip needs.
        has_tail: what is left of a video behind ``num_seg`` equal whole segments is never drawn.
    """
    found = []
    for entry in entries:
        if entry.kind:
            found.append(of_entry(entry, entry.kind, entry.text))
        elif entry.frames < num_seg:
            text = f"{plural(entry.frames, 'frame')}, fewer than the {num_seg} segments of a clip"
            found.append(of_entry(entry, "too_short", text))
        elif has_tail and (lost := entry.frames % num_seg) >= _MUCH * entry.frames:
            length = plural(entry.frames // num_seg, "frame")
            text = (
                f"training never draws the last {lost} of its {entry.frames} frames "
                f"({num_seg} segments of {length})"
            )
            found.append(of_entry(entry, "short", text))
    return found


def duplicates(entries: Iterable[Entry]) -> list[Finding]:
    """Entries of one split that repeat an earlier one of it."""
    seen = _Contents()
    found = []
    for entry in entries:
        twin, how = seen.find(entry)
        if twin is None:
            seen.add(entry)
            continue
        text = f"{how} as {_name(twin)}{_other_label(twin, entry)}"
        found.append(of_entry(entry, "duplicate", text))
    return found


def leaks(splits: Sequence[Sequence[Entry]], rule: str) -> list[Finding]:
    """Entries whose content or recording is in a later split, too.

    Args:
        splits: train, valid, test: the earlier of two gives way.
        rule: see ``groups.recording_of``; "auto" finds out.
    """
    rule = _stated(splits, rule)
    found = []
    for number, split in enumerate(splits):
        later = [entry for other in splits[number + 1 :] for entry in other]
        contents, recordings = _Contents(), {}
        for entry in later:
            contents.add(entry)
            if rule != "none":
                recordings.setdefault(recording_of(entry.sample.path, rule=rule), entry)
        for entry in split if later else ():
            twin, how = contents.find(entry)
            name = recording_of(entry.sample.path, rule=rule)
            if twin is not None:
                text = f"{how} as {_name(twin)} of {twin.split}{_other_label(twin, entry)}"
                found.append(of_entry(entry, "same_content", text))
            elif name in recordings:
                other = recordings[name]
                text = f"recording {name!r} is in {other.split}, too: {_name(other)}"
                found.append(of_entry(entry, "same_recording", text))
    return found


def not_compared(splits: Sequence[Sequence[Entry]], rule: str) -> str:
    """Say of how many entries no recording is known, so that a leak of theirs is not found.

    Args:
        splits: train, valid, test.
        rule: see ``leaks``.

    Returns: a sentence, or "" where there is nothing to compare, or all were compared.
    """
    paths = [entry.sample.path.replace("\\", "/") for split in splits for entry in split]
    if rule == "none" or sum(map(bool, splits)) < 2:
        return ""
    rule = _stated(splits, rule)
    odd = [path for path in paths if recording_of(path, rule=rule) == path]
    if not odd:
        return ""
    count = "any clip" if len(odd) == len(paths) else f"{len(odd)} of {len(paths)} clips"
    return (
        f"recordings not compared: the names do not tell that of {count}, such as {odd[0]}; "
        "--group states a rule, or none"
    )


def _stated(splits: Sequence[Sequence[Entry]], rule: str) -> str:
    """Return the rule, found out from the names where it is "auto"."""
    if rule != "auto":
        return rule
    samples = [entry.sample for split in splits for entry in split]
    return rule_to_compare([s.path for s in samples], [s.label for s in samples])


def problems(
    splits: Sequence[Sequence[Entry]],
    num_seg: Mapping[str, int],
    rule: str,
    *,
    with_tail: Collection[str] = (),
) -> list[Finding]:
    """All findings of single entries that reading and comparing them gives.

    Args:
        splits: train, valid, test.
        num_seg: of each split.
        rule: see ``leaks``.
        with_tail: splits of which frames are left over, see ``broken_entries``.
    """
    found = []
    for split in splits:
        if split:
            name = split[0].split
            found += broken_entries(split, num_seg[name], has_tail=name in with_tail)
    leaking = leaks(splits, rule)
    found += leaking
    told = {(f.split, f.sample_id) for f in leaking}
    for split in splits:
        found += [f for f in duplicates(split) if (f.split, f.sample_id) not in told]
    return found


class _Contents:
    """Entries by what they hold."""

    def __init__(self) -> None:
        self._paths: dict[str, Entry] = {}
        self._files: dict[str, Entry] = {}
        self._frames: dict[str, Entry] = {}

    def add(self, entry: Entry) -> None:
        self._paths.setdefault(entry.sample.path, entry)
        if entry.file_hash and not entry.kind:
            self._files.setdefault(entry.file_hash, entry)
            self._frames.setdefault(entry.frame_hash, entry)

    def find(self, entry: Entry) -> tuple[Entry | None, str]:
        """Return the first entry of the same content, and in which respect it is the same."""
        for held, key, how in (
            (self._paths, entry.sample.path, "the same file"),
            (self._files, entry.file_hash, "the same bytes"),
            (self._frames, entry.frame_hash, "the same frames, in another file,"),
        ):
            if key in held and (held is self._paths or not entry.kind):
                return held[key], how
        return None, ""


def _other_label(twin: Entry, entry: Entry) -> str:
    if twin.sample.label == entry.sample.label:
        return ""
    return f", and the labels differ: {twin.sample.label} and {entry.sample.label}"


def _name(entry: Entry) -> str:
    where = entry.sample.where
    return f"{entry.sample.path} ({where})" if where else entry.sample.path
