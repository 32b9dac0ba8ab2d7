# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Write anyone's weights under this package's names, checked against the network they make up."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

import numpy as np

from paddletsm.convert import Converter, ModelInfo, find_converter
from paddletsm.errors import WeightsError
from paddletsm.models.heads import TSMHead, TSNHead
from paddletsm.models.recognizer import Recognizer2D
from paddletsm.models.resnet import ResNet, ResNetTSM
from paddletsm.models.weights import LoadReport, load_weights
from paddletsm.models.weights_check import architecture
from paddletsm.utils.text import listing
from paddletsm.utils.weight_files import read_state, write_state

Arch = Literal["auto", "ResNet", "ResNetTSM"]

_STEM = "backbone.conv1.weight"
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
        arch: "auto" (from the names: with or without shift), "ResNet" or "ResNetTSM".
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
        WeightsError: no network of the family has these names.
    """
    own = {converter.name_of(name) or name: value for name, value in state.items()}
    network = architecture(own)
    stem = own.get(_STEM)
    if not network or stem is None or stem.ndim != 4:
        raise WeightsError(
            f"its tensors make up no known network (it begins with {listing(state, 3)}); "
            "known: ResNet of depth 18, 34, 50, 101, 152"
        )
    depth, width = int(network.partition("-")[2]), stem.shape[0] / 64
    info = converter.info(state) or ModelInfo()
    if arch == "auto" and converter.fold_order == "past_first" and _has_head(state, converter):
        # Names of shifted and plain networks are the same there, and the classifier differs.
        raise WeightsError(
            f"the names in {converter.title}'s files do not tell whether the network is shifted; "
            "say it with --arch ResNetTSM or --arch ResNet"
        )
    if arch == "ResNetTSM" or (arch == "auto" and info.is_shifted):
        backbone = ResNetTSM(
            depth,
            width,
            shift_div=shift_div,
            shift_place=info.shift_place or "blockres",
            temporal_pool=info.temporal_pool,
        )
        head_class = TSMHead
    else:
        backbone, head_class = ResNet(depth, width), TSNHead
    classes = 1
    if _has_head(state, converter):
        shape = own[_CLASSIFIER].shape
        classes = shape[0 if converter.is_torch_layout else -1] if shape else 1
    return Recognizer2D(backbone, head_class(classes, backbone.out_channels))
