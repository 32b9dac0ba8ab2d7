# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Ranges and contradictions that the types of the schema cannot express."""

from __future__ import annotations

from typing import Any

from paddletsm.config.checker import Checker
from paddletsm.config.schema import Config
from paddletsm.config.yaml_io import KeyPath
from paddletsm.utils.io import check_name
from paddletsm.utils.text import listing

RESNET_DEPTHS = (18, 34, 50, 101, 152)

_WIDTHS = (0.05, 16.0)
_MODES = ("train", "valid", "test")


def check_transforms(values: dict[str, Any], checker: Checker) -> None:
    """Check that every item of a transform list is one transform with its arguments."""
    pipelines = values.get("PIPELINE")
    for mode in _MODES if isinstance(pipelines, dict) else ():
        pipeline = pipelines.get(mode)
        items = pipeline.get("transform") if isinstance(pipeline, dict) else None
        for index, item in enumerate(items if isinstance(items, list) else ()):
            _check_transform(item, ("PIPELINE", mode, "transform", str(index)), checker)


def _check_transform(item: Any, path: KeyPath, checker: Checker) -> None:
    if not isinstance(item, dict):
        return  # the schema says what is expected
    if not item:
        checker.fail(path, "is empty; write a transform, 'Name: {arguments}'")
    (first, args), *others = item.items()
    if others:
        # The last one is the stray one where an override has added it.
        name = others[-1][0]
        checker.fail(
            (*path, name),
            f"the item is {first} already, and an item holds one transform; to replace all of it "
            f"give {'.'.join(path)} the value '{{{name}: {{...}}}}'",
        )
    if args is not None and not isinstance(args, dict):
        checker.fail((*path, first), f"arguments must be a section with keys, not {args!r}")


def check_values(config: Config, checker: Checker) -> None:
    """Check every value that has a range.

    Raises:
        ConfigError: with place and dotted key of the first wrong one.
    """
    data, head, optimizer = config.DATASET, config.MODEL.head, config.OPTIMIZER
    at_least_one = {
        ("epochs",): config.epochs,
        ("log_interval",): config.log_interval,
        ("save_interval",): config.save_interval,
        ("valid_interval",): config.valid_interval,
        ("keep_checkpoints",): config.keep_checkpoints,
        ("state_interval",): config.state_interval,
        ("PRECISE_BN", "clips"): getattr(config.PRECISE_BN, "clips", None),
        ("OPTIMIZER", "accumulate_steps"): optimizer.accumulate_steps,
        ("DATASET", "batch_size"): data.batch_size,
        ("DATASET", "valid_batch_size"): data.valid_batch_size,
        ("DATASET", "test_batch_size"): data.test_batch_size,
        ("MODEL", "backbone", "num_seg"): config.MODEL.backbone.num_seg,
        ("MODEL", "head", "num_classes"): head.num_classes,
        ("MODEL", "head", "in_channels"): head.in_channels,
        ("OPTIMIZER", "learning_rate", "total_batch_size"): (
            optimizer.learning_rate.total_batch_size
        ),
    }
    for path, value in at_least_one.items():
        if value is not None and value < 1:
            checker.fail(path, f"must be at least 1, not {value}")
    fractions = {
        ("DATASET", "max_bad_fraction"): data.max_bad_fraction,
        ("MODEL", "label_smoothing"): config.MODEL.label_smoothing,
        ("MODEL", "head", "drop_ratio"): head.drop_ratio,
        ("OPTIMIZER", "momentum"): optimizer.momentum,
        ("EMA", "decay"): getattr(config.EMA, "decay", None),
    }
    for path, value in fractions.items():
        if value is not None and not 0 <= value < 1:
            checker.fail(path, f"must lie in [0, 1), not {value}")
    not_negative = {
        ("seed",): config.seed,
        ("DATASET", "num_workers"): data.num_workers,
        ("MODEL", "head", "std"): head.std,
        ("OPTIMIZER", "weight_decay", "value"): getattr(optimizer.weight_decay, "value", None),
    }
    for path, value in not_negative.items():
        if value is not None and value < 0:
            checker.fail(path, f"must not be negative, not {value}")
    positive = {
        ("DATASET", "sample_timeout_sec"): data.sample_timeout_sec,
        ("OPTIMIZER", "grad_clip", "value"): getattr(optimizer.grad_clip, "value", None),
        ("MIX", "alpha"): getattr(config.MIX, "alpha", None),
    }
    for path, value in positive.items():
        if value is not None and value <= 0:
            checker.fail(path, f"must be above 0, not {value}")
    _check_name(config.model_name, checker)
    _check_multi_label(config, checker)
    _check_backbone(config, checker)
    _check_learning_rate(config, checker)


