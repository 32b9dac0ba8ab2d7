# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The networks that ``paddletsm benchmark model`` compares, written to a scratch folder."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import Tensor, nn

from paddletsm.data import Sample
from paddletsm.deploy import export_model
from paddletsm.deploy.engine import has_openvino
from paddletsm.deploy.engines import ENGINES
from paddletsm.deploy.formats import input_spec
from paddletsm.deploy.fuse import fast_form
from paddletsm.deploy.graph import save_graph, trace
from paddletsm.deploy.int8 import Int8Plan
from paddletsm.models import Recognizer2D, TemporalShift

FLOOR, FAST, SLICES, OPERATOR = "no shift", "exported", "slices", "temporal_shift operator"


@dataclass(frozen=True)
class Contestant:
    """One line of the table.

    Attributes:
        form: what the network looks like.
        engine: who runs it.
        precision: "fp32" or "int8".
        kernels: what the engine computes with, where it has a choice; else "".
        task: what ``worker.py`` is told beside clips and threads.
    """

    form: str
    engine: str
    precision: str
    kernels: str
    task: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What the table calls it."""
        return " ".join(filter(None, (self.engine, self.kernels, f"{self.precision}, {self.form}")))


class _ShiftOperator(nn.Layer):
    """The framework's own operator, as PaddleVideo's graphs have it."""

    def __init__(self, shift: TemporalShift) -> None:
        super().__init__()
        self.num_segments, self.ratio = shift.num_segments, 1.0 / shift.shift_div

    def forward(self, x: Tensor) -> Tensor:
        return F.temporal_shift(x, self.num_segments, self.ratio)


def without_shift(model: Recognizer2D) -> Recognizer2D:
    """Take all shifts out of a network, in place: its floor."""
    for layer in model.sublayers():
        if isinstance(getattr(layer, "shift", None), TemporalShift):
            layer.shift = None
    model.backbone.is_shifted = False
    return model


def make_contestants(
    model: Recognizer2D,
    folder: Path,
    *,
    shape: tuple[int, ...],
    engines: Sequence[str],
    precisions: Sequence[str],
) -> list[Contestant]:
    """Write every network in every form.

    Args:
        model: in evaluation mode; its values do not matter.
        folder: scratch space.
        shape: (T, H, W) of a clip.
        engines: names of ``deploy.engines.ENGINES``.
        precisions: of "fp32" and "int8".

    Returns:
        The floor of each engine first, then the exported form and the plain ones.
    """
    found = []
    if "fp32" in precisions:
        floor = without_shift(copy.deepcopy(model))
        floor.eval()
        layers: dict[str, nn.Layer] = {FLOOR: fast_form(floor)}
        if model.backbone.is_shifted:
            layers[SLICES] = model
        if model.backbone.is_shifted and "paddle" in engines and _operator_fits(model):
            layers[OPERATOR] = with_operator(model)
        for form, layer in layers.items():
            names = [name for name in engines if form != OPERATOR or name == "paddle"]
            found += _write(layer, form, folder, names, input_spec(model, shape))
    artefact = _export(model, folder, shape, engines, precisions)
    for precision in precisions:
        for engine in engines:
            if precision == "int8" and "int8" not in ENGINES[engine]:
                continue
            for kernels, option in _kernels(engine):
                task = {
                    "kind": "predictor",
                    "folder": str(artefact),
                    "engine": engine,
                    "precision": precision,
                    **option,
                }
                found.append(Contestant(FAST, engine, precision, kernels, task))
    order = (FLOOR, FAST, SLICES, OPERATOR)
    return sorted(
        found, key=lambda one: (engines.index(one.engine), one.kernels, order.index(one.form))
    )


def _kernels(engine: str) -> list[tuple[str, dict[str, bool]]]:
    """Kernels to compare: their name, and what ``worker.py`` is told; the default first."""
    if engine == "paddle" and has_openvino():
        return [("OpenVINO", {"openvino": True}), ("oneDNN", {"openvino": False})]
    return [("", {"openvino": False})]


def _write(
    layer: nn.Layer, form: str, folder: Path, engines: Sequence[str], spec: list[Any]
) -> list[Contestant]:
    stem = folder / form.replace(" ", "_")
    paths: dict[str, list[str]] = {}
    if "paddle" in engines:
        save_graph(_Wrapped(layer), stem, spec)
        paths["paddle"] = [f"{stem}.pdmodel", f"{stem}.pdiparams"]
    others = [name for name in engines if name != "paddle"]
    if others:
        from paddletsm.deploy.onnx_export import write_onnx

        write_onnx(*trace(_Wrapped(layer), spec), Path(f"{stem}.onnx"))
        paths |= {name: [f"{stem}.onnx"] for name in others}
    return [
        Contestant(
            form,
            name,
            "fp32",
            kernels,
            {"kind": "network", "engine": name, "paths": files, **option},
        )
        for name, files in paths.items()
        for kernels, option in _kernels(name)
        if form != OPERATOR or not option["openvino"]  # it has no such operator
    ]


class _Wrapped(nn.Layer):
    """Takes the replacement of ``forward`` that saving a graph means."""

    def __init__(self, network: nn.Layer) -> None:
        super().__init__()
        self.network = network
        self.eval()

    def forward(self, clips: Tensor) -> Tensor:
        return self.network(clips)


def _operator_fits(model: Recognizer2D) -> bool:
    backbone = model.backbone
    padding = getattr(backbone, "shift_padding", "zero")
    return backbone.shift_mode == "offline" and padding == "zero" and backbone.shift_div > 2


def with_operator(model: Recognizer2D) -> Recognizer2D:
    """A copy whose shifts are the framework's operator."""
    changed = copy.deepcopy(model)
    for layer in changed.sublayers():
        if isinstance(getattr(layer, "shift", None), TemporalShift):
            layer.shift = _ShiftOperator(layer.shift)
    return changed


