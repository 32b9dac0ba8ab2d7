# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Lists from an own folder of clips: one sub-folder per class, videos or frame folders in it.

``<out>/train.txt``, ``val.txt``, perhaps ``test.txt``, and ``classes.txt``, one class name per
line, the first of label 0. The clips stay where they are; the lists hold their full paths.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from paddletsm.data.class_folders import (
    SPLIT_NAMES,
    VIDEO_SUFFIXES,
    holds_images,
    holds_videos,
    is_sample,
    visible_entries,
)
from paddletsm.data.container import check_name
from paddletsm.data.index import load_index
from paddletsm.errors import ConfigError, DataError
from paddletsm.prepare.build_lists import write_list, write_text
from paddletsm.prepare.folder_list import listed_clips
from paddletsm.prepare.frame_folders import count_all, find_pattern
from paddletsm.prepare.groups import RULES, check_rule, detect_rule, recording_of
from paddletsm.prepare.split import split_clips
from paddletsm.utils.io import nearest_file
from paddletsm.utils.text import listing, plural

FEW_CLIPS = 10  # a class with fewer is warned of

_WRONG_SHOWN = 20  # folders of frames that are named when they cannot be used


@dataclass(frozen=True)
class ClassFolder:
    """What is in the folder: classes in the order of their labels, and the clips.

    Attributes:
        root: the folder, absolute.
        class_names: the sub-folders in natural order.
        clips: paths below the root, "walk/a.mp4", in natural order.
        labels: of the clips.
        num_frames: of the clips, where they are frame folders; else empty.
        pattern: of the frames' names; "" for videos.
        ignored: files in the class folders that are no clips.
        unlisted: clips in them that are left out because the list does not name them.
    """

    root: Path
    class_names: tuple[str, ...]
    clips: tuple[str, ...]
    labels: tuple[int, ...]
    num_frames: tuple[int, ...] = ()
    pattern: str = ""
    ignored: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Division:
    """The split of a folder.

    Attributes:
        rule: "ucf", "prefix", "none" or the regular expression that told the recordings.
        is_automatic: the rule was chosen from the names.
        recordings: of the clips.
        unmatched: clips whose name does not fit the rule.
        parts: of the clips, "train", "val", "test".
    """

    rule: str
    is_automatic: bool
    recordings: tuple[str, ...]
    unmatched: tuple[str, ...]
    parts: tuple[str, ...]


def scan_folder(path: str | Path, list_file: str | Path | None = None) -> ClassFolder:
    """Find the classes and clips of a folder, and refuse one that is not what it should be.

    Args:
        path: the folder.
        list_file: only the clips that it names are taken, see ``listed_clips``; None: all.

    Raises:
        DataError: missing; no class, one class, a class without clips; clips beside the class
            folders or below them; a folder that is split already; frames with a gap; a list of
            something else.
    """
    root = Path(os.path.abspath(path))
    if not root.is_dir():
        what = "is a file" if root.exists() else f"does not exist{nearest_file(root)}"
        raise DataError(f"{path}: {what}; expected a folder of class folders")
    class_names = _class_names(root)
    contents = {name: FolderContents(root / name) for name in class_names}
    _check_contents(root, contents)
    is_frames = any(found.frame_folders for found in contents.values())
    clips, labels, ignored = [], [], []
    for label, (name, found) in enumerate(contents.items()):
        for clip in found.frame_folders if is_frames else found.videos:
            check_name(str(root / name / clip))
            clips.append(f"{name}/{clip}")
            labels.append(label)
        ignored += [f"{name}/{file}" for file in found.others]
    unlisted: list[str] = []
    if list_file is not None:
        kept = listed_clips(list_file, root, class_names, is_frames=is_frames)
        unlisted = [clip for clip in clips if clip not in kept]
        labels = [label for clip, label in zip(clips, labels, strict=True) if clip in kept]
        clips = [clip for clip in clips if clip in kept]
    num_frames, pattern = _count(root, clips) if is_frames else ((), "")
    return ClassFolder(
        root,
        tuple(class_names),
        tuple(clips),
        tuple(labels),
        num_frames,
        pattern,
        tuple(ignored),
        tuple(unlisted),
    )


