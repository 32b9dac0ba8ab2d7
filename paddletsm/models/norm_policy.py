# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Which batch normalisation layers learn: partial BN, norm_eval, frozen stages."""

from __future__ import annotations

from dataclasses import dataclass

from paddle import nn


@dataclass(frozen=True)
class NormPolicy:
    """What a backbone keeps fixed during training.

    Attributes:
        partial_bn: every BatchNorm2D but the first runs on its stored statistics, affine frozen
            (the TSN/TSM authors' default for fine-tuning small sets).
        norm_eval: all BatchNorm2D run on stored statistics, affine still trained.
        frozen_stages: the stem and layer1..layerK are not trained at all; -1 freezes nothing.

    Source: mit-han-lab/temporal-shift-module ``ops/models.py``, MMAction2 ``resnet.py``.
    """

    partial_bn: bool = False
    norm_eval: bool = False
    frozen_stages: int = -1

    def freeze(self, backbone: nn.Layer) -> None:
        """Mark frozen parameters; called once when the backbone is built."""
        if not -1 <= self.frozen_stages <= 4:
            raise ValueError(f"frozen_stages must lie between -1 and 4, not {self.frozen_stages}")
        for layer in self._frozen_layers(backbone):
            _stop_gradients(layer)
        if self.partial_bn:
            for norm in _norms(backbone)[1:]:
                _stop_gradients(norm)

    def apply(self, backbone: nn.Layer) -> None:
        """Put the fixed layers back into evaluation mode; called after every ``train()``."""
        for layer in self._frozen_layers(backbone):
            layer.eval()
        norms = _norms(backbone)
        for norm in norms if self.norm_eval else norms[1:] if self.partial_bn else []:
            norm.eval()

    def _frozen_layers(self, backbone: nn.Layer) -> list[nn.Layer]:
        if self.frozen_stages < 0:
            return []
        return [backbone.conv1, backbone.bn1, *backbone.stages[: self.frozen_stages]]


def _norms(backbone: nn.Layer) -> list[nn.BatchNorm2D]:
    return [layer for layer in backbone.sublayers() if isinstance(layer, nn.BatchNorm2D)]


def _stop_gradients(layer: nn.Layer) -> None:
    for parameter in layer.parameters():
        parameter.stop_gradient = True
