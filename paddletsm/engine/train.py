# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""A training run from its preparation to its end, and how its errors are told."""

from __future__ import annotations

import logging
from typing import Any

from paddletsm.engine.distributed import lost_process
from paddletsm.engine.loop import RunStoppedError, run_epochs
from paddletsm.engine.narrate import describe
from paddletsm.engine.run_folder import opened
from paddletsm.engine.setup import Setup, TrainOptions, prepare
from paddletsm.engine.signals import StopRequest
from paddletsm.engine.state import TrainState, restore
from paddletsm.errors import PaddleTSMError
from paddletsm.utils.logging import tell_terminal

__all__ = ["ProcessLostError", "RunStoppedError", "TrainState", "train"]

logger = logging.getLogger(__name__)


class ProcessLostError(PaddleTSMError):
    """Another process of the run has died."""


def train(config: Any, options: TrainOptions) -> TrainState:
    """Train as configured.

    Returns:
        The final state; ``unread`` counts validation samples that could not be read.

    Raises:
        RunStoppedError: after SIGINT or SIGTERM, once the state is saved.
        ProcessLostError: another process has died.
        PaddleTSMError: wrong input, too many broken videos, a loss that is not finite, or a disk
            that takes no more.
    """
    setup = prepare(config, options)
    try:
        state, path = TrainState(), None
        if options.resume is not None:
            state, path = restore(setup)
        with opened(setup), StopRequest() as stop:
            describe(setup)
            if path is not None:
                is_validated = state.closed_step == state.global_step
                if setup.world.is_main:
                    setup.log.drop_after(state.global_step, is_validated=is_validated)
                logger.info("resumed %s: epoch %d, step %d", path, state.epoch + 1, state.step)
            _run(setup, state, stop)
    finally:
        setup.close()
    return state


def _run(setup: Setup, state: TrainState, stop: StopRequest) -> None:
    last_step = config_steps(setup)
    try:
        run_epochs(setup, state, stop, last_step)
    except RunStoppedError:
        raise
    except RuntimeError as err:
        lost = lost_process(err) if setup.world.size > 1 else None
        if lost is None:
            raise
        message = (
            f"{lost} of this run has ended, so process {setup.world.rank} ends too; its own log "
            "says why (workerlog.* in the launcher's --log_dir; nothing there if it was killed). "
            "Run the same command with --resume to continue"
        )
        tell_terminal(message)
        raise ProcessLostError(message) from err
    except OSError as err:
        raise PaddleTSMError(
            f"{err.filename or setup.folder}: cannot be written: {err.strerror or err}. What was "
            "saved before is intact: make room, then run the same command with --resume"
        ) from err
    except PaddleTSMError as err:
        # The launcher shows process 0 only, which learns of another's error by a lost connection.
        if not setup.world.is_main:
            tell_terminal(f"process {setup.world.rank}: {err}")
        raise


def config_steps(setup: Setup) -> int:
    """Steps of the whole run: all epochs, or ``--max_iters`` if that is less."""
    steps = setup.config.epochs * setup.schedule.steps_per_epoch
    return min(steps, setup.options.max_iters or steps)
