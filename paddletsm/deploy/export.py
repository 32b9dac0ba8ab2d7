# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Write a trained network as an artefact, and prove that it is the same network.

Recognizer2D -> .pdmodel, .pdiparams, inference.yml in a temporary folder -> parity -> rename
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from paddletsm.deploy.artefact import (
    FILE_NAME,
    Artefact,
    TensorInfo,
    read_artefact,
    write_artefact,
)
from paddletsm.deploy.engine import Engine, EngineOptions, PaddleEngine
from paddletsm.deploy.quiet import quiet_paddle
from paddletsm.errors import ExportError
from paddletsm.utils.io import sha256_of
from paddletsm.utils.text import listing
from paddletsm.version import __version__

if TYPE_CHECKING:
    from paddletsm.models import Recognizer2D

# Logits of the two forms differ by rounding only, about 1e-6 of their size; the second figure is
# for logits above 10, as untrained networks give.
PARITY_TOLERANCE = 1e-4
PARITY_RELATIVE = 1e-5
_KNOWN_SUFFIXES = (".pdmodel", ".pdiparams", ".info", ".json", ".onnx", ".yml", ".yaml")


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
) -> Path:
    """Export a network with everything that predicting with it needs.

    The network takes any number of clips; Paddle 2.6 and 3.x read it. The caller's model keeps its
    mode and its layers. An earlier artefact in ``out_dir`` is replaced once the new one has passed.

    Args:
        model: the network with its weights.
        out_dir: artefact folder: new, empty, or holding an earlier artefact.
        name: stem of the files.
        spec: PIPELINE.test of the configuration, resolved.
        labels: K class names in the order of the logits.
        target_size: pixels of a side, or (height, width), that the pipeline crops to.
        weights_sha256: hash of the weights file.
        metrics: accuracy measured with this pipeline.
        protocol: facts beside clips, crops and averaging, which ``spec`` tells.
        meta: MODEL section of the configuration.

    Returns:
        ``out_dir``, absolute.

    Raises:
        ExportError: arguments contradict each other, logits of the copy differ by more than 1e-4,
            or a file cannot be written; ``out_dir`` is then as it was.
        ConfigError: ``spec`` is not a valid pipeline.
    """
    out_dir = Path(out_dir).resolve()
    size = _pair(target_size)
    num_seg = _num_seg(model, spec)
    known_protocol = _protocol(spec, protocol, num_seg=num_seg, size=size)
    with _evaluating(model), _staging(out_dir, name) as staged:
        _save_network(model, staged / name, (num_seg, *size))
        artefact = Artefact(
            model_name=name,
            num_seg=num_seg,
            pipeline=spec,
            protocol=known_protocol,
            files={path.name: sha256_of(path) for path in sorted(staged.iterdir())},
            versions=_versions(),
            model=meta,
            metrics=metrics,
            weights_sha256=weights_sha256,
            **_verified(model, staged / name, (num_seg, *size), labels),
        )
        write_artefact(artefact, staged)
        read_artefact(staged)
        _install(staged, out_dir)
    return out_dir


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
    derived = {"clips": pipeline.num_clips, "crops": pipeline.num_crops, "average": "scores"}
    for key, value in (stated or {}).items():
        if derived.setdefault(key, value) != value:
            raise ExportError(
                f"the protocol states {key} = {value!r}, PIPELINE.test means {derived[key]!r}"
            )
    return derived


def _pair(size: int | Sequence[int]) -> tuple[int, ...]:
    return (size, size) if isinstance(size, int) else tuple(size)


@contextlib.contextmanager
def _evaluating(model: Recognizer2D) -> Iterator[None]:
    """Evaluation mode; afterwards each layer has its own mode and its own ``forward`` again.

    ``to_static`` of Paddle 2.6 leaves translated methods in the layers it has walked through.
    """
    layers = model.sublayers(include_self=True)
    before = [(layer.training, "forward" in vars(layer)) for layer in layers]
    model.eval()
    try:
        yield
    finally:
        for layer, (training, has_own_forward) in zip(layers, before, strict=True):
            layer.training = training
            if not has_own_forward:
                vars(layer).pop("forward", None)
                layer._original_funcs.pop("forward", None)


@contextlib.contextmanager
def _staging(out_dir: Path, name: str) -> Iterator[Path]:
    """Give a temporary folder beside ``out_dir``, so that a rename puts it in place."""
    if not name or Path(name).name != name or name.startswith("."):
        raise ExportError(f"model name {name!r} must be a plain file name")
    _check_destination(out_dir)
    try:
        out_dir.parent.mkdir(parents=True, exist_ok=True)
        _clear_leftovers(out_dir)
        folder = _folder_beside(out_dir, ".tmp")
    except OSError as err:
        raise ExportError(f"cannot write beside {out_dir}: {err}; choose another folder") from err
    try:
        umask = os.umask(0)
        os.umask(umask)
        folder.chmod(0o777 & ~umask)  # mkdtemp makes private folders
        yield folder
    except OSError as err:
        raise ExportError(f"cannot write the artefact {out_dir}: {err}") from err
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _folder_beside(path: Path, suffix: str) -> Path:
    return Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=suffix, dir=path.parent))


def _clear_leftovers(out_dir: Path) -> None:
    """Finish what an export to the same folder was killed in: its hidden folders beside it."""
    named = re.compile(rf"\.{re.escape(out_dir.name)}\.[a-z0-9_]{{8}}\.(tmp|old)")
    for folder in sorted(out_dir.parent.iterdir()):
        kind = named.fullmatch(folder.name)
        if kind is None or not folder.is_dir() or folder.is_symlink():
            continue
        if kind[1] == "tmp":
            shutil.rmtree(folder, ignore_errors=True)
        elif out_dir.exists():
            _drop_earlier(folder, out_dir)
        else:  # killed between the two renames of _install
            folder.rename(out_dir)


