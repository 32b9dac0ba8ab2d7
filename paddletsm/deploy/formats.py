# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The forms in which an artefact holds its network, and the check that each is the same network.

pdmodel  Paddle 2.6 and 3, fast form (``fuse.py``)
json     Paddle 3's own, fast form
onnx     OpenVINO and ONNX Runtime, fast form
int8     OpenVINO and ONNX Runtime, 8 bit, plain form (``int8.py``)
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from paddletsm.deploy.engine import Engine, EngineOptions, PaddleEngine
from paddletsm.deploy.engines import ENGINES, is_installed, open_engine
from paddletsm.deploy.graph import save_graph, trace
from paddletsm.deploy.quiet import quiet_paddle
from paddletsm.errors import ConfigError, ExportError
from paddletsm.utils.text import listing, nearest

if TYPE_CHECKING:
    from paddletsm.models import Recognizer2D

FORMATS = ("pdmodel", "json", "onnx", "int8")

# Logits of the two forms differ by rounding only, about 1e-6 of their size; the second figure is
# for logits above 10, as untrained networks give.
PARITY_TOLERANCE = 1e-4
PARITY_RELATIVE = 1e-5


@dataclass(frozen=True)
class Reference:
    """What every form has to reproduce.

    Attributes:
        clips: [3, T, 3, H, W] float32: random pixels, nothing, a bright constant.
        logits: [3, K] float32 of the caller's network.
    """

    clips: np.ndarray
    logits: np.ndarray


def check_formats(formats: Sequence[str]) -> tuple[str, ...]:
    """Refuse unknown formats and such whose packages are missing, before anything is computed.

    Raises:
        ConfigError: see above.
    """
    for name in formats:
        if name not in FORMATS:
            raise ConfigError(
                f"format {name!r} is unknown{nearest(name, FORMATS)} (known: {listing(FORMATS)})"
            )
    if not formats:
        raise ConfigError(f"name at least one format: {listing(FORMATS)}")
    if {"onnx", "int8"} & set(formats):
        from paddletsm.deploy.onnx_export import import_onnx

        import_onnx()
        needed = ("onnxruntime",) if "int8" in formats else ("onnxruntime", "openvino")
        if not any(is_installed(name) for name in needed):
            raise ConfigError(
                f"the formats onnx and int8 need {' or '.join(needed)} to be checked; "
                "pip install 'paddletsm[onnx]'"
            )
    return tuple(dict.fromkeys(formats))


def network_files(name: str, form: str) -> tuple[str, ...]:
    """Names of a format's files: the structure first."""
    return {
        "pdmodel": (f"{name}.pdmodel", f"{name}.pdiparams"),
        "json": (f"{name}.json", f"{name}.json.pdiparams"),
        "onnx": (f"{name}.onnx",),
        "int8": (f"{name}.int8.onnx",),
    }[form]


def reference_of(model: Recognizer2D, shape: tuple[int, ...]) -> Reference:
    """Logits of the caller's network for clips of (T, H, W)."""
    import paddle

    clips = np.zeros((3, shape[0], 3, *shape[1:]), np.float32)
    clips[0] = np.random.default_rng(0).standard_normal(clips.shape[1:], np.float32)
    clips[2] = 2.0
    with paddle.no_grad(), quiet_paddle():
        return Reference(clips, model(paddle.to_tensor(clips)).numpy())


def write_network(
    form: str, model: Recognizer2D, folder: Path, name: str, shape: tuple[int, ...]
) -> tuple[str, ...]:
    """Write a network in one floating-point format.

    Args:
        form: "pdmodel", "json" or "onnx".
        model: in evaluation mode.
        folder: where the files go.
        name: their stem.
        shape: (T, H, W) of a clip.

    Returns:
        Names of the files, the structure first.

    Raises:
        ExportError: it cannot be written.
    """
    from paddletsm.deploy.fuse import fast_form

    files = network_files(name, form)
    if form == "onnx":
        write_onnx_form(model, folder / files[0], shape)
        return files
    spec = input_spec(model, shape)
    layer = fast_form(model)
    if form == "pdmodel":
        save_graph(layer, folder / name, spec)
        return files
    with tempfile.TemporaryDirectory(prefix=".json-", dir=folder) as scratch:
        # Apart from a .pdmodel, whose parameters have the same file name and other content.
        save_graph(layer, Path(scratch) / name, spec, is_new_ir=True)
        (Path(scratch) / f"{name}.json").rename(folder / files[0])
        (Path(scratch) / f"{name}.pdiparams").rename(folder / files[1])
    return files


