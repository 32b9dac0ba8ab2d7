# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Strict loading of anyone's weights: every tensor is used or accounted for, or nothing changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import paddle
from paddle import nn

from paddletsm.convert import Converted, Converter, ModelInfo, find_converter
from paddletsm.errors import WeightsError
from paddletsm.models.shift import TemporalShift
from paddletsm.models.weights_check import check_structure, comparison
from paddletsm.utils.text import listing, plural
from paddletsm.utils.weight_files import read_state, write_state

__all__ = [
    "LoadReport",
    "load_pretrained_backbone",
    "load_weights",
    "model_info",
    "read_state",
    "write_state",
]

_HEAD = "head."
_CLASSIFIER = "head.fc.weight"  # [in_channels, num_classes]


@dataclass(frozen=True)
class LoadReport:
    """What ``load_weights`` did.

    Attributes:
        path: the file.
        source: name of the source the file comes from ("mmaction2", "torchvision", ...).
        loaded: number of the model's tensors that were filled.
        total: number of the model's tensors.
        kept: tensors of the model that keep the values they had before, usually the head's
            initial ones.
        left_out: names in the file that were not needed.
        notes: sentences about anything a user should know.
    """

    path: str
    source: str
    loaded: int
    total: int
    kept: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [f"{self.path}: {self.loaded} of {self.total} tensors loaded, source {self.source}"]
        if self.kept:
            parts.append(f"{listing(self.kept, 4)} keep their initialisation")
        if self.left_out:
            parts.append(f"{plural(len(self.left_out), 'tensor')} of the file not needed")
        return "; ".join([*parts, *self.notes])


def load_weights(
    model: nn.Layer,
    path: str | Path,
    *,
    source: str = "auto",
    reset_head: bool = False,
    backbone_only: bool = False,
) -> LoadReport:
    """Fill a model from a weights file of any known source.

    Names, layouts and shift folds are converted so that the model computes what the file's own
    network computes. The model is changed only if everything fits.

    Args:
        model: a ``Recognizer2D``.
        path: .pdparams, .safetensors, .pth, .pth.tar or .pt.
        source: "auto" (from the names in the file), or a name of ``paddletsm.convert.sources()``.
        reset_head: leave the classifier as it is, for training on other classes.
        backbone_only: use nothing but the backbone, and let the file's network differ in its
            shift: weights to start training from.

    Returns:
        What was loaded, kept and left out.

    Raises:
        WeightsError: not read safely, or it does not fit: missing, unexpected, other shapes.
    """
    state = read_state(path)
    info = model_info(model)
    try:
        name, converter = find_converter(source, state)
        converted = converter.rename(state, info)
        if backbone_only:
            converted = _without_head(converted)
        target = model.state_dict()
        kept = _kept_head(converted, target, keep_head=reset_head or backbone_only)
        arrays = {key: value for key, value in converted.state.items() if key not in kept}
        expected = {key: tuple(tensor.shape) for key, tensor in target.items() if key not in kept}
        problem = comparison(expected, arrays, converter.title)
        if problem:
            raise WeightsError(problem)
        notes = check_structure(converter.info(state), info, is_strict=not backbone_only)
        values = {key: _float_array(key, arrays[key]) for key in expected}
    except WeightsError as err:
        raise WeightsError(f"{path}: {err}") from err
    for key, value in values.items():
        _assign(target[key], value)
    _remember_order(model, converter)
    if converted.is_swapped:
        notes = (*notes, "shift folds put into Paddle's order")
    dropped = tuple(key for key in converted.state if key in kept)
    return LoadReport(
        path=str(path),
        source=name,
        loaded=len(values),
        total=len(target),
        kept=kept,
        left_out=(*converted.left_out, *dropped),
        notes=notes,
    )


def _remember_order(model: nn.Layer, converter: Converter) -> None:
    """Let ``extract_feature`` give channels in the order of the source of the weights."""
    if model.backbone.knows_folds and converter.fold_order != "own":
        model.backbone.restores_order = converter.fold_order == "future_first"


def load_pretrained_backbone(model: nn.Layer, path: str | Path) -> LoadReport:
    """Load weights to start training from (``MODEL.backbone.pretrained``); the head stays as it is.

    ImageNet weights of an unshifted network are the normal case.

    Raises:
        WeightsError: see ``load_weights``.
    """
    return load_weights(model, path, backbone_only=True)


def model_info(model: nn.Layer) -> ModelInfo:
    """Read from a built model where and how it shifts."""
    backbone = model.backbone
    shifts = {
        name.rpartition(".")[0]: layer
        for name, layer in backbone.named_sublayers()
        if isinstance(layer, TemporalShift)
    }
    if not shifts:
        return ModelInfo(non_local=backbone.non_local)
    return ModelInfo(
        shifted=frozenset(shifts),
        shift_place=backbone.shift_place,
        shift_div=backbone.shift_div,
        shift_mode=backbone.shift_mode,
        temporal_pool=backbone.temporal_pool,
        non_local=backbone.non_local,
    )


def _without_head(converted: Converted) -> Converted:
    state = {k: value for k, value in converted.state.items() if not k.startswith(_HEAD)}
    dropped = tuple(key for key in converted.state if key.startswith(_HEAD))
    return Converted(state, (*converted.left_out, *dropped), converted.is_swapped)


def _kept_head(
    converted: Converted, target: Mapping[str, paddle.Tensor], *, keep_head: bool
) -> tuple[str, ...]:
    """Names of the model's head if it keeps its values, or an empty tuple.

    Raises:
        WeightsError: the file has no classifier, or one of another size, and nobody asked to keep
            the model's.
    """
    head = tuple(key for key in target if key.startswith(_HEAD))
    if keep_head:
        return head
    if not any(key.startswith("backbone.") for key in converted.state):
        return ()  # no weights of this family at all; the comparison says so
    remedy = (
        "to start training from it, set MODEL.backbone.pretrained (in Python: "
        "load_weights(..., reset_head=True))"
    )
    if not any(key.startswith(_HEAD) for key in converted.state):
        raise WeightsError(
            f"it holds a backbone without a classifier for this task, which would stay random; "
            f"{remedy}"
        )
    classifier = converted.state.get(_CLASSIFIER)
    if classifier is None or classifier.ndim != 2 or _CLASSIFIER not in target:
        return ()
    theirs, ours = classifier.shape[1], target[_CLASSIFIER].shape[1]
    if theirs != ours:
        raise WeightsError(
            f"its classifier has {theirs} classes, the model has {ours} "
            f"(MODEL.head.num_classes); {remedy}"
        )
    return ()


def _float_array(key: str, value: np.ndarray) -> np.ndarray:
    """The array in float32; bfloat16 arrives as uint16."""
    if value.dtype == np.uint16:
        value = (value.astype(np.uint32) << 16).view(np.float32)
    if value.dtype.kind != "f":
        raise WeightsError(f"{key} holds numbers of type {value.dtype}, not floating point")
    value = np.ascontiguousarray(value, np.float32)
    if not np.isfinite(value).all():
        raise WeightsError(f"{key} holds NaN or infinite numbers; the training has diverged")
    return value


def _assign(tensor: paddle.Tensor, value: np.ndarray) -> None:
    if tensor.dtype == paddle.float32:
        tensor.set_value(value)
    else:
        tensor.set_value(paddle.to_tensor(value).astype(tensor.dtype))
