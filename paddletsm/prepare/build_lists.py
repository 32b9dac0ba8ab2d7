# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""List files: reading the official ones of a data set, writing those that training reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from paddletsm.errors import DataError
from paddletsm.utils.disk import problem_of
from paddletsm.utils.io import nearest_file, write_atomic
from paddletsm.utils.text import nearest


def read_lines(path: Path) -> list[tuple[str, str]]:
    """Return (where, text) of every line that is not blank; where = "file:line".

    Raises:
        DataError: missing, unreadable or empty file.
    """
    lines = enumerate(_read_text(path).splitlines(), 1)
    rows = [(f"{path}:{number}", line.strip()) for number, line in lines if line.strip()]
    if not rows:
        raise DataError(f"{path}: the file is empty")
    return rows


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as err:
        raise DataError(f"{path}: no such file{nearest_file(path)}") from err
    except UnicodeDecodeError as err:
        raise DataError(f"{path}: is not UTF-8 text; name another file, or convert it") from err
    except OSError as err:
        raise DataError(f"{path}: cannot be read: {problem_of(err)}") from err


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        DataError: missing, unreadable, or no JSON.
    """
    try:
        return json.loads(_read_text(path))
    except json.JSONDecodeError as err:
        raise DataError(f"{path}:{err.lineno}: no valid JSON: {err.msg}; incomplete?") from err


def read_names(path: Path) -> list[str]:
    """Read one class name per line; the first has label 0.

    Raises:
        DataError: a name that is there twice; with file and line.
    """
    names: dict[str, int] = {}
    for where, name in read_lines(path):
        if name in names:
            raise DataError(f"{where}: class {name!r} is there twice")
        names[name] = len(names)
    return list(names)


def read_named_clips(path: Path, class_names: Sequence[str]) -> list[tuple[str, int]]:
    """Read ``id;class name`` lines into (id, label from zero) pairs.

    Raises:
        DataError: another form, or an unknown class; with file and line.
    """
    labels = {name: label for label, name in enumerate(class_names)}
    clips = []
    for where, text in read_lines(path):
        clip, separator, name = (part.strip() for part in text.partition(";"))
        if not separator or not clip or not name:
            raise DataError(f"{where}: {text!r} is not 'id;class name'")
        if name not in labels:
            raise DataError(f"{where}: {name!r} is no class{nearest(name, class_names)}")
        clips.append((clip, labels[name]))
    return clips


def find_file(folder: Path, *names: str, hint: str = "") -> Path:
    """Return the first of ``names`` that is in the folder or in a folder in it.

    Archives add a level, and publishers rename files.

    Raises:
        DataError: none of them is there.
    """
    for place in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())):
        for name in names:
            if (place / name).is_file():
                return place / name
    wanted = " or ".join(names)
    raise DataError(f"{folder}: {wanted} is not in it, nor in a folder in it" + hint)


def read_class_index(path: Path) -> list[str]:
    """Read ``1 ApplyEyeMakeup`` lines, numbered from one; the name at place k has label k.

    Raises:
        DataError: with file and line.
    """
    names: list[str] = []
    for where, text in read_lines(path):
        number, _, name = text.partition(" ")
        if not number.isdecimal() or not name.strip():
            raise DataError(f"{where}: {text!r} is not 'number class', such as '1 ApplyEyeMakeup'")
        if int(number) != len(names) + 1:
            raise DataError(
                f"{where}: class number {number} where {len(names) + 1} is due; "
                "the numbers run from 1 without gaps"
            )
        if name.strip() in names:
            raise DataError(f"{where}: class {name.strip()!r} is there twice")
        names.append(name.strip())
    return names


def read_split(path: Path, class_names: Sequence[str]) -> list[tuple[str, int]]:
    """Read ``Class/video.avi [number]`` lines into (``Class/video``, label from zero) pairs.

    Lists for training state the class's number, from one; those for testing leave it out.

    Raises:
        DataError: unknown class, or a number that is not the class's; with file and line.
    """
    labels = {name: label for label, name in enumerate(class_names)}
    entries = []
    for where, text in read_lines(path):
        name, *number = text.split()
        class_name, _, file_name = name.replace("\\", "/").rpartition("/")
        if class_name not in labels:
            raise DataError(
                f"{where}: {class_name or text!r} is no class of classInd.txt"
                f"{nearest(class_name, class_names)}"
            )
        label = labels[class_name]
        if number and number != [str(label + 1)]:
            raise DataError(
                f"{where}: number {' '.join(number)}, but {class_name} is number {label + 1}"
            )
        entries.append((f"{class_name}/{Path(file_name).stem}", label))
    return entries


def write_list(path: Path, rows: Iterable[tuple[object, ...]]) -> Path:
    """Write one line per row, columns separated by blanks; a path with white space is quoted.

    Returns:
        ``path``.

    Raises:
        DataError: it cannot be written.
    """
    lines = []
    for name, *columns in rows:
        quoted = f'"{name}"' if any(map(str.isspace, str(name))) else str(name)
        lines.append(" ".join([quoted, *map(str, columns)]))
    return write_text(path, lines)


def write_text(path: Path, lines: Iterable[str]) -> Path:
    """Write lines to a file, whole or not at all; returns ``path``.

    Raises:
        DataError: it cannot be written.
    """
    try:
        write_atomic(path, "".join(f"{line}\n" for line in lines).encode())
    except OSError as err:
        raise DataError(f"{path}: cannot be written: {problem_of(err)}") from err
    return path
