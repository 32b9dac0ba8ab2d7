# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""From what a user names (file, folder, pattern, list) to the clips it means, in a fixed order."""

from __future__ import annotations

import csv
import glob
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from paddletsm.data.index import VIDEO_SUFFIXES
from paddletsm.errors import DataError
from paddletsm.utils.io import nearest_file
from paddletsm.utils.text import listing

_IMAGE_SUFFIXES = frozenset(".jpg .jpeg .png .bmp".split())
_SEVERAL_LABELS = re.compile(r"(.*\S)\s+[0-9]+(?:,[0-9]+)+")
_LIST_SUFFIXES = frozenset((".txt", ".list", ".csv"))


@dataclass(frozen=True)
class Named:
    """A clip that the user means.

    Attributes:
        path: video file or frame folder; it may be missing.
        label: last field of its line in a list file, if it has more than one.
    """

    path: str
    label: str | None = None


def collect_inputs(names: Sequence[str], *, takes_frames: bool = False) -> list[str]:
    """Expand folders, patterns and list files to paths; see ``collect_named``."""
    return [clip.path for clip in collect_named(names, takes_frames=takes_frames)]


def collect_named(names: Sequence[str], *, takes_frames: bool = False) -> list[Named]:
    """Expand folders, patterns and list files.

    Args:
        names: video files, folders (searched recursively), glob patterns, and list files (.txt,
            .list, .csv: one path per line, optionally followed by frame count and label).
        takes_frames: folders of images are clips too.

    Returns:
        Clips in the order of ``names``; within a folder or pattern sorted. A named or listed file
        may be missing: it then fails on its own, so that the others are still predicted.

    Raises:
        DataError: the only name does not exist, or a folder, pattern or list holds no clip.
    """
    clips: list[Named] = []
    for name in names:
        if os.path.isdir(name):
            clips += map(Named, _in_folder(name, takes_frames))
        elif Path(name).suffix.lower() in _LIST_SUFFIXES and os.path.isfile(name):
            clips += _in_list(Path(name))
        elif glob.has_magic(name) and not os.path.exists(name):
            clips += map(Named, _in_pattern(name, takes_frames))
        elif len(names) == 1 and not os.path.exists(name):
            raise DataError(f"{name} does not exist{nearest_file(name)}")
        else:
            clips.append(Named(name))
    return clips


def _in_folder(folder: str, takes_frames: bool) -> list[str]:
    found = list(_clips_below(folder, takes_frames))
    if not found:
        images = "" if takes_frames else "; this model was not exported for folders of frames"
        raise DataError(
            f"{folder}: no video in this folder or below it (looked for: "
            f"{listing(VIDEO_SUFFIXES, 20)}){images if _has_images(folder) else ''}"
        )
    return found


def _clips_below(folder: str, takes_frames: bool) -> Iterator[str]:
    for root, folders, files in os.walk(folder):
        folders.sort()
        suffixes = {Path(name).suffix.lower() for name in files}
        if takes_frames and suffixes & _IMAGE_SUFFIXES:
            yield root
        for name in sorted(files):
            if Path(name).suffix.lower() in VIDEO_SUFFIXES:
                yield os.path.join(root, name)


def _has_images(folder: str) -> bool:
    return any(Path(name).suffix.lower() in _IMAGE_SUFFIXES for name in os.listdir(folder))


def _in_pattern(pattern: str, takes_frames: bool) -> list[str]:
    found = sorted(glob.glob(pattern, recursive=True))
    paths = [path for path in found if os.path.isfile(path)]
    for folder in found:
        if os.path.isdir(folder):
            paths += _clips_below(folder, takes_frames)
    if not paths:
        raise DataError(f"{pattern}: no file matches this pattern")
    return sorted(set(paths))


def _in_list(path: Path) -> list[Named]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as err:
        raise DataError(f"{path}: the list cannot be read: it is not UTF-8 text") from err
    except OSError as err:
        raise DataError(f"{path}: the list cannot be read: {err.strerror or err}") from err
    if not lines:
        raise DataError(f"{path}: the list is empty; expected one path per line")
    return [_listed(line, f"{path}:{number}", path.parent) for number, line in enumerate(lines, 1)]


def _listed(line: str, where: str, folder: Path) -> Named:
    """Clip of one line: all of it where that exists, else its first field."""
    text = line.strip()
    if not text:
        raise DataError(f"{where}: blank line; expected a path")
    whole, fields = Named(text), _fields(text, where)
    first = Named(fields[0], fields[-1] if len(fields) > 1 else None)
    several = _SEVERAL_LABELS.fullmatch(text)
    unlabelled = (Named(several[1].strip("\"'")),) if several else ()
    for clip in (whole, first, *unlabelled):
        for place in (Path(clip.path), folder / clip.path):
            if place.exists():
                return Named(str(place), clip.label)
    return first  # missing; reported when its turn comes


def _fields(text: str, where: str) -> list[str]:
    """Fields are separated by tabs, by commas, or by blanks; a quoted one may hold any of them."""
    try:
        for separator in ("\t", ","):
            if separator in text:
                return next(csv.reader([text], delimiter=separator, skipinitialspace=True))
        fields = shlex.split(text)
    except (ValueError, csv.Error) as err:
        raise DataError(f"{where}: {err}; expected a path, in quotes where it has blanks") from err
    return fields or [text]
