# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""``paddletsm benchmark``: what networks and reading clips cost.

model, train, data: measured; --flops: counted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

from paddletsm.cli import benchmark_data, benchmark_model, benchmark_predict, benchmark_stream
from paddletsm.cli.common import (
    EXIT_OK,
    add_common_arguments,
    add_override_argument,
    make_parser,
    run_command,
)
from paddletsm.errors import ConfigError
from paddletsm.utils.text import nearest


@dataclass(frozen=True)
class Complexity:
    """Size of a configuration's network, and the work of one clip.

    Attributes:
        config: file of the configuration.
        model_name: its name.
        parameters_m: millions of numbers that training can change.
        gmacs: 1e9 multiply-adds for one clip.
        clip: frames, channels, height and width of that clip.
        views: clips x crops that the test averages for one video.
    """

    config: str
    model_name: str
    parameters_m: float
    gmacs: float
    clip: tuple[int, int, int, int]
    views: int


def build_parser() -> argparse.ArgumentParser:
    """Parser of the command."""
    parser = make_parser("benchmark", "Measure what a network or reading clips costs.")
    parser.epilog = f"commands: {', '.join(_COMMANDS)}; each has its own --help"
    parser.add_argument(
        "--flops",
        action="store_true",
        help="parameters (millions) and multiply-adds (1e9) of one clip of the test pipeline",
    )
    parser.add_argument(
        "-c", "--config", nargs="+", metavar="CFG", help="one or more configurations"
    )
    add_override_argument(parser, of="every configuration")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=_count)
    add_common_arguments(parser)
    return parser


def _parser_of(command: str) -> argparse.ArgumentParser:
    """Parser of one of ``_COMMANDS``."""
    summary, add_arguments, run = _COMMANDS[command]
    parser = make_parser(f"benchmark {command}", summary)
    add_arguments(parser)
    parser.set_defaults(run=run)
    add_common_arguments(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    words = sys.argv[1:] if argv is None else argv
    if words and words[0] in _COMMANDS:
        return run_command(_parser_of(words[0]), _run, words[1:])
    if words and not words[0].startswith("-"):
        return run_command(build_parser(), partial(_unknown, word=words[0]), [])
    return run_command(build_parser(), _run, words)


def _run(args: argparse.Namespace) -> int:
    return args.run(args)


def _unknown(args: argparse.Namespace, word: str) -> int:
    raise ConfigError(
        f"unknown command {word!r}{nearest(word, _COMMANDS)} (known: {', '.join(_COMMANDS)})"
    )


def _count(args: argparse.Namespace) -> int:
    if not args.flops or not args.config:
        raise ConfigError(
            f"say what to measure: {', '.join(_COMMANDS)} (each with its own --help), or "
            "--flops -c CFG"
        )
    measured = [measure_complexity(config, args.override) for config in args.config]
    if args.json:
        print(json.dumps([asdict(one) for one in measured], indent=2))
    else:
        print(_table(measured))
    return EXIT_OK


def measure_complexity(path: str, overrides: list[str]) -> Complexity:
    """Build the network of a configuration and run one clip, as its test makes it, through it.

    Raises:
        ConfigError: wrong configuration, or frames whose size depends on the video.
        DataError: the number of classes has to come from data that is not there.
    """
    from paddletsm.builders import build_data_pipeline, build_model, load_config
    from paddletsm.utils.threads import import_paddle

    config = load_config(path, overrides)
    pipeline = build_data_pipeline(config, "test")
    size = pipeline.target_size
    if size is None:
        raise ConfigError(
            f"{path}: the size of tested frames depends on the video; end the transforms of the "
            "test with a crop to one size (CenterCrop, ThreeCrop, TenCrop: target_size)"
        )
    import_paddle()
    from paddletsm.models.complexity import count_flops

    model = build_model(config)
    multiply_adds = count_flops(model, size, size, num_seg=pipeline.num_seg)
    return Complexity(
        config=path,
        model_name=config.model_name,
        parameters_m=model.num_parameters() / 1e6,
        gmacs=multiply_adds / 1e9,
        clip=(pipeline.num_seg, 3, size, size),
        views=pipeline.num_clips * pipeline.num_crops,
    )


# Command -> what it is for, its options, and what runs.
_COMMANDS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None], Callable[..., int]]] = {
    "model": (
        "Time the exported network in every engine, beside the same network without shift.",
        benchmark_model.add_arguments,
        benchmark_model.run_model,
    ),
    "train": (
        "Time a training step, beside that of the same network without shift.",
        benchmark_model.add_common_arguments,
        benchmark_model.run_train,
    ),
    "predict": (
        "Time many files from file to label, beside each stage alone and a plain loop.",
        benchmark_predict.add_arguments,
        benchmark_predict.run,
    ),
    "data": (
        "Measure how fast clips are read, and where the time goes.",
        benchmark_data.add_arguments,
        benchmark_data.run,
    ),
    "stream": (
        "Time a frame of a stream beside a frame of a clip; push long streams.",
        benchmark_stream.add_arguments,
        benchmark_stream.run_stream,
    ),
}


def _table(measured: list[Complexity]) -> str:
    width = max(len("config"), *(len(one.config) for one in measured))
    lines = [f"{'config':<{width}}  parameters, M    GMACs  one clip          views"]
    for one in measured:
        clip = " x ".join(map(str, one.clip))
        lines.append(
            f"{one.config:<{width}}  {one.parameters_m:>13.2f}  {one.gmacs:>7.2f}  {clip:<16}  "
            f"{one.views:>5}"
        )
    return "\n".join(lines)
