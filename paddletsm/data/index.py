# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""List files and class folders: which samples a data set has. Errors carry file and line."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from paddletsm.data.class_folders import VIDEO_SUFFIXES, Format, load_folder
from paddletsm.data.types import Sample
from paddletsm.errors import ConfigError, DataError
from paddletsm.utils.io import nearest_file
from paddletsm.utils.text import listing, nearest

FORMATS = ("VideoDataset", "FrameDataset")

_LINE_FORM = {
    "VideoDataset": "'path label'",
    "FrameDataset": "'path num_frames label' or 'path label'",
}
_INTEGER = re.compile(r"[+-]?[0-9]+")
_QUOTED = re.compile(r"""(?P<quote>["'])(?P<path>.+)(?P=quote)[\s,]+(?P<rest>\S.*)""")
_LAST_SEPARATOR = re.compile(r"(\s*[,\t]\s*|\s+)[^\s,]+$")
_DRIVE = re.compile(r"[A-Za-z]:[/\\]")
# The last column of a multi-label list: behind white space, or behind a comma in quotes.
_LABELS = re.compile(
    r"""(?P<rest>.*\S)(?P<separator>\s+|\s*,\s*(?=["']))(?P<quote>["']?)"""
    r"""(?P<labels>[+-]?[0-9]+(\s*,\s*[+-]?[0-9]+)*)(?P=quote)"""
)
_TRAILING_INTEGERS = re.compile(r"(\s+[+-]?[0-9]+)+$")
# What a path would end in if the first of several labels were taken for a part of it.
_SEVERAL = re.compile(
    rf"({'|'.join(map(re.escape, VIDEO_SUFFIXES))}|\s[0-9]+)\s+[0-9]+$", re.IGNORECASE
)
_ONE_LABEL = "a sample has one label; several, as in 'path 1,5', need MODEL.loss: bce"
_PREPARED = {  # part of a path: the command's name for the data set
    "motion": "motion", "ucf101": "ucf101", "hmdb51": "hmdb51", "k400": "kinetics400",
    "sthv1": "sthv1", "sthv2": "sthv2", "jester": "jester", "diving48": "diving48",
}  # fmt: skip


@dataclass(frozen=True)
class Index:
    """The samples of a list file or folder.

    Attributes:
        samples: in the order of the file; ``samples[i].id == i``.
        class_names: of a class-per-folder directory, in the order of the labels; else None.
        source: the list file or folder.
    """

    samples: tuple[Sample, ...]
    class_names: tuple[str, ...] | None
    source: str


def load_index(
    file_path: str | os.PathLike[str],
    *,
    format: Format = "VideoDataset",
    data_prefix: str = "",
    suffix: str | None = None,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    multi_label: bool = False,
    on_bad_line: Callable[[str, DataError], None] | None = None,
    is_reported: bool = False,
) -> Index:
    """Read a list file, or a folder with one sub-folder per class.

    A folder with clips where they are not read is warned of, once.

    Args:
        file_path: UTF-8 list with one sample per line, or a folder. Columns are separated by
            white space, commas or tabs; a path may be quoted.
        format: "VideoDataset": ``path label``, videos; "FrameDataset": ``path num_frames label``
            (num_frames may be left out), folders of frames.
        data_prefix: folder that the paths of a list start from.
        suffix: of VideoDataset: appended to paths that do not end in it, ".avi". A FrameDataset's
            file name pattern concerns the decoder alone.
        num_classes: labels must lie below it; a folder must have that many classes.
        class_names: of a folder: the classes in the order of their labels, when another folder
            (that of training) defines them; None: the sub-folders in natural order.
        multi_label: the last column may hold several labels: ``path 1,5``, ``path,"1,5"``.
        on_bad_line: called with "list.txt:12" and the error of a malformed line, which is left
            out; None: the error is raised.
        is_reported: no such warning: the caller reports what is not read.

    Raises:
        ConfigError: unknown format.
        DataError: missing, empty or malformed; with file and line.
    """
    if format not in FORMATS:
        raise ConfigError(
            f"format {format!r}{nearest(str(format), FORMATS)} (known: {listing(FORMATS)})"
        )
    path = Path(file_path)
    if path.is_dir():
        samples, names = load_folder(
            path, format, num_classes, class_names, is_reported=is_reported
        )
        return Index(samples, names, str(path))
    if not path.is_file():
        raise DataError(_missing(path))

    def locate(name: str) -> str:
        return _full_path(name, data_prefix, suffix if format == "VideoDataset" else None)

    listed = _load_list(path, format, locate, multi_label, on_bad_line)
    _check_labels(listed, num_classes)
    return Index(tuple(listed), None, str(path))


