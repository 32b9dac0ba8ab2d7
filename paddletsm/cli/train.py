# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""``main.py``: train, or with ``--test`` test."""

from __future__ import annotations

import argparse
import sys

from paddletsm.cli.common import (
    EXIT_FAILED,
    EXIT_OK,
    add_common_arguments,
    add_override_argument,
    check_device,
    has_option,
    make_parser,
    process_rank,
    run_command,
)
from paddletsm.errors import ConfigError
from paddletsm.utils.logging import configure_logging
from paddletsm.utils.threads import import_paddle


def build_parser() -> argparse.ArgumentParser:
    """Options of main.py; see docs of the command line in README.md."""
    parser = make_parser("train", "Train an action recognition network, or test one (--test).")
    parser.add_argument("-c", "--config", required=True, help="YAML configuration")
    add_override_argument(parser)
    parser.add_argument("-w", "--weights", help="weights to test, or to start training from")
    parser.add_argument("--test", action="store_true", help="test instead of training")
    parser.add_argument(
        "--validate",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="validate while training",
    )
    parser.add_argument(
        "--resume",
        nargs="?",
        const="",
        metavar="PATH",
        help="continue a run: a state, a run folder, or alone the newest complete state",
    )
    parser.add_argument("--amp", action="store_true", help="mixed precision (GPU)")
    parser.add_argument("--amp_level", choices=("O1", "O2"), help="with --amp; default: O1")
    parser.add_argument(
        "--amp_dtype", choices=("float16", "bfloat16"), help="with --amp; default: float16"
    )
    parser.add_argument("--seed", type=int, help="replaces the configuration's seed")
    parser.add_argument(
        "--deterministic", action="store_true", help="same result every time on GPUs"
    )
    parser.add_argument("--max_iters", type=int, help="stop training after this many steps")
    parser.add_argument(
        "--device", help="cpu, gpu, gpu:0, xpu or npu (default: a GPU if there is one)"
    )
    parser.add_argument("--output_dir", help="replaces the configuration's output_dir")
    parser.add_argument(
        "--suggest",
        metavar="PATH",
        help="alone: write a configuration for the data set PATH; more with --suggest --help",
    )
    _add_test_arguments(parser)
    add_common_arguments(parser)
    return parser


def _add_test_arguments(parser: argparse.ArgumentParser) -> None:
    """Options that belong to --test."""
    parser.add_argument(
        "--protocol",
        help="with --test: efficient, accurate, ten-crop, dense or 25-segment instead of the "
        "configuration's PIPELINE.test",
    )
    parser.add_argument(
        "--frame_order",
        choices=("ordered", "shuffled", "reversed"),
        default="ordered",
        help="with --test: change the order of frames, to see whether the network uses it",
    )
    parser.add_argument(
        "--motion_probe",
        action="store_true",
        help="with --test: test with the frames in order, shuffled and reversed, one after the "
        "other, for report.html",
    )


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    if any(word.partition("=")[0] == "--suggest" for word in argv):
        return _suggest(argv)
    return run_command(build_parser(), _run, argv)


def _suggest(argv: list[str]) -> int:
    """Hand over to ``paddletsm suggest``; an option of a training is named, not taken for PATH."""
    from paddletsm.cli import suggest

    words = [word.removeprefix("--suggest=") for word in argv if word != "--suggest"]
    own, theirs = build_parser(), suggest.build_parser()
    for word in words:
        if has_option(own, word) and not has_option(theirs, word):
            theirs.error(f"{word} is no option of --suggest, which comes before a training")
    return suggest.main(words)


def _run(args: argparse.Namespace) -> int:
    check_device(args.device)
    if args.max_iters is not None and args.max_iters < 1:
        raise ConfigError(f"--max_iters must be at least 1, not {args.max_iters}")
    if (args.amp_level or args.amp_dtype) and not args.amp:
        raise ConfigError("--amp_level and --amp_dtype belong to --amp")
    if args.test and args.resume is not None:
        raise ConfigError("--resume continues training; to test a run give its weights with -w")
    if args.weights and args.resume is not None:
        raise ConfigError("--resume restores all weights; leave -w out, or start anew without it")
    if args.frame_order != "ordered" and not args.test:
        raise ConfigError("--frame_order belongs to --test")
    if args.motion_probe and (not args.test or args.frame_order != "ordered"):
        raise ConfigError("--motion_probe belongs to --test, and goes without --frame_order")
    if args.protocol and not args.test:
        raise ConfigError("--protocol belongs to --test; training validates with PIPELINE.valid")
    from paddletsm.builders import load_config

    overrides = list(args.override)
    if args.seed is not None:
        overrides.append(f"seed={args.seed}")
    if args.output_dir is not None:
        overrides.append(f"output_dir={args.output_dir}")
    config = load_config(args.config, overrides)
    configure_logging("DEBUG" if args.debug else config.log_level, rank=process_rank())
    import_paddle()
    return _test(args, config) if args.test else _train(args, config)


def _train(args: argparse.Namespace, config: object) -> int:
    from paddletsm.engine.setup import TrainOptions
    from paddletsm.engine.train import ProcessLostError, RunStoppedError, train

    options = TrainOptions(
        device=args.device,
        weights=args.weights,
        resume=args.resume,
        validate=args.validate,
        amp=args.amp,
        amp_level=args.amp_level or "O1",
        amp_dtype=args.amp_dtype or "float16",
        max_iters=args.max_iters,
        deterministic=args.deterministic,
    )
    try:
        state = train(config, options)
    except RunStoppedError as stopped:
        return 128 + stopped.signum
    except ProcessLostError as err:  # nothing that the user has typed
        print(f"main.py: error: {err}", file=sys.stderr)
        return EXIT_FAILED
    _report(config)
    if state.unread:
        print(f"{state.unread} validation samples could not be read; see the log above")
    return EXIT_FAILED if state.unread else EXIT_OK


def _test(args: argparse.Namespace, config: object) -> int:
    from paddletsm.engine.testing import run_test

    orders = ("ordered", "shuffled", "reversed") if args.motion_probe else (args.frame_order,)
    failed = 0
    for order in orders:
        metrics = run_test(
            config,
            weights=args.weights,
            device=args.device,
            frame_order=order,
            protocol=args.protocol,
            is_last=order == orders[-1],
        )
        failed += metrics["num_failed"]
    _report(config)
    return EXIT_FAILED if failed else EXIT_OK


def _report(config: object) -> None:
    """Write report.html, once and not at the cost of the results."""
    from paddletsm.engine.setup import run_folder
    from paddletsm.report.write import try_to_write_report

    if process_rank() == 0:
        try_to_write_report(run_folder(config))
