# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""A command that SIGTERM stops ends as with Ctrl-C: it says what there is and how to go on."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class TerminatedError(KeyboardInterrupt):
    """SIGTERM has come; no ``Exception``, so that nothing takes it for a broken clip."""


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Let the first SIGTERM raise ``TerminatedError``; the launcher sends it again and again."""
    if threading.current_thread() is not threading.main_thread():  # no other may change handlers
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)
        raise TerminatedError

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def exit_code(stop: KeyboardInterrupt) -> int:
    """What a shell expects of a process that Ctrl-C (130) or SIGTERM (143) has ended."""
    return 128 + (signal.SIGTERM if isinstance(stop, TerminatedError) else signal.SIGINT)
