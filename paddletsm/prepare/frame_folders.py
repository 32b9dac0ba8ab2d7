# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Folders of frames that came as images: counted, checked for gaps and for damaged files."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from paddletsm.data.class_folders import IMAGE_SUFFIXES
from paddletsm.data.readers import frame_pattern_parts
from paddletsm.errors import DataError
from paddletsm.prepare.pool import map_in_threads
from paddletsm.utils.disk import problem_of
from paddletsm.utils.text import listing

_TAIL = 4096  # bytes in which a JPEG's end lies: some writers put something behind it
_NUMBERED = re.compile(r"(.*?)(\d+)(\.[A-Za-z]+)")


def count_frames(folder: Path, pattern: str, *, is_checked: bool = False) -> int:
    """Return the number of frames of a folder, numbered from 1 without gaps.

    Args:
        folder: of the frames.
        pattern: of their names, "img_{:05}.jpg".
        is_checked: also look whether each file is a whole JPEG, see ``flaw_of``.

    Raises:
        DataError: no such frame, or one is missing or damaged.
    """
    before, after = frame_pattern_parts(pattern)
    match = re.compile(re.escape(before) + r"(\d+)" + re.escape(after)).fullmatch
    try:
        names = os.listdir(folder)
    except OSError as err:
        raise DataError(f"{folder}: cannot be read: {problem_of(err)}") from err
    numbers = {int(hit[1]): hit[0] for hit in map(match, names) if hit}
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
    if is_checked:
        _check_frames(folder, [numbers[number] for number in sorted(numbers)])
    return len(numbers)


def _check_frames(folder: Path, names: Sequence[str]) -> None:
    flaws = {name: flaw for name in names if (flaw := flaw_of(folder / name))}
    if flaws:
        name, flaw = next(iter(flaws.items()))
        more = f", and {len(flaws) - 1} more of {len(names)} frames" if len(flaws) > 1 else ""
        raise DataError(f"{folder}: {name} {flaw}{more}")


def flaw_of(path: Path) -> str:
    """What is wrong with a JPEG file as far as its size, begin and end tell, or "".

    Nothing is decoded. The end is looked for as the reader of frame folders does.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            start = tail = file.read(_TAIL)
            size = os.fstat(file.fileno()).st_size
            if size > _TAIL:
                file.seek(size - _TAIL)
                tail = file.read(_TAIL)
    except OSError as err:
        return f"cannot be read: {problem_of(err)}"
    if not size:
        return "is empty (0 bytes)"
    if not start.startswith(b"\xff\xd8"):
        return f"is no JPEG ({size} bytes)"
    return "" if b"\xff\xd9" in tail else f"is cut off: its end is not in it ({size} bytes)"


def count_all(
    folders: Sequence[Path],
    pattern: str,
    *,
    is_checked: bool = False,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[int | str]:
    """Count the frames of many folders.

    Returns:
        For each folder its number of frames, or why it cannot be used.
    """

    def count(folder: Path) -> int | str:
        try:
            return count_frames(folder, pattern, is_checked=is_checked)
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
