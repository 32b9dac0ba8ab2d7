# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""``paddletsm benchmark predict``: many files, from file to label."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from paddletsm.cli.common import EXIT_FAILED, EXIT_OK, whole

# Allocators take a while to settle; a leak of a clip per prediction would be 100 times this.
_FLAT_MB = 64.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="videos, folders, patterns, lists")
    parser.add_argument(
        "--model_dir", help="folder of an exported model; default: the newest one under inference/"
    )
    for flag, least, default, text in (
        ("--clips", 1, 48, "of one measurement"),
        ("--rounds", 1, 7, "medians are of these"),
        ("--instances", 1, None, "of the network; default: as predict"),
        ("--num_workers", 0, None, "that read clips; default: as predict"),
    ):
        parser.add_argument(flag, type=whole(least), metavar="N", default=default, help=text)
    parser.add_argument("--engine", default="paddle", help="paddle, openvino, onnxruntime or auto")
    parser.add_argument("--precision", default="fp32", help="fp32 or int8")
    parser.add_argument(
        "--soak",
        type=whole(10),
        metavar="N",
        help="instead: predict N clips, every fifth of them a broken file; memory, every answer",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(args: argparse.Namespace) -> int:
    """Measure and print; returns the exit code."""
    from paddletsm.deploy.artefact import newest_artefact
    from paddletsm.deploy.inputs import collect_inputs

    folder = Path(args.model_dir) if args.model_dir else newest_artefact()
    paths = collect_inputs(args.files)
    return (_soak if args.soak else _measure)(args, folder, paths)


def _measure(args: argparse.Namespace, folder: Path, paths: list[str]) -> int:
    from paddletsm.benchmarks.predict import measure

    speed = measure(
        folder,
        paths[: args.clips],
        clips=args.clips,
        rounds=args.rounds,
        instances=args.instances,
        num_workers=args.num_workers,
        engine=args.engine,
        precision=args.precision,
    )
    if args.json:
        print(json.dumps(asdict(speed), indent=2))
        return EXIT_OK
    print(f"{'median of ' + str(args.rounds) + ' rounds':<26}  ms per clip  clips per second")
    for way, seconds in speed.seconds.items():
        print(f"{way:<26}  {1e3 * seconds:>11.1f}  {1 / seconds:>16.2f}")
    print(f"paddletsm takes {speed.overlap:.2f} x the slower of reading and the network alone")
    print(f"  ({speed.overlap_strict:.2f} x with the network alone in as many instances)")
    print(f"paddletsm does {speed.gain:.2f} x the clips of the plain loop")
    return EXIT_OK


def _soak(args: argparse.Namespace, folder: Path, paths: list[str]) -> int:
    from paddletsm.benchmarks.predict import soak
    from paddletsm.deploy.predictor import Predictor

    predictor = Predictor(
        folder,
        instances=args.instances or 1,
        num_workers=args.num_workers,
        engine=args.engine,
        precision=args.precision,
    )
    found = soak(predictor, paths, args.soak)
    is_flat = found.growth_mb <= _FLAT_MB
    if args.json:
        print(json.dumps({**asdict(found), "growth_mb": found.growth_mb}, indent=2))
        return EXIT_OK if found.is_fine and is_flat else EXIT_FAILED
    for count, megabytes in found.marks:
        print(f"{count:>8} clips  {megabytes:>8.1f} MB")
    good = found.clips - found.broken
    print(f"broken files reported: {found.reported} of {found.broken}")
    print(f"good files right: {found.right} of {good}")
    print(f"growth after the first fifth: {found.growth_mb:.1f} MB (allowed: {_FLAT_MB:.0f})")
    return EXIT_OK if found.is_fine and is_flat else EXIT_FAILED
