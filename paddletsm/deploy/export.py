# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Write a trained network as an artefact, and prove that it is the same network.

Recognizer2D -> networks (``formats.py``), inference.yml, in a temporary folder -> rename
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from paddletsm.deploy.artefact import Artefact, TensorInfo, read_artefact, write_artefact
from paddletsm.deploy.formats import check_formats, reference_of, verify, write_network
from paddletsm.deploy.graph import evaluating
from paddletsm.deploy.int8 import Int8Plan, write_int8
from paddletsm.deploy.staging import install, staging
from paddletsm.errors import ConfigError, ExportError
from paddletsm.metrics import ACTIVATIONS, AVERAGES
from paddletsm.utils.io import sha256_of
from paddletsm.utils.text import listing
from paddletsm.version import __version__

if TYPE_CHECKING:
    from paddletsm.models import Recognizer2D


def export_model(
    model: Recognizer2D,
    out_dir: str | Path,
    *,
    name: str,
    spec: Mapping[str, Any],
    labels: Sequence[str],
    target_size: int | tuple[int, int],
    weights_sha256: str | None = None,
    metrics: Mapping[str, Any] | None = None,
    protocol: Mapping[str, Any] | None = None,
    meta: Mapping[str, Any] | None = None,
    formats: Sequence[str] = ("pdmodel",),
    int8: Int8Plan | None = None,
) -> Path:
    """Export a network with everything that predicting with it needs.

    The network takes any number of clips; Paddle 2.6 and 3.x read .pdmodel. The caller's model
    keeps its mode and its layers. An earlier artefact in ``out_dir`` is replaced once the new one
    has passed.

    Args:
        model: the network with its weights.
        out_dir: artefact folder: new, empty, or holding an earlier artefact.
        name: stem of the files.
        spec: PIPELINE.test of the configuration, resolved.
        labels: K class names in the order of the logits.
        target_size: pixels of a side, or (height, width), that the pipeline crops to.
        weights_sha256: hash of the weights file.
        metrics: accuracy measured with this pipeline.
        protocol: "average" ("scores" unless stated), "activation" ("softmax"), and facts beside
            clips and crops, which ``spec`` tells.
        meta: MODEL section of the configuration.
        formats: of ``formats.FORMATS``, several at will.
        int8: clips for the format int8.

    Returns:
        ``out_dir``, absolute.

    Raises:
        ExportError: arguments contradict each other, logits of the copy differ by more than 1e-4,
            int8 loses more top-1 than its plan allows, or a file cannot be written; ``out_dir``
            is then as it was.
        ConfigError: ``spec`` is not a valid pipeline, a format is unknown or needs a package that
            is missing, or int8 has no plan.
    """
    out_dir = Path(out_dir).resolve()
    formats = _checked(formats, int8, protocol or {})
    num_seg, *size = shape = (_num_seg(model, spec), *_pair(target_size))
    known_protocol = _protocol(spec, protocol, num_seg=num_seg, size=tuple(size))
    job = _Job(model, name, shape, spec, known_protocol, tuple(str(label) for label in labels))
    facts = {"model": meta, "metrics": metrics, "weights_sha256": weights_sha256}
    with evaluating(model), staging(out_dir, name) as staged:
        networks, tensors = _write_networks(job, staged, formats, int8)
        write_artefact(_artefact(job, staged, networks, {**tensors, **facts}), staged)
        read_artefact(staged)
        install(staged, out_dir)
    return out_dir


@dataclass(frozen=True)
class _Job:
    """What is exported, checked so far; ``shape`` is (T, H, W)."""

    model: Recognizer2D
    name: str
    shape: tuple[int, ...]
    spec: Mapping[str, Any]
    protocol: Mapping[str, Any]
    labels: tuple[str, ...]


def _checked(
    formats: Sequence[str], int8: Int8Plan | None, protocol: Mapping[str, Any]
) -> tuple[str, ...]:
    formats = check_formats(formats)
    if "int8" in formats and protocol.get("activation") == "sigmoid":
        raise ConfigError(
            "int8 is judged by its top-1, which clips of several labels (MODEL.loss: bce) do not "
            "have; choose another format"
        )
    if "int8" in formats and int8 is None:
        raise ConfigError("the format int8 needs clips to calibrate on; name a list of them")
    return formats


