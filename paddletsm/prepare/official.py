# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What the published data sets share: from videos and official annotations to frames and lists.

A data set is a ``Source``: where it comes from, how its annotations read, which frames the configs
expect. ``prepare`` does the rest. Nothing is downloaded here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from paddletsm.data.index import VIDEO_SUFFIXES
from paddletsm.errors import ConfigError, DataError
from paddletsm.prepare.build_lists import write_list, write_text
from paddletsm.prepare.extract_frames import FrameSize, extract_all
from paddletsm.prepare.frame_folders import count_all
from paddletsm.prepare.repeats import without_repeats
from paddletsm.utils.io import nearest_file
from paddletsm.utils.locks import locked
from paddletsm.utils.text import listing, nearest, plural

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Part:
    """One split of a data set.

    Attributes:
        stem: its lists are ``<stem>_rawframes.txt`` and ``<stem>_videos.txt``.
        clips: (name, label from zero); the name is that of the frames' folder and, without its
            suffix, of the video, below ``folder``.
        folder: of the split below the videos and below the frames; "" where they share one.
        split: number of the official split, where there are several: the parts of one have no clip
            in common.
    """

    stem: str
    clips: tuple[tuple[str, int], ...]
    folder: str = ""
    split: int = 0


@dataclass(frozen=True)
class Annotations:
    """Class names in the order of their labels, and the splits, training before validation."""

    class_names: tuple[str, ...]
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Source:
    """A published data set.

    Attributes:
        name: on the command line.
        title: in messages.
        out: folder that the configs expect.
        config: the default configuration.
        num_classes: of the whole data set, as the configurations state it.
        configs: by size, where one other than the first has a configuration of its own.
        instructions: where to download what, under which terms, and the command to type.
        read: (folder of annotations, splits) -> ``Annotations``.
        sizes: choices of ``--size``: (folder of the frames, their size); size None: no frames are
            extracted. The first is the default.
        splits: numbers of the official splits, if there are several.
        pattern: names of the frames where the data set comes as frame folders, "{:05}.jpg".
        key: what tells a video from its name; by default the last part, letter by letter.
        identity: what two names of one clip have in common; by default ``key``.
    """

    name: str
    title: str
    out: str
    config: str
    num_classes: int
    instructions: str
    read: Callable[[Path, Sequence[int]], Annotations]
    sizes: Mapping[str, tuple[str, FrameSize | None]] = field(default_factory=dict)
    configs: Mapping[str, str] = field(default_factory=dict)
    splits: tuple[int, ...] = ()
    pattern: str = ""
    key: Callable[[str], str] = lambda name: name.rpartition("/")[2]
    identity: Callable[[str], str] | None = None


@dataclass(frozen=True)
class Request:
    """What the user asks for.

    Attributes:
        clips: folder with the downloaded videos, or frame folders.
        annotations: folder with the official annotations.
        out: folder of the data set.
        size: one of ``Source.sizes``; None: the first.
        splits: of ``Source.splits``.
        workers: videos at a time; None: one per usable core.
        allow_missing: write lists without the clips that are missing or unreadable.
    """

    clips: Path
    annotations: Path
    out: Path
    size: str | None = None
    splits: tuple[int, ...] = ()
    workers: int | None = None
    allow_missing: bool = False


@dataclass(frozen=True)
class Report:
    """Outcome of ``prepare``.

    Attributes:
        missing: clips that the annotations name and the folder lacks.
        searched: the folders in which they were looked for.
        repeats: sentences about clips that the annotations name more than once.
        failed: clips that cannot be read, and why.
        extracted: videos whose frames were written now.
        skipped: videos whose frames were there already.
        counts: clips in the lists, by the stem of the split.
        absent: classes without a clip, by the stem of the split.
        num_classes: that the annotations name.
        lists: the files written; none if something is missing or unreadable and that is not
            allowed.
    """

    missing: tuple[str, ...] = ()
    searched: tuple[Path, ...] = ()
    repeats: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    extracted: int = 0
    skipped: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    absent: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    num_classes: int = 0
    lists: tuple[Path, ...] = ()


