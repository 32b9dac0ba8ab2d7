# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""One process at a time in a folder; the system frees the lock however the process ends."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from paddletsm.errors import ConfigError

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def locked(path: Path, *, message: str) -> Iterator[None]:
    """Hold the lock file ``path``, which is made and stays.

    Args:
        path: of the lock file.
        message: for the error; "{pid}" is replaced by the number of the holding process.

    Raises:
        ConfigError: another process holds it.
    """
    try:
        import fcntl
    except ImportError:  # Windows has no such locks: two runs at once are the user's to avoid
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            file.seek(0)
            raise ConfigError(message.replace("{pid}", file.read().strip() or "?")) from err
        except OSError:  # a file system without locks
            logger.debug("%s: cannot be locked", path)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
