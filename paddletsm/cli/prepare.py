# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""``paddletsm prepare``: data sets on disk, in the layout that the configs expect."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields

from paddletsm.cli.common import (
    EXIT_FAILED,
    EXIT_OK,
    EXIT_USAGE,
    add_common_arguments,
    make_parser,
    run_command,
)
from paddletsm.errors import ConfigError
from paddletsm.prepare import ucf101
from paddletsm.prepare.motion import MotionSettings, prepare_motion
from paddletsm.prepare.motion_scene import CLASS_NAMES
from paddletsm.utils.text import nearest, plural

_COMMAND = "prepare"
_SHOWN = 20  # names of videos that are listed; more would scroll the count away


@dataclass(frozen=True)
class _DataSet:
    summary: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def build_parser(dataset: str | None = None) -> argparse.ArgumentParser:
    """Parser of one data set's options; without a name that of the data set's name."""
    if dataset is not None:
        parser = make_parser(f"{_COMMAND} {dataset}", _DATASETS[dataset].summary)
        _DATASETS[dataset].add_arguments(parser)
        add_common_arguments(parser)
        return parser
    parser = make_parser(_COMMAND, "Prepare a data set in the layout of the configs.")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    lines = [f"  {name:<8} {entry.summary}" for name, entry in _DATASETS.items()]
    parser.epilog = "\n".join(["data sets:", *lines, "", "DATASET --help tells its options."])
    parser.add_argument("dataset", metavar="DATASET", help=", ".join(_DATASETS))
    add_common_arguments(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    if argv and argv[0] in _DATASETS:
        return run_command(build_parser(argv[0]), _DATASETS[argv[0]].run, argv[1:])
    if not argv:
        build_parser().print_help(sys.stderr)
        return EXIT_USAGE
    return run_command(build_parser(), _unknown, argv[:1])


def _unknown(args: argparse.Namespace) -> int:
    raise ConfigError(
        f"unknown data set {args.dataset!r}{nearest(args.dataset, _DATASETS)} "
        f"(known: {', '.join(_DATASETS)})"
    )


def _add_motion(parser: argparse.ArgumentParser) -> None:
    default = MotionSettings()
    parser.add_argument("--out", default="data/motion", help="folder of the data set")
    for name, text in (
        ("clips", "clips of each class for training"),
        ("val_clips", "clips of each class for validation"),
        ("test_clips", "clips of each class for testing"),
        ("frames", "frames of a clip"),
        ("size", "side of the picture in pixels"),
        ("seed", "seed of all draws"),
    ):
        parser.add_argument(
            f"--{name}", type=int, metavar="N", default=getattr(default, name), help=text
        )
    parser.add_argument(
        "--force", action="store_true", help="replace a motion data set that is there already"
    )


def _add_ucf101(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--videos", metavar="DIR", help="the unpacked UCF101.rar")
    parser.add_argument("--annotations", metavar="DIR", help="the unpacked train/test splits")
    parser.add_argument("--out", default="data/ucf101", help="folder of the data set")
    parser.add_argument(
        "--split", type=int, nargs="+", choices=ucf101.SPLITS, default=[1], help="splits to list"
    )
    parser.add_argument(
        "--workers", type=_positive, metavar="N", help="videos at a time; None: one per core"
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1 on, not {text!r}")
    return int(text)


def _motion(args: argparse.Namespace) -> int:
    names = [field.name for field in fields(MotionSettings)]
    settings = MotionSettings(**{name: getattr(args, name) for name in names})
    is_new = prepare_motion(args.out, settings, force=args.force, progress=_progress)
    counts = ", ".join(
        f"{count * len(CLASS_NAMES)} {split}" for split, count in settings.per_class.items()
    )
    state = "rendered" if is_new else "complete already, nothing to do"
    print(f"{args.out}: {len(CLASS_NAMES)} classes, clips: {counts}; {state}")
    return EXIT_OK


def _ucf101(args: argparse.Namespace) -> int:
    if not args.videos or not args.annotations:
        missing = [f"--{name}" for name in ("videos", "annotations") if not getattr(args, name)]
        raise ConfigError(f"{' and '.join(missing)}: not given\n{ucf101.INSTRUCTIONS}")
    report = ucf101.prepare_ucf101(
        args.videos,
        args.annotations,
        args.out,
        splits=sorted(set(args.split)),
        workers=args.workers,
        progress=_progress,
    )
    if report.missing:
        return _complain("missing", report.missing, f"nothing is done; complete {args.videos}")
    if report.failed:
        hint = "no lists are written; replace these files and run the same command again"
        return _complain("unreadable", [str(failure) for failure in report.failed], hint)
    for path in report.lists:
        print(path)
    print(
        f"{args.out}: frames of {plural(report.extracted, 'video')} extracted, "
        f"{report.skipped} were there already"
    )
    return EXIT_OK


def _complain(what: str, names: list[str] | tuple[str, ...], hint: str) -> int:
    for name in names[:_SHOWN]:
        print(f"{what}: {name}", file=sys.stderr)
    if len(names) > _SHOWN:
        print(f"... and {len(names) - _SHOWN} more", file=sys.stderr)
    print(
        f"paddletsm {_COMMAND} ucf101: {plural(len(names), 'video')} {what}; {hint}",
        file=sys.stderr,
    )
    return EXIT_FAILED


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty() and (done % 20 == 0 or done == total):
        end = "\n" if done == total else ""
        print(f"\r{done}/{total} videos", end=end, file=sys.stderr, flush=True)


_DATASETS = {
    "motion": _DataSet(
        f"synthetic videos of {len(CLASS_NAMES)} motions, rendered here", _add_motion, _motion
    ),
    "ucf101": _DataSet(
        "frames and lists of UCF101, from videos that you download", _add_ucf101, _ucf101
    ),
}
