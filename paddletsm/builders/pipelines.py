# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""A configuration's lists, pipelines and data sets."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from paddletsm.config import Config
from paddletsm.config import load_config as read_config
from paddletsm.data import ClipDataset, Index, Pipeline, build_pipeline, load_index
from paddletsm.data.mirror import wrong_mirrors
from paddletsm.data.readers import READERS
from paddletsm.data.sampling import SAMPLERS
from paddletsm.data.transforms import TRANSFORMS, RandomFlip
from paddletsm.errors import ConfigError, DataError

logger = logging.getLogger(__name__)

Mode = Literal["train", "valid", "test"]

_MODES: tuple[Mode, ...] = ("train", "valid", "test")
_DECODERS = {"VideoDataset": "VideoDecoder", "FrameDataset": "FrameDecoder"}


def load_config(path: str | Path, overrides: Iterable[str] = ()) -> Config:
    """Read and check a configuration, its pipelines included; touches no data.

    Raises:
        ConfigError: with file, line, dotted key and the nearest valid key.
    """
    config = read_config(path, overrides)
    for mode in _MODES:
        _check_pipeline(config, mode)
    return config


def _check_pipeline(config: Config, mode: Mode) -> None:
    """Build every component of a pipeline, so that a wrong one is told with its place."""
    spec = _stated_spec(config, mode)
    path = ("PIPELINE", _pipeline_section(config, mode))
    decode, sample = dict(spec["decode"]), dict(spec["sample"])
    READERS.build(decode.pop("name"), decode, where=_decoder_place(config, mode))
    SAMPLERS.build(sample.pop("name"), sample, where=component_place(config, *path, "sample"))
    for index, item in enumerate(spec["transform"]):
        for name, args in item.items():
            where = component_place(config, *path, "transform", str(index), name, key="")
            TRANSFORMS.build(name, args or {}, where=where)
    pipeline = build_pipeline(spec, where=_pipeline_place(config, mode))
    pipeline.check_classes(config.MODEL.head.num_classes)


def _pipeline_place(config: Config, mode: Mode) -> str:
    section = _pipeline_section(config, mode)
    return config.place("PIPELINE", section, "transform").removesuffix(".transform")


def component_place(config: Config, *path: str, key: str = "name") -> Callable[[str], str]:
    """Place of an argument of a component, or of what names the component: of ``key``."""

    def place(argument: str) -> str:
        last = argument or key
        return config.place(*path, last) if last else config.place(*path)

    return place


def _decoder_place(config: Config, mode: Mode) -> Callable[[str], str]:
    """Place of a decoder's argument, which DATASET may state."""
    section = _pipeline_section(config, mode)
    stated = getattr(config.PIPELINE, section).decode or {}
    split = mode if getattr(config.DATASET, mode) is not None else "valid"

    def place(argument: str) -> str:
        if argument == "suffix" and "suffix" not in stated:
            return config.place("DATASET", split, "suffix")
        return config.place("PIPELINE", section, "decode", argument or "name")

    return place


def _pipeline_section(config: Config, mode: Mode) -> str:
    return mode if getattr(config.PIPELINE, mode) is not None else "valid"


def split_of(config: Config, mode: Mode) -> Any:
    """DATASET section of a mode; without ``test`` the validation split is tested."""
    split = getattr(config.DATASET, mode)
    return config.DATASET.valid if split is None else split


def pipeline_spec(config: Config, mode: Mode) -> dict[str, Any]:
    """PIPELINE section of a mode as plain, complete data; what an artefact carries.

    It normalises by itself: ``on_device`` is a matter of who runs the network.
    """
    spec = _stated_spec(config, mode)
    for item in spec["transform"]:
        (item.get("Normalization") or {}).pop("on_device", None)
    return spec


def _stated_spec(config: Config, mode: Mode) -> dict[str, Any]:
    """``pipeline_spec`` with ``on_device`` where it is stated."""
    section = getattr(config.PIPELINE, _pipeline_section(config, mode))
    spec = _plain(section)
    spec["decode"] = _decoder(config, mode, spec.get("decode", {}))
    spec["sample"] = {"name": "Sampler", "valid_mode": mode != "train", **spec["sample"]}
    return {key: spec[key] for key in ("decode", "sample", "transform")}


