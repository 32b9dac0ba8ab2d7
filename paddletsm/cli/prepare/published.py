# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""``prepare ucf101`` and the like: published data sets, which the user downloads."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path

from paddletsm.cli.common import EXIT_FAILED, EXIT_OK, whole
from paddletsm.cli.prepare.shared import Progress, complain
from paddletsm.cli.stopping import terminable
from paddletsm.data.index import VIDEO_SUFFIXES
from paddletsm.errors import ConfigError
from paddletsm.prepare.extract_frames import JPEG_QUALITY
from paddletsm.prepare.official import Report, Request, Source, prepare
from paddletsm.utils.text import listing, plural

_SUFFIXES = listing(VIDEO_SUFFIXES)


def summary(source: Source) -> str:
    """One line for the help."""
    extracts = any(size is not None for _, size in source.sizes.values())
    given = "frame folders" if source.pattern else "videos"
    made = "frames and lists" if extracts else "lists"
    return f"{made} of {source.title}, from {given} that you download"


def add_arguments(parser: argparse.ArgumentParser, *, source: Source) -> None:
    """Options of the command, those that the data set needs."""
    flag, text = _clips_option(source)
    parser.add_argument(flag, dest="clips", metavar="DIR", help=text)
    parser.add_argument("--annotations", metavar="DIR", help="the official annotation files")
    parser.add_argument("--out", default=source.out, help="folder of the data set")
    if source.splits:
        parser.add_argument(
            "--split", type=int, nargs="+", choices=source.splits, default=[1],
            help="official splits to list; default: 1",
        )  # fmt: skip
    if len(source.sizes) > 1:
        parser.add_argument(
            "--size", choices=source.sizes, default=next(iter(source.sizes)),
            help=f"of the extracted frames (JPEG, quality {JPEG_QUALITY})",
        )  # fmt: skip
    parser.add_argument(
        "--workers", type=whole(1), metavar="N", help="clips at a time; default: one per core"
    )
    parser.add_argument(
        "--allow_missing",
        action="store_true",
        help="write lists without the clips that are missing or unreadable",
    )


def run(args: argparse.Namespace, *, source: Source) -> int:
    """Prepare the data set; 1 when clips are missing or unreadable and that is not allowed."""
    flag, _ = _clips_option(source)
    given = {flag: args.clips, "--annotations": args.annotations}
    missing = [option for option, value in given.items() if not value]
    if missing:
        raise ConfigError(f"{' and '.join(missing)}: not given\n{source.instructions}")
    request = Request(
        clips=Path(args.clips),
        annotations=Path(args.annotations),
        out=Path(args.out),
        size=getattr(args, "size", None),
        splits=tuple(sorted(set(getattr(args, "split", ())))),
        workers=args.workers,
        allow_missing=args.allow_missing,
    )
    progress = Progress()
    try:
        with terminable():
            report = prepare(source, request, progress=progress)
    except KeyboardInterrupt:
        _say_stopped(source, progress)
        raise
    for text in report.repeats:
        print(f"warning: {text}", file=sys.stderr)
    complain("missing", report.missing)
    if report.missing:
        print(f"searched: {_searched(source, report)}", file=sys.stderr)
    complain("unreadable", report.failed)
    if not report.lists:
        return _refuse(source, request, report)
    _print_result(source, request, report)
    return EXIT_OK


def _clips_option(source: Source) -> tuple[str, str]:
    if source.pattern:
        return "--frames", f"the unpacked frame folders, each with {source.pattern.format(1)}, ..."
    return "--videos", "the unpacked videos"


def _searched(source: Source, report: Report) -> str:
    folders = " and ".join(map(str, report.searched))
    if source.pattern:
        return f"{folders}, for folders of these names"
    return f"{folders}, and all folders in them, for videos of these names ({_SUFFIXES})"


def _say_stopped(source: Source, progress: Progress) -> None:
    """That nothing is lost, and how to go on."""
    count = f" after {progress.done} of {plural(progress.total, 'clip')}" if progress.total else ""
    line = "\n" if progress.total and sys.stderr.isatty() else ""  # behind the counter
    extracts = any(size is not None for _, size in source.sizes.values())
    kept, then = "", "begins anew"
    if extracts:  # some may be there before the first is counted
        kept, then = "the frames that are written stay, and ", "goes on behind them"
    print(
        f"{line}stopped{count}: {kept}the same command {then}",
        file=sys.stderr,
        flush=True,
    )


def _refuse(source: Source, request: Request, report: Report) -> int:
    if report.missing:
        number, what = len(report.missing), "missing"
        hint = f"nothing is done; complete {request.clips}"
    else:
        number, what = len(report.failed), "unreadable"
        hint = "no lists are written; replace these files and run the same command again"
    noun = plural(number, "clip" if source.pattern else "video")
    print(
        f"paddletsm prepare {source.name}: {noun} {what}; {hint}, or add --allow_missing to list "
        "the others",
        file=sys.stderr,
    )
    return EXIT_FAILED


def _print_result(source: Source, request: Request, report: Report) -> None:
    for path in report.lists:
        print(path)
    for stem, count in report.counts.items():
        print(f"{stem}: {plural(count, 'clip')}")
    for stem, names in report.absent.items():
        print(f"warning: {stem} has no clip of {listing(names, 5)}", file=sys.stderr)
    option = ""
    if report.num_classes != source.num_classes:
        option = f" -o MODEL.head.num_classes={report.num_classes}"
        print(
            f"warning: {source.title} has {source.num_classes} classes, these annotations name "
            f"{report.num_classes}: its configurations need{option}; results cannot be compared "
            "with published ones",
            file=sys.stderr,
        )
    left_out = len(report.missing) + len(report.failed)
    if left_out:
        print(f"left out: {len(report.missing)} missing, {len(report.failed)} unreadable clips")
    if source.pattern:
        print(f"{request.out}: frames of {plural(report.skipped, 'clip')} counted")
    elif report.extracted or report.skipped:
        print(
            f"{request.out}: frames of {plural(report.extracted, 'video')} extracted, "
            f"{report.skipped} were there already"
        )
    if request.splits and 1 not in request.splits:
        return  # the configs are of the first split
    if request.out.resolve() != Path(source.out).resolve():
        print(
            f"the configs read {source.out}: ln -s {shlex.quote(os.path.abspath(request.out))} "
            f"{source.out}"
        )
    print(f"next: python main.py -c {source.configs.get(request.size, source.config)}{option}")
