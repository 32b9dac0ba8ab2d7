# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The same clips through the trained network and all that was made of it, stage by stage.

frame indices -> decoded pixels -> preprocessed tensor     PIPELINE.test beside inference.yml
logits, of one tensor                                      eager beside every format and engine
scores, of a file                                          each with its own pipeline and average
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from paddletsm.deploy.artefact import read_artefact
from paddletsm.deploy.formats import PARITY_RELATIVE, PARITY_TOLERANCE
from paddletsm.deploy.verify_ways import Way, eager_logits, missing_ways, ways_of
from paddletsm.errors import DataError
from paddletsm.metrics import Activation, Average, average_views

if TYPE_CHECKING:
    from paddletsm.data import Pipeline
    from paddletsm.models import Recognizer2D

logger = logging.getLogger(__name__)

INDICES, PIXELS, TENSOR, LOGITS, SCORES = STAGES = (
    "frame indices",
    "decoded pixels",
    "preprocessed tensor",
    "logits",
    "scores",
)
PIPELINE, DECODERS = "inference.yml", "decoder, OpenCV"
_TENSOR_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Limits:
    """What is allowed.

    Attributes:
        tolerance: of tensor, logits and scores; None: 1e-5 for the tensor, and for logits and
            scores what export allows, 1e-4 or 1e-5 of the largest logit. Indices and pixels have
            to be equal.
        cosine: least mean cosine of the logits of int8 and of the trained network.
        agreement: least percentage of clips to which int8 gives the same class.
    """

    tolerance: float | None = None
    cosine: float = 0.98
    agreement: float = 90.0

    def of_tensor(self) -> float:
        """Allowed difference of normalised pixels."""
        return _TENSOR_TOLERANCE if self.tolerance is None else self.tolerance

    def of_logits(self, expected: np.ndarray) -> float:
        """Allowed difference from these logits."""
        if self.tolerance is not None:
            return self.tolerance
        return max(PARITY_TOLERANCE, PARITY_RELATIVE * float(np.abs(expected).max(initial=0)))


@dataclass
class Finding:
    """The largest difference of one way at one stage.

    Attributes:
        difference: infinite where shapes differ or a number is not finite.
        allowed: at that clip.
        clip: path of the clip.
        text: for what is not judged by its difference.
        is_fine: whether every clip is within what is allowed.
    """

    difference: float = 0.0
    allowed: float = 0.0
    clip: str = ""
    text: str = ""
    is_fine: bool = True

    def add(self, difference: float, allowed: float, clip: str) -> None:
        """Take a clip's difference into account."""
        is_within = difference <= allowed
        is_worse = (self.is_fine and not is_within) or difference > self.difference
        if not self.clip or is_worse:
            self.difference, self.allowed, self.clip = difference, allowed, clip
        self.is_fine = self.is_fine and is_within


