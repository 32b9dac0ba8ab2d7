# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""From a file and overrides to a checked ``Config``."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from paddletsm.config.checker import Checker, one_line
from paddletsm.config.checks import check_transforms, check_values
from paddletsm.config.paddlevideo import adapt
from paddletsm.config.schema import Config
from paddletsm.config.yaml_io import Document, KeyPath, forget, parse, read_with_bases
from paddletsm.errors import ConfigError
from paddletsm.utils.io import write_atomic
from paddletsm.utils.text import plural

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
    check_transforms(document.values, checker)
    adapt(document.values, checker)
    _hand_on_facts(document.values, checker)
    config = dataclasses.replace(checker.section(Config, document.values), checker=checker)
    check_values(config, checker)
    return config


def dump_config(config: Config, path: str | Path) -> None:
    """Write the resolved configuration, readable by ``load_config``."""
    text = yaml.safe_dump(config.to_dict(), sort_keys=False, allow_unicode=True)
    write_atomic(path, text.encode())


def config_hash(config: Config) -> str:
    """SHA-256 of the resolved configuration, but for where it writes and what it logs."""
    values = config.to_dict()
    for key in ("output_dir", "log_level", "log_interval"):
        values.pop(key, None)
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


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
    origin = OVERRIDE + one_line(text)
    if not separator or not all(keys):
        raise ConfigError(f"{origin}: an override reads KEY.SUB=VALUE")
    value, origins = parse(value_text, lambda line: origin, keys)
    holder: Any = document.values
    for depth in range(1, len(keys)):
        holder = _descend(document, holder, keys[:depth], origin)
    if isinstance(holder, list):
        holder[_item_number(holder, keys, origin)] = value
    else:
        holder[keys[-1]] = value
    forget(document.origins, {keys})
    document.origins.update(origins)


def _descend(document: Document, holder: Any, path: KeyPath, origin: str) -> Any:
    """Return the section or list at ``path``, whose parent is ``holder``."""
    if isinstance(holder, list):
        value = holder[_item_number(holder, path, origin)]
    elif holder.get(path[-1]) is None:
        # A section that is not stated may be opened; the schema refuses unknown ones.
        value = holder[path[-1]] = {}
        forget(document.origins, {path})
        document.origins[path] = origin
    else:
        value = holder[path[-1]]
    if not isinstance(value, (dict, list)):
        raise ConfigError(
            f"{origin}: {'.'.join(path)} is a single value ({value!r}) and has no keys"
        )
    return value


def _item_number(items: list[Any], path: KeyPath, origin: str) -> int:
    text = path[-1]
    if not re.fullmatch("0|[1-9][0-9]{0,5}", text) or int(text) >= len(items):
        numbers = f"; address one by its number, 0 to {len(items) - 1}, not {text!r}"
        raise ConfigError(
            f"{origin}: {'.'.join(path[:-1])} is a list of {plural(len(items), 'item')}"
            f"{numbers if items else ''}"
        )
    return int(text)


def _hand_on_facts(values: dict[str, Any], checker: Checker) -> None:
    """Write num_seg, mean and std everywhere from the one place that states them."""
    backbone = _section(values, "MODEL", "backbone")
    pipelines = _section(values, "PIPELINE")
    # Non-local blocks compare the frames of a clip, so they fix their number as the shift does.
    is_shifted = "TSM" in str(backbone.get("name", "")) or bool(backbone.get("non_local"))
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
                f"{value} contradicts {checker.dotted(first_path)} = {first} "
                f"({checker.where(first_path)}); the {what} is one fact: state it once",
            )
    return first
