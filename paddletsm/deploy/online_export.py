# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Write an online network as an artefact that takes one frame at a time, and prove it is the same.

Recognizer2D -> frame and state in, logits and state out (``online_form.py``) -> parity -> rename
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from paddletsm.deploy.artefact import (
    Artefact,
    StateInfo,
    TensorInfo,
    read_artefact,
    write_artefact,
)
from paddletsm.deploy.engine import EngineOptions
from paddletsm.deploy.engines import ENGINES, is_installed
from paddletsm.deploy.export import versions
from paddletsm.deploy.formats import (
    check_formats,
    checked_difference,
    input_spec,
    network_files,
)
from paddletsm.deploy.graph import evaluating, output_names, read_program, save_graph, trace
from paddletsm.deploy.online_engine import (
    OnlineEngine,
    StreamShapes,
    input_names,
    open_online_engine,
)
from paddletsm.deploy.quiet import quiet_paddle
from paddletsm.deploy.staging import install, staging
from paddletsm.deploy.stream.clock import checked_fps
from paddletsm.errors import ConfigError, ExportError
from paddletsm.utils.io import sha256_of
from paddletsm.utils.text import listing, nearest

if TYPE_CHECKING:
    from paddle import nn
    from paddle.static import InputSpec

    from paddletsm.models import Recognizer2D
    from paddletsm.models.streaming import StreamingRecognizer

ONLINE_FORMATS = ("pdmodel", "onnx")

_CHECK_FRAMES, _CHECK_STREAMS = 4, 3


@dataclass(frozen=True)
class StreamFacts:
    """What a stream has to know beside the network.

    Attributes:
        clip_seconds: length of the clips of training; None: not known.
        average_frames: k, the logits of so many frames are averaged; None: T.
    """

    clip_seconds: float | None = None
    average_frames: int | None = None

    def __post_init__(self) -> None:
        if self.clip_seconds is not None and not 0 < self.clip_seconds < float("inf"):
            raise ConfigError(f"clip_seconds must be above 0, not {self.clip_seconds}")
        if self.average_frames is not None and self.average_frames < 1:
            raise ConfigError(f"average_frames must be at least 1, not {self.average_frames}")

    def as_record(self, num_seg: int) -> dict[str, Any]:
        """What ``inference.yml`` says: a clip's T frames lay clip_seconds / T apart."""
        fps = None
        if self.clip_seconds is not None:
            fps = checked_fps(num_seg / self.clip_seconds, f"{num_seg} frames / clip_seconds")
        return {
            "fps": fps,
            "clip_seconds": self.clip_seconds,
            "average_frames": self.average_frames or num_seg,
        }


def export_online(
    model: Recognizer2D,
    out_dir: str | Path,
    *,
    name: str,
    spec: Mapping[str, Any],
    labels: Sequence[str],
    facts: StreamFacts | None = None,
    weights_sha256: str | None = None,
    metrics: Mapping[str, Any] | None = None,
    meta: Mapping[str, Any] | None = None,
    formats: Sequence[str] = ("pdmodel",),
) -> Path:
    """Export an online network as a streaming one: any number of streams, one frame of each.

    Args:
        model: the network with its weights, ``shift_mode: online``; left as it is.
        out_dir: artefact folder: new, empty, or holding an earlier artefact.
        name: stem of the files.
        spec: PIPELINE.test of the configuration, resolved; one crop.
        labels: K class names in the order of the logits.
        facts: rate of the frames and the averaging window.
        weights_sha256: hash of the weights file.
        metrics: accuracy measured offline with this pipeline.
        meta: MODEL section of the configuration.
        formats: of ``ONLINE_FORMATS``.

    Returns:
        ``out_dir``, absolute.

    Raises:
        ExportError: the pipeline has several crops or no fixed size, the copy's logits differ, or
            a file cannot be written; ``out_dir`` is then as it was.
        ConfigError: the network sees later frames, ``spec`` is not a valid pipeline, or a format
            cannot be written or checked here.
    """
    formats = check_online_formats(formats)
    stream = (facts or StreamFacts()).as_record(model.num_seg)
    out_dir = Path(out_dir).resolve()
    size = _frame_size(spec)
    _check(model, size, labels)
    with evaluating(model), staging(out_dir, name) as staged:
        network = _write_networks(model, staged, name, size, formats)
        artefact = Artefact(
            model_name=name,
            num_seg=model.num_seg,
            labels=tuple(str(label) for label in labels),
            pipeline=spec,
            protocol={"clips": 1, "crops": 1, "average": "logits", "name": "online"},
            versions=versions(),
            model=meta,
            metrics=metrics,
            weights_sha256=weights_sha256,
            stream=stream,
            **network,
        )
        write_artefact(artefact, staged)
        read_artefact(staged)
        install(staged, out_dir)
    return out_dir


def check_online_formats(formats: Sequence[str]) -> tuple[str, ...]:
    """Refuse formats that a streaming network has not, and those whose packages are missing.

    Raises:
        ConfigError: see above.
    """
    for form in formats:
        if form not in ONLINE_FORMATS:
            raise ConfigError(
                f"--online exports the formats {listing(ONLINE_FORMATS)}, not "
                f"{form}{nearest(form, ONLINE_FORMATS)}"
            )
    return check_formats(formats)


def _check(model: Recognizer2D, size: int, labels: Sequence[str]) -> None:
    """Refuse layers that are NHWC inside, and another number of names than of classes."""
    input_spec(model, (1, size, size))
    if model.head.num_classes != len(labels):
        raise ExportError(
            f"{len(labels)} class names for a network of {model.head.num_classes} classes; "
            "give one name per class"
        )


