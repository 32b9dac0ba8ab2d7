# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""From a layer to a graph on disk, leaving the caller's network as it was."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from paddletsm.deploy.quiet import quiet_paddle
from paddletsm.errors import ExportError

if TYPE_CHECKING:
    from paddle import nn
    from paddle.static import InputSpec

    from paddletsm.models import Recognizer2D


@contextlib.contextmanager
def evaluating(model: Recognizer2D) -> Iterator[None]:
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


def save_graph(
    layer: nn.Layer, stem: Path, spec: list[InputSpec], *, is_new_ir: bool = False
) -> None:
    """Write ``stem``.pdmodel (or .json) and ``stem``.pdiparams.

    Args:
        layer: in evaluation mode; its ``forward`` is replaced, so it should not be the caller's.
        stem: path without suffix.
        spec: the layer's inputs.
        is_new_ir: .json of Paddle 3, else .pdmodel, which Paddle 2.6 reads too.

    Raises:
        ExportError: Paddle cannot do it.
    """
    import paddle

    if is_new_ir and not hasattr(paddle.pir_utils, "OldIrGuard"):
        raise ExportError(
            f"the format json is that of Paddle 3; Paddle {paddle.__version__} is installed. "
            "Export --format pdmodel, which Paddle 3 reads as well"
        )
    # Paddle 3 writes the format that 2.6 reads only in its former mode; 2.6 has no other.
    guard = getattr(paddle.pir_utils, "OldIrGuard", contextlib.nullcontext)
    try:
        with quiet_paddle(), contextlib.nullcontext() if is_new_ir else guard():
            static = paddle.jit.to_static(layer, input_spec=spec, full_graph=True)
            paddle.jit.save(static, str(stem))
    except (RuntimeError, ValueError, TypeError, NotImplementedError) as err:
        message = str(err).strip().splitlines() or [type(err).__name__]
        raise ExportError(f"Paddle cannot turn the network into a graph: {message[-1]}") from err
    stem.with_name(f"{stem.name}.pdiparams.info").unlink(missing_ok=True)  # only training reads it


def trace(layer: nn.Layer, spec: list[InputSpec]) -> tuple[Any, dict[str, np.ndarray]]:
    """Graph of a layer as ``paddle.static.Program``, and its parameters by name.

    Raises:
        ExportError: Paddle cannot do it.
    """
    parameters = {p.name: np.asarray(p.numpy()) for p in layer.state_dict().values()}
    with tempfile.TemporaryDirectory(prefix="paddletsm-") as folder:
        stem = Path(folder) / "graph"
        save_graph(layer, stem, spec)
        return read_program(stem.with_suffix(".pdmodel")), parameters


def read_program(path: Path) -> Any:
    """The ``paddle.static.Program`` of a .pdmodel that ``save_graph`` has written."""
    import paddle

    guard = getattr(paddle.pir_utils, "OldIrGuard", contextlib.nullcontext)
    with guard():
        return paddle.static.deserialize_program(path.read_bytes())


def output_names(program: Any) -> list[str]:
    """Names of what a program gives, in order."""
    fetches = (op for op in program.global_block().ops if op.type == "fetch")
    return [op.input("X")[0] for op in sorted(fetches, key=lambda op: op.attr("col"))]
