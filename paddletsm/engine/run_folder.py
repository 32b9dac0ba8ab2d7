# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The folder of a run: one run at a time, and no run writes over another."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from paddletsm.config import dump_config
from paddletsm.engine.distributed import wait_for_all
from paddletsm.engine.environment import describe_environment, write_environment
from paddletsm.engine.setup import Setup
from paddletsm.utils.io import remove_leftovers
from paddletsm.utils.locks import locked
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
            remove_leftovers(setup.folder)
            dump_config(setup.config, setup.folder / "config.yaml")
            write_environment(setup.folder / "environment.json", _environment(setup))
        wait_for_all(setup.world)
        # Every process appends its warnings; on several machines the folder may not be shared.
        setup.folder.mkdir(parents=True, exist_ok=True)
        stack.callback(remove_log_file, add_log_file(setup.folder / "train.log"))
        yield


def _environment(setup: Setup) -> dict[str, Any]:
    """What the report tells besides the configuration."""
    valid = setup.valid_loader
    return {
        **describe_environment(device=setup.device, processes=setup.world.size),
        "parameters": setup.model.num_parameters(),
        "total_batch": setup.total_batch,
        "training_clips": len(setup.train_loader.dataset),
        "validation_clips": len(valid.dataset) if valid else 0,
    }


def _locked(folder: Path) -> contextlib.AbstractContextManager[None]:
    """Lock a file beside the folder."""
    return locked(
        folder.parent / f".{folder.name}.lock",
        message=f"{folder}: process {{pid}} is training into this folder; "
        "choose another model_name or --output_dir",
    )


def _set_aside(folder: Path) -> None:
    """Rename the folder of an earlier run instead of writing into it."""
    if not (folder / "config.yaml").exists():
        return
    if not [*folder.glob("*.pdparams"), *folder.glob("resume_step_*.npz")]:
        for name in ("config.yaml", "environment.json", "train.log", "metrics.jsonl", "curves.png"):
            (folder / name).unlink(missing_ok=True)  # it ended before it had anything to keep
        return
    number = 1
    while (kept := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    folder.rename(kept)
    logger.info("the earlier run in %s is kept as %s (--resume continues one)", folder, kept)
