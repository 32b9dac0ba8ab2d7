# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The part of ``paddletsm export`` that is about formats, 8 bit among them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from paddletsm.errors import ConfigError
from paddletsm.utils.text import plural

if TYPE_CHECKING:
    from paddletsm.config import Config
    from paddletsm.data import Sample
    from paddletsm.deploy import Artefact
    from paddletsm.deploy.int8 import Int8Plan


_CALIBRATION_CLIPS, _MAX_DROP = 64, 1.0


def add_format_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--format`` and what int8 needs."""
    parser.add_argument(
        "--format",
        nargs="+",
        default=["pdmodel"],
        metavar="FORMAT",
        help="one or more of pdmodel (the default; Paddle 2.6 and 3), json (Paddle 3), onnx, int8",
    )
    int8 = parser.add_argument_group("int8")
    int8.add_argument(
        "--calibration",
        metavar="LIST",
        help="list, or folder with one sub-folder per class; default: the training clips",
    )
    int8.add_argument(
        "--calibration_clips",
        type=int,
        metavar="N",
        help=f"clips of it, spread over the classes; default: {_CALIBRATION_CLIPS}",
    )
    int8.add_argument(
        "--eval_list",
        metavar="LIST",
        help="clips that top-1 is measured on; default: those of DATASET.valid",
    )
    int8.add_argument("--eval_clips", type=int, metavar="N", help="clips of it; default: all")
    int8.add_argument(
        "--max_drop",
        type=float,
        metavar="POINTS",
        help=f"of top-1 that int8 may lose; default: {_MAX_DROP:g}",
    )


def check_format_arguments(args: argparse.Namespace) -> None:
    """Refuse what is wrong about int8 before the network is built.

    Raises:
        ConfigError: a number is out of range, or int8 is not asked for.
    """
    for option in ("calibration", "calibration_clips", "eval_list", "eval_clips", "max_drop"):
        if getattr(args, option) is not None and "int8" not in args.format:
            raise ConfigError(f"--{option} needs --format int8")
    for option in ("calibration_clips", "eval_clips"):
        value = getattr(args, option)
        if value is not None and value < 1:
            raise ConfigError(f"--{option} must be at least 1, not {value}")
    if args.max_drop is not None and not 0 <= args.max_drop <= 100:
        raise ConfigError(f"--max_drop must lie in 0 to 100 (points), not {args.max_drop}")


def int8_plan(args: argparse.Namespace, config: Config, labels: Sequence[str]) -> Int8Plan | None:
    """Collect the clips for int8; None where it is not asked for.

    Raises:
        ConfigError: a number is out of range.
        DataError: a list cannot be read.
    """
    if "int8" not in args.format:
        return None
    clips = _CALIBRATION_CLIPS if args.calibration_clips is None else args.calibration_clips
    max_drop = _MAX_DROP if args.max_drop is None else args.max_drop
    from paddletsm.deploy.int8 import Int8Plan, balanced

    return Int8Plan(
        balanced(_samples(args.calibration, config, "train", labels), clips),
        balanced(_samples(args.eval_list, config, "valid", labels), args.eval_clips),
        max_drop,
    )


def _samples(
    path: str | None, config: Config, mode: str, labels: Sequence[str]
) -> tuple[Sample, ...]:
    """Samples of a list or folder, or of a split of the configuration."""
    from paddletsm.builders import index_of, split_of
    from paddletsm.data import load_index

    if path is None:
        return index_of(config, mode).samples
    split = split_of(config, mode)
    return load_index(
        path,
        format=split.format,
        data_prefix=split.data_prefix or "",
        suffix=split.suffix,
        num_classes=len(labels),
        class_names=labels if Path(path).is_dir() else None,
    ).samples


def engine_options(artefact: Artefact) -> str:
    """What ``predict`` and ``predict_stream`` need to run what the folder holds, or ""."""
    forms = set(artefact.networks or ("pdmodel",))
    if forms & {"pdmodel", "json"}:
        return ""
    return " --engine auto" if "onnx" in forms else " --engine auto --precision int8"


def say_networks(artefact: Artefact) -> None:
    """Print what each form of the network was found to be."""
    for form, network in (artefact.networks or {}).items():
        parity, accuracy = network.get("parity"), network.get("accuracy")
        if parity:
            print(
                f"{form}: same as the model, largest difference of logits "
                f"{parity['max_abs_difference']:.2g} (allowed {parity['allowed']:.2g})"
            )
        if accuracy:
            tested, calibrated, kept = (
                plural(count, noun)
                for count, noun in (
                    (accuracy["clips"], "clip"),
                    (network["calibration_clips"], "clip"),
                    (len(network["kept_fp32"]), "layer"),
                )
            )
            print(
                f"{form}: top-1 {accuracy['top1_fp32']:.2f} -> {accuracy['top1_int8']:.2f} % on "
                f"{tested}, the same class for {accuracy['agreement']:.2f} %, cosine of logits "
                f"{accuracy['cosine']:.4f}; calibrated on {calibrated}, {kept} kept in fp32"
            )
