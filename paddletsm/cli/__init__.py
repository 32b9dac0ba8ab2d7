# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Command line: one module per command, each with ``build_parser()`` and ``main(argv)``."""

from __future__ import annotations

import os
import sys
from types import TracebackType

_show = sys.excepthook


def _show_or_say(
    kind: type[BaseException], err: BaseException, trace: TracebackType | None
) -> None:
    """Answer Ctrl-C in one line while a command is being imported; later ``run_command`` does."""
    if issubclass(kind, KeyboardInterrupt):
        print(f"{os.path.basename(sys.argv[0])}: interrupted", file=sys.stderr)
    else:
        _show(kind, err, trace)


sys.excepthook = _show_or_say
