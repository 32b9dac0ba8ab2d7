# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""``paddletsm fuse``: average the scores of several tests of the same clips."""

from __future__ import annotations

import argparse
from pathlib import Path

from paddletsm.cli.common import (
    EXIT_FAILED,
    EXIT_OK,
    add_common_arguments,
    make_parser,
    run_command,
)


def build_parser() -> argparse.ArgumentParser:
    """Options of the command."""
    parser = make_parser(
        "fuse",
        "Average the scores of tests of the same clips, and write the files of a test. Weights "
        "that were chosen on these very clips make the result look better than it is.",
    )
    parser.add_argument(
        "tests", nargs="+", metavar="RUN/test", help="folders that main.py --test has written"
    )
    parser.add_argument(
        "--weights", nargs="+", type=float, metavar="W", help="one for each test; default: equal"
    )
    parser.add_argument(
        "-o", "--output", default="output/fused/test", metavar="DIR", help="where the files go"
    )
    add_common_arguments(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command."""
    return run_command(build_parser(), _fuse, argv)


def _fuse(args: argparse.Namespace) -> int:
    from paddletsm.engine.fusion import describe_fusion, fuse_tests

    metrics = fuse_tests(args.tests, args.output, weights=args.weights)
    print(describe_fusion(metrics))
    print(f"metrics.json, predictions.csv, scores.npz and the others are in {Path(args.output)}")
    return EXIT_FAILED if metrics["num_failed"] else EXIT_OK
