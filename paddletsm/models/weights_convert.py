# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Write anyone's weights under this package's names, checked against the network they make up."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from pathlib import Path
from typing import Literal

import numpy as np

from paddletsm.convert import Converter, ModelInfo, find_converter
from paddletsm.errors import WeightsError
from paddletsm.models.backbone import BACKBONES, Backbone
from paddletsm.models.heads import TSMHead, TSNHead
from paddletsm.models.non_local import NonLocalMode
from paddletsm.models.recognizer import Recognizer2D
from paddletsm.models.weights import LoadReport, load_weights
from paddletsm.models.weights_check import architecture
from paddletsm.utils.text import listing
from paddletsm.utils.weight_files import read_state, write_state

Arch = Literal["auto", "ResNet", "ResNetTSM", "MobileNetV2", "MobileNetV2TSM"]

_MOBILENET = "MobileNetV2"
# A tensor whose output channels tell the width, and their number at width 1.
_WIDTH = {
    "ResNet": ("backbone.conv1.weight", 64),
    _MOBILENET: ("backbone.layer7.0.conv3.weight", 320),
}
_CLASSIFIER = "head.fc.weight"


def convert_weights(
    source_path: str | Path,
    target_path: str | Path,
    *,
    source: str = "auto",
    arch: Arch = "auto",
    shift_div: int = 8,
) -> LoadReport:
    """Convert a weights file of any known source.

    The network is rebuilt from the names and shapes in the file and filled strictly, so what is
    written loads into a model of that configuration.

    Args:
        source_path: .pdparams, .safetensors, .pth, .pth.tar or .pt.
        target_path: .pdparams or .safetensors; replaced atomically.
        source: "auto", or a name of ``paddletsm.convert.sources()``.
        arch: "auto" (from the names: with or without shift), or the name of the backbone.
        shift_div: of the network that the weights were trained in; no file tells it.

    Returns:
        The report of the strict loading into that network.

    Raises:
        WeightsError: the file cannot be read safely, is of no known source, or its tensors do not
            make up a network of the family; or the target cannot be written.
    """
    if not str(target_path).lower().endswith((".pdparams", ".safetensors")):
        raise WeightsError(f"{target_path}: weights are written to .pdparams or .safetensors files")
    state = read_state(source_path)
    try:
        name, converter = find_converter(source, state)
        model = _network_of(state, converter, arch=arch, shift_div=shift_div)
    except WeightsError as err:
        raise WeightsError(f"{source_path}: {err}") from err
    has_head = _has_head(state, converter)
    report = load_weights(model, source_path, source=name, backbone_only=not has_head)
    tensors = model.state_dict()
    write_state(
        target_path,
        {key: np.asarray(tensors[key].numpy()) for key in tensors if key not in report.kept},
    )
    if has_head:
        return report
    notes = (*report.notes, "a backbone without classifier is written")
    return dataclasses.replace(report, total=report.loaded, kept=(), notes=notes)


def _has_head(state: dict[str, np.ndarray], converter: Converter) -> bool:
    return not converter.is_pretraining and any(converter.name_of(n) == _CLASSIFIER for n in state)


def _network_of(
    state: dict[str, np.ndarray], converter: Converter, *, arch: Arch, shift_div: int
) -> Recognizer2D:
    """Build the network that the tensors make up; the values come later.

    Raises:
        WeightsError: no network of the family has these names, or not the one that is asked for.
    """
    own = {converter.name_of(name) or name: value for name, value in state.items()}
    has_head = _has_head(state, converter)
    info = converter.info(state) or ModelInfo()
    network = architecture(own)
    if not network:
        raise WeightsError(
            f"its tensors make up no known network (it begins with {listing(state, 3)}); "
            "known: ResNet of depth 18, 34, 50, 101, 152, MobileNetV2"
        )
    family, _, depth = network.partition("-")
    is_shifted = info.is_shifted if arch == "auto" else arch.endswith("TSM")
    name = f"{family}TSM" if is_shifted else family
    if arch not in ("auto", name):
        raise WeightsError(f"its tensors make up {network}, which is no {arch}")
    backbone = _backbone(name, depth, own, info, shift_div)
    classes = 1
    if has_head:
        shape = own[_CLASSIFIER].shape
        classes = shape[0 if converter.is_torch_layout else -1] if shape else 1
    head_class = TSMHead if is_shifted else TSNHead
    return Recognizer2D(backbone, head_class(classes, backbone.out_channels))


def _backbone(
    name: str, depth: str, own: dict[str, np.ndarray], info: ModelInfo, shift_div: int
) -> Backbone:
    family = name.removesuffix("TSM")
    key, channels = _WIDTH[family]
    stem = own.get(key)
    if stem is None or stem.ndim != 4 or not stem.size:
        raise WeightsError(f"{key} is missing, or no convolution; the file is not complete")
    arguments: dict[str, object] = {"width": stem.shape[0] / channels}
    if depth:
        arguments |= {"depth": int(depth), "non_local": info.non_local or _non_local_of(own)}
    if name != family:
        arguments |= {"shift_div": shift_div, "shift_mode": info.shift_mode or "offline"}
    if name == "ResNetTSM":
        arguments |= {
            "shift_place": info.shift_place or "blockres",
            "temporal_pool": info.temporal_pool,
        }
    return BACKBONES.get(name)(**arguments)


def _non_local_of(names: Collection[str]) -> NonLocalMode | None:
    """Kind of the non-local blocks; dot_product has the tensors of embedded_gaussian."""
    if not any(".non_local." in name for name in names):
        return None
    has_theta = any(".non_local.theta." in name for name in names)
    return "embedded_gaussian" if has_theta else "gaussian"
