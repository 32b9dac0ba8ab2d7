# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What ``Predictor`` refuses or warns of before it works."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from paddletsm.deploy.artefact import FILE_NAME, RANDOM_WEIGHTS, Artefact
from paddletsm.errors import ConfigError, ExportError
from paddletsm.utils.threads import most_threads

logger = logging.getLogger(__name__)


def check_takes_clips(artefact: Artefact, folder: Path) -> None:
    """Refuse a network that takes single frames.

    Raises:
        ExportError: it is one.
    """
    if artefact.is_online:
        raise ExportError(
            f"{folder} holds a streaming network, which takes one frame after the other; use "
            "tools/predict_stream.py (StreamPredictor), or export it without --online"
        )


def warn_of_random_weights(artefact: Artefact, folder: Path) -> None:
    """Warn of a network that was never trained."""
    if artefact.weights_sha256 == RANDOM_WEIGHTS:
        logger.warning(
            "%s: the model was exported with --random_weights; its predictions mean nothing",
            folder / FILE_NAME,
        )


def check_paths(paths: object) -> None:
    """Refuse one path, of which a loop would take every letter for a path.

    Raises:
        ConfigError: it is one.
    """
    if isinstance(paths, (str, bytes, os.PathLike)):
        raise ConfigError(
            f"predict_many takes a list of paths, not the single path {os.fspath(paths)!r}; pass "
            f"[{os.fspath(paths)!r}], or call predict"
        )


def check_top_k(top_k: int) -> None:
    """Refuse to name no class.

    Raises:
        ConfigError: ``top_k`` is below 1.
    """
    if top_k < 1:
        raise ConfigError(f"top_k must be at least 1, not {top_k}")


def check_numbers(
    batch_size: int, num_workers: int | None, instances: int, timeout_s: float
) -> None:
    """Refuse numbers that nothing can be done with.

    Raises:
        ConfigError: one is too low, or more than this machine has threads for.
    """
    least = {"batch_size": (batch_size, 1), "instances": (instances, 1)}
    least["num_workers"] = (num_workers or 0, 0)
    highest = most_threads()
    for name, (value, lowest) in least.items():
        if value < lowest:
            raise ConfigError(f"{name} must be at least {lowest}, not {value}")
        if name != "batch_size" and value > highest:
            raise ConfigError(f"{name} must be at most {highest} here, not {value}")
    if not timeout_s > 0:
        raise ConfigError(f"timeout_s must be above 0, not {timeout_s}")
