# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The installed console script: ``paddletsm train|test|export|predict|...``."""

from __future__ import annotations

import importlib
import sys

from paddletsm.cli.common import EXIT_OK, EXIT_USAGE
from paddletsm.utils.text import listing, nearest
from paddletsm.version import __version__

# command: (module, arguments put in front, what it does)
COMMANDS = {
    "train": ("paddletsm.cli.train", [], "train a network (main.py)"),
    "test": ("paddletsm.cli.train", ["--test"], "test a network (main.py --test)"),
    "export": ("paddletsm.cli.export", [], "export a trained network (tools/export_model.py)"),
    "predict": ("paddletsm.cli.predict", [], "classify videos (tools/predict.py)"),
    "stream": ("paddletsm.cli.stream", [], "events of a stream (tools/predict_stream.py)"),
    "verify": ("paddletsm.cli.verify", [], "exported = trained? (tools/verify.py)"),
    "convert": ("paddletsm.cli.convert", [], "convert weights (tools/convert_weights.py)"),
    "check": ("paddletsm.cli.check", [], "check a data set (tools/check_data.py)"),
    "benchmark": ("paddletsm.cli.benchmark", [], "speed, memory, FLOPs (tools/benchmark.py)"),
    "fuse": ("paddletsm.cli.fuse", [], "average scores of tests (tools/fuse_scores.py)"),
    "report": ("paddletsm.cli.report", [], "write report.html anew (tools/report.py)"),
    "suggest": ("paddletsm.cli.suggest", [], "a config for your data (main.py --suggest)"),
    "browse": ("paddletsm.cli.browse", [], "look at training clips (tools/prepare_data.py browse)"),
    "prepare": ("paddletsm.cli.prepare", [], "prepare a data set (tools/prepare_data.py)"),
}


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ("-h", "--help"):
        print(_usage())
        return EXIT_OK if argv else EXIT_USAGE
    if argv[0] == "--version":
        print(f"paddletsm {__version__}")
        return EXIT_OK
    if argv[0] not in COMMANDS:
        print(
            f"paddletsm: error: unknown command {argv[0]!r}{nearest(argv[0], COMMANDS)} "
            f"(commands: {listing(COMMANDS, 30)})",
            file=sys.stderr,
        )
        return EXIT_USAGE
    module, front, _ = COMMANDS[argv[0]]
    return importlib.import_module(module).main([*front, *argv[1:]])


def _usage() -> str:
    lines = [f"  {name:<9} {text}" for name, (_, _, text) in COMMANDS.items()]
    return "\n".join(
        ["usage: paddletsm COMMAND [options]", "", *lines, "", "COMMAND --help tells more."]
    )
