# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Count the multiply-adds of a network by running it once."""

from __future__ import annotations

import math

import paddle
from paddle import Tensor, nn

from paddletsm.models.non_local import NonLocal
from paddletsm.models.recognizer import Recognizer2D


def count_flops(model: Recognizer2D, height: int, width: int, *, num_seg: int | None = None) -> int:
    """Multiply-adds for one clip: one multiplication with its addition counts as one.

    Convolutions, linear layers and the matrix products of non-local blocks are counted; BN,
    activations, pooling and the shift, which multiplies nothing, are not. That is how published
    tables count ("4.1 GFLOPs" of ResNet-50 are multiply-adds).

    Args:
        model: the network; its mode is left as it was.
        height: pixels of a frame.
        width: pixels of a frame.
        num_seg: frames of the clip; None: as many as the network is built for.

    Returns:
        Multiply-adds.
    """
    total = 0

    def count(layer: nn.Layer, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        total += _multiply_adds(layer, inputs[0], output)

    handles = [
        layer.register_forward_post_hook(count)
        for layer in model.sublayers()
        if isinstance(layer, (nn.Conv2D, nn.Linear, NonLocal))
    ]
    was_training = model.training
    model.eval()
    try:
        with paddle.no_grad():
            model(paddle.zeros([1, num_seg or model.num_seg, 3, height, width]))
    finally:
        for handle in handles:
            handle.remove()
        if was_training:
            model.train()
    return total


def _multiply_adds(layer: nn.Layer, x: Tensor, output: Tensor) -> int:
    if isinstance(layer, NonLocal):
        return layer.count_products(x.shape)
    weight = layer.weight.shape  # convolution [out, in / groups, kh, kw], linear [in, out]
    per_value = weight[0] if isinstance(layer, nn.Linear) else math.prod(weight[1:])
    return math.prod(output.shape) * per_value