def divide(
    folder: ClassFolder, *, val: float = 0.1, test: float = 0.0, seed: int = 0, group: str = ""
) -> Division:
    """Split the clips of a folder; recordings are not divided, every class is in every part.

    Args:
        folder: from ``scan_folder``.
        val: share of the clips for validation, above 0.
        test: share for testing; 0: no test list.
        seed: of the draw.
        group: "ucf", "prefix", "none" or a regular expression with one group (see
            ``groups.recording_of``); "": chosen from the names.

    Raises:
        ConfigError: a share out of range, or no regular expression.
        DataError: no name fits the rule, or a class has too few recordings.
    """
    if not 0 < val < 1 or not 0 <= test < 1 or val + test >= 1:
        raise ConfigError(
            f"--val {val:g} --test {test:g}: shares of the clips; val lies between 0 and 1, test "
            "may be 0, and something must remain for training: 0.1 is one clip of ten"
        )
    if seed < 0:
        raise ConfigError(f"--seed {seed}: must be 0 or more")
    rule = group or detect_rule(folder.clips)
    if rule not in RULES:
        check_rule(rule)
    recordings = tuple(recording_of(clip, rule=rule) for clip in folder.clips)
    unmatched = () if rule == "none" else _unmatched(folder, recordings)
    if unmatched and len(unmatched) == len(folder.clips):
        raise DataError(
            f"--group {rule}: fits no name of a clip, such as {folder.clips[0]!r}; a regular "
            "expression is searched in the name without its suffix, its group is the recording"
        )
    fractions = {"val": val, "test": test} if test else {"val": val}
    parts = split_clips(
        folder.labels, recordings, fractions, seed=seed, class_names=folder.class_names
    )
    return Division(rule, not group, recordings, unmatched, tuple(parts))


def write_lists(folder: ClassFolder, division: Division, out: str | Path) -> list[Path]:
    """Write the list of every part and the class names; returns the files.

    Raises:
        DataError: ``out`` lies in a class's place; a test list of an earlier split would remain;
            a name that a list cannot hold.
    """
    out = Path(out)
    place = Path(os.path.abspath(out))
    if folder.root in place.parents:
        raise DataError(
            f"{out}: lies in {folder.root}, where every folder is a class; choose another --out"
        )
    parts = [part for part in ("train", "val", "test") if part in division.parts]
    if "test" not in parts and (out / "test.txt").exists():
        raise DataError(
            f"{out / 'test.txt'}: is of an earlier split, and its clips would now be in train.txt "
            "and val.txt; delete it, or choose another --out"
        )
    _check_names(folder)
    files = [write_text(out / "classes.txt", folder.class_names)]
    for part in parts:
        rows = [
            (str(folder.root / clip), *folder.num_frames[i : i + 1], folder.labels[i])
            for i, clip in enumerate(folder.clips)
            if division.parts[i] == part
        ]
        path = write_list(out / f"{part}.txt", rows)
        _check_readable(path, [row[0] for row in rows], bool(folder.pattern))
        files.append(path)
    return files


class FolderContents:
    """Entries of one class folder, each in natural order, hidden ones left out.

    Attributes:
        videos: names of its video files.
        frame_folders: folders that hold images.
        nested: folders that hold videos.
        others: all else, and links to nowhere.
    """

    def __init__(self, folder: Path) -> None:
        self.videos: list[str] = []
        self.frame_folders: list[str] = []
        self.nested: list[str] = []
        self.others: list[str] = []
        for entry in visible_entries(folder):
            if not entry.is_dir():
                is_video = is_sample(entry, "VideoDataset")
                (self.videos if is_video else self.others).append(entry.name)
            elif holds_images(entry):
                self.frame_folders.append(entry.name)
            else:
                (self.nested if holds_videos(entry) else self.others).append(entry.name)


