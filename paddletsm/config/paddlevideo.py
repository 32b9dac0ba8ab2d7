# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Accept PaddleVideo's TSM and TSN files unchanged, and say where the meaning differs.

What is dropped here has no effect in this package: the tensor layout is the network's business,
prediction uses PIPELINE.test. Differences in meaning are listed in docs/migration.md.
"""

from __future__ import annotations

import logging
from typing import Any

from paddletsm.config.checker import Checker
from paddletsm.config.yaml_io import KeyPath

logger = logging.getLogger(__name__)

_MODES = ("train", "valid", "test")
_SAMPLE_KEYS = ("select_left", "seg_len")
_announced: set[str] = set()


def adapt(values: dict[str, Any], checker: Checker) -> None:
    """Rewrite PaddleVideo's spellings in place and log once per file that this happened."""
    is_foreign = False
    pipelines = values.get("PIPELINE")
    for mode in _MODES if isinstance(pipelines, dict) else ():
        pipeline = pipelines.get(mode)
        if not isinstance(pipeline, dict):
            continue
        sample = pipeline.get("sample")
        is_foreign |= isinstance(sample, dict) and any(key in sample for key in _SAMPLE_KEYS)
        is_foreign |= _drop_layout(pipeline, ("PIPELINE", mode, "transform"), checker)
    if values.get("INFERENCE") is not None:
        is_foreign = True
        _check_inference(values, checker)
    if is_foreign and checker.file not in _announced:
        _announced.add(checker.file)
        logger.info(
            "%s uses PaddleVideo's keys and is read as it is. On purpose different here: frames "
            "are sampled as TSM's authors do, the shift moves 1/8 of the channels unless shift_div "
            "says otherwise, images are always resized with OpenCV, validation counts every clip "
            "once, batch normalisation and biases have no weight decay, the classifier learns 5 "
            "times as fast (bias 10) unless fc_lr_mult is false. See docs/migration.md",
            checker.file,
        )


def _drop_layout(pipeline: dict[str, Any], path: KeyPath, checker: Checker) -> bool:
    """Remove Image2Array and Normalization.tensor_shape: layout is not the pipeline's business."""
    transforms = pipeline.get("transform")
    if not isinstance(transforms, list):
        return False
    kept = []
    for index, item in enumerate(transforms):
        if isinstance(item, dict) and "Image2Array" in item:
            continue
        if isinstance(item, dict) and isinstance(item.get("Normalization"), dict):
            item["Normalization"].pop("tensor_shape", None)
        if len(kept) != index:
            checker.moved[(*path, str(len(kept)))] = (*path, str(index))
        kept.append(item)
    pipeline["transform"] = kept
    return len(kept) != len(transforms)


def _check_inference(values: dict[str, Any], checker: Checker) -> None:
    """INFERENCE repeats facts of PIPELINE.test; refuse it when it says something else."""
    inference = values["INFERENCE"]
    if not isinstance(inference, dict):
        checker.fail(("INFERENCE",), "expected a section with keys")
    used: Any = values
    for key in ("PIPELINE", "test", "sample", "num_seg"):
        used = used.get(key) if isinstance(used, dict) else None
    stated = inference.get("num_seg")
    if stated is not None and used is not None and stated != used:
        checker.fail(
            ("INFERENCE", "num_seg"),
            f"{stated} contradicts PIPELINE.test.sample.num_seg = {used}; "
            "prediction always uses PIPELINE.test",
        )
