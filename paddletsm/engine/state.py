# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Where a run stands: kept in memory, written to resume states, restored from them."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from paddletsm.engine.checkpoint import (
    apply_state,
    find_state,
    of_process,
    own_statistics,
    read_resume_state,
    save_state,
)
from paddletsm.engine.distributed import gather
from paddletsm.engine.progress import Meter
from paddletsm.engine.setup import Setup
from paddletsm.errors import ConfigError, WeightsError
from paddletsm.utils.io import sha256_of

logger = logging.getLogger(__name__)

_FORMER = {"MODEL.loss": "cross_entropy"}  # facts that older states do not hold


@dataclass
class TrainState:
    """Where a run stands; everything else follows from the seed.

    Attributes:
        epoch: finished epochs.
        step: finished steps of the epoch in progress.
        global_step: finished steps of the run.
        closed_step: global step at which the latest epoch was validated and saved.
        meter: sums over the epoch in progress; failed samples among them.
        best: values of the best validation so far.
        unread: validation samples that could not be read, in the latest validation.
    """

    epoch: int = 0
    step: int = 0
    global_step: int = 0
    closed_step: int = 0
    meter: Meter = field(default_factory=Meter)
    best: dict[str, float] = field(default_factory=dict)
    unread: int = 0


def restore(setup: Setup) -> tuple[TrainState, Path]:
    """Put the run back to where it stopped; changes nothing on disk.

    Raises:
        WeightsError: there is no complete state, or it is of another network.
        ConfigError: it is of another run, or the processes have found different ones.
    """
    path = _chosen_state(setup)
    arrays, meta = read_resume_state(path)
    try:
        state = TrainState(**{**meta["state"], "meter": Meter(**meta["state"]["meter"])})
    except (KeyError, TypeError) as err:  # edited, or written by another version
        raise WeightsError(f"{path} does not hold the state of a run of this version") from err
    for key, now in _run_facts(setup).items():
        then = meta["run"].get(key, _FORMER.get(key))
        if then != now:
            raise ConfigError(
                f"--resume: {path} was saved with {key} = {then}, now it is {now}; "
                "resuming continues the same run, so keep it, or start anew with -w"
            )
    found = gather(sha256_of(path), setup.world)
    if len(set(found)) > 1:
        raise ConfigError(
            f"--resume: the processes do not see the same {path.name}; copy the run folder "
            f"{path.parent} to all machines, or put output_dir on a file system they share"
        )
    arrays, is_exact = of_process(arrays, rank=setup.world.rank, size=setup.world.size)
    apply_state(path, arrays, setup.model, setup.optimizer, ema=setup.ema)
    if setup.scaler is not None and meta.get("scaler"):
        setup.scaler.load_state_dict(meta["scaler"])
    if not is_exact or meta.get("shape") != _shape(setup):
        logger.warning(
            "the state was saved by %s processes of %s clips in %s passes: this run goes on with "
            "the same clips, but not bit for bit as it would have",
            *(meta.get("shape") or ["?"] * 3),
        )
    return state, path


def _chosen_state(setup: Setup) -> Path:
    """--resume FILE, --resume FOLDER, or --resume alone for the run's own folder."""
    stated = Path(setup.options.resume) if setup.options.resume else setup.folder
    return stated if setup.options.resume and not stated.is_dir() else find_state(stated)


def _run_facts(setup: Setup) -> dict[str, Any]:
    """What must not change between a run and its continuation."""
    return {
        "seed": setup.config.seed,
        "total batch size": setup.total_batch,
        "number of training clips": setup.epoch_clips,
        "DATASET.sampling": setup.config.DATASET.sampling,
        "MODEL.loss": setup.config.MODEL.loss,
    }


def _shape(setup: Setup) -> list[int]:
    """How a step is shared out: it changes roundings and statistics, not the clips."""
    config = setup.config
    return [setup.world.size, config.DATASET.batch_size, config.OPTIMIZER.accumulate_steps]


def write_state(setup: Setup, state: TrainState, *, is_between: bool = False) -> Path | None:
    """Write the resume state; all processes call it, process 0 writes.

    Args:
        setup: the run.
        state: where it stands.
        is_between: in the middle of an epoch, where processes differ in their statistics.
    """
    others: list[dict[str, np.ndarray]] = []
    if is_between and setup.world.size > 1:
        others = gather(own_statistics(setup.model, setup.ema), setup.world)[1:]
    if not setup.world.is_main:
        return None
    meta = {
        "global_step": state.global_step,
        "state": asdict(state),
        "run": _run_facts(setup),
        "shape": _shape(setup),
        "scaler": _plain(setup.scaler.state_dict()) if setup.scaler is not None else None,
    }
    return save_state(
        setup.folder, setup.model, setup.optimizer, meta, ema=setup.ema, others=others
    )


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in state.items()}
