# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Folders of frames that came as images: counted, and checked for gaps."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from paddletsm.data.class_folders import IMAGE_SUFFIXES
from paddletsm.data.readers import frame_pattern_parts
from paddletsm.errors import DataError
from paddletsm.prepare.pool import map_in_threads
from paddletsm.utils.text import listing

_NUMBERED = re.compile(r"(.*?)(\d+)(\.[A-Za-z]+)")


def count_frames(folder: Path, pattern: str) -> int:
    """Return the number of frames of a folder, numbered from 1 without gaps.

    Args:
        folder: of the frames.
        pattern: of their names, "img_{:05}.jpg".

    Raises:
        DataError: no such frame, or one is missing.
    """
    before, after = frame_pattern_parts(pattern)
    match = re.compile(re.escape(before) + r"(\d+)" + re.escape(after)).fullmatch
    try:
        names = os.listdir(folder)
    except OSError as err:
        raise DataError(f"{folder}: cannot be read: {err.strerror or err}") from err
    numbers = {int(hit[1]) for hit in map(match, names) if hit}
    if not numbers:
        raise DataError(
            f"{folder}: no frame named like {pattern.format(1)!r} "
            f"(the folder holds: {listing(sorted(names), 3) or 'nothing'})"
        )
    if 0 in numbers:
        raise DataError(f"{folder}: frames are numbered from 0; rename them, the first is 1")
    if len(numbers) != max(numbers):
        gap = next(number for number in range(1, max(numbers)) if number not in numbers)
        raise DataError(f"{folder}: frame {gap} of {max(numbers)} is missing")
    return len(numbers)


def count_all(
    folders: Sequence[Path],
    pattern: str,
    *,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[int | str]:
    """Count the frames of many folders.

    Returns:
        For each folder its number of frames, or why it cannot be used.
    """

    def count(folder: Path) -> int | str:
        try:
            return count_frames(folder, pattern)
        except DataError as err:
            return str(err)

    return map_in_threads(count, folders, workers=workers, progress=progress)


def find_pattern(folder: Path) -> str:
    """Return the pattern that the images of a folder are named by, "img_{:05}.jpg".

    Raises:
        DataError: no numbered images, or names of several kinds.
    """
    images = sorted(p.name for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
    hits = [_NUMBERED.fullmatch(name) for name in images]
    kinds = {(hit[1], hit[3]) if hit else None for hit in hits}
    # "0001" to "1000" have a width of four; "9" and "10" have none.
    padded = {len(hit[2]) for hit in hits if hit and hit[2][0] == "0"}
    if len(kinds) != 1 or None in kinds or len(padded) > 1 or re.search("[{}]", images[0]):
        raise DataError(
            f"{folder}: the frames are not numbered alike ({listing(images, 3) or 'none'}); "
            "name them img_00001.jpg, img_00002.jpg and so on"
        )
    ((before, after),) = kinds
    return f"{before}{{:0{padded.pop()}}}{after}" if padded else f"{before}{{}}{after}"
