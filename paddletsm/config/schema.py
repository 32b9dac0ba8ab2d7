# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The schema of a configuration: one frozen dataclass per section, named as PaddleVideo names them.

A field without a default is required. ``None`` means "not stated": the component's own default
holds, or the fact is handed on from the place that states it (see ``config/load.py``).
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from paddletsm.config.yaml_io import KeyPath
from paddletsm.errors import ConfigError
from paddletsm.utils.text import listing, nearest

DataFormat = Literal["NCHW", "NHWC"]

_LARGEST = 2**32 - 1  # of a whole number: what seeds can be, and more than any count


@dataclass(frozen=True)
class Backbone:
    """MODEL.backbone: the network over single frames; see ``paddletsm.models`` for meanings."""

    name: str
    depth: int | None = None
    width: float | None = None
    num_seg: int | None = None
    shift_div: int | None = None
    shift_place: Literal["blockres", "block"] | None = None
    shift_mode: Literal["offline", "online"] | None = None
    shift_padding: Literal["zero", "circulant"] | None = None
    temporal_pool: bool | None = None
    non_local: Literal["embedded_gaussian", "gaussian", "dot_product"] | None = None
    partial_bn: bool | None = None
    norm_eval: bool | None = None
    frozen_stages: int | None = None
    data_format: DataFormat | None = None
    pretrained: str | None = None


@dataclass(frozen=True)
class Head:
    """MODEL.head."""

    name: str
    num_classes: int | None = None
    in_channels: int | None = None
    drop_ratio: float | None = None
    std: float | None = None
    data_format: DataFormat | None = None


@dataclass(frozen=True)
class Model:
    """MODEL."""

    backbone: Backbone
    head: Head
    framework: str = "Recognizer2D"
    label_smoothing: float = 0.0


@dataclass(frozen=True)
class Split:
    """DATASET.{train,valid,test}: a list file, or a folder with one sub-folder per class."""

    file_path: str
    format: Literal["VideoDataset", "FrameDataset"] = "VideoDataset"
    data_prefix: str | None = None
    suffix: str | None = None


@dataclass(frozen=True)
class Dataset:
    """DATASET. Batch sizes count clips per process."""

    train: Split
    valid: Split
    test: Split | None = None
    batch_size: int = 8
    valid_batch_size: int | None = None
    test_batch_size: int | None = None
    num_workers: int = 0
    sample_timeout_sec: float = 60.0
    max_bad_fraction: float = 0.05
    class_names: str | tuple[str, ...] | None = None
    prepare: str | None = None


@dataclass(frozen=True)
class PipelineMode:
    """PIPELINE.{train,valid,test}: decode, sample, transform; checked by ``paddletsm.data``."""

    sample: Mapping[str, Any]
    transform: tuple[Mapping[str, Any], ...]
    decode: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Pipeline:
    """PIPELINE. Without ``test`` the clips are tested as they are validated."""

    train: PipelineMode
    valid: PipelineMode
    test: PipelineMode | None = None


@dataclass(frozen=True)
class LearningRate:
    """OPTIMIZER.learning_rate: rates are those of ``total_batch_size`` clips over all processes."""

    name: Literal["PiecewiseDecay", "CosineDecay"]
    boundaries: tuple[float, ...] | None = None
    values: tuple[float, ...] | None = None
    base: float | None = None
    final: float | None = None
    warmup_epochs: float = 0.0
    warmup_start: float = 0.0
    total_batch_size: int | None = None


@dataclass(frozen=True)
class WeightDecay:
    """OPTIMIZER.weight_decay."""

    value: float
    name: Literal["L2"] = "L2"


@dataclass(frozen=True)
class GradClip:
    """OPTIMIZER.grad_clip."""

    value: float
    name: Literal["ClipGradByGlobalNorm"] = "ClipGradByGlobalNorm"


@dataclass(frozen=True)
class Optimizer:
    """OPTIMIZER."""

    learning_rate: LearningRate
    name: Literal["Momentum"] = "Momentum"
    momentum: float = 0.9
    use_nesterov: bool = False
    weight_decay: WeightDecay | None = None
    grad_clip: GradClip | None = None
    fc_lr_mult: bool = True


@dataclass(frozen=True)
class Metric:
    """METRIC: the names of PaddleVideo are accepted; all of them are exact top-1 and top-5."""

    name: Literal["TopK", "CenterCropMetric", "MultiCropMetric"] = "TopK"


@dataclass(frozen=True)
class Inference:
    """INFERENCE of PaddleVideo's files; prediction always uses PIPELINE.test."""

    name: str | None = None
    num_seg: int | None = None
    target_size: int | None = None


