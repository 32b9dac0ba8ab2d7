# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What a data set tells about how to train on it: lists or folders, classes, sizes of clips."""

from __future__ import annotations

import os
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from paddletsm.data import Sample, load_index
from paddletsm.data.readers import Reader, open_frames, open_video
from paddletsm.errors import DataError
from paddletsm.prepare.build_lists import read_names
from paddletsm.prepare.frame_folders import find_pattern
from paddletsm.utils.io import nearest_file
from paddletsm.utils.text import listing

_PROBED = 12
_SPLITS = {
    "train": ("train", "training"),
    "valid": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
_CLASS_FILES = ("classes.txt", "class_names.txt")
_FOLDER_COMMAND = "python tools/prepare_data.py folder"


@dataclass(frozen=True)
class Source:
    """Where one split comes from, as DATASET.{train,valid,test} states it."""

    file_path: str
    format: str = "VideoDataset"
    data_prefix: str | None = None
    suffix: str | None = None


@dataclass(frozen=True)
class DataFacts:
    """A data set as far as the choice of a configuration needs it.

    Attributes:
        name: of its folder, for the name of the run.
        train: training split.
        valid: validation split.
        test: test split, if there is one.
        counts: training clips of every class [K].
        num_valid: validation clips.
        names: K class names, if known.
        names_file: the file they are in; None where the folders are the names.
        short_side: median short side of some clips in pixels.
        num_frames: median number of frames of some clips.
    """

    name: str
    train: Source
    valid: Source
    test: Source | None
    counts: tuple[int, ...]
    num_valid: int
    names: tuple[str, ...] | None
    names_file: str | None
    short_side: int
    num_frames: int

    @property
    def num_train(self) -> int:
        """Training clips."""
        return sum(self.counts)

    @property
    def num_classes(self) -> int:
        """Classes."""
        return len(self.counts)


def read_facts(
    path: str | Path,
    *,
    valid: str | Path | None = None,
    data_prefix: str | None = None,
    classes: str | Path | None = None,
) -> DataFacts:
    """Look at a data set: all its lists, and a few of its clips.

    Args:
        path: a folder with train.txt and val.txt; one with train/ and val/, in them one folder per
            class; or the training list or folder itself, then with ``valid``.
        valid: validation list or folder.
        data_prefix: folder that the paths of lists start from; found where it is not given.
        classes: file with one class name per line; found beside the lists where it is not given.

    Raises:
        DataError: no such data set, no validation split, malformed lists, clips that are not there.
    """
    path = Path(path)
    splits = _find_splits(path, Path(valid) if valid is not None else None)
    train = _source(splits["train"], data_prefix)
    names_file = _names_file(splits["train"], classes)
    index = load_index(train.file_path, **_arguments(train))
    names = tuple(read_names(names_file)) if names_file else index.class_names
    labels = [sample.label for sample in index.samples]
    num_classes = len(names) if names else max(labels) + 1
    if max(labels) >= num_classes:
        raise DataError(
            f"{names_file} has {num_classes} names, but {train.file_path} has the label "
            f"{max(labels)}; labels start at 0"
        )
    counts = Counter(labels)
    short_side, num_frames = _probe(index.samples, train)
    others = {
        key: replace(train, file_path=str(found), data_prefix=_prefix(found, train, data_prefix))
        for key, found in splits.items()
        if key != "train"
    }
    checked = load_index(
        others["valid"].file_path,
        **_arguments(others["valid"]),
        num_classes=num_classes,
        class_names=names if Path(others["valid"].file_path).is_dir() else None,
    )
    folder = path if path.is_dir() else path.parent
    return DataFacts(
        name=folder.resolve().name,
        train=train,
        valid=others["valid"],
        test=others.get("test"),
        counts=tuple(counts[label] for label in range(num_classes)),
        num_valid=len(checked.samples),
        names=names,
        names_file=str(names_file) if names_file else None,
        short_side=short_side,
        num_frames=num_frames,
    )


def _find_splits(path: Path, valid: Path | None) -> dict[str, Path]:
    """Lists or folders of the splits there are."""
    if not path.exists():
        raise DataError(f"{path} does not exist{nearest_file(path)}; name a data set or its list")
    if valid is not None:
        if not valid.exists():
            raise DataError(f"--valid {valid} does not exist{nearest_file(valid)}")
        return {"train": path, "valid": valid}
    if path.is_file():
        raise DataError(
            f"{path} is one list; name the validation list too, with --valid LIST (or split a "
            f"folder of clips: {_FOLDER_COMMAND} FOLDER)"
        )
    found = {}
    for split, words in _SPLITS.items():
        candidates = [path / f"{word}.txt" for word in words] + [path / word for word in words]
        existing = next((c for c in candidates if c.is_file() or c.is_dir()), None)
        if existing is not None:
            found[split] = existing
    if "train" not in found or "valid" not in found:
        held = sorted(entry.name for entry in path.iterdir() if not entry.name.startswith("."))
        raise DataError(
            f"{path} has no train.txt and val.txt, nor folders train and val (it holds: "
            f"{listing(held, 6) or 'nothing'}). If it has one folder per class, split it: "
            f"{_FOLDER_COMMAND} {path}; if lists have other names, name them: LIST --valid LIST"
        )
    return found


def _names_file(train: Path, stated: str | Path | None) -> Path | None:
    if stated is not None:
        return Path(stated)
    if train.is_dir():
        return None
    return next((f for f in (train.parent / name for name in _CLASS_FILES) if f.is_file()), None)


def _source(train: Path, stated_prefix: str | None) -> Source:
    """Tell videos from folders of frames by the first clip that is there."""
    if train.is_dir():
        clip = _first_clip(train)
        if not clip.is_dir():
            return Source(str(train))
        return Source(str(train), "FrameDataset", suffix=find_pattern(clip))
    source = Source(str(train))
    prefix = _prefix(train, source, stated_prefix)
    first = _first_path(train)
    full = Path(prefix or "", first)
    if full.is_dir():
        return Source(str(train), "FrameDataset", prefix, find_pattern(full))
    return Source(str(train), "VideoDataset", prefix)


def _first_clip(folder: Path) -> Path:
    for class_folder in sorted(entry for entry in folder.iterdir() if entry.is_dir()):
        for entry in sorted(class_folder.iterdir()):
            if not entry.name.startswith("."):
                return entry
    raise DataError(f"{folder}: expected one folder per class, with clips in it; found none")


def _first_path(train: Path) -> str:
    """Path of a list's first sample; a list of frame folders has one column more."""
    try:
        return load_index(train).samples[0].path
    except DataError:
        return load_index(train, format="FrameDataset").samples[0].path


def _prefix(found: Path, source: Source, stated: str | None) -> str | None:
    """Folder that the paths of a list start from.

    Raises:
        DataError: the first clip is neither where the list says nor beside the list.
    """
    if stated is not None or found.is_dir():
        return stated
    first = _first_path(found)
    beside = (None, str(found.parent), str(found.parent.parent), source.data_prefix)
    for prefix in beside:
        if os.path.exists(os.path.join(prefix or "", first)):
            return prefix
    raise DataError(
        f"{found}: its first clip {first} is neither there nor below {found.parent}; name the "
        "folder that the paths start from with --data_prefix"
    )


def _arguments(source: Source) -> dict[str, str]:
    """Arguments of ``load_index``."""
    return {"format": source.format, "data_prefix": source.data_prefix or ""}


def _probe(samples: Sequence[Sample], source: Source) -> tuple[int, int]:
    """Median short side and number of frames of some clips, evenly over the list.

    Raises:
        DataError: none of them can be read.
    """
    step = max(1, len(samples) // _PROBED)
    sides, lengths, problems = [], [], []
    for sample in samples[::step][:_PROBED]:
        try:
            reader = _open(sample, source)
            try:
                sides.append(min(reader.get([0]).shape[1:3]))
                lengths.append(len(reader))
            finally:
                reader.close()
        except DataError as err:
            problems.append(str(err))
    if not sides:
        raise DataError(f"none of {len(problems)} clips can be read; the first: {problems[0]}")
    return int(statistics.median(sides)), int(statistics.median(lengths))


def _open(sample: Sample, source: Source) -> Reader:
    if source.format == "FrameDataset":
        return open_frames(sample.path, source.suffix, sample.num_frames)
    return open_video(sample.path)
