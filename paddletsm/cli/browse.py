# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""``paddletsm browse``: look at the clips that a configuration trains on, augmentation included."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from paddletsm.cli.common import (
    EXIT_OK,
    add_common_arguments,
    add_override_argument,
    check_target,
    make_parser,
    run_command,
    whole,
)
from paddletsm.errors import ConfigError
from paddletsm.utils.text import plural

if TYPE_CHECKING:
    from paddletsm.config import Config

SUMMARY = "look at the training clips of a configuration, with their labels"

_SUFFIXES = (".png", ".mp4")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("-c", "--config", required=True, metavar="CFG", help="configuration")
    add_override_argument(parser)
    parser.add_argument(
        "--split", choices=("train", "valid", "test"), default="train", help="of the data set"
    )
    parser.add_argument("--num", type=whole(1), default=8, metavar="N", help="number of clips")
    parser.add_argument(
        "--out", default="clips.png", metavar="FILE", help="sheet (.png) or video (.mp4) to write"
    )
    parser.add_argument("--seed", type=whole(0), default=0, metavar="N", help="chooses the clips")
    parser.add_argument(
        "--epoch", type=whole(0), default=0, metavar="N", help="whose random crops are drawn"
    )


def build_parser() -> argparse.ArgumentParser:
    """Parser of the command."""
    parser = make_parser("browse", "Write clips, as the network gets them, with their labels.")
    add_arguments(parser)
    add_common_arguments(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    return run_command(build_parser(), run, argv)


def run(args: argparse.Namespace) -> int:
    """Write the sheet or video; returns the exit code."""
    out = check_target("--out", args.out)
    if out.suffix.lower() not in _SUFFIXES:
        raise ConfigError(f"--out {args.out}: must end in .png (a sheet) or .mp4 (a video)")
    from paddletsm.builders import build_dataset, class_names, load_config, resolve_classes
    from paddletsm.report.clip_sheet import read_clips, write_sheet, write_video

    config = resolve_classes(load_config(args.config, args.override))
    dataset = build_dataset(config, args.split)
    clips = read_clips(
        dataset, class_names(config), count=args.num, seed=args.seed, epoch=args.epoch
    )
    (write_video if out.suffix.lower() == ".mp4" else write_sheet)(clips, out)
    more = f" (--num {args.num}: there are no more)" if args.num > len(dataset) else ""
    print(f"{out}: {plural(len(clips), 'clip')} of {_seen_as(args, config)}{more}")
    return EXIT_OK


def _seen_as(args: argparse.Namespace, config: Config) -> str:
    """The split that was read, and what was done to its clips."""
    if args.split == "train":
        return f"train, augmented as in epoch {args.epoch}"
    who = "the test sees" if args.split == "test" else "validation sees"
    split = args.split
    if split == "test" and config.DATASET.test is None:
        split = "valid (there is no DATASET.test: the test reads the validation split)"
    return f"{split}, as {who} them, without augmentation"
