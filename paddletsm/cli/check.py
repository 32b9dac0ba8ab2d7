# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""``paddletsm check``: decode every clip of a data set and report what is wrong with it."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from paddletsm.builders import build_data_pipeline, load_config, pipeline_spec, split_of
from paddletsm.cli.common import (
    EXIT_FAILED,
    EXIT_OK,
    add_common_arguments,
    add_override_argument,
    check_target,
    make_parser,
    parse_seconds,
    run_command,
    whole,
)
from paddletsm.config import Config
from paddletsm.data import FORMATS
from paddletsm.data.transforms import RandomFlip
from paddletsm.errors import ConfigError, DataError
from paddletsm.prepare.build_lists import read_lines
from paddletsm.prepare.check import (
    SPLITS,
    CheckReport,
    CheckSettings,
    Source,
    as_json,
    check_data,
    load_source,
)
from paddletsm.prepare.check_findings import ERROR, Finding
from paddletsm.prepare.check_fix import (
    class_names_path,
    clean_targets,
    training_overrides,
    write_clean,
)
from paddletsm.prepare.check_page import write_page
from paddletsm.prepare.groups import RULES, check_rule
from paddletsm.utils.disk import problem_of
from paddletsm.utils.io import write_atomic
from paddletsm.utils.text import plural
from paddletsm.utils.threads import usable_cores

_LINE_EVERY_S = 10.0  # of progress where there is no terminal to draw a bar on


