# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The network in 8 bit: calibrated on the user's clips, judged on labelled ones.

plain ONNX -> ranges of all activations on the calibration clips -> QDQ, weights per channel
           -> top-1 beside that of fp32 on the evaluation clips -> refused above ``max_drop``
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from paddletsm.deploy.engine import Engine, EngineOptions
from paddletsm.deploy.onnx_engines import OnnxRuntimeEngine
from paddletsm.deploy.onnx_export import import_onnx
from paddletsm.errors import DataError, ExportError
from paddletsm.metrics import average_views
from paddletsm.utils.text import plural

if TYPE_CHECKING:
    from paddletsm.data import Pipeline, Sample
    from paddletsm.models import Recognizer2D

logger = logging.getLogger(__name__)

# The kept first and last layer cost a few percent of time; this much less error is worth it.
_WORTH_KEEPING = 0.8


@dataclass(frozen=True)
class Int8Plan:
    """Clips for 8 bit.

    Attributes:
        calibration: their activations give the ranges; one clip of each is taken.
        evaluation: labelled clips that top-1 is measured on, in fp32 and in int8.
        max_drop: points of top-1 that may be lost.
    """

    calibration: Sequence[Sample]
    evaluation: Sequence[Sample]
    max_drop: float = 1.0


def balanced(samples: Sequence[Sample], count: int | None) -> list[Sample]:
    """Take ``count`` samples (None: all): of each class alike, as far as it has them."""
    if count is None or count >= len(samples):
        return list(samples)
    classes: dict[int, list[Sample]] = defaultdict(list)
    for sample in samples:
        classes[sample.label].append(sample)
    rounds = 1  # samples per class, as far as the class has them
    while sum(min(rounds, len(members)) for members in classes.values()) < count:
        rounds += 1
    picked = []
    for members in classes.values():
        places = np.linspace(0, len(members) - 1, min(rounds, len(members))).round().astype(int)
        picked.append([members[place] for place in places])
    in_turn = [row[turn] for turn in range(rounds) for row in picked if turn < len(row)]
    return in_turn[:count]


def write_int8(
    model: Recognizer2D,
    folder: Path,
    name: str,
    shape: tuple[int, ...],
    spec: Mapping[str, Any],
    protocol: Mapping[str, Any],
    plan: Int8Plan,
) -> tuple[dict[str, Any], str]:
    """Quantise a network, measure it, and write it.

    Args:
        model: in evaluation mode.
        folder: where the file goes.
        name: its stem.
        shape: (T, H, W) of a clip.
        spec: PIPELINE.test.
        protocol: tells what is averaged over views.
        plan: the clips.

    Returns:
        What ``Artefact.networks`` says about it, and the name of the output.

    Raises:
        ExportError: it loses more than ``plan.max_drop`` points, or ONNX Runtime refuses it.
        DataError: no clip can be read.
    """
    from paddletsm.data import build_pipeline  # imports OpenCV
    from paddletsm.deploy.formats import network_files, write_onnx_form

    pipeline = build_pipeline(spec)
    (file,) = network_files(name, "int8")
    with tempfile.TemporaryDirectory(prefix="paddletsm-") as scratch:
        source = Path(scratch) / "fp32.onnx"
        write_onnx_form(model, source, shape, is_plain=True)
        clips = [views[:1] for _, views in read_views(pipeline, plan.calibration)]
        if not clips:
            raise DataError("none of the calibration clips can be read; name others")
        fp32 = OnnxRuntimeEngine(source, EngineOptions())
        kept = _quantise_best(source, folder / file, clips, fp32)
        int8 = OnnxRuntimeEngine(folder / file, EngineOptions())
        accuracy = compare(fp32, int8, read_views(pipeline, plan.evaluation), protocol)
    if not accuracy["drop"] <= plan.max_drop:
        raise ExportError(
            f"int8 loses {accuracy['drop']:.2f} points of top-1 ({accuracy['top1_fp32']:.2f} -> "
            f"{accuracy['top1_int8']:.2f} on {plural(accuracy['clips'], 'clip')}; allowed: "
            f"{plan.max_drop:g}), so nothing was written; calibrate on more clips, or leave int8 "
            "out"
        )
    record = {
        "files": (file,),
        "calibration_clips": len(clips),
        "kept_fp32": kept,
        "accuracy": accuracy,
    }
    return record, int8.output_name