@dataclass(frozen=True)
class Config:
    """A whole configuration, checked and frozen."""

    MODEL: Model
    DATASET: Dataset
    PIPELINE: Pipeline
    OPTIMIZER: Optimizer
    model_name: str
    epochs: int
    METRIC: Metric = field(default_factory=Metric)
    INFERENCE: Inference | None = None
    log_interval: int = 20
    save_interval: int = 10
    valid_interval: int = 1
    output_dir: str = "output"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    seed: int = 0
    # Not a key: it tells later checks where a value was stated.
    checker: Checker | None = field(default=None, compare=False, repr=False)

    def place(self, *path: str) -> str:
        """Where a key was stated and its name, "own.yaml:5: MODEL.head", for messages."""
        return self.checker.place(path) if self.checker else ".".join(path)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists and scalars, without the fields that are not stated."""
        return _plain(self)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        pairs = ((name, getattr(value, name)) for name in _keys(type(value)))
        return {key: _plain(item) for key, item in pairs if item is not None}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _keys(cls: type) -> dict[str, dataclasses.Field[Any]]:
    """Fields that are keys of the file: those that make two configurations differ."""
    return {f.name: f for f in dataclasses.fields(cls) if f.compare}


@dataclass(frozen=True)
class Checker:
    """Turns parsed YAML into the dataclasses above, or says precisely why not.

    Attributes:
        origins: where each key and list item was stated, "file.yaml:12" or "-o KEY=VALUE".
        file: the file that was loaded.
        moved: list items that stand elsewhere now -> their path as the user wrote it.
    """

    origins: Mapping[KeyPath, str]
    file: str
    moved: dict[KeyPath, KeyPath] = field(default_factory=dict)

    def _as_written(self, path: KeyPath) -> KeyPath:
        for length in range(len(path), 0, -1):
            if path[:length] in self.moved:
                return (*self.moved[path[:length]], *path[length:])
        return path

    def dotted(self, path: KeyPath) -> str:
        """Name of a key as the user may address it."""
        return ".".join(self._as_written(path)) or "top level"

    def where(self, path: KeyPath) -> str:
        """File and line of a key; of the nearest enclosing one when it is not stated."""
        path = self._as_written(path)
        while path and path not in self.origins:
            path = path[:-1]
        return self.origins.get(path, self.file)

    def place(self, path: KeyPath) -> str:
        """Where a key was stated, and its name."""
        return f"{self.where(path)}: {self.dotted(path)}"

    def fail(self, path: KeyPath, message: str) -> typing.NoReturn:
        """Raise ConfigError with place and dotted path."""
        raise ConfigError(one_line(f"{self.place(path)}: {message}"))

    def section(self, cls: type, value: Any, path: KeyPath = ()) -> Any:
        """Check a mapping against a dataclass."""
        if not isinstance(value, Mapping):
            self.fail(path, f"expected a section with keys, got {_shown(value)}")
        hints = typing.get_type_hints(cls)
        fields = _keys(cls)
        for key in value:
            if key not in fields:
                self.fail(
                    (*path, key),
                    f"unknown key{nearest(key, fields)} (allowed: {listing(fields, 30)})",
                )
        for name, f in fields.items():
            is_required = f.default is f.default_factory is dataclasses.MISSING
            if is_required and name not in value:
                self.fail(path, f"the key {name!r} is missing")
        checked = {
            key: self.value(hints[key], item, (*path, key))
            for key, item in value.items()
            if not (item is None and fields[key].default is not dataclasses.MISSING)
        }
        return cls(**checked)

    def value(self, hint: Any, value: Any, path: KeyPath) -> Any:
        """Check one value against a type annotation."""
        options = _options(hint)
        for option in options:
            if dataclasses.is_dataclass(option):
                return self.section(option, value, path)
            accepted, result = self._match(option, value, path)
            if accepted:
                return result
        choices = [
            c for o in options if typing.get_origin(o) is Literal for c in typing.get_args(o)
        ]
        hint_text = nearest(str(value), choices) if choices else ""
        self.fail(path, f"expected {_described(options)}, got {_shown(value)}{hint_text}")

    def _match(self, option: Any, value: Any, path: KeyPath) -> tuple[bool, Any]:
        origin = typing.get_origin(option)
        if origin is Literal:
            return value in typing.get_args(option), value
        if origin is tuple:
            if not isinstance(value, list):
                return False, None
            item = typing.get_args(option)[0]
            return True, tuple(self.value(item, v, (*path, str(i))) for i, v in enumerate(value))
        if origin is not None and issubclass(origin, Mapping):
            self._check_scalars(value, path)
            return isinstance(value, Mapping), value
        if option is float:
            accepted = isinstance(value, (int, float)) and not isinstance(value, bool)
        elif option is int:
            accepted = isinstance(value, int) and not isinstance(value, bool)
        else:
            accepted = isinstance(value, option)
        if accepted:
            self._check_scalars(value, path)
        return accepted, value

    def _check_scalars(self, value: Any, path: KeyPath) -> None:
        """Refuse numbers and texts that break whatever uses them, also in lists and sections."""
        if isinstance(value, (Mapping, list)):
            pairs = value.items() if isinstance(value, Mapping) else enumerate(value)
            for key, item in pairs:
                self._check_scalars(item, (*path, str(key)))
        elif isinstance(value, float) and not math.isfinite(value):
            self.fail(path, f"must be a finite number, not {value}")
        elif isinstance(value, int) and abs(value) > _LARGEST:
            self.fail(path, f"{_shown(value)} is out of range: at most {_LARGEST} is allowed")
        elif isinstance(value, str) and not _is_usable(value):
            self.fail(path, f"{value!r} holds a character that no file name can have")


def _is_usable(text: str) -> bool:
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False


def _options(hint: Any) -> list[Any]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return [option for option in typing.get_args(hint) if option is not type(None)]
    return [hint]


_KINDS = {
    int: "an integer",
    float: "a number",
    str: "a text",
    bool: "true or false",
}


def _described(options: list[Any]) -> str:
    texts = []
    for option in options:
        if typing.get_origin(option) is Literal:
            texts.append("one of " + listing(typing.get_args(option)))
        elif typing.get_origin(option) is tuple:
            texts.append("a list")
        else:
            texts.append(_KINDS.get(option, "a section with keys"))
    return " or ".join(texts)


def one_line(text: str) -> str:
    """Write line breaks and control characters as escapes: a message is one line."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _shown(value: Any) -> str:
    # Python refuses to write integers of thousands of digits.
    text = hex(value) if isinstance(value, int) and abs(value) > _LARGEST else repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"