def build_parser() -> argparse.ArgumentParser:
    """Parser of the command."""
    parser = make_parser(
        "check",
        "Decode every clip of a list, a class folder or a config's splits, and report broken, "
        "repeated, leaking and mislabelled ones. Exit code 1 when something is wrong.",
    )
    parser.add_argument("path", metavar="PATH", nargs="?", help="list file or class folder")
    parser.add_argument("-c", "--config", metavar="CFG", help="check all splits of this config")
    add_override_argument(parser)
    parser.add_argument(
        "--val", metavar="PATH", help="validation list or folder that goes with PATH"
    )
    parser.add_argument("--format", choices=FORMATS, help="of PATH; without it PATH tells")
    parser.add_argument(
        "--data_prefix", default="", metavar="DIR", help="paths of a list start there"
    )
    parser.add_argument("--suffix", help="'.avi' that paths lack, or the frames' 'img_{:05}.jpg'")
    parser.add_argument(
        "--num_seg", type=whole(1), metavar="N", help="frames a clip needs; 8, or the config's"
    )
    parser.add_argument("--num_classes", type=whole(1), metavar="N", help="labels must be below N")
    parser.add_argument(
        "--class_names", metavar="FILE", help="one class name per line, the first of label 0"
    )
    parser.add_argument(
        "--group",
        default="auto",
        metavar="RULE",
        help="what a recording is: auto, ucf, prefix, none, or a regular expression with one group",
    )
    parser.add_argument(
        "--workers",
        type=whole(1),
        metavar="N",
        default=usable_cores(),
        help="processes that decode",
    )
    parser.add_argument(
        "--timeout", type=parse_seconds, metavar="SEC", default=60.0, help="limit for one clip"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="decode num_seg frames of each clip, from first to last, instead of all",
    )
    parser.add_argument("--json", metavar="FILE", help="write the report as JSON")
    parser.add_argument("--html", metavar="FILE", help="write the report as a page with pictures")
    parser.add_argument(
        "--fix",
        metavar="FILE",
        help="write a list without the defective clips (several splits: FILE_train, ...)",
    )
    parser.add_argument("--strict", action="store_true", help="exit 1 for warnings, too")
    add_common_arguments(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    return run_command(build_parser(), _run, argv)


def _run(args: argparse.Namespace) -> int:
    _check_arguments(args)
    names = _read_names(args.class_names) if args.class_names else None
    if args.config:
        sources, settings = _from_config(args, names)
    else:
        sources, settings = _from_paths(args, names)
    _check_targets(args, sources)
    with _Progress(sum(len(source.samples) for source in sources)) as progress:
        report = check_data(sources, settings, progress=progress.step)
    _print_report(report)
    _write_files(args, report)
    is_wrong = bool(report.errors) or (args.strict and bool(report.warnings))
    return EXIT_FAILED if is_wrong else EXIT_OK


def _check_arguments(args: argparse.Namespace) -> None:
    if (args.path is None) == (args.config is None):
        raise ConfigError("name one thing to check: PATH (a list or class folder), or -c CFG")
    if args.config:
        for name in ("val", "format", "data_prefix", "suffix", "num_classes"):
            if getattr(args, name):
                raise ConfigError(f"--{name}: belongs to PATH; the config states it (see -o)")
    elif args.override:
        raise ConfigError("-o: needs a config (-c CFG)")
    if args.group not in ("auto", *RULES):
        check_rule(args.group)


def _check_targets(args: argparse.Namespace, sources: Sequence[Source]) -> None:
    """Refuse files that cannot be written: before an hour of decoding, not behind it."""
    taken = {Path(source.file_path).resolve(): source.file_path for source in sources}
    for name in ("json", "html", "fix"):
        target = getattr(args, name)
        if not target:
            continue
        path = check_target(f"--{name}", target)
        if path.resolve() in taken:
            raise ConfigError(
                f"--{name} {target}: would overwrite {taken[path.resolve()]}; name another file"
            )
        taken[path.resolve()] = f"--{name} {target}"
    if args.fix:
        clean_targets(sources, args.fix)


def _read_names(path: str) -> tuple[str, ...]:
    return tuple(text for _, text in read_lines(Path(path)))


def _from_paths(
    args: argparse.Namespace, names: tuple[str, ...] | None
) -> tuple[list[Source], CheckSettings]:
    options = {
        "format": args.format,
        "data_prefix": args.data_prefix,
        "suffix": args.suffix,
        "num_seg": args.num_seg or 8,
    }
    is_folder = Path(args.path).is_dir()
    sources = [load_source("train", args.path, class_names=names if is_folder else None, **options)]
    names = names or sources[0].class_names
    if args.val:
        order = names if Path(args.val).is_dir() else None
        sources.append(load_source("valid", args.val, class_names=order, **options))
    return sources, _settings(args, names, args.num_classes)


def _from_config(
    args: argparse.Namespace, names: tuple[str, ...] | None
) -> tuple[list[Source], CheckSettings]:
    config = load_config(args.config, args.override)
    if config.MODEL.is_multi_label:
        raise ConfigError(
            f"{config.place('MODEL', 'loss')}: lists of clips with several labels (bce) are not "
            "checked here; training names wrong lines and unreadable clips of such a list"
        )
    names = names or _config_names(config)
    sources: list[Source] = []
    for mode in SPLITS:
        split = split_of(config, mode)
        if any(source.file_path == split.file_path for source in sources):
            continue  # tested on the validation split
        pipeline = build_data_pipeline(config, mode)
        sources.append(
            load_source(
                mode,
                split.file_path,
                format=split.format,
                data_prefix=split.data_prefix or "",
                suffix=split.suffix,
                class_names=names if Path(split.file_path).is_dir() else None,
                decode=pipeline_spec(config, mode)["decode"],
                num_seg=args.num_seg or pipeline.num_seg,
                has_tail=mode == "train" and getattr(pipeline.sampler, "has_tail", False),
            )
        )
        names = names or sources[0].class_names
    transforms = build_data_pipeline(config, "train").transforms
    flips = [t for t in transforms if isinstance(t, RandomFlip) and t.p > 0]
    settings = _settings(
        args,
        names,
        config.MODEL.head.num_classes,
        flipped=bool(flips),
        label_map={k: other for flip in flips for k, other in flip.label_map.items()},
        no_flip=frozenset().union(*(flip.no_flip for flip in flips)),
    )
    return sources, settings


def _config_names(config: Config) -> tuple[str, ...] | None:
    stated = config.DATASET.class_names
    if isinstance(stated, str):
        return _read_names(stated) if Path(stated).is_file() else None
    return tuple(stated) if stated else None


def _settings(
    args: argparse.Namespace,
    names: tuple[str, ...] | None,
    num_classes: int | None,
    *,
    flipped: bool | None = None,
    label_map: Mapping[int, int] | None = None,
    no_flip: frozenset[int] = frozenset(),
) -> CheckSettings:
    if names and num_classes and len(names) != num_classes:
        raise ConfigError(
            f"num_classes is {num_classes}, but there are {len(names)} class names; correct one"
        )
    return CheckSettings(
        workers=args.workers,
        timeout_s=args.timeout,
        quick=args.quick,
        group=args.group,
        num_classes=num_classes or (len(names) if names else None),
        class_names=names,
        flipped=flipped,
        label_map=label_map or {},
        no_flip=no_flip,
    )


class _Progress:
    """A bar on a terminal, a line now and then elsewhere; on stderr."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._start = self._said = time.monotonic()
        self._bar = None

    def __enter__(self) -> _Progress:
        if sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=self._total, unit="clip", desc="decoding", file=sys.stderr)
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def step(self) -> None:
        """One clip is done."""
        self._done += 1
        if self._bar is not None:
            self._bar.update()
            return
        now = time.monotonic()
        if now - self._said >= _LINE_EVERY_S or self._done == self._total:
            self._said = now
            seconds = now - self._start
            print(f"{self._done}/{self._total} clips, {seconds:.0f} s", file=sys.stderr, flush=True)


def _print_report(report: CheckReport) -> None:
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in sorted(report.findings, key=lambda f: f.level != ERROR):
        groups.setdefault((finding.level, finding.kind), []).append(finding)
    for (level, _), findings in groups.items():
        print(f"{level}: {findings[0].title} ({len(findings)}); {findings[0].remedy}")
        rows = [(f.split, f.where, f.path if f.path != f.where else "", f.text) for f in findings]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        for row in rows:
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False) if width]
            print("  " + "  ".join([*cells, row[3]]))
    if report.findings:
        print()
    for source in report.sources:
        bad = len(report.defective(source.split))
        classes = len(report.class_counts(source.split))
        noun = "class" if classes == 1 else "classes"
        print(
            f"{source.split}: {source.file_path}: {plural(len(source.samples), 'clip')} of "
            f"{classes} {noun}, {bad} to leave out"
        )
        if source.pattern:
            print(
                f"{source.split}: frames are named {source.pattern}; a config needs "
                f"DATASET.{source.split}.format: FrameDataset and "
                f"DATASET.{source.split}.suffix: '{source.pattern}'"
            )
    if len(report.sources) == 1:
        print("one split: nothing to compare it with (--val PATH, or -c CFG)")
    for note in report.notes:
        print(note)
    print(f"{plural(len(report.errors), 'error')}, {plural(len(report.warnings), 'warning')}")


def _write_files(args: argparse.Namespace, report: CheckReport) -> None:
    if args.json:
        try:
            write_atomic(args.json, as_json(report).encode())
        except OSError as err:
            raise DataError(f"--json {args.json}: cannot be written: {problem_of(err)}") from err
        print(f"written: {args.json}")
    if args.html:
        write_page(report, args.html)
        print(f"written: {args.html}")
    if args.fix:
        for written in write_clean(report, args.fix):
            print(f"written: {written}")
        if any(source.class_names for source in report.sources):
            print(f"written: {class_names_path(args.fix)}: the class names of the folder")
        prefix, suffix = args.data_prefix, args.suffix
        if not args.config:
            words = training_overrides(report, args.fix, data_prefix=prefix, suffix=suffix)
            print(f"to train on it: {' '.join(f'-o {shlex.quote(word)}' for word in words)}")
