# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Naming broken files: each once, whichever process met it and how often."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from paddletsm.data import Failure
from paddletsm.engine.distributed import World, gather

logger = logging.getLogger(__name__)

_reported: set[str] = set()


class FailureLog:
    """Failures of one epoch or evaluation.

    Args:
        what: begins the log line ("skipped in training").
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self._pending: list[Failure] = []

    def add(self, failures: Iterable[Failure], world: World) -> None:
        """Log at once in a single process; with several wait for ``report_all``."""
        if world.size == 1:
            self._log(failures)
        else:
            self._pending.extend(failures)

    def report_all(self, world: World) -> None:
        """Log what all processes have met; they call it together, process 0 speaks."""
        if world.size == 1:
            return
        parts = gather(self._pending, world)
        self._pending = []
        if world.is_main:
            self._log(failure for part in parts for failure in part)

    def _log(self, failures: Iterable[Failure]) -> None:
        for failure in failures:
            if failure.path not in _reported:
                _reported.add(failure.path)
                logger.warning("%s: %s", self.what, failure.reason)
