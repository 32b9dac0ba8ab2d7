# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""``paddletsm prepare``: data sets on disk, in the layout that the configs expect."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from paddletsm.cli import browse
from paddletsm.cli.common import EXIT_USAGE, add_common_arguments, make_parser, run_command
from paddletsm.cli.prepare import folder, motion, published
from paddletsm.errors import ConfigError
from paddletsm.prepare.sources import SOURCES
from paddletsm.utils.text import nearest

_COMMAND = "prepare"


@dataclass(frozen=True)
class _Entry:
    """What may stand behind ``prepare``: its options and what it does."""

    summary: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


# To add a published data set: paddletsm/prepare/sources.py. Anything else is one line here.
_ENTRIES = {
    "browse": _Entry(browse.SUMMARY, browse.add_arguments, browse.run),
    "folder": _Entry(folder.SUMMARY, folder.add_arguments, folder.run),
    "motion": _Entry(motion.SUMMARY, motion.add_arguments, motion.run),
    **{
        source.name: _Entry(
            published.summary(source),
            partial(published.add_arguments, source=source),
            partial(published.run, source=source),
        )
        for source in SOURCES
    },
}


def build_parser(name: str | None = None) -> argparse.ArgumentParser:
    """Parser of one data set's options; without a name that of the data set's name."""
    if name is not None:
        parser = make_parser(f"{_COMMAND} {name}", _ENTRIES[name].summary)
        _ENTRIES[name].add_arguments(parser)
        add_common_arguments(parser)
        return parser
    parser = make_parser(_COMMAND, "Prepare a data set in the layout of the configs.")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    lines = [f"  {name:<12} {entry.summary}" for name, entry in _ENTRIES.items()]
    parser.epilog = "\n".join(["data sets:", *lines, "", "DATASET --help tells its options."])
    parser.add_argument("dataset", metavar="DATASET", help=", ".join(_ENTRIES))
    add_common_arguments(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    if argv and argv[0] in _ENTRIES:
        return run_command(build_parser(argv[0]), _ENTRIES[argv[0]].run, argv[1:])
    if not argv:
        build_parser().print_help(sys.stderr)
        return EXIT_USAGE
    return run_command(build_parser(), _unknown, argv[:1])


def _unknown(args: argparse.Namespace) -> int:
    raise ConfigError(
        f"unknown data set {args.dataset!r}{nearest(args.dataset, _ENTRIES)} "
        f"(known: {', '.join(_ENTRIES)})"
    )
