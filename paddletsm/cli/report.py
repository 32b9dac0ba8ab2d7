# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""``tools/report.py``: write report.html of a run folder anew."""

from __future__ import annotations

import argparse
from pathlib import Path

from paddletsm.cli.common import EXIT_OK, add_common_arguments, make_parser, run_command
from paddletsm.errors import ConfigError
from paddletsm.utils.threads import import_paddle


def build_parser() -> argparse.ArgumentParser:
    """Options of tools/report.py."""
    parser = make_parser(
        "report",
        "Write report.html into a run folder. Training and --test do it at their end; this redoes "
        "it. Run it where the test ran, so that the clips are found.",
    )
    parser.add_argument("folder", type=Path, help="run folder: output_dir/model_name")
    parser.add_argument(
        "--num_clips", type=int, default=12, help="playable clips at most, 0 for none"
    )
    add_common_arguments(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_command(build_parser(), _run, argv)


def _run(args: argparse.Namespace) -> int:
    if args.num_clips < 0:
        raise ConfigError(f"--num_clips must be 0 or more, not {args.num_clips}")
    if args.num_clips:
        import_paddle()
    from paddletsm.report import write_report

    print(write_report(args.folder, num_clips=args.num_clips))
    return EXIT_OK
