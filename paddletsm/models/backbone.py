# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What all backbones share: their registry, the facts that others ask for, convolutions."""

from __future__ import annotations

from typing import Literal

import paddle
from paddle import Tensor, nn
from paddle.nn.initializer import KaimingNormal

from paddletsm.models.non_local import NonLocalMode
from paddletsm.models.norm_policy import NormPolicy
from paddletsm.models.shift import ShiftMode
from paddletsm.registry import Registry

BACKBONES = Registry("backbone")

ShiftPlace = Literal["blockres", "block"]


class Backbone(nn.Layer):
    """A network over frames: [N*T, 3, H, W] -> [N*out_segments, out_channels, h, w].

    Attributes:
        num_seg: T, frames per clip.
        out_segments: T', frames per clip behind the network.
        out_channels: C, channels of the features.
        data_format: of the layers inside; input and output are NCHW.
        norm_policy: what stays fixed in training.
        is_shifted: blocks exchange channels between neighbouring frames.
        fixes_segments: frames of a clip see each other, so T cannot be changed in use.
        shift_div: 1/shift_div of the channels moves each way.
        shift_place: where in a block the shift sits.
        shift_mode: "offline" or "online".
        temporal_pool: frames are halved on the way.
        non_local: how its non-local blocks compare, None without such blocks.
        knows_folds: the features are a residual stream of an offline network, not mixed by a last
            convolution, so two orders of their folds are possible.
        restores_order: ``in_source_order`` exchanges the two folds of the features.
    """

    is_shifted = False
    shift_div = 8
    shift_place: ShiftPlace | None = None
    shift_mode: ShiftMode = "offline"
    temporal_pool = False
    non_local: NonLocalMode | None = None
    knows_folds = False
    restores_order = False

    def __init__(self, num_seg: int, data_format: str) -> None:
        super().__init__()
        if num_seg < 1:
            raise ValueError(f"num_seg must be at least 1, not {num_seg}")
        if data_format not in ("NCHW", "NHWC"):
            raise ValueError(f"data_format must be NCHW or NHWC, not {data_format!r}")
        self.num_seg = self.out_segments = num_seg
        self.data_format = data_format
        self.fixes_segments = self.is_shifted
        self.out_channels = 0

    def groups(self) -> list[list[nn.Layer]]:
        """Layers from the input on: the stem, then stage by stage, as ``frozen_stages`` counts."""
        raise NotImplementedError

    def apply_policy(self, policy: NormPolicy) -> None:
        """Freeze what the policy fixes; called once, when all layers are built."""
        self.norm_policy = policy
        policy.freeze(self)

    def in_source_order(self, pooled: Tensor) -> Tensor:
        """Channels of pooled features [M, C] as the source of the weights orders them.

        Inside, the first fold comes from the past (Paddle's order). The authors' networks are the
        same with the two folds of every residual stream exchanged; this exchanges those of the
        features back, so that they are the authors', channel by channel.
        """
        if not self.restores_order:
            return pooled
        fold = self.out_channels // self.shift_div
        parts = [pooled[:, fold : 2 * fold], pooled[:, :fold], pooled[:, 2 * fold :]]
        return paddle.concat(parts[: 2 if 2 * fold == self.out_channels else 3], 1)

    def channels_last(self, x: Tensor) -> Tensor:
        """[M, C, H, W] as the layers want it."""
        return x.transpose([0, 2, 3, 1]) if self.data_format == "NHWC" else x

    def channels_first(self, x: Tensor) -> Tensor:
        """Undo ``channels_last``."""
        return x.transpose([0, 3, 1, 2]) if self.data_format == "NHWC" else x


def conv(
    in_channels: int,
    out_channels: int,
    kernel: int,
    stride: int = 1,
    *,
    groups: int = 1,
    data_format: str = "NCHW",
) -> nn.Conv2D:
    """Convolution without bias, "same" padding, Kaiming-normal initialisation."""
    return nn.Conv2D(
        in_channels,
        out_channels,
        kernel,
        stride=stride,
        padding=kernel // 2,
        groups=groups,
        weight_attr=paddle.ParamAttr(initializer=KaimingNormal()),
        bias_attr=False,
        data_format=data_format,
    )