def pipeline_hash(config: Config, mode: Mode) -> str:
    """SHA-256 of ``pipeline_spec``: equal where clips are read, sampled and transformed alike."""
    text = json.dumps(
        pipeline_spec(config, mode), sort_keys=True, separators=(",", ":"), default=repr
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _decoder(config: Config, mode: Mode, stated: dict[str, Any]) -> dict[str, Any]:
    """PIPELINE.<mode>.decode, which follows from DATASET.<mode> where it says nothing."""
    split = split_of(config, mode)
    decode = {"name": _DECODERS[split.format], **stated}
    section = _pipeline_section(config, mode)
    if decode["name"] in _DECODERS.values() and decode["name"] != _DECODERS[split.format]:
        raise ConfigError(
            f"{config.place('PIPELINE', section, 'decode', 'name')}: {decode['name']} contradicts "
            f"DATASET.{mode}.format: {split.format}, which is decoded by "
            f"{_DECODERS[split.format]}; leave decode out"
        )
    if decode["name"] == "FrameDecoder" and split.suffix:
        if decode.setdefault("suffix", split.suffix) != split.suffix:
            raise ConfigError(
                f"{config.place('PIPELINE', section, 'decode', 'suffix')}: {decode['suffix']!r} "
                f"contradicts DATASET.{mode}.suffix: {split.suffix!r}; state it once"
            )
    return decode


def _plain(section: Any) -> dict[str, Any]:
    return {
        key: getattr(section, key)
        if not isinstance(getattr(section, key), (Mapping, tuple))
        else _copy(getattr(section, key))
        for key in ("decode", "sample", "transform")
        if getattr(section, key) is not None
    }


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copy(item) for item in value]
    return value


def build_data_pipeline(config: Config, mode: Mode) -> Pipeline:
    """Decoder, sampler and transforms of a mode."""
    return build_pipeline(pipeline_spec(config, mode), where=f"PIPELINE.{mode}")


def index_of(config: Config, mode: Mode) -> Index:
    """Read the list file or folder of a mode.

    Raises:
        DataError: missing or malformed; names the command that prepares the data set.
    """
    split = split_of(config, mode)
    if not Path(split.file_path).exists() and config.DATASET.prepare:
        raise DataError(
            f"DATASET.{mode}.file_path: {split.file_path} does not exist; "
            f"prepare the data with: {config.DATASET.prepare}"
        )
    if split.format == "VideoDataset" and "{" in (split.suffix or ""):
        raise ConfigError(
            f"{config.place('DATASET', mode, 'suffix')}: DATASET.{mode}.suffix: {split.suffix!r} "
            "is the pattern of a FrameDataset; a VideoDataset takes an ending like '.avi' or none"
        )
    return _cached_index(
        split.file_path,
        format=split.format,
        data_prefix=split.data_prefix or "",
        suffix=split.suffix,
        num_classes=config.MODEL.head.num_classes,
        class_names=_folder_classes(config, split.file_path),
        multi_label=config.MODEL.is_multi_label,
    )


def _folder_classes(config: Config, file_path: str) -> tuple[str, ...] | None:
    """Labels of the training classes, which the other folders must follow."""
    names = config.DATASET.class_names
    return names if isinstance(names, tuple) and Path(file_path).is_dir() else None


_cached_index = lru_cache(maxsize=8)(load_index)


def build_dataset(config: Config, mode: Mode, *, on_device: bool = False) -> ClipDataset:
    """Index and pipeline of a mode, joined.

    Args:
        config: the configuration.
        mode: whose data and pipeline.
        on_device: obey ``Normalization: {on_device: true}``: clips may be uint8, for networks of
            ``build_model`` only.

    Raises:
        ConfigError, DataError: see ``index_of`` and ``resolve_classes``.
    """
    index = index_of(config, mode)
    spec = (_stated_spec if on_device else pipeline_spec)(config, mode)
    pipeline = build_pipeline(spec, where=_pipeline_place(config, mode))
    pipeline.check_classes(config.MODEL.head.num_classes)
    if mode == "train":
        _warn_of_flips(config, pipeline)
    return ClipDataset(index.samples, pipeline, seed=config.seed)


def _warn_of_flips(config: Config, pipeline: Pipeline) -> None:
    """Say which classes a mirror image would turn into others, as far as their names tell."""
    names = config.DATASET.class_names
    if not isinstance(names, tuple):
        return
    for index, transform in enumerate(pipeline.transforms):
        if isinstance(transform, RandomFlip) and transform.p > 0:
            texts = wrong_mirrors(names, transform.label_map, transform.no_flip)
            if texts:
                where = f"{pipeline.where}.transform[{index}]"
                _warn_once(
                    f"{where}: RandomFlip: {'; '.join(texts)}. Take it out, or name these classes "
                    "in its label_map (pairs that a mirror exchanges) or no_flip"
                )


@lru_cache(maxsize=32)
def _warn_once(message: str) -> None:
    logger.warning("%s", message)