def _save_network(model: Recognizer2D, stem: Path, shape: tuple[int, ...]) -> None:
    """Write ``stem``.pdmodel and ``stem``.pdiparams for clips of (T, H, W)."""
    if getattr(model.backbone, "data_format", "NCHW") != "NCHW":
        raise ExportError(
            "Paddle Inference cannot fuse a network of data_format NHWC; build it with "
            "MODEL.backbone.data_format NCHW for the export: the weights are the same"
        )
    import paddle

    class Exported(paddle.nn.Layer):
        """Stands between the caller's model and ``to_static``, which replaces ``forward``."""

        def __init__(self, network: Recognizer2D) -> None:
            super().__init__()
            self.network = network

        def forward(self, clips: paddle.Tensor) -> paddle.Tensor:
            return self.network(clips)

    num_seg, height, width = shape
    layer = Exported(model)  # before the guard: parameters belong to dynamic mode
    layer.eval()
    # Paddle 3 writes the format that 2.6 reads only in its former mode; 2.6 has no other.
    guard = getattr(paddle.pir_utils, "OldIrGuard", contextlib.nullcontext)
    try:
        with quiet_paddle(), guard():
            static = paddle.jit.to_static(
                layer, input_spec=model.input_spec(height, width, num_seg), full_graph=True
            )
            paddle.jit.save(static, str(stem))
    except (RuntimeError, ValueError, TypeError, NotImplementedError) as err:
        message = str(err).strip().splitlines() or [type(err).__name__]
        raise ExportError(f"Paddle cannot turn the network into a graph: {message[-1]}") from err
    stem.with_name(f"{stem.name}.pdiparams.info").unlink(missing_ok=True)  # only training reads it


def _verified(
    model: Recognizer2D, stem: Path, shape: tuple[int, ...], labels: Sequence[str]
) -> dict[str, Any]:
    """Compare the saved network with the model; return what ``Artefact`` says about both.

    Batches of 1 and 3, of random pixels, nothing, and a bright constant.
    """
    import paddle

    clips = np.zeros((3, shape[0], 3, *shape[1:]), np.float32)
    clips[0] = np.random.default_rng(0).standard_normal(clips.shape[1:], np.float32)
    clips[2] = 2.0
    with paddle.no_grad(), quiet_paddle():
        expected = model(paddle.to_tensor(clips)).numpy()
    if expected.shape[1] != len(labels):
        raise ExportError(
            f"{len(labels)} class names for a network of {expected.shape[1]} classes; "
            "give one name per class"
        )
    engine = PaddleEngine(
        stem.with_name(f"{stem.name}.pdmodel"),
        stem.with_name(f"{stem.name}.pdiparams"),
        EngineOptions(max_batch=len(clips)),
    )
    return {
        "labels": tuple(str(label) for label in labels),
        "input": TensorInfo("clips", (-1, *clips.shape[1:])),
        "output": TensorInfo(engine.output_name, (-1, expected.shape[1]), kind="logits"),
        "parity": _parity(engine, clips, expected),
    }


def _parity(engine: Engine, clips: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    """Largest difference from ``expected`` [N, K], of one batch and of single clips.

    Raises:
        ExportError: it is above the tolerance, or not a number.
    """
    singles = np.concatenate([engine.run(clips[i : i + 1]) for i in (0, 2)])
    difference = max(
        _difference(engine.run(clips), expected), _difference(singles, expected[[0, 2]])
    )
    allowed = max(PARITY_TOLERANCE, PARITY_RELATIVE * float(np.abs(expected).max()))
    if not difference <= allowed:  # NaN fails too
        raise ExportError(
            f"the exported network differs from the model by {difference:.3g} (allowed: "
            f"{allowed:.3g}), so nothing was written; check the weights for infinite values, or "
            "try another version of Paddle"
        )
    return {"max_abs_difference": difference, "allowed": allowed}


def _difference(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max()) if found.shape == expected.shape else float("inf")


def _versions() -> dict[str, str]:
    import paddle

    return {
        "paddletsm": __version__,
        "paddle": paddle.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def _check_destination(out_dir: Path) -> None:
    """Refuse folders of other things, which replacing would move about."""
    if not out_dir.exists():
        return
    if not out_dir.is_dir():
        raise ExportError(f"{out_dir} is a file; name a folder for the artefact")
    if (out_dir / FILE_NAME).is_file():
        return
    foreign = [item.name for item in sorted(out_dir.iterdir()) if not _is_artefact_part(item)]
    if foreign:
        raise ExportError(
            f"{out_dir} holds other things ({listing(foreign, 4)}); name a new folder, such as "
            f"{out_dir / 'model'}"
        )


def _is_artefact_part(path: Path) -> bool:
    return path.is_file() and path.suffix in _KNOWN_SUFFIXES


def _install(staged: Path, out_dir: Path) -> None:
    """Rename ``staged`` to ``out_dir``; an earlier artefact there goes once that has worked."""
    if not out_dir.exists():
        staged.rename(out_dir)
        return
    earlier = _folder_beside(out_dir, ".old")
    out_dir.rename(earlier)  # onto an empty folder
    try:
        staged.rename(out_dir)
    except OSError:
        earlier.rename(out_dir)
        raise
    _drop_earlier(earlier, out_dir)


def _drop_earlier(earlier: Path, out_dir: Path) -> None:
    """Remove a replaced artefact; the user's own notes in it move on."""
    for item in list(earlier.iterdir()):
        if not _is_artefact_part(item) and not (out_dir / item.name).exists():
            item.rename(out_dir / item.name)
    shutil.rmtree(earlier, ignore_errors=True)
