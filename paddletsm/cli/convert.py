# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""``paddletsm convert``: weights of other projects into a .pdparams or .safetensors file."""

from __future__ import annotations

import argparse

from paddletsm.cli.common import EXIT_OK, add_common_arguments, make_parser, run_command
from paddletsm.convert import sources


def build_parser() -> argparse.ArgumentParser:
    """Parser of the command."""
    parser = make_parser(
        "convert",
        "Convert weights of torchvision, mit-han-lab TSM, MMAction2, PaddleVideo or paddle.vision.",
    )
    parser.add_argument("input", metavar="IN", help=".pth, .pth.tar, .pt, .pdparams, .safetensors")
    parser.add_argument("output", metavar="OUT", help=".pdparams or .safetensors")
    parser.add_argument(
        "--source", default="auto", choices=["auto", *sources()], help="where IN comes from"
    )
    parser.add_argument(
        "--arch",
        default="auto",
        choices=["auto", "ResNet", "ResNetTSM", "MobileNetV2", "MobileNetV2TSM"],
        help="network of the weights; auto: as the names in IN tell",
    )
    parser.add_argument(
        "--shift_div",
        type=_shift_div,
        default=8,
        metavar="N",
        help="the shift moves 1/N of the channels each way; no weights file tells N",
    )
    add_common_arguments(parser)
    return parser


def _shift_div(text: str) -> int:
    if not text.isdecimal() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"expected a number from 2 on, not {text!r}")
    return int(text)


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    return run_command(build_parser(), _run, argv)


def _run(args: argparse.Namespace) -> int:
    from paddletsm.utils.threads import import_paddle

    import_paddle()
    from paddletsm.models.weights_convert import convert_weights

    report = convert_weights(
        args.input, args.output, source=args.source, arch=args.arch, shift_div=args.shift_div
    )
    print(report)
    for name in report.left_out:
        if not name.endswith("num_batches_tracked"):
            print(f"  left out: {name}")
    print(f"written: {args.output}")
    return EXIT_OK
