# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Folders with one sub-folder per class: their samples, and the clips in them that are not read."""

from __future__ import annotations

import functools
import logging
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from paddletsm.data.types import Sample
from paddletsm.errors import DataError
from paddletsm.utils.text import listing, nearest, plural

logger = logging.getLogger(__name__)

Format = Literal["VideoDataset", "FrameDataset"]

VIDEO_SUFFIXES = (
    ".avi", ".mp4", ".mkv", ".webm", ".mov", ".mpg", ".mpeg", ".flv", ".wmv", ".ts", ".m4v",
    ".3gp",
)  # fmt: skip
SPLIT_NAMES = {"train", "training", "val", "valid", "validation", "test", "testing"}
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


@dataclass(frozen=True)
class Unread:
    """An entry of a class folder that holds clips, and is not read.

    Attributes:
        path: the entry.
        reason: why it is not read.
    """

    path: Path
    reason: str

    def clips(self) -> list[Path]:
        """The clips that are meant: the videos in a folder of them, else the entry."""
        return sorted(_videos_below(self.path)) or [self.path]


def load_folder(
    root: Path,
    format: Format,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    *,
    is_reported: bool = False,
) -> tuple[tuple[Sample, ...], tuple[str, ...]]:
    """Find the samples of a folder, and warn once of clips in it that are not read.

    Args:
        root: the folder.
        format: what a sample is: a video file, or a folder of frames.
        num_classes: so many classes there must be.
        class_names: the classes in the order of their labels; None: the sub-folders.
        is_reported: say nothing of unread clips: the caller does.

    Returns: the samples, ``samples[i].id == i``, and the names of the classes.

    Raises:
        DataError: no classes, unknown ones, another number of them, or no sample.
    """
    found = [entry.name for entry in visible_entries(root) if entry.is_dir()]
    names = tuple(class_names) if class_names is not None else tuple(found)
    _check_classes(root, found, names, num_classes)
    samples: list[Sample] = []
    unread = unread_beside(root)
    for label, name in enumerate(names):
        for entry in visible_entries(root / name) if name in found else ():
            if is_sample(entry, format):
                samples.append(Sample(str(entry), label, len(samples)))
            elif reason := why_unread(entry, format):
                unread.append(Unread(entry, reason))
    if not samples:
        wanted = "folders of frames" if format == "FrameDataset" else "videos"
        there = f" ({unread[0].path}: {unread[0].reason})" if unread else ""
        raise DataError(
            f"{root}: no {wanted} in its {len(names)} class folders{there}; {format} takes "
            + (f"files ending in {listing(VIDEO_SUFFIXES)}" if wanted == "videos" else "folders")
        )
    if unread and not is_reported:
        _warn(_summary(root, unread))
    return tuple(samples), names


def is_sample(entry: Path, format: Format) -> bool:
    """Whether an entry of a class folder is a clip of a data set of this format."""
    if format == "FrameDataset":
        return entry.is_dir()
    return entry.suffix.lower() in VIDEO_SUFFIXES and entry.is_file()


def why_unread(entry: Path, format: Format) -> str:
    """Why an entry that is no sample is a clip all the same, or holds some; "" where it is none."""
    if entry.is_symlink() and not entry.exists():
        return "a link to nowhere"
    is_video = entry.suffix.lower() in VIDEO_SUFFIXES
    if format == "FrameDataset":
        return "a video among folders of frames" if is_video else ""
    if not entry.is_dir():
        return "a pipe or the like, no regular file" if is_video else ""
    if holds_images(entry):
        return "a folder of frames among videos"
    return "a folder of videos, one level too deep" if holds_videos(entry) else ""


def unread_beside(root: Path) -> list[Unread]:
    """Videos that lie beside the class folders."""
    return [
        Unread(entry, "a video beside the class folders")
        for entry in visible_entries(root)
        if entry.suffix.lower() in VIDEO_SUFFIXES and entry.is_file()
    ]


def holds_images(folder: Path) -> bool:
    """Whether a folder has image files directly in it."""
    return any(item.suffix.lower() in IMAGE_SUFFIXES for item in folder.iterdir())


def holds_videos(folder: Path) -> bool:
    """Whether a folder has video files in it, at any depth."""
    return any(True for _ in _videos_below(folder))


def visible_entries(folder: Path) -> list[Path]:
    """Entries of a folder in natural order, without hidden ones."""
    entries = (entry for entry in folder.iterdir() if not entry.name.startswith("."))
    return sorted(entries, key=lambda entry: natural_key(entry.name))


def natural_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key that puts "class2" before "class10"."""
    parts = re.split(r"(\d+)", text)
    return tuple((1, int(p), p) if p.isdecimal() else (0, 0, p.lower()) for p in parts)


def _videos_below(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):
        for name in names:
            if Path(name).suffix.lower() in VIDEO_SUFFIXES:
                yield Path(place, name)


def _summary(root: Path, unread: Sequence[Unread]) -> str:
    clips = [clip for entry in unread for clip in entry.clips()]
    verb = "is" if len(clips) == 1 else "are"
    return (
        f"{root}: {plural(len(clips), 'clip')} {verb} not read, the first is {clips[0]} "
        f"({unread[0].reason}). A clip lies directly in the folder of its class: move them there, "
        f"or away; all of them are named by: python tools/check_data.py {root}"
    )


@functools.cache
def _warn(text: str) -> None:
    logger.warning("%s", text)


def _check_classes(
    root: Path, found: Sequence[str], names: Sequence[str], num_classes: int | None
) -> None:
    if not found:
        raise DataError(
            f"{root}: the folder has no sub-folders; it needs one per class, with its samples in it"
        )
    unknown = next((name for name in found if name not in names), None)
    if unknown is not None:
        raise DataError(
            f"{root}: {unknown!r} is no class of the training set{nearest(unknown, names)} "
            f"(classes: {listing(names)})"
        )
    if num_classes is not None and len(names) != num_classes:
        raise DataError(
            f"{root}: {len(names)} class folders, but num_classes is {num_classes} "
            f"(folders: {listing(names)})"
        )
