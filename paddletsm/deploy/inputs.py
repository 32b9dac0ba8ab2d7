# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""From what a user names (file, folder, pattern, list) to the clips it means, in a fixed order."""

from __future__ import annotations

import csv
import glob
import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from paddletsm.data.index import VIDEO_SUFFIXES
from paddletsm.errors import DataError
from paddletsm.utils.io import nearest_file
from paddletsm.utils.text import listing

_IMAGE_SUFFIXES = frozenset(".jpg .jpeg .png .bmp".split())
_LIST_SUFFIXES = frozenset((".txt", ".list", ".csv"))


def collect_inputs(names: Sequence[str], *, takes_frames: bool = False) -> list[str]:
    """Expand folders, patterns and list files.

    Args:
        names: video files, folders (searched recursively), glob patterns, and list files (.txt,
            .list, .csv: one path per line, optionally followed by frame count and label).
        takes_frames: folders of images are clips too.

    Returns:
        Paths in the order of ``names``; within a folder or pattern sorted. A named or listed file
        may be missing: it then fails on its own, so that the others are still predicted.

    Raises:
        DataError: the only name does not exist, or a folder, pattern or list holds no clip.
    """
    paths: list[str] = []
    for name in names:
        if os.path.isdir(name):
            paths += _in_folder(name, takes_frames)
        elif Path(name).suffix.lower() in _LIST_SUFFIXES and os.path.isfile(name):
            paths += _in_list(Path(name))
        elif glob.has_magic(name) and not os.path.exists(name):
            paths += _in_pattern(name, takes_frames)
        elif len(names) == 1 and not os.path.exists(name):
            raise DataError(f"{name} does not exist{nearest_file(name)}")
        else:
            paths.append(name)
    return paths


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


def _in_list(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as err:
        raise DataError(f"{path}: the list cannot be read: {err}") from err
    if not lines:
        raise DataError(f"{path}: the list is empty; expected one path per line")
    return [_listed(line, f"{path}:{number}", path.parent) for number, line in enumerate(lines, 1)]


def _listed(line: str, where: str, folder: Path) -> str:
    """Path of one line: all of it where that exists, else its first field."""
    text = line.strip()
    if not text:
        raise DataError(f"{where}: blank line; expected a path")
    candidates = [text, _first_field(text, where)]
    for candidate in candidates:
        for place in (Path(candidate), folder / candidate):
            if place.exists():
                return str(place)
    return candidates[-1]  # missing; reported when its turn comes


def _first_field(text: str, where: str) -> str:
    """Fields are separated by tabs, by commas, or by blanks; a quoted one may hold any of them."""
    try:
        for separator in ("\t", ","):
            if separator in text:
                return next(csv.reader([text], delimiter=separator, skipinitialspace=True))[0]
        fields = shlex.split(text)
    except (ValueError, csv.Error) as err:
        raise DataError(f"{where}: {err}; expected a path, in quotes where it has blanks") from err
    return fields[0] if fields else text