def _check_name(name: str, checker: Checker) -> None:
    try:
        check_name(name)
    except ValueError as err:
        checker.fail(("model_name",), str(err))


def _check_multi_label(config: Config, checker: Checker) -> None:
    """Refuse what is defined for one label per clip only."""
    if not config.MODEL.is_multi_label:
        return
    refused = {
        ("MODEL", "label_smoothing"): (
            config.MODEL.label_smoothing > 0,
            "smoothing spreads the one label of a clip over all classes; leave it out",
        ),
        ("MODEL", "class_weights"): (
            config.MODEL.class_weights == "balanced",
            "balanced counts one label per clip; give a list of one weight per class",
        ),
        ("DATASET", "sampling"): (
            config.DATASET.sampling == "balanced",
            "balanced draws clips by their one label; leave it out, or give class_weights",
        ),
    }
    for path, (holds, reason) in refused.items():
        if holds:
            checker.fail(path, f"MODEL.loss: bce gives a clip several labels, but {reason}")


def _check_backbone(config: Config, checker: Checker) -> None:
    backbone, path = config.MODEL.backbone, ("MODEL", "backbone")
    is_resnet = backbone.name in ("ResNet", "ResNetTSM")
    if is_resnet and backbone.depth is not None and backbone.depth not in RESNET_DEPTHS:
        checker.fail(
            (*path, "depth"), f"must be one of {listing(RESNET_DEPTHS)}, not {backbone.depth}"
        )
    low, high = _WIDTHS
    if backbone.width is not None and not low <= backbone.width <= high:
        checker.fail((*path, "width"), f"must lie in [{low:g}, {high:g}], not {backbone.width}")
    if backbone.shift_div is not None and backbone.shift_div < 2:
        checker.fail((*path, "shift_div"), f"must be at least 2, not {backbone.shift_div}")
    if backbone.shift_mode == "online":
        _check_online(config, checker)


def _check_online(config: Config, checker: Checker) -> None:
    """Refuse what lets a frame see later ones."""
    backbone = config.MODEL.backbone
    reasons = {
        "shift_padding": (
            backbone.shift_padding == "circulant",
            "circulant hands the last frame of a clip to the first; use zero",
        ),
        "temporal_pool": (bool(backbone.temporal_pool), "it joins each frame with the next one"),
        "non_local": (
            backbone.non_local is not None,
            "non-local blocks compare each frame with all later ones",
        ),
    }
    for key, (holds, reason) in reasons.items():
        if holds:
            checker.fail(
                ("MODEL", "backbone", key),
                f"shift_mode: online lets no frame see a later one, but {reason}",
            )


def _check_learning_rate(config: Config, checker: Checker) -> None:
    rate = config.OPTIMIZER.learning_rate
    path = ("OPTIMIZER", "learning_rate")
    if rate.name == "PiecewiseDecay":
        if not rate.values or rate.boundaries is None:
            checker.fail(path, "PiecewiseDecay needs boundaries (epochs) and values (rates)")
        if len(rate.values) != len(rate.boundaries) + 1:
            checker.fail(
                (*path, "values"),
                f"{len(rate.boundaries)} boundaries separate {len(rate.boundaries) + 1} values, "
                f"not {len(rate.values)}",
            )
        if list(rate.boundaries) != sorted(rate.boundaries):
            checker.fail((*path, "boundaries"), "must rise")
        stray = [key for key in ("base", "final") if getattr(rate, key) is not None]
    else:
        if rate.base is None:
            checker.fail(path, "CosineDecay needs the key 'base'")
        stray = [key for key in ("boundaries", "values") if getattr(rate, key) is not None]
    if stray:
        checker.fail((*path, stray[0]), f"{rate.name} does not use it; remove it")
    for key in ("boundaries", "values", "base", "final", "warmup_start", "warmup_epochs"):
        value = getattr(rate, key)
        numbers = value if isinstance(value, tuple) else (value,)
        if any(number is not None and number < 0 for number in numbers):
            checker.fail((*path, key), "rates and durations must not be negative")
