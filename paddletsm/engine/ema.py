# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""A moving average of the weights, which is validated and saved in their place."""

from __future__ import annotations

import paddle
from paddle import nn


class Ema:
    """Exponential moving average of every tensor of a network, batch norm statistics included.

    average <- d * average + (1 - d) * weights after every step, with
    d = min(decay, (1 + step) / (10 + step)), so that the random weights of the first steps are
    soon forgotten.

    Args:
        model: the network, not its distributed wrapper.
        decay: d in the long run; 0.9998 averages over about 5,000 steps.
    """

    def __init__(self, model: nn.Layer, decay: float) -> None:
        self.decay = decay
        self._model = model
        self.tensors = {
            name: tensor.detach().astype("float32").clone()
            for name, tensor in model.state_dict().items()
        }

    def update(self, step: int) -> None:
        """Take in the weights after the 0-based global step."""
        decay = min(self.decay, (1 + step) / (10 + step))
        with paddle.no_grad():
            for name, tensor in self._model.state_dict().items():
                # Not lerp_, which keeps an object per call alive (Paddle 3.3.1).
                self.tensors[name].scale_(decay)
                self.tensors[name].add_(tensor.detach().astype("float32") * (1.0 - decay))

    def copy_to_model(self) -> None:
        """Put the averages into the network."""
        for name, tensor in self._model.state_dict().items():
            tensor.set_value(self.tensors[name].astype(tensor.dtype))