@dataclass
class _Clips:
    """State of the clips of all splits, by (folder of the split, name)."""

    paths: dict[tuple[str, str], Path] = field(default_factory=dict)
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    missing: dict[str, None] = field(default_factory=dict)  # without duplicates, in order
    failed: list[str] = field(default_factory=list)
    extracted: int = 0
    skipped: int = 0
    scans: dict[Path, dict[str, list[Path]]] = field(default_factory=dict)  # by folder searched
    repeats: tuple[str, ...] = ()

    def report(self) -> Report:
        return Report(
            missing=tuple(self.missing),
            searched=tuple(self.scans),
            repeats=self.repeats,
            failed=tuple(self.failed),
            extracted=self.extracted,
            skipped=self.skipped,
        )


def prepare(source: Source, request: Request, *, progress: Progress | None = None) -> Report:
    """Extract or count the frames of a data set and write its lists and class names.

    Args:
        source: the data set.
        request: folders and choices.
        progress: called with (clips done, clips in all).

    Returns:
        What was done; without ``allow_missing`` nothing is extracted when videos are missing, and
        no lists are written when some are missing or unreadable.

    Raises:
        ConfigError: unknown size, or another process prepares the same folder.
        DataError: missing folder, or malformed annotations, with file and line.
    """
    for folder in (request.clips, request.annotations):
        if not folder.is_dir():
            raise DataError(
                f"{folder}: no such folder{nearest_file(folder)}\n{source.instructions}"
            )
    size = request.size or next(iter(source.sizes), "")
    if source.sizes and size not in source.sizes:
        raise ConfigError(
            f"size {size!r}{nearest(size, source.sizes)} (known: {listing(source.sizes)})"
        )
    annotations = source.read(request.annotations, request.splits)
    annotations, repeats = without_repeats(annotations, source.identity or source.key)
    clips = _Clips(repeats=repeats)
    for part in annotations.parts:
        _locate(source, part, root_of(part, request.clips), clips, annotations.class_names)
    if not clips.paths:
        first = next(iter(clips.missing))
        raise DataError(
            f"{request.clips}: none of the {plural(len(clips.missing), 'clip')} of {source.title} "
            f"is in it, not {first}, say; is it the right folder?\n{source.instructions}"
        )
    if clips.missing and not request.allow_missing:
        return clips.report()
    message = f"{request.out}: process {{pid}} is preparing this folder; wait for it, or --out DIR"
    with locked(request.out / ".prepare.lock", message=message):
        if source.pattern:
            _count(source, request, clips, progress)
        elif source.sizes[size][1] is not None:
            _extract(source.sizes[size], request, clips, progress)
        if clips.failed and not request.allow_missing:
            return clips.report()
        return _write(source, request, annotations, clips)


def root_of(part: Part, clips: Path) -> Path:
    """Folder of a split's clips: the sub-folder of its name where there is one."""
    return clips / part.folder if part.folder and (clips / part.folder).is_dir() else clips


def _locate(
    source: Source, part: Part, root: Path, clips: _Clips, class_names: Sequence[str]
) -> None:
    """Fill in the path of every clip of a split, or its name among the missing."""
    if root not in clips.scans:
        clips.scans[root] = {} if source.pattern else _find_videos(root, source.key)
    for name, label in part.clips:
        if source.pattern:
            paths = [root / name] if (root / name).is_dir() else []
        else:
            paths = clips.scans[root].get(source.key(name), [])
        if len(paths) > 1:
            paths = _right_one(paths, root / name)
        if paths:
            clips.paths[part.folder, name] = paths[0]
        else:
            # Where splits have folders of their own, class folders are ours: not the user's names.
            last = name.rpartition("/")[2]
            shown = f"{last} ({class_names[label]}, {part.folder})" if part.folder else name
            clips.missing[shown] = None


