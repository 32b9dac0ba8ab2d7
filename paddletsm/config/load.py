# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""From a file and overrides to a checked ``Config``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from paddletsm.config.paddlevideo import adapt
from paddletsm.config.schema import Checker, Config
from paddletsm.config.yaml_io import Document, KeyPath, parse_value, read_with_bases
from paddletsm.errors import ConfigError
from paddletsm.utils.io import write_atomic

OVERRIDE = "-o "
_MODES = ("train", "valid", "test")
_IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def load_config(path: str | Path, overrides: Iterable[str] = ()) -> Config:
    """Read a YAML file, apply overrides, check everything that needs neither data nor Paddle.

    Args:
        path: the YAML file; ``_base_`` paths are relative to it.
        overrides: "KEY.SUB=VALUE" texts; the value is parsed as YAML. Items of lists are addressed
            by number ("PIPELINE.test.transform.0.Scale.short_size=128").

    Raises:
        ConfigError: with file, line, dotted key and the nearest valid key.
    """
    document = read_with_bases(path)
    for override in overrides:
        _override(document, override)
    checker = Checker(document.origins, str(path))
    adapt(document.values, checker)
    _hand_on_facts(document.values, checker)
    config = checker.section(Config, document.values)
    _check_values(config, checker)
    return config


def dump_config(config: Config, path: str | Path) -> None:
    """Write the resolved configuration, readable by ``load_config``."""
    text = yaml.safe_dump(config.to_dict(), sort_keys=False, allow_unicode=True)
    write_atomic(path, text.encode())


def with_value(config: Any, path: Sequence[str], value: Any) -> Any:
    """Return a copy of a frozen configuration with one field replaced."""
    if not path:
        return value
    return dataclasses.replace(
        config, **{path[0]: with_value(getattr(config, path[0]), path[1:], value)}
    )


def _override(document: Document, text: str) -> None:
    key, separator, value_text = text.partition("=")
    keys = tuple(key.strip().split("."))
    if not separator or not all(keys):
        raise ConfigError(f"-o {text}: an override reads KEY.SUB=VALUE")
    try:
        value = parse_value(value_text)
    except yaml.YAMLError as err:
        raise ConfigError(f"-o {text}: the value is not valid YAML") from err
    target: Any = document.values
    for index, part in enumerate(keys[:-1]):
        if isinstance(target, dict):
            # A section that is not stated may be opened; the schema refuses unknown ones.
            if not isinstance(target.get(part), (dict, list)):
                target[part] = {}
            target = target[part]
        else:
            target = _list_item(target, keys[: index + 1], text)
    last = keys[-1]
    if isinstance(target, list):
        _list_item(target, keys, text)
        target[int(last)] = value
    else:
        target[last] = value
    _place(document.origins, keys, OVERRIDE + text, value)


def _list_item(target: Any, keys: KeyPath, text: str) -> Any:
    if not isinstance(target, list):
        raise ConfigError(f"-o {text}: {'.'.join(keys[:-1])} is a single value and has no keys")
    if not keys[-1].isdigit() or int(keys[-1]) >= len(target):
        raise ConfigError(
            f"-o {text}: {'.'.join(keys[:-1])} is a list of {len(target)} items; "
            f"address one by its number, 0 to {len(target) - 1}, not {keys[-1]!r}"
        )
    return target[int(keys[-1])]


def _place(origins: dict[KeyPath, str], path: KeyPath, origin: str, value: Any) -> None:
    origins[path] = origin
    if isinstance(value, dict):
        for key, item in value.items():
            _place(origins, (*path, str(key)), origin, item)