@dataclass
class Verification:
    """What was found.

    Attributes:
        clips: number of clips that were compared.
        unread: why the others could not be.
        table: way -> stage -> finding.
        absent: ways that cannot be tried here, and why.
    """

    clips: int = 0
    unread: list[str] = field(default_factory=list)
    table: dict[str, dict[str, Finding]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def at(self, way: str, stage: str) -> Finding:
        """Finding of a way at a stage."""
        return self.table.setdefault(way, {}).setdefault(stage, Finding())

    @property
    def first(self) -> tuple[str, str, Finding] | None:
        """Stage, way and finding of the first stage that differs, in the order of ``STAGES``."""
        for stage in STAGES:
            for way, findings in self.table.items():
                if stage in findings and not findings[stage].is_fine:
                    return stage, way, findings[stage]
        return None


@dataclass(frozen=True)
class Eager:
    """The trained network and what it was tested with.

    Attributes:
        model: in evaluation mode.
        pipeline: PIPELINE.test of its configuration; None where no configuration is known.
        average: what is averaged over views; None: as the artefact says.
    """

    model: Recognizer2D
    pipeline: Pipeline | None = None
    average: Average | None = None


@dataclass(frozen=True)
class _Trace:
    """A clip at the stages of its pipeline."""

    indices: np.ndarray
    pixels: np.ndarray
    tensor: np.ndarray


def verify_artefact(
    folder: str | Path,
    eager: Eager,
    paths: Sequence[str],
    *,
    limits: Limits | None = None,
    threads: int | None = None,
) -> Verification:
    """Compare an artefact with the trained network it should be a copy of.

    Args:
        folder: of the artefact.
        eager: the trained network.
        paths: clips.
        limits: what is allowed.
        threads: CPU threads of the engines.

    Raises:
        ExportError: the folder is not a complete artefact, or an engine cannot run its network.
        DataError: none of the clips can be read.
    """
    from paddletsm.data import build_pipeline  # imports OpenCV

    limits = limits or Limits()
    artefact = read_artefact(folder)
    pipeline = build_pipeline(artefact.pipeline, where=f"{folder}/inference.yml: pipeline")
    ways = ways_of(Path(folder), artefact, eager.model, threads)
    found = Verification(absent=missing_ways(artefact, eager.model))
    votes: dict[str, list[tuple[float, bool]]] = {way.name: [] for way in ways if way.is_int8}
    for path in paths:
        try:
            ours = _trace(pipeline, path)
            theirs = ours if eager.pipeline is None else _trace(eager.pipeline, path)
        except DataError as err:
            found.unread.append(str(err))
            continue
        found.clips += 1
        if eager.pipeline is not None:
            _compare_pipelines(found, theirs, ours, path, limits)
        _compare_decoders(found, ours, path)
        networks = _Networks(found, eager, artefact.average, artefact.activation, limits, votes)
        networks.compare(ways, ours, theirs, path)
    if not found.clips:
        raise DataError(f"none of the clips can be read: {found.unread[0]}")
    _judge_int8(found, votes, limits)
    return found


def _trace(pipeline: Pipeline, path: str) -> _Trace:
    """Read a clip; the stages are those of ``Pipeline.run``."""
    from paddletsm.data import Sample

    sample = Sample(path, -1, 0)
    clip = pipeline(sample, np.random.default_rng(0))
    reader = pipeline.decoder.open(sample)
    try:
        pixels = reader.get(clip.indices.reshape(-1))
    finally:
        reader.close()
    return _Trace(clip.indices, pixels, clip.frames)


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest absolute difference; infinite where shapes differ or a number is not finite."""
    if found.shape != expected.shape:
        return float("inf")
    value = float(np.abs(found.astype(np.float64) - expected.astype(np.float64)).max(initial=0))
    return value if np.isfinite(value) else float("inf")


def _compare_pipelines(
    found: Verification, theirs: _Trace, ours: _Trace, path: str, limits: Limits
) -> None:
    stages = (
        (INDICES, ours.indices, theirs.indices, 0.0),
        (PIXELS, ours.pixels, theirs.pixels, 0.0),
        (TENSOR, ours.tensor, theirs.tensor, limits.of_tensor()),
    )
    for stage, one, other, allowed in stages:
        found.at(PIPELINE, stage).add(difference(one, other), allowed, path)


def _compare_decoders(found: Verification, ours: _Trace, path: str) -> None:
    """Decode with OpenCV the frames that the pipeline's decoder has given."""
    if not os.path.isfile(path):
        return
    from paddletsm.data import open_video

    reader = open_video(path, "opencv")
    try:
        frames = reader.get(ours.indices.reshape(-1))
    finally:
        reader.close()
    found.at(DECODERS, PIXELS).add(difference(ours.pixels, frames), 0.0, path)


@dataclass(frozen=True)
class _Networks:
    """Comparison of the networks on one clip."""

    found: Verification
    eager: Eager
    average: Average
    activation: Activation
    limits: Limits
    votes: Mapping[str, list[tuple[float, bool]]]

    def compare(self, ways: Sequence[Way], ours: _Trace, theirs: _Trace, path: str) -> None:
        # All networks get the tensor that the artefact's pipeline makes: where it differs from
        # the other pipeline's, that has been told, and the networks may still be the same.
        expected = eager_logits(self.eager.model, ours.tensor)
        whole = expected
        if theirs.tensor is not ours.tensor:
            whole = eager_logits(self.eager.model, theirs.tensor)
        for way in ways:
            logits = way.run(ours.tensor)
            if way.is_int8:
                self.votes[way.name].append(self._vote(logits, expected))
                continue
            allowed = self.limits.of_logits(expected)
            self._add(way.name, LOGITS, difference(logits, expected), allowed, path)
            scores = difference(
                self._scores(logits, self.average),
                self._scores(whole, self.eager.average or self.average),
            )
            self._add(way.name, SCORES, scores, allowed, path)

    def _add(self, way: str, stage: str, value: float, allowed: float, path: str) -> None:
        self.found.at(way, stage).add(value, allowed, path)

    def _scores(self, logits: np.ndarray, average: Average) -> np.ndarray:
        if not logits.size:
            return np.zeros(0)
        return average_views(logits, average, self.activation)

    def _vote(self, logits: np.ndarray, expected: np.ndarray) -> tuple[float, bool]:
        """Cosine of the logits, and whether the class is the same."""
        if logits.shape != expected.shape:
            return -1.0, False
        a, b = (x.ravel().astype(np.float64) for x in (logits, expected))
        cosine = float(a @ b / max(1e-30, float(np.linalg.norm(a) * np.linalg.norm(b))))
        best = [int(np.argmax(self._scores(x, self.average))) for x in (logits, expected)]
        return cosine, best[0] == best[1]


def _judge_int8(
    found: Verification, votes: Mapping[str, list[tuple[float, bool]]], limits: Limits
) -> None:
    for way, given in votes.items():
        cosine = float(np.mean([cosine for cosine, _ in given]))
        agreement = 100.0 * float(np.mean([same for _, same in given]))
        finding = found.at(way, LOGITS)
        finding.text = f"cosine {cosine:.4f}, same class {agreement:.1f} %"
        finding.is_fine = cosine >= limits.cosine and agreement >= limits.agreement


def spec_differences(
    one: Mapping[str, Any], other: Mapping[str, Any], names: tuple[str, str]
) -> list[str]:
    """Name what differs between two pipelines as plain data.

    Args:
        one: decode, sample and transform.
        other: the same.
        names: what to call them.

    Returns:
        Lines such as "sample.num_seg: 8 (config.yaml), 4 (inference.yml)".
    """
    flat, flat_other = _flat(one, ""), _flat(other, "")
    return [
        f"{key}: {flat.get(key, 'not stated')} ({names[0]}), "
        f"{flat_other.get(key, 'not stated')} ({names[1]})"
        for key in sorted({*flat, *flat_other})
        if flat.get(key) != flat_other.get(key)
    ]


def _flat(value: Any, where: str) -> dict[str, Any]:
    """{"transform[1].CenterCrop.target_size": 224, ...}; lists of numbers stay whole."""
    if isinstance(value, Mapping) and value:
        parts = {f"{where}.{key}" if where else str(key): item for key, item in value.items()}
    elif isinstance(value, Sequence) and any(isinstance(item, Mapping) for item in value):
        parts = {f"{where}[{index}]": item for index, item in enumerate(value)}
    else:
        return {where: list(value) if isinstance(value, tuple) else value}
    flat: dict[str, Any] = {}
    for key, item in parts.items():
        flat |= _flat(item, key)
    return flat
