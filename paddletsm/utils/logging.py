# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Logging, configured once by the entry points."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import sys
from pathlib import Path
from typing import TextIO

_FORMAT = "%(asctime)s %(levelname).1s %(message)s"


class _BarSafeHandler(logging.Handler):
    """Writes to stderr through tqdm, so that a line does not cut a progress bar in two."""

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        if "tqdm" in sys.modules:
            from tqdm import tqdm

            tqdm.write(text, file=sys.stderr)
        else:
            sys.stderr.write(text + "\n")
        sys.stderr.flush()


class _LogFile(logging.FileHandler):
    """Ends with one line instead of a traceback per record when the disk takes no more."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
            return
        logging.getLogger("paddletsm").removeHandler(self)
        reason = error.strerror or error
        sys.stderr.write(f"{self.baseFilename}: cannot be written any more: {reason}\n")


def configure_logging(level: str = "INFO", *, rank: int = 0) -> None:
    """Send the package's records to stderr; processes other than 0 speak from WARNING on."""
    logger = logging.getLogger("paddletsm")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    handler = _BarSafeHandler()
    handler.setFormatter(logging.Formatter(_FORMAT, "%H:%M:%S"))
    logger.addHandler(handler)
    logger.setLevel(level if rank == 0 else max(logging.WARNING, logging.getLevelName(level)))
    logger.propagate = False


def add_log_file(path: Path) -> logging.Handler:
    """Also append the records to a file; every process appends whole lines to the same one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _launchers_terminal()
    handler = _LogFile(path, encoding="utf-8", errors="backslashreplace", delay=True)
    handler.setFormatter(logging.Formatter(_FORMAT, "%Y-%m-%d %H:%M:%S"))
    logging.getLogger("paddletsm").addHandler(handler)
    return handler


def remove_log_file(handler: logging.Handler) -> None:
    """Undo ``add_log_file``."""
    logging.getLogger("paddletsm").removeHandler(handler)
    handler.close()


def tell_terminal(message: str) -> None:
    """Print on the launcher's terminal, where this process's own output may not arrive.

    The launcher copies the output of process 0 only, and stops even that when it is interrupted,
    just when the message that says how to resume comes. On Linux /proc leads to its terminal.
    """
    terminal = _launchers_terminal()
    if terminal is not None:
        with contextlib.suppress(OSError):
            terminal.write(message + "\n")
            terminal.flush()


@functools.cache
def _launchers_terminal() -> TextIO | None:
    """The launcher's standard error, opened early: it may be gone when there is news."""
    if "PADDLE_TRAINER_ID" not in os.environ:
        return None
    try:
        return open(f"/proc/{os.getppid()}/fd/2", "a")  # it may be a log file
    except OSError:
        return None