def write_onnx_form(
    model: Recognizer2D, path: Path, shape: tuple[int, ...], *, is_plain: bool = False
) -> None:
    """Write a network as ONNX, in the fast form or with the shifts as slices."""
    from paddletsm.deploy.fuse import fast_form
    from paddletsm.deploy.onnx_export import write_onnx

    spec = input_spec(model, shape)
    write_onnx(*trace(fast_form(model, keep_shifts=is_plain), spec), path)


def input_spec(model: Recognizer2D, shape: tuple[int, ...]) -> list[Any]:
    """``model.input_spec`` for clips of (T, H, W).

    Raises:
        ExportError: the layers inside are NHWC.
    """
    if getattr(model.backbone, "data_format", "NCHW") != "NCHW":
        raise ExportError(
            "Paddle Inference cannot fuse a network of data_format NHWC; build it with "
            "MODEL.backbone.data_format NCHW for the export: the weights are the same"
        )
    num_seg, height, width = shape
    return model.input_spec(height, width, num_seg)


def verify(form: str, paths: Sequence[Path], reference: Reference) -> tuple[dict[str, float], str]:
    """Compare a written network with the model in every engine that is here to run it.

    Returns:
        {"max_abs_difference", "allowed"} and the name of the output.

    Raises:
        ExportError: it differs by more than the tolerance.
    """
    options = EngineOptions(max_batch=len(reference.clips))
    if form in ("pdmodel", "json"):
        engines: list[Engine] = [PaddleEngine(paths[0], paths[1], options)]
        output = engines[0].output_name
    else:
        names = [name for name, known in ENGINES.items() if form in known and is_installed(name)]
        engines = [open_engine(name, paths, options) for name in names]
        output = _onnx_output(paths[0])
    checked = [parity(engine, reference.clips, reference.logits) for engine in engines]
    return max(checked, key=lambda figures: figures["max_abs_difference"]), output


def _onnx_output(path: Path) -> str:
    """Name of the logits in an .onnx file.

    OpenVINO leaves out what changes nothing, such as a bias of zeros, and then may tell the name of
    what lies before.
    """
    from paddletsm.deploy.onnx_export import import_onnx

    return import_onnx().load(path).graph.output[0].name


def parity(engine: Engine, clips: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    """Largest difference from ``expected`` [N, K], of one batch and of single clips.

    Raises:
        ExportError: it is above the tolerance, or not a number.
    """
    singles = np.concatenate([engine.run(clips[i : i + 1]) for i in (0, 2)])
    return checked_difference((engine.run(clips), expected), (singles, expected[[0, 2]]))


def checked_difference(*pairs: tuple[np.ndarray, np.ndarray]) -> dict[str, float]:
    """Compare logits of an exported network with those of the model.

    Args:
        pairs: (found, expected), of the same shape; the first pair holds the largest logits.

    Returns:
        {"max_abs_difference", "allowed"}, over all pairs.

    Raises:
        ExportError: the difference is above the tolerance, or not a number.
    """
    # Not max(), which forgets a NaN that comes second.
    difference = float(np.max([_difference(found, expected) for found, expected in pairs]))
    largest = float(np.abs(pairs[0][1]).max())
    allowed = max(PARITY_TOLERANCE, PARITY_RELATIVE * largest)
    if not difference <= allowed:  # NaN fails too
        raise ExportError(
            f"the exported network differs from the model by {difference:.3g} (allowed: "
            f"{allowed:.3g}), so nothing was written; check the weights for infinite values, or "
            "try another version of Paddle"
        )
    return {"max_abs_difference": difference, "allowed": allowed}


def _difference(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max()) if found.shape == expected.shape else float("inf")