def read_views(
    pipeline: Pipeline, samples: Sequence[Sample]
) -> Iterator[tuple[Sample, np.ndarray]]:
    """Yield every sample that can be read with its views [V, T, 3, H, W]; the others are named."""
    for sample in samples:
        try:
            yield sample, pipeline(sample, np.random.default_rng(0)).frames
        except DataError as err:
            logger.warning("left out: %s", err)


def compare(
    fp32: Engine,
    int8: Engine,
    clips: Iterator[tuple[Sample, np.ndarray]],
    protocol: Mapping[str, Any],
) -> dict[str, Any]:
    """Top-1 of two engines on the same clips, and how much they agree.

    Returns:
        {"clips", "top1_fp32", "top1_int8", "drop", "agreement", "cosine"}: percentages of clips;
        "cosine" is the mean over the clips of that between the two rows of logits.

    Raises:
        DataError: there is no clip.
    """
    hits, cosines = [], []
    for sample, views in clips:
        logits = [engine.run(views) for engine in (fp32, int8)]
        average = protocol.get("average", "scores")
        best = [int(np.argmax(average_views(rows, average))) for rows in logits]
        hits.append((best[0] == sample.label, best[1] == sample.label, best[0] == best[1]))
        cosines.append(_cosine(*logits))
    if not hits:
        raise DataError("none of the clips to evaluate int8 on can be read; name others")
    top1_fp32, top1_int8, agreement = (float(100 * value) for value in np.mean(hits, axis=0))
    return {
        "clips": len(hits),
        "top1_fp32": top1_fp32,
        "top1_int8": top1_int8,
        "drop": top1_fp32 - top1_int8,
        "agreement": agreement,
        "cosine": float(np.mean(cosines)),
    }


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.ravel().astype(np.float64), b.ravel().astype(np.float64)
    return float(a @ b / max(1e-30, np.linalg.norm(a) * np.linalg.norm(b)))


def _quantise_best(
    source: Path, target: Path, clips: Sequence[np.ndarray], fp32: Engine
) -> list[str]:
    """Quantise all layers, or all but the first and the last where that is clearly closer.

    Returns:
        Names of the layers that stay in fp32.
    """
    expected = np.concatenate([fp32.run(clip) for clip in clips])
    ends = _first_and_last(source)
    errors = []
    # The last one written stays, so the usual choice comes last.
    candidates = [target.with_name(f"{target.name}.kept"), target]
    for path, kept in zip(candidates, (ends, []), strict=True):
        _quantise(source, path, clips, kept)
        found = np.concatenate([OnnxRuntimeEngine(path).run(clip) for clip in clips])
        errors.append(float(np.square(found - expected).mean()))
    is_worth_it = errors[0] < _WORTH_KEEPING * errors[1]
    if is_worth_it:
        candidates[0].replace(target)
    candidates[0].unlink(missing_ok=True)
    return ends if is_worth_it else []


def _first_and_last(path: Path) -> list[str]:
    nodes = import_onnx().load(str(path)).graph.node
    layers = [node.name for node in nodes if node.op_type in ("Conv", "MatMul", "Gemm")]
    return [layers[0], layers[-1]]


def _quantise(source: Path, target: Path, clips: Sequence[np.ndarray], kept: Sequence[str]) -> None:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.calibrate import CalibrationDataReader

    name = import_onnx().load(str(source)).graph.input[0].name

    class Reader(CalibrationDataReader):
        """Hands out one clip after the other, then None."""

        def __init__(self) -> None:
            self._rest = iter(clips)

        def get_next(self) -> dict[str, np.ndarray] | None:
            clip = next(self._rest, None)
            return None if clip is None else {name: clip}

    with _without_advice():
        quantize_static(
            str(source),
            str(target),
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=list(kept),
        )


@contextlib.contextmanager
def _without_advice() -> Iterator[None]:
    """ONNX Runtime advises, through the root logger, preparations that this graph has had."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