def _write_networks(
    job: _Job, folder: Path, formats: Sequence[str], int8: Int8Plan | None
) -> tuple[dict[str, dict[str, Any]], dict[str, TensorInfo]]:
    """Write every format and compare it with the model.

    Returns:
        ``Artefact.networks``, and ``input`` and ``output``.
    """
    reference = reference_of(job.model, job.shape)
    classes = reference.logits.shape[1]
    if classes != len(job.labels):
        raise ExportError(
            f"{len(job.labels)} class names for a network of {classes} classes; "
            "give one name per class"
        )
    networks: dict[str, dict[str, Any]] = {}
    output = ""
    for form in formats:
        if form == "int8":
            assert int8 is not None
            record, named = write_int8(
                job.model, folder, job.name, job.shape, job.spec, job.protocol, int8
            )
        else:
            files = write_network(form, job.model, folder, job.name, job.shape)
            figures, named = verify(form, [folder / file for file in files], reference)
            record = {"files": files, "parity": figures}
        networks[form] = record
        output = output or named
    tensors = {
        "input": TensorInfo("clips", (-1, *reference.clips.shape[1:])),
        "output": TensorInfo(output, (-1, classes), kind="logits"),
    }
    return networks, tensors


def _artefact(
    job: _Job, folder: Path, networks: dict[str, dict[str, Any]], facts: Mapping[str, Any]
) -> Artefact:
    return Artefact(
        model_name=job.name,
        num_seg=job.shape[0],
        labels=job.labels,
        pipeline=job.spec,
        protocol=job.protocol,
        files={path.name: sha256_of(path) for path in sorted(folder.iterdir())},
        versions=versions(),
        parity=_worst(networks),
        networks=networks,
        **facts,
    )


def _worst(networks: Mapping[str, Mapping[str, Any]]) -> dict[str, float] | None:
    """The largest difference of all floating-point forms."""
    found = [record["parity"] for record in networks.values() if "parity" in record]
    return max(found, key=lambda figures: figures["max_abs_difference"], default=None)


def _num_seg(model: Recognizer2D, spec: Mapping[str, Any]) -> int:
    """Frames of an exported clip: a network blind to time takes as many as the test samples."""
    if model.backbone.fixes_segments:
        return model.num_seg
    return int(spec["sample"].get("num_seg", model.num_seg))


def _protocol(
    spec: Mapping[str, Any],
    stated: Mapping[str, Any] | None,
    *,
    num_seg: int,
    size: tuple[int, ...],
) -> dict[str, Any]:
    """Derive the protocol from the pipeline, and compare the pipeline with the network."""
    from paddletsm.data import build_pipeline  # imports OpenCV

    pipeline = build_pipeline(spec)
    if pipeline.target_size is None:
        raise ExportError(
            "PIPELINE.test gives pictures whose size depends on the video, but an exported network "
            "has one size; add a crop, such as CenterCrop, to PIPELINE.test.transform"
        )
    if pipeline.normalization.on_device:
        raise ExportError(
            "an exported network takes normalised clips: give a pipeline whose Normalization is "
            "not on_device (builders.pipeline_spec leaves the key out)"
        )
    facts = {
        "num_seg": (pipeline.num_seg, num_seg),
        "target_size": (_pair(pipeline.target_size), size),
    }
    for key, (of_pipeline, of_network) in facts.items():
        if of_pipeline != of_network:
            raise ExportError(
                f"PIPELINE.test gives clips of {key} {of_pipeline}, the network is to be exported "
                f"for {of_network}; make them equal in the configuration"
            )
    derived: dict[str, Any] = {"clips": pipeline.num_clips, "crops": pipeline.num_crops}
    derived["average"] = (stated or {}).get("average", "scores")
    if derived["average"] not in AVERAGES:
        raise ExportError(
            f"the protocol states average = {derived['average']!r} (known: {listing(AVERAGES)})"
        )
    activation = (stated or {}).get("activation", "softmax")
    if activation not in ACTIVATIONS:
        raise ExportError(
            f"the protocol states activation = {activation!r} (known: {listing(ACTIVATIONS)})"
        )
    for key, value in (stated or {}).items():
        if derived.setdefault(key, value) != value:
            raise ExportError(
                f"the protocol states {key} = {value!r}, PIPELINE.test means {derived[key]!r}"
            )
    return derived


def _pair(size: int | Sequence[int]) -> tuple[int, ...]:
    return (size, size) if isinstance(size, int) else tuple(size)


def versions() -> dict[str, str]:
    """What an artefact was made with."""
    import paddle

    return {
        "paddletsm": __version__,
        "paddle": paddle.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