def _write_networks(
    model: Recognizer2D, folder: Path, name: str, size: int, formats: Sequence[str]
) -> dict[str, Any]:
    """Write and check the network in each format; returns what ``Artefact`` says about it."""
    from paddletsm.models.streaming import to_streaming

    plain = to_streaming(model)
    shapes = StreamShapes(
        (3, size, size), tuple(plain.state_shapes(size, size)), model.head.num_classes
    )
    networks: dict[str, dict[str, Any]] = {}
    for form in formats:
        paths = [folder / file for file in network_files(name, form)]
        outputs = _write(form, model, paths[0], shapes)
        networks[form] = {
            "files": [path.name for path in paths],
            "outputs": outputs,
            "parity": _verify(form, paths, shapes, plain),
        }
    first = networks[formats[0]]
    output, *states = first["outputs"]
    frame, *names = input_names(len(states))
    return {
        "input": TensorInfo(frame, (-1, *shapes.frame)),
        "output": TensorInfo(output, (-1, shapes.num_classes), kind="logits"),
        "state": tuple(
            StateInfo(state, new_state, (-1, *shape))
            for state, new_state, shape in zip(names, states, shapes.state, strict=True)
        ),
        "files": {
            file: sha256_of(folder / file)
            for network in networks.values()
            for file in network["files"]
        },
        "networks": networks,
        "parity": first["parity"],
    }


def _frame_size(spec: Mapping[str, Any]) -> int:
    """Side of the frames that the pipeline makes.

    Raises:
        ExportError: several crops, whose states would be several streams, or sizes that vary.
    """
    from paddletsm.data import build_pipeline  # imports OpenCV

    pipeline = build_pipeline(spec)
    if pipeline.num_crops != 1:
        raise ExportError(
            f"PIPELINE.test makes {pipeline.num_crops} crops of a frame; a stream has one. Export "
            "with --protocol efficient, or put CenterCrop into PIPELINE.test.transform"
        )
    if pipeline.target_size is None:
        raise ExportError(
            "PIPELINE.test gives pictures whose size depends on the video, but an exported network "
            "has one size; add a crop, such as CenterCrop, to PIPELINE.test.transform"
        )
    return pipeline.target_size


def _write(form: str, model: Recognizer2D, path: Path, shapes: StreamShapes) -> list[str]:
    """Write the fast form in one format; returns the names of its outputs.

    Args:
        form: "pdmodel" or "onnx".
        model: the network.
        path: of the file with the structure.
        shapes: of the inputs.
    """
    is_paddle = form == "pdmodel"
    layer, spec = _with_flat_outputs(model, by_sums=is_paddle), _input_spec(shapes)
    if is_paddle:
        save_graph(layer, path.with_suffix(""), spec)
        return output_names(read_program(path))
    from paddletsm.deploy.onnx_export import write_onnx

    program, parameters = trace(layer, spec)
    write_onnx(program, parameters, path)
    return output_names(program)


def _with_flat_outputs(model: Recognizer2D, *, by_sums: bool) -> nn.Layer:
    """The fast form, which gives one list: the logits, then the state."""
    import paddle

    from paddletsm.deploy.online_form import FastStreaming

    class Exported(paddle.nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.network = FastStreaming(model, by_sums=by_sums)

        def forward(self, frame: paddle.Tensor, state: list[paddle.Tensor]) -> list[paddle.Tensor]:
            logits, new_state = self.network(frame, state)
            return [logits, *new_state]

    layer = Exported()
    layer.eval()
    return layer


def _input_spec(shapes: StreamShapes) -> list[InputSpec | list[InputSpec]]:
    from paddle.static import InputSpec

    frame, *states = (
        InputSpec([None, *shape], "float32", name)
        for name, shape in zip(
            input_names(len(shapes.state)), (shapes.frame, *shapes.state), strict=True
        )
    )
    return [frame, states]


def _verify(
    form: str, paths: Sequence[Path], shapes: StreamShapes, plain: StreamingRecognizer
) -> dict[str, float]:
    """Compare a written network with the model in every engine that is here to run it.

    Raises:
        ExportError: it differs by more than the tolerance.
    """
    names = [name for name, known in ENGINES.items() if form in known and is_installed(name)]
    checked = [
        _parity(plain, open_online_engine(name, paths, shapes, EngineOptions())) for name in names
    ]
    return max(checked, key=lambda figures: figures["max_abs_difference"])


def _parity(plain: StreamingRecognizer, engine: OnlineEngine) -> dict[str, float]:
    """Largest difference of logits over the frames of streams, together and alone.

    Raises:
        ExportError: it is above the tolerance, or not a number.
    """
    import paddle

    rng = np.random.default_rng(0)
    shape = (_CHECK_FRAMES, _CHECK_STREAMS, *engine.shapes.frame)
    frames = rng.standard_normal(shape, np.float32)
    frames[:, 1] = 0.0  # nothing
    frames[:, 2] = 2.0  # a bright constant
    expected = []
    with paddle.no_grad(), quiet_paddle():
        state = plain.init_state(_CHECK_STREAMS, *shape[3:])
        for frame in frames:
            logits, state = plain(paddle.to_tensor(frame), state)
            expected.append(logits.numpy())
    together, alone = _run(engine, frames), _run(engine, frames[:, :1])
    wanted = np.stack(expected)
    return checked_difference((together, wanted), (alone, wanted[:, :1]))


def _run(engine: OnlineEngine, frames: np.ndarray) -> np.ndarray:
    """Logits [F, N, K] of each of frames [F, N, 3, H, W]."""
    streams = engine.start(frames.shape[1])
    return np.stack([streams.next(frame) for frame in frames])
