# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Which batch normalisation layers learn: partial BN, norm_eval, frozen stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from paddle import nn

from paddletsm.models.non_local import NonLocal

if TYPE_CHECKING:
    from paddletsm.models.backbone import Backbone

# SyncBatchNorm, of several GPUs, is no BatchNorm2D.
NORMS = (nn.BatchNorm2D, nn.SyncBatchNorm)


@dataclass(frozen=True)
class NormPolicy:
    """What a backbone keeps fixed during training.

    Attributes:
        partial_bn: every BatchNorm2D but the first runs on its stored statistics, affine frozen
            (the TSN/TSM authors' default for fine-tuning small sets). Non-local blocks are spared:
            they are new in such a fine-tuning, and in the references their norm is no 2D one.
        norm_eval: all batch norms run on stored statistics, affine still trained.
        frozen_stages: the stem and layer1..layerK are not trained at all; -1 freezes nothing.

    Source: mit-han-lab/temporal-shift-module ``ops/models.py``, MMAction2 ``resnet.py``.
    """

    partial_bn: bool = False
    norm_eval: bool = False
    frozen_stages: int = -1

    def freeze(self, backbone: Backbone) -> None:
        """Mark frozen parameters; called once when the backbone is built."""
        last = len(backbone.groups()) - 1
        if not -1 <= self.frozen_stages <= last:
            raise ValueError(
                f"frozen_stages must lie between -1 and {last}, not {self.frozen_stages}"
            )
        for layer in self._frozen_layers(backbone):
            _stop_gradients(layer)
        if self.partial_bn:
            for norm in _norms_but_the_first(backbone):
                _stop_gradients(norm)

    def apply(self, backbone: Backbone) -> None:
        """Put the fixed layers back into evaluation mode; called after every ``train()``."""
        for layer in self._frozen_layers(backbone):
            layer.eval()
        if self.norm_eval:
            fixed = _norms(backbone)
        else:
            fixed = _norms_but_the_first(backbone) if self.partial_bn else []
        for norm in fixed:
            norm.eval()

    def _frozen_layers(self, backbone: Backbone) -> list[nn.Layer]:
        groups = backbone.groups()[: self.frozen_stages + 1]
        return [layer for group in groups for layer in group]


def _norms(backbone: nn.Layer) -> list[nn.Layer]:
    return [layer for layer in backbone.sublayers() if isinstance(layer, NORMS)]


def _norms_but_the_first(backbone: nn.Layer) -> list[nn.Layer]:
    blocks = [layer for layer in backbone.sublayers() if isinstance(layer, NonLocal)]
    spared = {id(block.norm) for block in blocks}
    return [norm for norm in _norms(backbone)[1:] if id(norm) not in spared]


def _stop_gradients(layer: nn.Layer) -> None:
    for parameter in layer.parameters():
        parameter.stop_gradient = True
