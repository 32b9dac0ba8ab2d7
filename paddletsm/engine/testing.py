# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Test a network with the protocol of its configuration."""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import paddle

from paddletsm.builders import build_model, class_names, pipeline_hash, resolve_classes
from paddletsm.config import Config, config_hash, dump_config
from paddletsm.data import ClipDataset, Pipeline
from paddletsm.engine.distributed import World, join_world, leave_world, select_device
from paddletsm.engine.evaluate import FrameOrder, score_dataset
from paddletsm.engine.failures import FailureLog
from paddletsm.engine.progress import Bar
from paddletsm.engine.results import write_test_results
from paddletsm.engine.scored import Scored
from paddletsm.engine.setup import make_loader, run_folder
from paddletsm.errors import WeightsError
from paddletsm.models.weights import load_weights
from paddletsm.protocols import PROTOCOLS, cautions, protocol_name, with_protocol
from paddletsm.utils.io import sha256_of
from paddletsm.utils.text import plural
from paddletsm.version import __version__

logger = logging.getLogger(__name__)

_FOLDERS = {"ordered": "test", "shuffled": "test_shuffled", "reversed": "test_reversed"}


def best_weights(config: Config) -> Path:
    """Where a training run leaves its best weights."""
    return run_folder(config) / f"{config.model_name}_best.pdparams"


def _own_weights(config: Config) -> Path:
    path = best_weights(config)
    if not path.is_file():
        raise WeightsError(
            f"--test needs weights: there are none in {path}; train first, or give them with -w"
        )
    return path


def run_test(
    config: Config,
    *,
    weights: str | None = None,
    device: str | None = None,
    frame_order: FrameOrder = "ordered",
    protocol: str | None = None,
    is_last: bool = True,
) -> dict[str, Any]:
    """Score DATASET.test with PIPELINE.test and write the results to the run folder.

    Results of another protocol that ``test/`` holds move to ``test_<protocol>/``.

    Args:
        config: the configuration.
        weights: weights of the whole network; the best of the run when not given.
        device: see ``select_device``.
        frame_order: "shuffled" or "reversed" frames go to ``test_<order>/``.
        protocol: one of ``PROTOCOLS`` instead of PIPELINE.test.
        is_last: leave the other processes afterwards; False when another test follows.

    Returns:
        The content of metrics.json; ``num_failed`` counts samples that could not be read.

    Raises:
        WeightsError: no weights, or they do not fit.
        ConfigError: no such protocol, or one that the configuration cannot be tested with.
    """
    if protocol is not None:
        config = with_protocol(config, protocol)
        for caution in cautions(config):
            logger.warning("protocol %s: %s", protocol_name(config), caution)
    select_device(device)
    config = resolve_classes(config)
    path = Path(weights) if weights else _own_weights(config)
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
            average=config.METRIC.average,
            activation=config.MODEL.activation,
            on_batch=bar.advance,
        )
        bar.close()
    finally:
        loader.close()
    values = scored.metrics()
    if world.is_main:
        values = _write(config, scored, loader.dataset, path, frame_order)
    if is_last:
        leave_world(world)
    return values


def _write(
    config: Config, scored: Scored, dataset: ClipDataset, weights: Path, frame_order: FrameOrder
) -> dict[str, Any]:
    """Write the files of a test; returns the content of metrics.json."""
    FailureLog("failed").add(scored.failures, World())
    folder = run_folder(config) / _FOLDERS[frame_order]
    facts = _facts(config, weights, dataset.pipeline, frame_order)
    _keep_earlier(folder, facts["protocol"]["name"])
    dump_config(config, folder / "config.yaml")
    values = write_test_results(folder, scored, dataset.samples, class_names(config), facts)
    _report(values, folder)
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
            "name": protocol_name(config),
            "segments": pipeline.num_seg,
            "clips": pipeline.num_clips,
            "crops": pipeline.num_crops,
            "size": pipeline.target_size,
            "average": config.METRIC.average,
            "activation": config.MODEL.activation,
            "frame_order": frame_order,
        },
        "config_sha256": config_hash(config),
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
        "test of %s (protocol %s: %s x %s x %s, %s averaged%s): %s  loss %.4f  failed %d",
        plural(values["num_samples"], "clip"),
        protocol["name"],
        plural(protocol["segments"], "segment"),
        plural(protocol["clips"], "clip"),
        plural(protocol["crops"], "crop"),
        protocol["average"],
        "" if protocol["frame_order"] == "ordered" else f", frames {protocol['frame_order']}",
        _accuracies(values),
        _number(values["loss"]),
        values["num_failed"],
    )
    logger.info(
        "metrics.json, predictions.csv, scores.npz, per_class.csv%s, config.yaml are in %s",
        ", confusion_matrix.csv and .png" if "top1" in values else "",
        folder,
    )


def _accuracies(values: dict[str, Any]) -> str:
    if "mAP" in values:
        form, keys = "mAP %.2f  hit1 %.2f  exact %.2f", ["mAP", "hit1", "exact"]
        numbers = [values[key] for key in keys]
    else:
        form = "top1 %.2f (95 %% interval %.2f to %.2f)  top5 %.2f  mean class %.2f"
        others = [values["top5"], values["mean_class"]]
        numbers = [values["top1"], *values["top1_interval"], *others]
    return form % tuple(map(_number, numbers))


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _keep_earlier(folder: Path, name: str) -> None:
    """Move results of another named protocol aside: test/ is always the newest test."""
    try:
        earlier = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        other = earlier["protocol"]["name"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if other == name or other not in PROTOCOLS:
        return
    kept = folder.with_name(f"{folder.name}_{other}")
    shutil.rmtree(kept, ignore_errors=True)
    os.replace(folder, kept)
    logger.info("the results of the protocol %s, which %s held, are in %s now", other, folder, kept)