def _right_one(paths: Sequence[Path], wanted: Path) -> list[Path]:
    """The video that lies where its name says, among several of that name."""
    exact = [path for path in paths if path.with_suffix("") == wanted]
    if len(exact) == 1:
        return exact
    raise DataError(f"{paths[0]} and {paths[1]} are both {wanted.name}; remove one")


def _find_videos(root: Path, key: Callable[[str], str]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            stem, suffix = os.path.splitext(name)
            if suffix.lower() in VIDEO_SUFFIXES and not name.startswith("."):
                found.setdefault(key(stem), []).append(Path(folder, name))
    return found


def _extract(
    target: tuple[str, FrameSize | None],
    request: Request,
    clips: _Clips,
    progress: Progress | None,
) -> None:
    frames, size = target
    keys = sorted(clips.paths)
    jobs = [(clips.paths[key], request.out / frames / key[0] / key[1]) for key in keys]
    results = extract_all(jobs, size=size, workers=request.workers, progress=progress)
    for key, result in zip(keys, results, strict=True):
        if result.reason:
            clips.failed.append(result.reason)
            del clips.paths[key]
            continue
        clips.counts[key] = result.num_frames
        clips.extracted += result.is_new
        clips.skipped += not result.is_new


def _count(source: Source, request: Request, clips: _Clips, progress: Progress | None) -> None:
    keys = sorted(clips.paths)
    folders = [clips.paths[key] for key in keys]
    counted = count_all(
        folders, source.pattern, is_checked=True, workers=request.workers, progress=progress
    )
    for key, outcome in zip(keys, counted, strict=True):
        if isinstance(outcome, str):
            clips.failed.append(outcome)
            del clips.paths[key]
        else:
            clips.counts[key] = outcome
            clips.skipped += 1


def _write(source: Source, request: Request, annotations: Annotations, clips: _Clips) -> Report:
    out, names = request.out, annotations.class_names
    rows = {}
    for part in annotations.parts:
        rows[part.stem] = [row for row in part.clips if (part.folder, row[0]) in clips.paths]
        if not rows[part.stem]:
            raise DataError(f"{part.stem}: none of its {len(part.clips)} clips is left to list")
    lists = [
        write_text(out / "class_names.txt", names),
        write_text(out / "label_map.txt", (f"{label} {name}" for label, name in enumerate(names))),
    ]
    for part in annotations.parts:
        root = root_of(part, request.clips)
        found = [(clips.paths[part.folder, name], name, label) for name, label in rows[part.stem]]
        if clips.counts:
            frames = [(name, clips.counts[part.folder, name], label) for _, name, label in found]
            lists.append(write_list(out / f"{part.stem}_rawframes.txt", frames))
        if source.pattern:
            link(root, out / "rawframes")
            continue
        files = [(path.relative_to(root).as_posix(), label) for path, _, label in found]
        lists.append(write_list(out / f"{part.stem}_videos.txt", files))
        link(root, out / "videos" / part.folder)
    used = {stem: {label for _, label in of_part} for stem, of_part in rows.items()}
    absent = {
        stem: tuple(name for label, name in enumerate(names) if label not in labels)
        for stem, labels in used.items()
    }
    return replace(
        clips.report(),
        counts={stem: len(of_part) for stem, of_part in rows.items()},
        absent={stem: classes for stem, classes in absent.items() if classes},
        num_classes=len(names),
        lists=tuple(lists),
    )


def link(target: Path, path: Path) -> None:
    """Make ``path`` lead to ``target``, so that the configs find it under the name they state.

    Raises:
        DataError: ``path`` is a folder of its own, or links cannot be made here.
    """
    if path.exists() and path.resolve() == target.resolve():
        return
    if path.exists() and not path.is_symlink():
        raise DataError(
            f"{path}: is a folder, and not {target}, which the lists start from; move it away, "
            f"or give it as the folder of the data"
        )
    try:
        path.unlink(missing_ok=True)  # a link to where the data lay before
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target.resolve(), target_is_directory=True)
    except OSError as err:
        raise DataError(
            f"{path}: cannot be linked to {target} ({err.strerror or err}); move the folder there"
        ) from err
