# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""From a configuration to objects: the only place that unpacks a config into arguments."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from paddletsm.config import OVERRIDE, Config, with_value
from paddletsm.config import load_config as read_config
from paddletsm.data import ClipDataset, Index, Pipeline, build_pipeline, load_index
from paddletsm.data.readers import READERS
from paddletsm.data.sampling import SAMPLERS
from paddletsm.data.transforms import TRANSFORMS
from paddletsm.errors import ConfigError, DataError
from paddletsm.utils.io import nearest_file
from paddletsm.utils.threads import import_paddle

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from paddletsm.models import Recognizer2D

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
    spec = pipeline_spec(config, mode)
    path = ("PIPELINE", _pipeline_section(config, mode))
    decode, sample = dict(spec["decode"]), dict(spec["sample"])
    READERS.build(decode.pop("name"), decode, where=_decoder_place(config, mode))
    SAMPLERS.build(sample.pop("name"), sample, where=_component_place(config, *path, "sample"))
    for index, item in enumerate(spec["transform"]):
        for name, args in item.items():
            where = _component_place(config, *path, "transform", str(index), name, key="")
            TRANSFORMS.build(name, args or {}, where=where)
    place = config.place(*path, "transform").removesuffix(".transform")
    build_pipeline(spec, where=place)


def _component_place(config: Config, *path: str, key: str = "name") -> Callable[[str], str]:
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
    """PIPELINE section of a mode as plain, complete data; what an artefact carries."""
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
        split.format,
        split.data_prefix or "",
        split.suffix,
        config.MODEL.head.num_classes,
        _folder_classes(config, split.file_path),
    )


def _folder_classes(config: Config, file_path: str) -> tuple[str, ...] | None:
    """Labels of the training classes, which the other folders must follow."""
    names = config.DATASET.class_names
    return names if isinstance(names, tuple) and Path(file_path).is_dir() else None


@lru_cache(maxsize=8)
def _cached_index(
    file_path: str,
    format: str,
    data_prefix: str,
    suffix: str | None,
    num_classes: int | None,
    names: tuple[str, ...] | None,
) -> Index:
    return load_index(
        file_path,
        format=format,
        data_prefix=data_prefix,
        suffix=suffix,
        num_classes=num_classes,
        class_names=names,
    )


def build_dataset(config: Config, mode: Mode) -> ClipDataset:
    """Index and pipeline of a mode, joined.

    Raises:
        ConfigError, DataError: see ``index_of`` and ``resolve_classes``.
    """
    index = index_of(config, mode)
    return ClipDataset(index.samples, build_data_pipeline(config, mode), seed=config.seed)


def resolve_classes(config: Config) -> Config:
    """Fill in num_classes and class_names from the data where the configuration leaves them out.

    A data set folder names its classes; then a stated number must agree with it.

    Raises:
        ConfigError: nothing states the number of classes, two places disagree, or MODEL names
            what does not exist: that is checked first.
        DataError: the data, or the file of class names, is missing or malformed.
    """
    check_model(config)
    stated = config.MODEL.head.num_classes
    names = _stated_names(config)
    if names is None and Path(config.DATASET.train.file_path).is_dir():
        index = index_of(with_value(config, ("MODEL", "head", "num_classes"), None), "train")
        names = list(index.class_names or ()) or None
        source = f"the folder {config.DATASET.train.file_path} has"
    else:
        source = "DATASET.class_names has"
    if names is not None and stated is not None and stated != len(names) and _is_other_task(config):
        _warn_once(
            f"{config.place('MODEL', 'head', 'num_classes')}: the {len(names)} names in "
            f"{config.DATASET.class_names} are those of other classes; classes are shown by number"
        )
        return with_value(config, ("DATASET", "class_names"), None)
    if names is not None and stated is not None and stated != len(names):
        raise ConfigError(
            f"{config.place('MODEL', 'head', 'num_classes')}: {stated} contradicts the data: "
            f"{source} {len(names)} class names; leave num_classes out, or correct it"
        )
    if names is None and stated is None:
        index_of(config, "train")  # a missing file is the first thing to say
        raise ConfigError(
            "MODEL.head.num_classes: the key is missing, and the list file "
            f"{config.DATASET.train.file_path} does not tell the number of classes"
        )
    if stated is None:
        config = with_value(config, ("MODEL", "head", "num_classes"), len(names))
    if names is not None:
        config = with_value(config, ("DATASET", "class_names"), tuple(names))
    return config


