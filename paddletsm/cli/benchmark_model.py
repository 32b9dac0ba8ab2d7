# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""``paddletsm benchmark model`` and ``train``: what a network takes, beside its own floor."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paddletsm.cli.common import (
    EXIT_OK,
    add_override_argument,
    add_threads_argument,
    check_target,
    whole,
)
from paddletsm.errors import ConfigError
from paddletsm.utils.io import write_atomic
from paddletsm.utils.text import listing, nearest

if TYPE_CHECKING:
    from paddletsm.benchmarks.model import Timing
    from paddletsm.config import Config

_GEMM = "GEMM of the same multiply-adds"


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of both commands."""
    parser.add_argument(
        "-c", "--config", required=True, metavar="CFG", help="configuration of the network"
    )
    add_override_argument(parser)
    for flag, default, text in (
        ("--size", None, "pixels of a side; default: as tested"),
        ("--batch_size", 1, "clips per run"),
        ("--runs", 7, "timed runs of each network, in turn"),
    ):
        parser.add_argument(flag, type=whole(1), metavar="N", default=default, help=text)
    add_threads_argument(parser, "--threads")
    parser.add_argument("--json", metavar="FILE", help="also write the figures as JSON")
    parser.add_argument("--png", metavar="FILE", help="also draw a bar chart")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``benchmark model``."""
    add_common_arguments(parser)
    parser.add_argument(
        "--engines",
        nargs="+",
        metavar="NAME",
        help="of paddle, openvino, onnxruntime; default: those that are installed",
    )
    parser.add_argument(
        "--precision", nargs="+", default=["fp32"], metavar="KIND", help="fp32, int8 or both"
    )


def run_model(args: argparse.Namespace) -> int:
    """Time the exported network, the same without shift, plain forms, and a matrix product.

    Raises:
        ConfigError: wrong configuration or options.
    """
    _check_targets(args)
    engines = _engines(args)
    from paddletsm.benchmarks.model import measure
    from paddletsm.utils.threads import import_paddle, threads_per_process

    config, shape = _network(args)
    threads = args.threads or threads_per_process()
    import_paddle()
    from paddletsm.benchmarks.contestants import make_contestants, set_cpu
    from paddletsm.builders import build_model
    from paddletsm.models.complexity import count_flops

    set_cpu()
    model = build_model(config)
    model.eval()
    multiply_adds = count_flops(model, shape[1], shape[2], num_seg=shape[0])
    shared = {"clips": [args.batch_size, shape[0], 3, *shape[1:]], "threads": threads}
    with tempfile.TemporaryDirectory(prefix="paddletsm-") as folder:
        contestants = make_contestants(
            model, Path(folder), shape=shape, engines=engines, precisions=args.precision
        )
        tasks: dict[str, dict[str, Any]] = {one.name: {**one.task, **shared} for one in contestants}
        work = multiply_adds * args.batch_size
        tasks[_GEMM] = {"kind": "gemm", "multiply_adds": work, **shared}
        timings = measure(tasks, runs=args.runs, batch=args.batch_size)
    size = {"parameters_m": model.num_parameters() / 1e6, "gmacs": multiply_adds / 1e9}
    return _report(args, timings, {"model": config.model_name, "threads": threads, **size}, shape)


def run_train(args: argparse.Namespace) -> int:
    """Time a training step of the network and of the same without shift.

    Raises:
        ConfigError: wrong configuration or options.
    """
    _check_targets(args)
    from paddletsm.benchmarks.model import measure
    from paddletsm.utils.threads import threads_per_process

    config, shape = _network(args)
    shared = {
        "kind": "train",
        "config": args.config,
        "overrides": args.override,
        "clips": [args.batch_size, shape[0], 3, *shape[1:]],
        "threads": args.threads,
    }
    tasks = {
        name: {**shared, "is_floor": is_floor}
        for name, is_floor in (("training step, no shift", True), ("training step", False))
    }
    timings = measure(tasks, runs=args.runs, batch=args.batch_size)
    threads = args.threads or threads_per_process()
    return _report(args, timings, {"model": config.model_name, "threads": threads}, shape)


def _check_targets(args: argparse.Namespace) -> None:
    for option in ("json", "png"):
        if target := getattr(args, option):
            check_target(f"--{option}", target)


def _engines(args: argparse.Namespace) -> list[str]:
    from paddletsm.deploy.engines import ENGINES, PRECISIONS, is_installed

    for option, known in (("engines", ENGINES), ("precision", PRECISIONS)):
        for word in getattr(args, option) or ():
            if word not in known:
                raise ConfigError(
                    f"--{option}: {word!r} is unknown{nearest(word, known)} "
                    f"(known: {listing(known)})"
                )
    engines = args.engines or [name for name in reversed(ENGINES) if is_installed(name)]
    return list(dict.fromkeys(engines))


def _network(args: argparse.Namespace) -> tuple[Config, tuple[int, int, int]]:
    """The configuration, and (T, H, W) of a tested clip."""
    from paddletsm.builders import build_data_pipeline, load_config

    config = load_config(args.config, args.override)
    pipeline = build_data_pipeline(config, "test")
    size = args.size or pipeline.target_size
    if not isinstance(size, int):
        raise ConfigError(
            f"{args.config}: the size of tested frames depends on the video; state one: --size 224"
        )
    return config, (pipeline.num_seg, size, size)


def _report(
    args: argparse.Namespace,
    timings: Sequence[Timing],
    facts: dict[str, Any],
    shape: tuple[int, ...],
) -> int:
    from paddletsm.benchmarks.model import as_json, draw, machine_facts, table

    clip = f"{shape[0]} x 3 x {shape[1]} x {shape[2]}"
    title = f"{facts['model']}, {args.batch_size} x ({clip}), {facts['threads']} threads"
    machine = machine_facts()
    print(f"{title}; {machine['processor']}, median of {args.runs} runs in turn")
    if "gmacs" in facts:
        print(f"{facts['parameters_m']:.2f} M parameters, {facts['gmacs']:.2f} GMACs per clip")
    print(table(timings))
    everything = {**facts, "clip": list(shape), "batch_size": args.batch_size, "runs": args.runs}
    if args.json:
        text = as_json({**everything, "machine": machine}, timings)
        write_atomic(args.json, f"{text}\n".encode())
        print(f"written: {args.json}")
    if args.png:
        draw(timings, Path(args.png), title)
        print(f"written: {args.png}")
    return EXIT_OK
