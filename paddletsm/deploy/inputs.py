# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""From what a user names (file, folder, pattern, list) to the clips it means, in a fixed order."""

from __future__ import annotations

import csv
import glob
import logging
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from paddletsm.data.index import VIDEO_SUFFIXES
from paddletsm.errors import DataError
from paddletsm.utils.io import nearest_file
from paddletsm.utils.text import listing, plural

_IMAGE_SUFFIXES = frozenset(".jpg .jpeg .png .bmp".split())
_SEVERAL_LABELS = re.compile(r"(.*\S)\s+[0-9]+(?:,[0-9]+)+")
_LIST_SUFFIXES = frozenset((".txt", ".list", ".csv"))
# First words of a line of titles, and of the results of this very command.
_TITLES = frozenset(
    "path paths file files filename file_name filepath file_path video videos video_name "
    "video_path video_id clip clips clip_name clip_path clip_id name id".split()
)
_RESULTS = "path,error,"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Named:
    """A clip that the user means.

    Attributes:
        path: video file or frame folder; it may be missing.
        label: last field of its line in a list file, if it has more than one.
        where: that line, "list.txt:12"; "" where the clip comes from no list.
    """

    path: str
    label: str | None = None
    where: str = field(default="", compare=False)


def collect_inputs(names: Sequence[str], *, takes_frames: bool = False) -> list[str]:
    """Expand folders, patterns and list files to paths; see ``collect_named``."""
    return [clip.path for clip in collect_named(names, takes_frames=takes_frames)]


def collect_named(names: Sequence[str], *, takes_frames: bool = False) -> list[Named]:
    """Expand folders, patterns and list files.

    Args:
        names: video files, folders (searched recursively), glob patterns, and list files (.txt,
            .list, .csv: one path per line, optionally followed by frame count and label). Paths
            in a list start from the current folder, as in training, or else from the list's.
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
    found = [_listed(line, f"{path}:{number}", path.parent) for number, line in enumerate(lines, 1)]
    _warn_of_two_meanings(path, [clip.path for clip in found])
    return found


def _listed(line: str, where: str, folder: Path) -> Named:
    """Clip of one line: all of it where that exists, else its first field."""
    text = line.strip()
    if not text:
        raise DataError(f"{where}: blank line; expected a path")
    whole, fields = Named(text), _fields(text, where)
    first = Named(fields[0], fields[-1] if len(fields) > 1 else None, where)
    several = _SEVERAL_LABELS.fullmatch(text)
    unlabelled = (Named(several[1].strip("\"'")),) if several else ()
    for clip in (whole, first, *unlabelled):
        for place in (Path(clip.path), folder / clip.path):
            if place.exists():
                return Named(str(place), clip.label, where)
    _check_is_path(text, first.path, where)
    return first  # missing; reported when its turn comes


def _check_is_path(text: str, first: str, where: str) -> None:
    """Refuse what is no file and looks like something else that people write into lists."""
    if text.startswith("#"):
        raise DataError(
            f"{where}: {text!r} is no file; a comment? A list has one path per line and nothing "
            "else; remove the line"
        )
    if not where.endswith(":1"):
        return
    if text.startswith(_RESULTS):
        raise DataError(
            f"{where}: this file holds results of predict, not clips to predict; name the list or "
            "the folder of the clips"
        )
    if first.strip().lower() in _TITLES:
        raise DataError(
            f"{where}: {text!r} is no file; a line of titles? A list has one path per line from "
            "its first line on; remove the titles"
        )


def _warn_of_two_meanings(path: Path, found: Sequence[str]) -> None:
    """Tell of paths that lead to one file from the current folder, to another from the list's."""
    if os.path.realpath(path.parent) == os.path.realpath(os.curdir):
        return
    twofold = [
        name
        for name in found
        if not os.path.isabs(name)
        and os.path.exists(other := os.path.join(path.parent, name))
        and os.path.exists(name)
        and not os.path.samefile(name, other)
    ]
    if twofold:
        logger.warning(
            "%s: %s, the first %r, exist in the current folder and, as other files, in the folder "
            "of the list; those of the current folder are taken, as in training",
            path,
            plural(len(twofold), "path"),
            twofold[0],
        )


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
