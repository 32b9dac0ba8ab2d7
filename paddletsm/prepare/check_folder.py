# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What only a look at the folders tells: clips that nobody reads, and how frames are named."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from paddletsm.data.class_folders import (
    SPLIT_NAMES,
    VIDEO_SUFFIXES,
    Format,
    holds_images,
    is_sample,
    unread_beside,
    visible_entries,
    why_unread,
)
from paddletsm.data.index import Index
from paddletsm.data.types import Sample
from paddletsm.errors import DataError
from paddletsm.prepare.check_findings import Finding
from paddletsm.prepare.frame_folders import find_pattern
from paddletsm.utils.text import listing

_LOOKED_AT = 20  # folders of frames whose names are compared


def unread_entries(
    split: str, root: str, *, format: Format, class_names: Sequence[str]
) -> list[Finding]:
    """Clips in a class folder that its data set leaves out, and other files.

    Args:
        split: "train", "valid" or "test".
        root: the folder of the class folders.
        format: "VideoDataset" or "FrameDataset".
        class_names: its sub-folders; one that is missing holds nothing.
    """
    place = Path(root)
    found = [Finding("unread", split, str(u.path), "", u.reason) for u in unread_beside(place)]
    for name in class_names:
        folder = place / name
        for entry in _entries(folder):
            if is_sample(entry, format):
                continue
            reason = why_unread(entry, format)
            kind = "unread" if reason else "no_clip"
            path = os.path.join(root, name, entry.name)
            found.append(Finding(kind, split, path, "", reason or _no_clip(entry, format)))
    return found


def _no_clip(entry: Path, format: Format) -> str:
    if format == "FrameDataset" or entry.is_dir():
        return "no clip"
    what = f"the suffix {entry.suffix!r} is not read" if entry.suffix else "a name without suffix"
    return f"{what}; videos end in {listing(VIDEO_SUFFIXES, 20)}"


def refuse_splits(root: str) -> None:
    """Raise where the sub-folders are splits, with the class folders in them.

    Raises:
        DataError: with the command that checks them.
    """
    place = Path(root)
    folders = [e for e in visible_entries(place) if e.is_dir()] if place.is_dir() else []
    if not folders or not {folder.name.lower() for folder in folders} <= SPLIT_NAMES:
        return
    if any(
        holds_images(f) or any(is_sample(e, "VideoDataset") for e in f.iterdir()) for f in folders
    ):
        return  # classes of such names
    train = next((f for f in folders if f.name.lower().startswith("train")), folders[0])
    command = f"python tools/check_data.py {shlex.quote(str(train))}"
    others = [folder for folder in folders if folder != train]
    if others:
        other = next((f for f in others if f.name.lower().startswith("val")), others[0])
        command += f" --val {shlex.quote(str(other))}"
    names = ", ".join(folder.name for folder in folders)
    raise DataError(f"{root}: holds {names}: it is split already; check it so: {command}")


def of_other_kind(index: Index, format: Format) -> int:
    """Count what speaks for the other format: a first entry of its kind, or the clips of a folder.

    Args:
        index: read in the format.
        format: "VideoDataset" or "FrameDataset".
    """
    if index.class_names is None:
        first = Path(index.samples[0].path)
        return int(first.is_dir() if format == "VideoDataset" else first.is_file())
    entries = [e for name in index.class_names for e in _entries(Path(index.source, name))]
    if format == "FrameDataset":
        return sum(is_sample(entry, "VideoDataset") for entry in entries)
    return sum(entry.is_dir() and holds_images(entry) for entry in entries)


def _entries(folder: Path) -> list[Path]:
    return visible_entries(folder) if folder.is_dir() else []


def common_pattern(samples: Sequence[Sample]) -> str | None:
    """Return the pattern that most of the first folders of frames are named by.

    Args:
        samples: of a FrameDataset.

    Returns: such as "img_{:05}.jpg"; None where no folder tells.
    """
    patterns: Counter[str] = Counter()
    folders = (Path(sample.path) for sample in samples)
    for folder in [folder for folder in folders if folder.is_dir()][:_LOOKED_AT]:
        try:
            patterns[find_pattern(folder)] += 1
        except (DataError, OSError):  # the check itself reports the folder
            continue
    return patterns.most_common(1)[0][0] if patterns else None
