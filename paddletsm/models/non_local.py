# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Non-local blocks: every position of a clip sees every other one, in space and time.

    x [N*T,C,H,W] -+- theta ------------- q [N, P, C/2]    P = T*H*W positions
                   +- phi -- max pool/2 - k [N, P/4, C/2]
                   +- g ---- max pool/2 - v [N, P/4, C/2]
                   |       out, BN ( weight(q, k) v )
                   +--------------------------------------(+)--

    embedded_gaussian  softmax(q k^T)
    gaussian           softmax(q k^T) with q = x and k = pool(x): no theta, no phi
    dot_product        q k^T / (P/4)

Source: Wang et al., CVPR 2018, arXiv:1711.07971, behind residual blocks as in
mit-han-lab/temporal-shift-module ``ops/non_local.py`` and MMAction2 ``resnet_tsm.py``. Their
1x1x1 convolutions over clips are 1x1 convolutions over frames here: the same sums.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import paddle
import paddle.nn.functional as F
from paddle import Tensor, nn
from paddle.nn.initializer import Constant, KaimingNormal, Normal

NonLocalMode = Literal["embedded_gaussian", "gaussian", "dot_product"]


class NonLocal(nn.Layer):
    """One block; the identity at the start, because its last BN begins with weight 0.

    Args:
        channels: C.
        num_segments: T, frames per clip.
        mode: how two positions are compared.
        data_format: "NCHW" or "NHWC".

    Shape: [N*T, C, H, W] -> [N*T, C, H, W]; H and W at least 2.
    """

    def __init__(
        self,
        channels: int,
        num_segments: int,
        mode: NonLocalMode = "embedded_gaussian",
        *,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__()
        if mode not in get_args(NonLocalMode):
            raise ValueError(
                f"non_local must be one of {', '.join(get_args(NonLocalMode))}, not {mode!r}"
            )
        self.num_segments, self.mode = num_segments, mode
        self._data_format = data_format
        inner = max(1, channels // 2)
        self.g = _embedding(channels, inner, data_format)
        self.theta = self.phi = None
        if mode != "gaussian":
            self.theta = _embedding(channels, inner, data_format)
            self.phi = _embedding(channels, inner, data_format)
        self.out = nn.Conv2D(
            inner,
            channels,
            1,
            weight_attr=paddle.ParamAttr(initializer=KaimingNormal()),
            bias_attr=False,
            data_format=data_format,
        )
        self.norm = nn.BatchNorm2D(
            channels,
            weight_attr=paddle.ParamAttr(initializer=Constant(0.0)),
            data_format=data_format,
        )
        self.pool = nn.MaxPool2D(2, 2, data_format=data_format)

    def forward(self, x: Tensor) -> Tensor:
        query = self._positions(x if self.theta is None else self.theta(x))  # [N, P, C']
        key = self._columns(self.pool(x if self.phi is None else self.phi(x)))  # [N, C', P/4]
        value = self._positions(self.pool(self.g(x)))  # [N, P/4, C/2]
        # By operator, because Paddle 3.3 cannot export its functions matmul and bmm to .pdmodel.
        if self.mode == "dot_product":
            # (q k^T) v = q (k^T v), which never builds the matrix of all pairs.
            mixed = query @ (key @ value) / key.shape[2]
        else:
            mixed = F.softmax(query @ key, -1) @ value
        return x + self.norm(self.out(self._frames(mixed, x.shape)))

    def count_products(self, shape: list[int]) -> int:
        """Multiply-adds of the matrix products for an input of this shape; convolutions not."""
        height, width = shape[1:3] if self._data_format == "NHWC" else shape[2:4]
        clips = shape[0] // self.num_segments
        positions = self.num_segments * height * width
        pooled = self.num_segments * (height // 2) * (width // 2)
        inner = self.out.weight.shape[1]
        if self.mode == "dot_product":
            return clips * inner * inner * (positions + pooled)
        compared = inner if self.mode == "embedded_gaussian" else self.out.weight.shape[0]
        return clips * positions * pooled * (compared + inner)

    def _positions(self, x: Tensor) -> Tensor:
        """[N*T, C, H, W] -> [N, T*H*W, C]."""
        if self._data_format == "NHWC":
            _, height, width, channels = x.shape
            return x.reshape([-1, self.num_segments * height * width, channels])
        _, channels, height, width = x.shape
        x = x.reshape([-1, channels, height * width]).transpose([0, 2, 1])
        return x.reshape([-1, self.num_segments * height * width, channels])

    def _columns(self, x: Tensor) -> Tensor:
        """[N*T, C, H, W] -> [N, C, T*H*W]."""
        if self._data_format == "NHWC":
            return self._positions(x).transpose([0, 2, 1])
        _, channels, height, width = x.shape
        x = x.reshape([-1, self.num_segments, channels, height * width]).transpose([0, 2, 1, 3])
        return x.reshape([-1, channels, self.num_segments * height * width])

    def _frames(self, positions: Tensor, shape: list[int]) -> Tensor:
        """[N, T*H*W, C'] -> [N*T, C', H, W] for the H and W of ``shape``."""
        channels = positions.shape[2]
        if self._data_format == "NHWC":
            return positions.reshape([-1, *shape[1:3], channels])
        frames = positions.reshape([-1, math.prod(shape[2:4]), channels])
        return frames.transpose([0, 2, 1]).reshape([-1, channels, *shape[2:4]])


def _embedding(in_channels: int, out_channels: int, data_format: str) -> nn.Conv2D:
    """1x1 convolution with bias, begun small."""
    return nn.Conv2D(
        in_channels,
        out_channels,
        1,
        weight_attr=paddle.ParamAttr(initializer=Normal(0.0, 0.01)),
        bias_attr=paddle.ParamAttr(initializer=Constant(0.0)),
        data_format=data_format,
    )
