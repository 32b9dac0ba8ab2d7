# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The artefact: a folder with a network, its weights and ``inference.yml``, which binds them.

``inference.yml`` carries everything that a prediction depends on beside the network itself: class
names, the frames to take, what happens to their pixels, how views are averaged. It names the other
files with their SHA-256 and is itself covered by a checksum, so parts that do not belong together
are refused instead of giving wrong answers.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from paddletsm.errors import ConfigError, ExportError
from paddletsm.metrics import ACTIVATIONS, AVERAGES, Activation, Average
from paddletsm.utils.io import nearest_file, sha256_of
from paddletsm.utils.text import listing, nearest

FILE_NAME = "inference.yml"
FORMAT = "paddletsm-inference"
FORMAT_VERSION = 1
RANDOM_WEIGHTS = "random"  # in place of a hash

_EXPORT = "python tools/export_model.py"
_AGAIN = f"export the model again ({_EXPORT} -c CONFIG -p WEIGHTS)"


@dataclass(frozen=True)
class TensorInfo:
    """Name, shape (-1: any number) and kind of a network's input or output."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    kind: str | None = None


@dataclass(frozen=True)
class StateInfo:
    """What a frame of a streaming network hands to the next: names of input and output, shape."""

    name: str
    output: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Artefact:
    """The content of ``inference.yml``.

    Attributes:
        model_name: stem of the network's files.
        model: MODEL section the network was built from, where known.
        num_seg: T, frames per clip.
        labels: class names in the order of the logits.
        input: clips, [-1, T, 3, H, W] float32.
        output: logits, [-1, K] float32, before softmax.
        pipeline: decode, sample and transform, as in PIPELINE.test of the configuration.
        protocol: {"clips": temporal views, "crops": spatial views, "average": "scores" or
            "logits", "activation": "softmax" unless stated, "sigmoid" for several labels per
            clip}, and the name of the protocol where it has one.
        metrics: measured accuracy with this protocol, where known.
        parity: largest difference between the eager and the exported network, and what was allowed.
        files: file name -> SHA-256.
        weights_sha256: hash of the weights file the network was exported from, or
            ``RANDOM_WEIGHTS``; None where a caller of ``export_model`` did not say.
        versions: versions of paddletsm, Paddle, NumPy and Python at export.
        networks: format -> {"files": names, "parity": as above}, and for int8 "accuracy".
        state: of a streaming network, whose input is a frame, [-1, 3, H, W]; else empty.
        stream: of a streaming network {"fps": rate of the frames it expects or None,
            "clip_seconds": of its training clips or None, "average_frames": k}.
    """

    model_name: str
    num_seg: int
    labels: tuple[str, ...]
    input: TensorInfo
    output: TensorInfo
    pipeline: Mapping[str, Any]
    protocol: Mapping[str, Any]
    files: Mapping[str, str]
    versions: Mapping[str, str]
    model: Mapping[str, Any] | None = None
    metrics: Mapping[str, Any] | None = None
    parity: Mapping[str, float] | None = None
    weights_sha256: str | None = None
    networks: Mapping[str, Mapping[str, Any]] | None = None
    state: tuple[StateInfo, ...] = ()
    stream: Mapping[str, Any] | None = None

    @property
    def is_online(self) -> bool:
        """Whether it takes one frame at a time, with a state."""
        return self.stream is not None

    @property
    def average(self) -> Average:
        """What is averaged over the views of a clip."""
        return self.protocol.get("average", "scores")

    @property
    def activation(self) -> Activation:
        """What makes scores of logits."""
        return self.protocol.get("activation", "softmax")

    @property
    def formats(self) -> tuple[str, ...]:
        """Formats in which the network is there: pdmodel, json, onnx, int8."""
        return tuple(self.networks) if self.networks else (self._former_format(),)

    def files_of(self, form: str) -> tuple[str, ...]:
        """Names of the files of one of ``formats``, the structure first."""
        if self.networks:
            return tuple(self.networks[form]["files"])
        suffixes = {Path(name).suffix: name for name in self.files}
        return suffixes[f".{form}"], suffixes[".pdiparams"]

    def only(self, form: str) -> Artefact:
        """Return the same artefact as if it held one of its ``formats`` alone.

        Raises:
            ConfigError: it does not hold that one.
        """
        if form not in self.formats:
            raise ConfigError(
                f"format {form!r}: the artefact of {self.model_name} holds "
                f"{listing(self.formats)}{nearest(form, self.formats)}"
            )
        if len(self.formats) == 1:
            return self
        return dataclasses.replace(self, networks={form: self.networks[form]})

    @property
    def network_files(self) -> tuple[str, ...]:
        """Names of all files of the network.

        Raises:
            ExportError: there are none.
        """
        return tuple(name for form in self.formats for name in self.files_of(form))

    def _former_format(self) -> str:
        """Format of an artefact that was written before there was more than one."""
        suffixes = {Path(name).suffix for name in self.files}
        for form in ("pdmodel", "json"):
            if {f".{form}", ".pdiparams"} <= suffixes:
                return form
        raise ExportError(
            f"{FILE_NAME} names no pair of .pdmodel (or .json) and .pdiparams; {_AGAIN}"
        )


def write_artefact(artefact: Artefact, folder: Path) -> None:
    """Write ``inference.yml`` into a folder that already holds the files it names."""
    body = _plain(dataclasses.asdict(artefact), "artefact")
    content = {"format": FORMAT, "format_version": FORMAT_VERSION, **body}
    content["checksum"] = _checksum(content)
    labels = {"labels": content.pop("labels")}
    text = _yaml(content, flow=None) + _yaml(labels, flow=False)
    header = f"# Written by {_EXPORT}; the checksum covers this file, so do not edit it.\n"
    (folder / FILE_NAME).write_text(header + text, encoding="utf-8")


def read_artefact(folder: str | Path) -> Artefact:
    """Read ``inference.yml`` and check that every file it names is the one it was written with.

    Raises:
        ExportError: the folder or a file is missing, was changed, or was not written by export.
    """
    folder = Path(folder)
    path = folder / FILE_NAME
    if not folder.is_dir():
        problem = "is a file, not an artefact folder" if folder.exists() else "does not exist"
        raise ExportError(
            f"model folder {str(folder)!r} {problem}{nearest_file(folder)}; export a model first "
            f"({_EXPORT}), or name another folder with --model_dir"
        )
    if not path.is_file():
        raise ExportError(
            f"{path} is missing: a folder without it tells neither the class names nor the "
            f"preprocessing of its network; {_AGAIN}, or name another folder with --model_dir"
        )
    artefact = _parse(path)
    _check_files(artefact, folder)
    return artefact


def newest_artefact(root: str | Path = "inference") -> Path:
    """Return the folder of the artefact that was written last, ``root`` itself included.

    Hidden folders are what an export that was killed has left, maybe half written.

    Raises:
        ExportError: there is none.
    """
    root = Path(root)
    shown = (path for path in root.glob(f"*/{FILE_NAME}") if not path.parent.name.startswith("."))
    found = [path for path in (root / FILE_NAME, *shown) if path.is_file()]
    if not found:
        raise ExportError(
            f"no exported model under {str(root)!r} (a folder with {FILE_NAME}); export one first "
            f"({_EXPORT}), or name its folder with --model_dir"
        )
    return max(found, key=lambda path: (path.stat().st_mtime_ns, str(path))).parent


def _parse(path: Path) -> Artefact:
    content = _load_yaml(path)
    if not isinstance(content, Mapping) or content.get("format") != FORMAT:
        raise ExportError(
            f"{path} was not written by {_EXPORT} (no 'format: {FORMAT}'); an artefact of another "
            f"program does not tell what is needed to predict; {_AGAIN}"
        )
    version = content.get("format_version")
    if version != FORMAT_VERSION:
        raise ExportError(
            f"{path}: format version {version!r}, but this paddletsm reads {FORMAT_VERSION}; "
            f"install the paddletsm that wrote it ({content.get('versions')}), or {_AGAIN}"
        )
    body = {key: value for key, value in content.items() if key != "checksum"}
    if content.get("checksum") != _checksum(body):
        raise ExportError(
            f"{path} was edited or damaged after export (its checksum differs); {_AGAIN}"
        )
    del body["format"], body["format_version"]
    try:
        body["labels"] = tuple(body["labels"])
        for key in ("input", "output"):
            body[key] = TensorInfo(**{**body[key], "shape": tuple(body[key]["shape"])})
        body["state"] = tuple(
            StateInfo(**{**item, "shape": tuple(item["shape"])}) for item in body.get("state", ())
        )
        artefact = Artefact(**body)
        _check_networks(artefact)
    except (KeyError, TypeError) as err:
        raise ExportError(f"{path}: incomplete or with unknown keys ({err}); {_AGAIN}") from err
    known = {"average": (artefact.average, AVERAGES)}
    known["activation"] = (artefact.activation, ACTIVATIONS)
    for key, (value, choices) in known.items():
        if value not in choices:
            raise ExportError(
                f"{path}: protocol.{key} {value!r} is unknown to this paddletsm (known: "
                f"{listing(choices)}); {_AGAIN}"
            )
    return artefact


def _check_networks(artefact: Artefact) -> None:
    """Refuse a network of a file that is not among the files with a hash."""
    for form in artefact.formats:
        for name in artefact.files_of(form):
            if name not in artefact.files:
                raise KeyError(f"networks.{form} names {name}, files does not")


def _load_yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as err:
        raise ExportError(f"{path} cannot be read: {err}") from err
    except yaml.YAMLError as err:
        line = getattr(getattr(err, "problem_mark", None), "line", 0) + 1
        raise ExportError(f"{path}, line {line}: not valid YAML; {_AGAIN}") from err


def _check_files(artefact: Artefact, folder: Path) -> None:
    missing = [name for name in artefact.files if not (folder / name).is_file()]
    if missing:
        raise ExportError(
            f"{folder / missing[0]} is missing, though {folder / FILE_NAME} names it; copy "
            f"artefacts as whole folders ({listing([FILE_NAME, *artefact.files])}), or {_AGAIN}"
        )
    for name, digest in artefact.files.items():
        if sha256_of(folder / name) != digest:
            raise ExportError(
                f"{folder / name} is not the file that {folder / FILE_NAME} was written for "
                f"(SHA-256 differs: truncated, or of another model); {_AGAIN}"
            )


def _yaml(content: Mapping[str, Any], *, flow: bool | None) -> str:
    return yaml.safe_dump(
        content, sort_keys=False, allow_unicode=True, width=100, default_flow_style=flow
    )


def _checksum(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any, where: str) -> Any:
    """Mappings to dictionaries, sequences to lists; anything YAML cannot say is an error."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:  # NumPy scalars
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise ExportError(f"{where}: {type(value).__name__} cannot be written to {FILE_NAME}")
