# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The folder of a run: one run at a time, and no run writes over another."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from paddletsm.config import dump_config
from paddletsm.engine.distributed import wait_for_all
from paddletsm.engine.setup import Setup
from paddletsm.errors import ConfigError
from paddletsm.utils.logging import add_log_file, remove_log_file

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def opened(setup: Setup) -> Iterator[None]:
    """Hold the run folder: locked, with config.yaml, and train.log receiving the records.

    A run that starts anew sets the folder of an earlier one aside.

    Raises:
        ConfigError: another process is training into it.
    """
    with contextlib.ExitStack() as stack:
        if setup.world.is_main:
            stack.enter_context(_locked(setup.folder))
            if setup.options.resume is None:
                _set_aside(setup.folder)
            setup.folder.mkdir(parents=True, exist_ok=True)
            dump_config(setup.config, setup.folder / "config.yaml")
        wait_for_all(setup.world)
        # Every process appends its warnings; on several machines the folder may not be shared.
        setup.folder.mkdir(parents=True, exist_ok=True)
        stack.callback(remove_log_file, add_log_file(setup.folder / "train.log"))
        yield


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a file beside the folder; the system frees it however the process ends."""
    try:
        import fcntl
    except ImportError:  # Windows has no such locks: two runs at once are the user's to avoid
        yield
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            file.seek(0)
            raise ConfigError(
                f"{folder}: process {file.read().strip() or '?'} is training into this folder; "
                "choose another model_name or --output_dir"
            ) from err
        except OSError:  # a file system without locks
            logger.debug("%s: cannot be locked", folder)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _set_aside(folder: Path) -> None:
    """Rename the folder of an earlier run instead of writing into it."""
    if not (folder / "config.yaml").exists():
        return
    if not [*folder.glob("*.pdparams"), *folder.glob("resume_step_*.npz")]:
        for name in ("config.yaml", "train.log", "metrics.jsonl", "curves.png"):
            (folder / name).unlink(missing_ok=True)  # it ended before it had anything to keep
        return
    number = 1
    while (kept := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    folder.rename(kept)
    logger.info("the earlier run in %s is kept as %s (--resume continues one)", folder, kept)
