# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""All ways to run an artefact's network here, behind one call: views in, logits out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from paddletsm.deploy.artefact import Artefact
from paddletsm.deploy.engine import Engine, EngineOptions
from paddletsm.deploy.engines import ENGINES, is_installed, open_engine, run_once_quietly
from paddletsm.deploy.quiet import quiet_paddle
from paddletsm.errors import ConfigError, ExportError

if TYPE_CHECKING:
    from paddletsm.deploy.online_engine import OnlineEngine
    from paddletsm.models import Recognizer2D

_NO_LOGITS = np.zeros((0, 0), np.float32)


@dataclass(frozen=True)
class Way:
    """One way to run the network.

    Attributes:
        name: for the table.
        run: views [V, T, 3, H, W] -> logits [V, K], or no logits [0, 0] where it cannot take them.
        is_int8: judged by cosine and agreement.
    """

    name: str
    run: Callable[[np.ndarray], np.ndarray]
    is_int8: bool = False


def ways_of(
    folder: Path, artefact: Artefact, model: Recognizer2D, threads: int | None = None
) -> list[Way]:
    """Open every format of an artefact with every engine that is installed, and streaming.

    Args:
        folder: of the artefact.
        artefact: its content.
        model: the trained network, for streaming.
        threads: CPU threads of each engine.

    Raises:
        ExportError: an engine cannot load its files.
    """
    options = EngineOptions(threads=threads)
    if artefact.is_online:
        return [*_streaming_ways(model), *_online_ways(folder, artefact, options)]
    ways = []
    for form in artefact.formats:
        files = [folder / name for name in artefact.files_of(form)]
        for engine in _engines_of(form):
            if is_installed(engine):
                opened = open_engine(engine, files, options)
                if form == "json":
                    run_once_quietly(opened, artefact)
                run = _views_through(opened, artefact)
                ways.append(Way(f"{form}, {engine}", run, is_int8=form == "int8"))
    return ways + _streaming_ways(model)


def missing_ways(artefact: Artefact, model: Recognizer2D) -> dict[str, str]:
    """Ways that the artefact has files for and that cannot be tried here, with the reason."""
    prefix = "streaming " if artefact.is_online else ""
    missing = {
        f"{prefix}{form}, {engine}": f"{engine} is not installed"
        for form in artefact.formats
        for engine in _engines_of(form)
        if not is_installed(engine)
    }
    is_online = getattr(model.backbone, "shift_mode", None) == "online"
    if is_online and (reason := _not_causal(model)):
        missing["streaming, eager"] = reason
    return missing


def eager_logits(model: Recognizer2D, views: np.ndarray) -> np.ndarray:
    """Logits [V, K] of views [V, T, 3, H, W], one by one; none where the network takes other T."""
    if model.backbone.fixes_segments and views.shape[1] != model.num_seg:
        return _NO_LOGITS
    import paddle

    with paddle.no_grad(), quiet_paddle():
        return np.concatenate([model(paddle.to_tensor(view[None])).numpy() for view in views])


def network_of(section: Mapping[str, Any], num_classes: int) -> Recognizer2D:
    """Build the network that ``inference.yml`` describes.

    Args:
        section: its ``model:``, {"backbone": arguments, "head": arguments}.
        num_classes: of its head.

    Raises:
        ExportError: the section is of another version of this package.
    """
    from paddletsm.models import BACKBONES, HEADS, Recognizer2D

    backbone_args, head_args = dict(section["backbone"]), dict(section["head"])
    head_args["num_classes"] = num_classes
    try:
        where = "inference.yml: model.backbone"
        backbone = BACKBONES.build(backbone_args.pop("name"), backbone_args, where=where)
        head_args["in_channels"] = backbone.out_channels
        head = HEADS.build(head_args.pop("name"), head_args, where="inference.yml: model.head")
    except ConfigError as err:
        raise ExportError(f"{err}; name the configuration with -c") from err
    return Recognizer2D(backbone, head)


def _engines_of(form: str) -> list[str]:
    return [engine for engine, formats in ENGINES.items() if form in formats]


def _views_through(engine: Engine, artefact: Artefact) -> Callable[[np.ndarray], np.ndarray]:
    shape = artefact.input.shape[1:]

    def run(views: np.ndarray) -> np.ndarray:
        if views.shape[1:] != shape:
            return _NO_LOGITS
        return np.concatenate([engine.run(view[None]) for view in views])

    return run


def _not_causal(model: Recognizer2D) -> str:
    from paddletsm.models.streaming import check_causal

    try:
        check_causal(model)
    except ConfigError as err:
        return str(err)
    return ""


def _streaming_ways(model: Recognizer2D) -> list[Way]:
    """The trained network unrolled in time, where it sees no later frames."""
    if getattr(model.backbone, "shift_mode", None) != "online" or _not_causal(model):
        return []
    import paddle

    from paddletsm.models.streaming import to_streaming

    network = to_streaming(model)
    network.eval()

    def run(views: np.ndarray) -> np.ndarray:
        frames = paddle.to_tensor(views)
        state = network.init_state(len(views), *views.shape[3:])
        logits = []
        with paddle.no_grad():
            for frame in frames.unbind(1):
                one, state = network(frame, state)
                logits.append(one.numpy())
        return np.mean(logits, axis=0)  # a clip's logits are the mean of its frames'

    return [Way("streaming, eager", run)]


def _online_ways(folder: Path, artefact: Artefact, options: EngineOptions) -> list[Way]:
    """Every format of a streaming artefact with every engine that is installed."""
    from paddletsm.deploy.online_engine import StreamShapes, open_online_engine

    ways = []
    for form in artefact.formats:
        files = [folder / name for name in artefact.files_of(form)]
        for name in filter(is_installed, _engines_of(form)):
            engine = open_online_engine(name, files, StreamShapes.of(artefact), options)
            ways.append(Way(f"streaming {form}, {name}", _frames_through(engine)))
    return ways


def _frames_through(engine: OnlineEngine) -> Callable[[np.ndarray], np.ndarray]:
    def run(views: np.ndarray) -> np.ndarray:
        if views.shape[2:] != engine.shapes.frame:
            return _NO_LOGITS
        streams = engine.start(len(views))
        return np.mean([streams.next(frame) for frame in views.swapaxes(0, 1)], axis=0)

    return run
