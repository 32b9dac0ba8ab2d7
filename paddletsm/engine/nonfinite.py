# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Why a loss is not finite: the clip, the parameter or the layer where it begins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import paddle
from paddle import nn

from paddletsm.utils.text import listing

if TYPE_CHECKING:
    from paddletsm.engine.setup import Setup

_SHOWN_CLIPS = 4


def first_broken(tensors: Iterable[tuple[str, paddle.Tensor]]) -> str | None:
    """Name of the first tensor that holds a value that is not finite."""
    for name, tensor in tensors:
        if not bool(paddle.isfinite(tensor.astype("float32")).all()):
            return name
    return None


def explain(model: nn.Layer, clips: np.ndarray, paths: Sequence[str]) -> str:
    """Say where the values of a forward pass stop being finite.

    Args:
        model: with the weights that gave the loss; its statistics may change.
        clips: [N, T, 3, H, W], as it was given to the network.
        paths: of the clips.
    """
    of_clips = f"the step's clips: {listing(paths, _SHOWN_CLIPS)}"
    broken = [path for path, clip in zip(paths, clips, strict=True) if not _is_finite(clip)]
    if broken:
        return f"the input is not finite: {listing(broken, _SHOWN_CLIPS)} ({of_clips})"
    name = first_broken(model.state_dict().items())
    if name is not None:
        return f"the weights are not finite since the step before, {name} first ({of_clips})"
    layer = _first_broken_output(model, clips)
    if layer is not None:
        return (
            f"input and weights are finite, the output of {layer} is the first that is not; the "
            f"largest weight is {_largest(model):.2g} ({of_clips})"
        )
    return f"input, weights and outputs are finite, the loss of them is not ({of_clips})"


def explain_steps(
    setup: Setup, recent: Sequence[tuple[np.ndarray, paddle.Tensor]], *, epoch: int
) -> tuple[int, str]:
    """Find the first of the recent steps whose loss on this process is not finite.

    Args:
        setup: the run; its notes are of a time when the weights were as the step found them.
        recent: ids of the clips and sums of each step since the sums were looked at.
        epoch: 0-based; with the ids it fixes the clips, which are read again without a note.

    Returns:
        How many steps ago it was, 0 for the latest and -1 for none, and the explanation.
    """
    broken = [not np.isfinite(sums.numpy()[0]) for _, sums in recent]
    if True not in broken:
        return -1, ""
    index = broken.index(True)
    if setup.notes:
        return len(recent) - 1 - index, setup.notes[0]
    ids, dataset = recent[index][0], setup.train_loader.dataset
    wanted = {int(one) for one in ids}
    samples = [sample for sample in dataset.samples if sample.id in wanted]
    clips = np.stack([dataset.read(sample, epoch).frames[0] for sample in samples])
    return len(recent) - 1 - index, explain(setup.model, clips, [s.path for s in samples])


def _is_finite(clip: np.ndarray) -> bool:
    return bool(np.isfinite(clip).all())


def _first_broken_output(model: nn.Layer, clips: np.ndarray) -> str | None:
    """Name of the first layer, in order of computation, that gives values that are not finite."""
    found: list[str] = []
    hooks = []
    for name, layer in model.named_sublayers():
        if not layer.sublayers():

            def look(
                layer: nn.Layer, inputs: tuple, output: paddle.Tensor, name: str = name
            ) -> None:
                if not found and first_broken([(name, output)]):
                    found.append(name)

            hooks.append(layer.register_forward_post_hook(look))
    paddle.jit.enable_to_static(False)  # a compiled network would compile the hooks
    try:
        with paddle.no_grad():
            model(paddle.to_tensor(clips))
    finally:
        paddle.jit.enable_to_static(True)
        for hook in hooks:
            hook.remove()
    return found[0] if found else None


def _largest(model: nn.Layer) -> float:
    return max(float(p.astype("float32").abs().max()) for p in model.parameters() if p.size)
