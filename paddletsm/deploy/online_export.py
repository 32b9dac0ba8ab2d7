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
from paddletsm.deploy.export import versions
from paddletsm.deploy.formats import PARITY_RELATIVE, PARITY_TOLERANCE
from paddletsm.deploy.graph import evaluating, save_graph
from paddletsm.deploy.online_engine import OnlineEngine
from paddletsm.deploy.quiet import quiet_paddle
from paddletsm.deploy.staging import install, staging
from paddletsm.errors import ConfigError, ExportError
from paddletsm.utils.io import sha256_of

if TYPE_CHECKING:
    from paddletsm.models import Recognizer2D
    from paddletsm.models.streaming import StreamingRecognizer

_FRAME = "frame"
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
        fps = None if self.clip_seconds is None else num_seg / self.clip_seconds
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

    Returns:
        ``out_dir``, absolute.

    Raises:
        ExportError: the pipeline has several crops or no fixed size, the copy's logits differ, or
            a file cannot be written; ``out_dir`` is then as it was.
        ConfigError: the network sees later frames, or ``spec`` is not a valid pipeline.
    """
    out_dir = Path(out_dir).resolve()
    size = _frame_size(spec)
    if model.head.num_classes != len(labels):
        raise ExportError(
            f"{len(labels)} class names for a network of {model.head.num_classes} classes; "
            "give one name per class"
        )
    with evaluating(model), staging(out_dir, name) as staged:
        network = _write_network(model, staged, name, size)
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
            stream=(facts or StreamFacts()).as_record(model.num_seg),
            **network,
        )
        write_artefact(artefact, staged)
        read_artefact(staged)
        install(staged, out_dir)
    return out_dir


def _write_network(model: Recognizer2D, folder: Path, name: str, size: int) -> dict[str, Any]:
    """Write and check the network; returns what ``Artefact`` says about it."""
    from paddletsm.deploy.online_form import FastStreaming
    from paddletsm.models.streaming import to_streaming

    plain = to_streaming(model)
    shapes = plain.state_shapes(size, size)
    _save(FastStreaming(model), folder / name, size, shapes)
    files = [f"{name}.pdmodel", f"{name}.pdiparams"]
    engine = OnlineEngine(*(folder / file for file in files), EngineOptions())
    output, *states = engine.output_names
    parity = _parity(plain, engine, size)
    return {
        "input": TensorInfo(_FRAME, (-1, 3, size, size)),
        "output": TensorInfo(output, (-1, model.head.num_classes), kind="logits"),
        "state": tuple(
            StateInfo(f"state_{index}", state, (-1, *shape))
            for index, (state, shape) in enumerate(zip(states, shapes, strict=True))
        ),
        "files": {file: sha256_of(folder / file) for file in files},
        "networks": {"pdmodel": {"files": files, "parity": parity}},
        "parity": parity,
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


def _save(
    form: StreamingRecognizer, stem: Path, size: int, shapes: Sequence[tuple[int, ...]]
) -> None:
    import paddle
    from paddle.static import InputSpec

    class Exported(paddle.nn.Layer):
        """Outputs in a flat list: the logits, then the state."""

        def __init__(self, network: StreamingRecognizer) -> None:
            super().__init__()
            self.network = network

        def forward(self, frame: paddle.Tensor, state: list[paddle.Tensor]) -> list[paddle.Tensor]:
            logits, new_state = self.network(frame, state)
            return [logits, *new_state]

    layer = Exported(form)
    layer.eval()
    spec = [
        InputSpec([None, 3, size, size], "float32", _FRAME),
        [
            InputSpec([None, *shape], "float32", f"state_{index}")
            for index, shape in enumerate(shapes)
        ],
    ]
    save_graph(layer, stem, spec)


def _parity(plain: StreamingRecognizer, engine: OnlineEngine, size: int) -> dict[str, float]:
    """Largest difference of logits over the frames of streams, together and alone.

    Raises:
        ExportError: it is above the tolerance, or not a number.
    """
    import paddle

    rng = np.random.default_rng(0)
    shape = (_CHECK_FRAMES, _CHECK_STREAMS, 3, size, size)
    frames = rng.standard_normal(shape, np.float32)
    frames[:, 1] = 0.0  # nothing
    frames[:, 2] = 2.0  # a bright constant
    expected = []
    with paddle.no_grad(), quiet_paddle():
        state = plain.init_state(_CHECK_STREAMS, size, size)
        zeros = [tensor.numpy() for tensor in state]
        for frame in frames:
            logits, state = plain(paddle.to_tensor(frame), state)
            expected.append(logits.numpy())
    together = np.stack(_run(engine, frames, zeros))
    alone = np.stack(_run(engine, frames[:, :1], [tensor[:1] for tensor in zeros]))
    wanted = np.stack(expected)
    difference = max(
        float(np.abs(together - wanted).max()), float(np.abs(alone - wanted[:, :1]).max())
    )
    allowed = max(PARITY_TOLERANCE, PARITY_RELATIVE * float(np.abs(wanted).max()))
    if not difference <= allowed:  # NaN fails too
        raise ExportError(
            f"the exported network differs from the model by {difference:.3g} (allowed: "
            f"{allowed:.3g}), so nothing was written; check the weights for infinite values, or "
            "try another version of Paddle"
        )
    return {"max_abs_difference": difference, "allowed": allowed}


def _run(engine: OnlineEngine, frames: np.ndarray, state: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Logits [N, K] of each of frames [F, N, 3, H, W]."""
    found = []
    for frame in frames:
        logits, state = engine.step(frame, state)
        found.append(logits)
    return found