def _class_names(root: Path) -> list[str]:
    entries = visible_entries(root)
    names = [entry.name for entry in entries if entry.is_dir()]
    stray = [e.name for e in entries if e.suffix.lower() in VIDEO_SUFFIXES and not e.is_dir()]
    if stray:
        raise DataError(
            f"{root}: {plural(len(stray), 'video')} ({listing(stray, 3)}) beside the class "
            f"folders; each belongs into a sub-folder named after its class, {root.name}/walk/, say"
        )
    if not names:
        raise DataError(f"{root}: has no sub-folders; it needs one per class, with its clips in it")
    if {name.lower() for name in names} <= SPLIT_NAMES:
        raise DataError(
            f"{root}: holds {', '.join(names)}: it is split already; no lists are needed, set "
            f"DATASET.train.file_path to {root / names[0]} and the like, or give one of them here"
        )
    if len(names) == 1:
        raise DataError(
            f"{root}: has one class, {names[0]!r}; there is nothing to tell apart. If the class "
            f"folders are in it, give {root / names[0]}"
        )
    return names


def _check_contents(root: Path, contents: dict[str, FolderContents]) -> None:
    for name, found in contents.items():
        if found.nested:
            raise DataError(
                f"{root / name / found.nested[0]}: holds videos, one level too deep; a clip lies "
                "directly in the folder of its class"
            )
    videos = [name for name, found in contents.items() if found.videos]
    frames = [name for name, found in contents.items() if found.frame_folders]
    if videos and frames:
        raise DataError(
            f"{root}: videos ({listing(videos, 3)}) and folders of frames ({listing(frames, 3)}); "
            "one network reads either; extract the frames of all, or keep them apart"
        )
    empty = [name for name in contents if name not in videos and name not in frames]
    if empty:
        raise DataError(
            f"{root}: no clips in {listing(empty, 5)}; a class needs files ending in "
            f"{listing(VIDEO_SUFFIXES)}, or folders of frames; fill or remove it"
        )


def _count(root: Path, clips: Sequence[str]) -> tuple[tuple[int, ...], str]:
    """Frames of every clip, and how they are named: as in the first clip that tells.

    Raises:
        DataError: folders that cannot be used, all of them together.
    """
    folders = [root / clip for clip in clips]
    wrong: list[str] = []
    while len(wrong) < len(folders):
        try:
            pattern = find_pattern(folders[len(wrong)])
            break
        except DataError as err:
            wrong.append(str(err))
    else:
        raise _wrong_folders(root, wrong, len(folders))
    counted = count_all(folders[len(wrong) :], pattern)
    counts = tuple(outcome for outcome in counted if isinstance(outcome, int))
    wrong += [outcome for outcome in counted if isinstance(outcome, str)]
    if wrong:
        raise _wrong_folders(root, wrong, len(folders))
    return counts, pattern


def _wrong_folders(root: Path, wrong: Sequence[str], count: int) -> DataError:
    lines = [f"  {text}" for text in wrong[:_WRONG_SHOWN]]
    if len(wrong) > _WRONG_SHOWN:
        lines.append(f"  ... and {len(wrong) - _WRONG_SHOWN} more")
    return DataError(
        f"{root}: {len(wrong)} of {plural(count, 'folder')} of frames cannot be used; mend or move "
        + "\n".join(["them:", *lines])
    )


def _unmatched(folder: ClassFolder, recordings: Sequence[str]) -> tuple[str, ...]:
    """Clips that are a recording of their own because the rule says nothing of them."""
    pairs = zip(folder.clips, recordings, strict=True)
    return tuple(clip for clip, recording in pairs if clip == recording)


def _check_names(folder: ClassFolder) -> None:
    for name in folder.class_names:
        if name != name.strip() or not name.isprintable():
            raise DataError(f"{folder.root / name}: blanks at the ends of a class name; rename it")
    twice = [n for n, k in Counter(map(str.casefold, folder.class_names)).items() if k > 1]
    if twice:
        raise DataError(f"{folder.root}: the class {twice[0]!r} is there twice, in other letters")


def _check_readable(path: Path, names: Sequence[str], is_frames: bool) -> None:
    """Read the list back: some names cannot stand in a list."""
    index = load_index(path, format="FrameDataset" if is_frames else "VideoDataset")
    for sample, name in zip(index.samples, names, strict=False):
        if sample.path != name:
            path.unlink()
            raise DataError(f"{name}: a list cannot hold this name; rename the file")