def _export(
    model: Recognizer2D,
    folder: Path,
    shape: tuple[int, ...],
    engines: Sequence[str],
    precisions: Sequence[str],
) -> Path:
    """An artefact whose pipeline is a plain centre crop; int8 is calibrated on made-up clips."""
    num_seg, height, width = shape
    spec = {
        "decode": {"name": "FrameDecoder", "suffix": "{:05d}.jpg"},
        "sample": {"name": "Sampler", "num_seg": num_seg, "valid_mode": True},
        "transform": [
            {"Scale": {"short_size": height}},
            {"CenterCrop": {"target_size": height}},
            {"Normalization": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}},
        ],
    }
    formats = []
    if "fp32" in precisions:
        formats += ["pdmodel"] if "paddle" in engines else []
        formats += ["onnx"] if set(engines) - {"paddle"} else []
    plan = None
    if "int8" in precisions:
        formats.append("int8")
        plan = _noise_plan(folder / "noise", num_seg, height, width)
    return export_model(
        model,
        folder / "artefact",
        name="benchmark",
        spec=spec,
        labels=[str(label) for label in range(model.head.num_classes)],
        target_size=height,
        formats=formats,
        int8=plan,
    )


def _noise_plan(folder: Path, num_seg: int, height: int, width: int) -> Int8Plan:
    """Two clips of random pixels as frame folders; a network's speed does not depend on them."""
    import cv2

    samples = []
    rng = np.random.default_rng(0)
    for number in range(2):
        clip = folder / str(number)
        clip.mkdir(parents=True)
        for frame in range(1, num_seg + 1):
            pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
            cv2.imwrite(str(clip / f"{frame:05d}.jpg"), pixels)
        samples.append(Sample(path=str(clip), label=0, id=number, num_frames=num_seg))
    return Int8Plan(samples, samples, max_drop=100.0)


def set_cpu() -> None:
    """Networks are built and compared on the CPU."""
    paddle.set_device("cpu")