def _hand_on_facts(values: dict[str, Any], checker: Checker) -> None:
    """Write num_seg, mean and std everywhere from the one place that states them."""
    backbone = _section(values, "MODEL", "backbone")
    pipelines = _section(values, "PIPELINE")
    is_shifted = "TSM" in str(backbone.get("name", ""))
    stated = {("MODEL", "backbone", "num_seg"): backbone.get("num_seg")} if is_shifted else {}
    for mode in _MODES:
        sample = _section(pipelines, mode, "sample")
        if is_shifted:
            stated[("PIPELINE", mode, "sample", "num_seg")] = sample.get("num_seg")
    num_seg = _one_fact(stated, checker, "number of segments")
    if num_seg is None and not is_shifted:
        # A network without shift may be tested with more segments than it was trained with.
        num_seg = backbone.get("num_seg")
    if num_seg is not None:
        backbone["num_seg"] = num_seg
        for mode in _MODES:
            sample = _section(pipelines, mode, "sample")
            if sample and (is_shifted or sample.get("num_seg") is None):
                sample["num_seg"] = num_seg
    for key in ("mean", "std"):
        found = {}
        for path, arguments in _normalizations(pipelines):
            found[(*path, key)] = arguments.get(key)
        value = _one_fact(found, checker, f"{key} of the pixels") or _IMAGENET[key]
        for _, arguments in _normalizations(pipelines):
            arguments[key] = value


def _section(values: Any, *path: str) -> dict[str, Any]:
    for key in path:
        values = values.get(key) if isinstance(values, Mapping) else None
    return values if isinstance(values, dict) else {}


def _normalizations(pipelines: dict[str, Any]) -> list[tuple[KeyPath, dict[str, Any]]]:
    """Find every Normalization, giving it an argument dictionary when it has none."""
    found = []
    for mode in _MODES:
        transforms = _section(pipelines, mode).get("transform")
        for index, item in enumerate(transforms if isinstance(transforms, list) else []):
            if isinstance(item, dict) and "Normalization" in item:
                if item["Normalization"] is None:
                    item["Normalization"] = {}
                if isinstance(item["Normalization"], dict):
                    path = ("PIPELINE", mode, "transform", str(index), "Normalization")
                    found.append((path, item["Normalization"]))
    return found


def _one_fact(stated: Mapping[KeyPath, Any], checker: Checker, what: str) -> Any:
    """Return the one stated value of a fact; two different ones are an error.

    A fact stated by an override replaces what the files say of it.
    """
    stated = {path: value for path, value in stated.items() if value is not None}
    overridden = {p: v for p, v in stated.items() if checker.where(p).startswith(OVERRIDE)}
    first_path, first = None, None
    for path, value in (overridden or stated).items():
        if first_path is None:
            first_path, first = path, value
        elif value != first:
            checker.fail(
                path,
                f"{value} contradicts {'.'.join(first_path)} = {first} "
                f"({checker.where(first_path)}); the {what} is one fact: state it once",
            )
    return first


def _check_values(config: Config, checker: Checker) -> None:
    """Ranges and contradictions that types cannot express."""
    at_least_one = {
        ("epochs",): config.epochs,
        ("log_interval",): config.log_interval,
        ("save_interval",): config.save_interval,
        ("valid_interval",): config.valid_interval,
        ("DATASET", "batch_size"): config.DATASET.batch_size,
        ("DATASET", "valid_batch_size"): config.DATASET.valid_batch_size,
        ("DATASET", "test_batch_size"): config.DATASET.test_batch_size,
        ("MODEL", "backbone", "num_seg"): config.MODEL.backbone.num_seg,
        ("MODEL", "head", "num_classes"): config.MODEL.head.num_classes,
    }
    for path, value in at_least_one.items():
        if value is not None and value < 1:
            checker.fail(path, f"must be at least 1, not {value}")
    if config.DATASET.num_workers < 0:
        checker.fail(("DATASET", "num_workers"), "must not be negative (0: no worker processes)")
    fractions = {
        ("DATASET", "max_bad_fraction"): config.DATASET.max_bad_fraction,
        ("MODEL", "label_smoothing"): config.MODEL.label_smoothing,
        ("OPTIMIZER", "momentum"): config.OPTIMIZER.momentum,
    }
    for path, value in fractions.items():
        if not 0 <= value < 1:
            checker.fail(path, f"must lie in [0, 1), not {value}")
    name = config.model_name
    if not name or "/" in name or "\\" in name or name in (".", ".."):
        checker.fail(("model_name",), f"must be a plain file name, not {name!r}")
    _check_learning_rate(config, checker)


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
    rates = [*(rate.values or ()), rate.base or 0.0, rate.final or 0.0, rate.warmup_start]
    if min(rates) < 0 or rate.warmup_epochs < 0:
        checker.fail(path, "rates and durations must not be negative")