def _load_list(
    path: Path,
    format: Format,
    locate: Callable[[str], str],
    multi_label: bool,
    on_bad_line: Callable[[str, DataError], None] | None,
) -> list[Sample]:
    parse = _parse_labels if multi_label else _parse_label
    samples: list[Sample] = []
    wrong: list[DataError] = []
    for number, line in enumerate(_read_lines(path), 1):
        where = f"{path}:{number}"
        try:
            name, num_frames, (label, *others) = parse(line, format, where)
            if samples:
                _check_alike(samples[0], num_frames, line.strip(), where)
        except DataError as err:
            if on_bad_line is None:
                raise
            on_bad_line(where, err)
            wrong.append(err)
            continue
        samples.append(Sample(locate(name), label, len(samples), num_frames, where, tuple(others)))
    if wrong and not samples:  # the first line may be one of titles; the second is as the others
        more = f" (none of the {len(wrong)} lines can be read)" if len(wrong) > 1 else ""
        raise DataError(f"{wrong[:2][-1]}{more}")
    if not samples:
        raise DataError(f"{path}: the list is empty; it needs one line {_LINE_FORM[format]} each")
    return samples


def _read_lines(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            return list(file)
    except UnicodeDecodeError as err:
        raise DataError(f"{path}: the list is not UTF-8 text ({err.reason}); save it so") from err
    except OSError as err:
        raise DataError(f"{path}: the list cannot be read ({err.strerror or err})") from err


def _parse_line(line: str, format: Format, where: str) -> tuple[str, int | None, int]:
    """Return (path, num_frames, label) of one line."""
    text = line.strip()
    if not text:
        raise DataError(f"{where}: blank line; delete it")
    name, columns = _split(text)
    if not columns or (name.endswith(";") and text[0] not in "\"'"):
        header = "; a line of titles? delete it" if where.endswith(":1") else ""
        problem = _no_label(text)
        raise DataError(f"{where}: {problem} in {text!r}; a line is {_LINE_FORM[format]}{header}")
    if len(columns) > (1 if format == "VideoDataset" else 2):
        quoted = f'"{" ".join([name, *columns[:-1]])}" {columns[-1]}'
        raise DataError(
            f"{where}: {len(columns) + 1} columns in {text!r}; {format} takes "
            f"{_LINE_FORM[format]} (quote a path that ends in a number: {quoted})"
            + ("; lists with frame counts belong to FrameDataset" if len(columns) == 2 else "")
            + (f"; {_ONE_LABEL}" if "," in text else "")
        )
    label = int(columns[-1])
    num_frames = int(columns[0]) if len(columns) == 2 else None
    if label < 0:
        raise DataError(f"{where}: negative label {label} in {text!r}; labels start at 0")
    if num_frames is not None and num_frames < 1:
        raise DataError(f"{where}: num_frames is {num_frames} in {text!r}; it must be 1 or more")
    return name, num_frames, label


def _no_label(text: str) -> str:
    """Say what stands where a whole number should."""
    if re.search(r";\s*[+-]?[0-9]+$", text):
        return "a semicolon (columns are separated by white space, commas or tabs)"
    last = re.split(r"[\s,]+", text)[-1]
    if last == text:
        return "no label"
    if re.fullmatch(r"[+-]?[0-9]+\.0*", last):
        return f"the label {last!r} is not a whole number (write {last.partition('.')[0]})"
    is_name = re.fullmatch(r"[^\W\d_][\w-]*", last)
    hint = " (labels, in the last column, count the classes from 0)"
    return f"the label {last!r} is not a whole number{hint if is_name else ''}"


def _parse_label(line: str, format: Format, where: str) -> tuple[str, int | None, list[int]]:
    """Return (path, num_frames, [label]); 'clip.avi 1,5' and 'frames 120 1,5' are refused."""
    name, num_frames, label = _parse_line(line, format, where)
    text = line.strip()
    if text[0] not in "\"'" and _SEVERAL.search(name):
        raise DataError(
            f"{where}: several labels in {text!r}? {_ONE_LABEL} (a path that ends in such numbers: "
            "quote it)"
        )
    return name, num_frames, [label]


def _parse_labels(line: str, format: Format, where: str) -> tuple[str, int | None, list[int]]:
    """Return (path, num_frames, labels) of a line of a multi-label list."""
    text = line.strip()
    found = _LABELS.fullmatch(text)
    if not text or (found is None and not text[-1].isdigit()):
        return _parse_label(line, format, where)  # blank or without a label: told as in any list
    if found is None or (found["rest"].endswith(",") and not found["quote"]):
        raise DataError(
            f"{where}: {text!r}: which numbers are labels? with MODEL.loss: bce a line is "
            "'path 1,5,7': labels without spaces, behind a space or tab; or, where commas separate "
            "the columns, labels in quotes: 'path,\"1,5,7\"'"
        )
    labels = [int(label) for label in found["labels"].split(",")]
    if min(labels) < 0 or len(set(labels)) < len(labels):
        problem = "a negative label" if min(labels) < 0 else "a label twice"
        raise DataError(f"{where}: {problem} in {text!r}; labels are different, and start at 0")
    one_label = f"{found['rest']}{found['separator']}{labels[0]}"
    name, num_frames, _ = _parse_line(one_label, format, where)
    return name, num_frames, labels


def _check_alike(first: Sample, num_frames: int | None, text: str, where: str) -> None:
    """Refuse a line without the label: its number of frames would be taken for one."""
    if (first.num_frames is None) != (num_frames is None):
        columns = {True: "path and label", False: "path, num_frames and label"}
        raise DataError(
            f"{where}: {text!r} holds {columns[num_frames is None]}, but {first.where} "
            f"{columns[first.num_frames is None]}; all lines of a list have the same columns"
        )


def _split(text: str) -> tuple[str, list[str]]:
    """Split off the whole numbers at the end of a line; what stands before them is the path."""
    quoted = _QUOTED.fullmatch(text) if text[0] in "\"'" else None
    if quoted:
        columns = [word.strip("\"'") for word in re.split(r"[\s,]+", quoted["rest"])]
        return quoted["path"], columns if all(map(_INTEGER.fullmatch, columns)) else []
    # The separator before the last column decides: where it is a tab or a comma, white space
    # belongs to the path.
    last = _LAST_SEPARATOR.search(text) if "," in text or "\t" in text else None
    strict = last[1].strip(" ")[:1] if last else ""
    fields = [field.strip() for field in text.split(strict or None)]
    columns: list[str] = []
    while len(fields) > 1 and _INTEGER.fullmatch(fields[-1]):
        columns.insert(0, fields.pop())
    if strict or len(fields) == 1:
        return strict.join(fields), columns
    # Not " ".join(fields): the path keeps its own white space.
    return _TRAILING_INTEGERS.sub("", text), columns


def _full_path(name: str, data_prefix: str, suffix: str | None) -> str:
    if os.sep == "/":
        name = name.replace("\\", "/")
    if suffix and not name.lower().endswith(suffix.lower()):
        name += suffix
    # "C:/clips/a.mp4" starts from a drive, not from the prefix, also where drives are unknown.
    return os.path.join(data_prefix, name) if data_prefix and not _DRIVE.match(name) else name


def _check_labels(samples: Sequence[Sample], num_classes: int | None) -> None:
    if num_classes is None:
        return
    wrong = next((sample for sample in samples if max(sample.labels) >= num_classes), None)
    if wrong is None:
        return
    labels = [label for sample in samples for label in sample.labels]
    if min(labels) == 1 and max(labels) == num_classes:
        raise DataError(
            f"{wrong.where}: label {max(wrong.labels)}, but num_classes is {num_classes}: the "
            f"labels of this list run from 1 to {num_classes}, they start at 0 here; subtract 1 "
            "from each"
        )
    raise DataError(
        f"{wrong.where}: label {max(wrong.labels)}, but num_classes is {num_classes} "
        f"(labels are 0 to {num_classes - 1}); correct the line, or MODEL.head.num_classes"
    )


def _missing(path: Path) -> str:
    """What is missing, what is there instead, and how to make it."""
    folder = path.parent
    if folder.is_dir():
        names = sorted(entry.name for entry in folder.iterdir())
        hint = (
            nearest_file(path) or f" (the folder {folder} holds: {listing(names, 5) or 'nothing'})"
        )
    else:
        existing = next((parent for parent in folder.parents if parent.is_dir()), Path())
        hint = f" (nor does the folder {folder}; {existing} does)"
    known = next((_PREPARED[part] for part in _PREPARED if part in path.as_posix().lower()), None)
    command = f"tools/prepare_data.py {known}" if known else "tools/prepare_data.py --help"
    return (
        f"the list file or class folder {path} does not exist{hint}; "
        f"to prepare a data set: python {command}"
    )
