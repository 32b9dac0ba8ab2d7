# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""``main.py --suggest PATH``: a configuration for a data set and this machine."""

from __future__ import annotations

import argparse
import math
import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from paddletsm.cli.common import (
    EXIT_OK,
    add_common_arguments,
    check_target,
    make_parser,
    run_command,
)
from paddletsm.errors import ConfigError, DataError
from paddletsm.utils.io import check_name, nearest_file, write_atomic
from paddletsm.utils.threads import import_paddle, usable_cores

if TYPE_CHECKING:
    from paddletsm.prepare.machine import Machine
    from paddletsm.prepare.suggest_data import DataFacts


def build_parser() -> argparse.ArgumentParser:
    """Options of the command."""
    parser = make_parser(
        "suggest",
        "Suggest a configuration for a data set and this machine, with the reason of every choice.",
    )
    if parser.prog == "main.py":
        parser.prog = "main.py --suggest"
    parser.add_argument(
        "path",
        metavar="PATH",
        help="folder with train.txt and val.txt, or with train/ and val/, or a list file",
    )
    parser.add_argument("--valid", help="validation list or folder, where PATH is the training one")
    parser.add_argument("--data_prefix", help="folder that the paths of lists start from")
    parser.add_argument(
        "--classes", help="class names, one per line; default: classes.txt beside the list"
    )
    parser.add_argument("--out", metavar="YAML", help="write the configuration to this file")
    parser.add_argument("--force", action="store_true", help="replace the file where it exists")
    parser.add_argument("--name", help="name of the run; default: that of --out or of the folder")
    parser.add_argument("--pretrained", metavar="WEIGHTS", help="weights to start from")
    parser.add_argument(
        "--device", choices=("cpu", "gpu"), help="default: GPUs where Paddle sees them"
    )
    parser.add_argument(
        "--devices", type=int, metavar="N", help="GPUs, or processes on the CPU; default: all, 1"
    )
    parser.add_argument(
        "--memory", type=float, metavar="GB", help="of one GPU, or of one process; default: found"
    )
    add_common_arguments(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command."""
    words = sys.argv[1:] if argv is None else argv
    return run_command(build_parser(), partial(_suggest, words=words), argv)


def _suggest(args: argparse.Namespace, words: Sequence[str]) -> int:
    out = Path(args.out) if args.out else None
    _check(args, out)
    from paddletsm.prepare.suggest import suggest

    facts = _facts(args)
    machine = _machine(args)
    name = args.name or (f"TSM_{out.stem}" if out else None)
    suggestion = suggest(facts, machine, name=name, pretrained=args.pretrained)
    text = f"# Written by: python main.py --suggest {shlex.join(words)}\n{suggestion.text}"
    print(text, end="")
    for note in suggestion.notes:
        print(f"note: {note}", file=sys.stderr)
    if out is not None:
        write_atomic(out, text.encode())
        print(f"written to {out}; next: python {_launch(machine)}main.py -c {out}", file=sys.stderr)
    return EXIT_OK


def _check(args: argparse.Namespace, out: Path | None) -> None:
    """Refuse wrong options before the data is read.

    Raises:
        ConfigError, DataError: with what to write instead.
    """
    if args.devices is not None and args.devices < 1:
        raise ConfigError(f"--devices must be at least 1, not {args.devices}")
    if args.memory is not None and not 0 < args.memory < math.inf:
        raise ConfigError(f"--memory must be above 0 (gigabytes), not {args.memory}")
    if args.name is not None:
        try:
            check_name(args.name)
        except ValueError as err:
            raise ConfigError(f"--name {err}") from err
    if args.pretrained:
        from paddletsm.utils.weight_files import check_weights_file

        if not Path(args.pretrained).exists():
            hint = nearest_file(args.pretrained)
            raise DataError(f"--pretrained {args.pretrained} does not exist{hint}")
        check_weights_file(args.pretrained)
    if out is not None and out.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"--out {out}: the configuration is a .yaml file")
    if out is not None and out.exists() and not args.force:
        raise ConfigError(f"--out {out} exists; choose another name, or replace it with --force")
    if out is not None:
        check_target("--out", args.out)


def _facts(args: argparse.Namespace) -> DataFacts:
    """What the data set tells.

    Raises:
        DataError: it cannot be used; lists of several labels per clip are named as such.
    """
    from paddletsm.prepare.suggest_data import read_facts

    try:
        return read_facts(
            args.path, valid=args.valid, data_prefix=args.data_prefix, classes=args.classes
        )
    except DataError as err:
        where = _first_with_several_labels(args)
        if where is None:
            raise
        raise DataError(
            f"{where}: several labels: a suggestion can only be made for lists of one label per "
            "clip. To train with several, suggest for copies of the lists that keep one label per "
            "line, then name your lists in the written configuration, add MODEL.loss: bce, and "
            "take DATASET.sampling out (see 'Several labels per clip' in docs/training.md)"
        ) from err


def _first_with_several_labels(args: argparse.Namespace) -> str | None:
    """Place of the first line, of the lists that are named or lie in PATH, with several labels."""
    from paddletsm.data import load_index

    path = Path(args.path)
    named = sorted(path.glob("*.txt")) if path.is_dir() else [path]
    for file in [*named, *([Path(args.valid)] if args.valid else [])]:
        try:
            index = load_index(file, multi_label=True, on_bad_line=lambda where, err: None)
        except DataError:
            continue  # no list: a folder of clips, a file of class names
        for sample in index.samples:
            if sample.others:
                return sample.where
    return None


def _launch(machine: Machine) -> str:
    if machine.count == 1:
        return ""
    option = "" if machine.device == "gpu" else f"--nproc_per_node {machine.count} "
    return f"-m paddle.distributed.launch {option}"


def _machine(args: argparse.Namespace) -> Machine:
    """What the options say, and for the rest what is found here."""
    from paddletsm.prepare.machine import Machine

    found, memory = 0, None
    if args.device != "cpu":
        found, memory = _gpus()
    device = args.device or ("gpu" if found else "cpu")
    if device == "cpu":
        memory = _free_memory_mb()
    count = args.devices or (found if device == "gpu" else 1) or 1
    if device == "cpu" and memory is not None:
        memory //= count
    if args.memory is not None:
        memory = int(args.memory * 1000)
    return Machine(device, count, memory, usable_cores())


def _gpus() -> tuple[int, int | None]:
    """Number of GPUs that Paddle sees and memory of the smallest in MB."""
    import_paddle()
    import paddle

    if not paddle.is_compiled_with_cuda():
        return 0, None
    count = paddle.device.cuda.device_count()
    sizes = [paddle.device.cuda.get_device_properties(i).total_memory for i in range(count)]
    return count, min(sizes) // 1_000_000 if sizes else None


def _free_memory_mb() -> int | None:
    """Memory that is free on this machine; None where it does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            lines = dict(line.split(":", 1) for line in file)
        return int(lines["MemAvailable"].split()[0]) // 1000
    except (OSError, KeyError, ValueError):
        return None
