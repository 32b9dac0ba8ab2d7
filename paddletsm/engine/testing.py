# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Test a network with the protocol of its configuration."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import paddle

from paddletsm.builders import build_model, class_names, pipeline_hash, resolve_classes
from paddletsm.config import Config
from paddletsm.data import Pipeline
from paddletsm.engine.distributed import World, join_world, leave_world, select_device
from paddletsm.engine.evaluate import FrameOrder, score_dataset
from paddletsm.engine.failures import FailureLog
from paddletsm.engine.progress import Bar
from paddletsm.engine.results import write_test_results
from paddletsm.engine.setup import make_loader, run_folder
from paddletsm.errors import WeightsError
from paddletsm.models.weights import load_weights
from paddletsm.utils.io import sha256_of
from paddletsm.version import __version__

logger = logging.getLogger(__name__)

_FOLDERS = {"ordered": "test", "shuffled": "test_shuffled", "reversed": "test_reversed"}


def best_weights(config: Config) -> Path:
    """Where a training run leaves its best weights."""
    return run_folder(config) / f"{config.model_name}_best.pdparams"


def run_test(
    config: Config,
    *,
    weights: str | None = None,
    device: str | None = None,
    frame_order: FrameOrder = "ordered",
) -> dict[str, Any]:
    """Score DATASET.test with PIPELINE.test and write the results to the run folder.

    Args:
        config: the configuration.
        weights: weights of the whole network; the best of the run when not given.
        device: see ``select_device``.
        frame_order: "shuffled" or "reversed" frames go to ``test_<order>/``.

    Returns:
        The content of metrics.json; ``num_failed`` counts samples that could not be read.

    Raises:
        WeightsError: no weights, or they do not fit.
    """
    select_device(device)
    config = resolve_classes(config)
    path = Path(weights) if weights else best_weights(config)
    if not weights and not path.is_file():
        raise WeightsError(
            f"--test needs weights: there are none in {path}; train first, or give them with -w"
        )
    loader = make_loader(config, "test")
    try:
        model = build_model(config)
        logger.info("%s", load_weights(model, path))
        world = join_world()
        bar = Bar(math.ceil(len(loader.dataset) / world.size), "test", show=world.is_main)
        scored = score_dataset(
            model,
            loader,
            batch_size=_batch_size(config),
            world=world,
            frame_order=frame_order,
            on_batch=bar.advance,
        )
        bar.close()
    finally:
        loader.close()
    values = scored.metrics()
    if world.is_main:
        FailureLog("failed").add(scored.failures, World())
        folder = run_folder(config) / _FOLDERS[frame_order]
        facts = _facts(config, path, loader.dataset.pipeline, frame_order)
        samples = loader.dataset.samples
        values = write_test_results(folder, scored, samples, class_names(config), facts)
        _report(values, folder)
    leave_world(world)
    return values


def _batch_size(config: Config) -> int:
    data = config.DATASET
    return data.test_batch_size or data.valid_batch_size or data.batch_size


def _facts(
    config: Config, weights: Path, pipeline: Pipeline, frame_order: FrameOrder
) -> dict[str, Any]:
    """What metrics.json states besides numbers: protocol, weights, versions."""
    return {
        "model_name": config.model_name,
        "protocol": {
            "segments": pipeline.num_seg,
            "clips": pipeline.num_clips,
            "crops": pipeline.num_crops,
            "average": "scores",
            "frame_order": frame_order,
        },
        "pipeline_sha256": pipeline_hash(config, "test"),
        "weights": str(weights),
        "weights_sha256": sha256_of(weights),
        "versions": {
            "paddletsm": __version__,
            "paddle": paddle.__version__,
            "numpy": np.__version__,
            "opencv": cv2.__version__,
        },
    }


def _report(values: dict[str, Any], folder: Path) -> None:
    protocol = values["protocol"]
    logger.info(
        "test of %d clips (%d segments x %d clips x %d crops, scores averaged%s): "
        "top1 %.2f  top5 %.2f  mean class %.2f  loss %.4f  failed %d",
        values["num_samples"],
        protocol["segments"],
        protocol["clips"],
        protocol["crops"],
        "" if protocol["frame_order"] == "ordered" else f", frames {protocol['frame_order']}",
        *(
            float("nan") if values[k] is None else values[k]
            for k in ("top1", "top5", "mean_class", "loss")
        ),
        values["num_failed"],
    )
    logger.info(
        "metrics.json, predictions.csv, per_class.csv, confusion_matrix.png are in %s", folder
    )
