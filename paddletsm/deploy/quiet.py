# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Paddle without its chatter: the C++ side logs every pass and executor it starts."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator

# "I1120 22:02:09.077399 6045 program_interpreter.cc:257] ..." and "---    Fused 3 subgraphs ..."
_NOISE = re.compile(rb"^(\x1b\[[0-9;]*m)?([IW]\d{4,8} \d\d:\d\d:\d\d|--- )")
_GLOG = "GLOG_minloglevel"


@contextlib.contextmanager
def quiet_paddle() -> Iterator[None]:
    """Drop Paddle's information lines from standard error for the duration of the block.

    The level of its logger can only be set before it is loaded. Where that was done nothing is
    redirected, so that the trace of a crash is not lost; where someone else imported Paddle first,
    the descriptor is redirected and everything but the known chatter is written back.
    """
    if os.environ.get(_GLOG):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            caught.seek(0)
            rest = b"".join(line for line in caught if not _NOISE.match(line))
            if rest.strip():
                os.write(2, rest)


@contextlib.contextmanager
def quiet_stdout() -> Iterator[None]:
    """Drop what C++ prints to standard output: Paddle 3 does so for each mean of a .json network.

    Results of a command go there, so nothing else may.
    """
    sys.stdout.flush()
    try:
        kept = os.dup(1)
    except OSError:  # closed: nothing is printed
        yield
        return
    _flush_c()
    with open(os.devnull, "wb") as nothing:
        os.dup2(nothing.fileno(), 1)
    try:
        yield
    finally:
        _flush_c()  # into a pipe or file C writes late, mostly when the process ends
        os.dup2(kept, 1)
        os.close(kept)


def _flush_c() -> None:
    """Write what the C library has buffered."""
    try:
        ctypes.CDLL(None).fflush(None)
    except (OSError, TypeError, AttributeError):  # Windows has no such handle
        return
