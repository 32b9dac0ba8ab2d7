# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""``prepare motion``: the synthetic data set."""

from __future__ import annotations

import argparse
from dataclasses import fields

from paddletsm.cli.common import EXIT_OK
from paddletsm.cli.prepare.shared import Progress
from paddletsm.prepare.motion import MotionSettings, prepare_motion
from paddletsm.prepare.motion_scene import CLASS_NAMES

SUMMARY = f"synthetic videos of {len(CLASS_NAMES)} motions, rendered here"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
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


def run(args: argparse.Namespace) -> int:
    """Render the data set, unless it is there."""
    names = [field.name for field in fields(MotionSettings)]
    settings = MotionSettings(**{name: getattr(args, name) for name in names})
    is_new = prepare_motion(args.out, settings, force=args.force, progress=Progress())
    counts = ", ".join(
        f"{count * len(CLASS_NAMES)} {split}" for split, count in settings.per_class.items()
    )
    state = "rendered" if is_new else "complete already, nothing to do"
    print(f"{args.out}: {len(CLASS_NAMES)} classes, clips: {counts}; {state}")
    return EXIT_OK