def _stated_names(config: Config) -> list[str] | None:
    """Class names from DATASET.class_names: a list, or a file with one name per line."""
    stated = config.DATASET.class_names
    if stated is None:
        return None
    if not isinstance(stated, str):
        return list(stated)
    path = Path(stated)
    place = config.place("DATASET", "class_names")
    if path.exists() and not path.is_file():
        raise DataError(f"{place}: {path} is not a file; expected one class name per line")
    if not path.exists():
        # Names only make output readable; that there is no data is said elsewhere.
        if Path(config.DATASET.train.file_path).exists():
            _warn_once(
                f"{place}: {path} does not exist{nearest_file(path)}; classes are shown by number"
            )
        return None
    try:
        names = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as err:
        raise DataError(f"{place}: {path} cannot be read: {err}") from err
    while names and not names[-1]:
        names.pop()
    if not names or not all(names):
        raise DataError(f"{path}: expected one class name per line, found an empty line or file")
    return names


def _is_other_task(config: Config) -> bool:
    """Whether an override asks for another number of classes than a file of names has."""
    place = config.place("MODEL", "head", "num_classes")
    return place.startswith(OVERRIDE) and isinstance(config.DATASET.class_names, str)


@lru_cache(maxsize=32)
def _warn_once(message: str) -> None:
    logger.warning("%s", message)


def class_names(config: Config) -> list[str]:
    """Class names in label order; "class 3" where the configuration has no names."""
    config = resolve_classes(config)
    if isinstance(config.DATASET.class_names, tuple):
        return list(config.DATASET.class_names)
    return [f"class {label}" for label in range(config.MODEL.head.num_classes)]


def model_arguments(config: Config) -> dict[str, dict[str, Any]]:
    """MODEL.backbone and MODEL.head as plain arguments, only what is stated."""
    model = config.to_dict()["MODEL"]
    backbone = {key: value for key, value in model["backbone"].items() if key != "pretrained"}
    head = {k: v for k, v in model["head"].items() if k not in ("in_channels", "data_format")}
    return {"backbone": backbone, "head": head}


def check_model(config: Config) -> None:
    """Check the components that MODEL names and their arguments; needs Paddle, builds nothing.

    Raises:
        ConfigError: unknown component or argument, or a value that cannot work.
    """
    import_paddle()
    from paddletsm.models import BACKBONES, FRAMEWORKS, HEADS, mobilenet_v2, resnet

    FRAMEWORKS.get(config.MODEL.framework, where=config.place("MODEL", "framework"))
    arguments = model_arguments(config)
    arguments["head"].update(num_classes=1, in_channels=1)  # these follow from data and backbone
    for part, registry in (("backbone", BACKBONES), ("head", HEADS)):
        args = arguments[part]
        registry.check(args.pop("name"), args, where=_component_place(config, "MODEL", part))
    backbone = config.MODEL.backbone
    width = 1.0 if backbone.width is None else backbone.width
    fewest = {
        "ResNetTSM": resnet.scaled_channels(64, width),
        "MobileNetV2TSM": mobilenet_v2.scaled_channels(24, width),
    }.get(backbone.name)
    if fewest is not None and backbone.shift_div is not None and backbone.shift_div > fewest:
        raise ConfigError(
            f"{config.place('MODEL', 'backbone', 'shift_div')}: {backbone.shift_div} leaves no "
            f"channel to shift where there are {fewest}"
        )


def build_model(config: Config) -> Recognizer2D:
    """Build the network of a configuration; ``pretrained`` weights are loaded by the trainer.

    Raises:
        ConfigError: unknown component, wrong argument, or in_channels that does not fit.
    """
    from paddletsm.models import BACKBONES, FRAMEWORKS, HEADS

    config = resolve_classes(config)
    framework = FRAMEWORKS.get(config.MODEL.framework)
    arguments = model_arguments(config)
    backbone_args, head_args = arguments["backbone"], arguments["head"]
    place = _component_place(config, "MODEL", "backbone")
    backbone = BACKBONES.build(backbone_args.pop("name"), backbone_args, where=place)
    stated = config.MODEL.head.in_channels
    if stated is not None and stated != backbone.out_channels:
        raise ConfigError(
            f"{config.place('MODEL', 'head', 'in_channels')}: {stated} contradicts the backbone, "
            f"which has {backbone.out_channels} channels; leave in_channels out"
        )
    head_args["in_channels"] = backbone.out_channels
    place = _component_place(config, "MODEL", "head")
    head = HEADS.build(head_args.pop("name"), head_args, where=place)
    return framework(backbone, head)
