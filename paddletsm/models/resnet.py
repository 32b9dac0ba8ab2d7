# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""ResNet of depth 18 to 152, with and without the temporal shift.

    [N*T,3,H,W] -> 7x7/2 -> BN, ReLU -> max pool/2 -> layer1 .. layer4 -> [N*T, C, H/32, W/32]

    blockres:  x --+-- shift -- conv1 ... --(+)--      block:  x -- shift --+-- conv1 ... --(+)--
                   +------------------------+                               +---------------+

Source: He et al., CVPR 2016, arXiv:1512.03385 (the stride sits in the 3x3 convolution, as in
torchvision, whose parameter names are used here); Lin et al., ICCV 2019, arXiv:1811.08383.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import paddle
import paddle.nn.functional as F
from paddle import Tensor, nn
from paddle.nn.initializer import KaimingNormal

from paddletsm.models.norm_policy import NormPolicy
from paddletsm.models.shift import ShiftMode, ShiftPadding, TemporalShift
from paddletsm.registry import Registry

BACKBONES = Registry("backbone")

ShiftPlace = Literal["blockres", "block"]

# depth: (blocks per stage, bottleneck?)
_DEPTHS = {
    18: ((2, 2, 2, 2), False),
    34: ((3, 4, 6, 3), False),
    50: ((3, 4, 6, 3), True),
    101: ((3, 4, 23, 3), True),
    152: ((3, 8, 36, 3), True),
}
# From this many blocks in stage 3 on, the authors shift only every second block.
_DEEP_STAGE = 23


def conv(
    in_channels: int,
    out_channels: int,
    kernel: int,
    stride: int = 1,
    *,
    data_format: str = "NCHW",
) -> nn.Conv2D:
    """Convolution without bias, "same" padding, Kaiming-normal initialisation."""
    return nn.Conv2D(
        in_channels,
        out_channels,
        kernel,
        stride=stride,
        padding=kernel // 2,
        weight_attr=paddle.ParamAttr(initializer=KaimingNormal()),
        bias_attr=False,
        data_format=data_format,
    )


class _Block(nn.Layer):
    """What both residual blocks share: the shift in front, the shortcut around."""

    expansion = 1

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int,
        shift: TemporalShift | None,
        shift_place: ShiftPlace,
        data_format: str,
    ) -> None:
        super().__init__()
        self.shift = shift
        self.shift_shortcut = shift_place == "block"
        self._data_format = data_format
        out_channels = channels * self.expansion
        self.downsample = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                conv(in_channels, out_channels, 1, stride, data_format=data_format),
                nn.BatchNorm2D(out_channels, data_format=data_format),
            )

    def residual(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        shifted = x if self.shift is None else self.shift(x)
        shortcut = shifted if self.shift_shortcut else x
        if self.downsample is not None:
            shortcut = self.downsample(shortcut)
        return F.relu(self.residual(shifted) + shortcut)


class BasicBlock(_Block):
    """3x3, 3x3. Shape: [N*T, C_in, H, W] -> [N*T, channels, H/stride, W/stride]."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int,
        shift: TemporalShift | None,
        shift_place: ShiftPlace,
        data_format: str,
    ) -> None:
        super().__init__(in_channels, channels, stride, shift, shift_place, data_format)
        self.conv1 = conv(in_channels, channels, 3, stride, data_format=data_format)
        self.bn1 = nn.BatchNorm2D(channels, data_format=data_format)
        self.conv2 = conv(channels, channels, 3, data_format=data_format)
        self.bn2 = nn.BatchNorm2D(channels, data_format=data_format)

    def residual(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        return self.bn2(self.conv2(x))


class Bottleneck(_Block):
    """1x1, 3x3, 1x1. Shape: [N*T, C_in, H, W] -> [N*T, 4*channels, H/stride, W/stride]."""

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int,
        shift: TemporalShift | None,
        shift_place: ShiftPlace,
        data_format: str,
    ) -> None:
        super().__init__(in_channels, channels, stride, shift, shift_place, data_format)
        self.conv1 = conv(in_channels, channels, 1, data_format=data_format)
        self.bn1 = nn.BatchNorm2D(channels, data_format=data_format)
        self.conv2 = conv(channels, channels, 3, stride, data_format=data_format)
        self.bn2 = nn.BatchNorm2D(channels, data_format=data_format)
        self.conv3 = conv(channels, channels * 4, 1, data_format=data_format)
        self.bn3 = nn.BatchNorm2D(channels * 4, data_format=data_format)

    def residual(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return self.bn3(self.conv3(x))


ShiftBuilder = Callable[[int, int], "TemporalShift | None"]


def _no_shift(stage: int, block: int) -> None:
    return None


@BACKBONES.register
class ResNet(nn.Layer):
    """ResNet over single frames: the backbone of TSN.

    Args:
        depth: 18, 34, 50, 101 or 152.
        width: multiplier of all channel counts; 1.0 is the published network.
        num_seg: T, frames per clip; the frames are independent here, it is handed to the head.
        partial_bn: every BatchNorm2D but the first keeps its statistics and its affine weights.
        norm_eval: all BatchNorm2D keep their statistics, the affine weights are trained.
        frozen_stages: the stem and this many stages are not trained; -1: all are (0: the stem).
        data_format: "NCHW", or "NHWC" for GPUs that prefer it; the input stays [N*T, 3, H, W].

    Shape: [N*T, 3, H, W] float32 -> [N*T, out_channels, H/32, W/32].
    """

    is_shifted = False
    restores_order = False

    def __init__(
        self,
        depth: int = 50,
        width: float = 1.0,
        num_seg: int = 8,
        *,
        partial_bn: bool = False,
        norm_eval: bool = False,
        frozen_stages: int = -1,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__()
        self._build(depth, width, num_seg, data_format, _no_shift, "blockres")
        self.norm_policy = NormPolicy(partial_bn, norm_eval, frozen_stages)
        self.norm_policy.freeze(self)

    def _build(
        self,
        depth: int,
        width: float,
        num_seg: int,
        data_format: str,
        shift: ShiftBuilder,
        shift_place: ShiftPlace,
    ) -> None:
        if depth not in _DEPTHS:
            raise ValueError(f"depth must be one of {sorted(_DEPTHS)}, not {depth}")
        if data_format not in ("NCHW", "NHWC"):
            raise ValueError(f"data_format must be NCHW or NHWC, not {data_format!r}")
        blocks, is_bottleneck = _DEPTHS[depth]
        block = Bottleneck if is_bottleneck else BasicBlock
        self.depth, self.width = depth, width
        self.num_seg = self.out_segments = num_seg
        self.data_format = data_format
        channels = stem = scaled_channels(64, width)
        self.conv1 = conv(3, stem, 7, 2, data_format=data_format)
        self.bn1 = nn.BatchNorm2D(stem, data_format=data_format)
        self.maxpool = nn.MaxPool2D(3, 2, 1, data_format=data_format)
        for stage, count in enumerate(blocks):
            layers = []
            for index in range(count):
                stride = 2 if stage > 0 and index == 0 else 1
                planes = scaled_channels(64 * 2**stage, width)
                layers.append(
                    block(channels, planes, stride, shift(stage, index), shift_place, data_format)
                )
                channels = planes * block.expansion
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layers))
        self.out_channels = channels

    def in_authors_order(self, pooled: Tensor) -> Tensor:
        """Channels of pooled features [M, C] as the authors' code orders them; see ResNetTSM."""
        return pooled

    @property
    def stages(self) -> list[nn.Layer]:
        """layer1 to layer4."""
        return [self.layer1, self.layer2, self.layer3, self.layer4]

    def stem(self, x: Tensor) -> Tensor:
        """[N*T, 3, H, W] -> [N*T, C, H/4, W/4] (channels last for NHWC)."""
        if self.data_format == "NHWC":
            x = x.transpose([0, 2, 3, 1])
        return self.maxpool(F.relu(self.bn1(self.conv1(x))))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        return x.transpose([0, 3, 1, 2]) if self.data_format == "NHWC" else x


@BACKBONES.register
class ResNetTSM(ResNet):
    """ResNet whose residual blocks exchange channels between neighbouring frames.

    Args:
        depth: 18, 34, 50, 101 or 152. From 23 blocks in stage 3 on (101, 152) ``blockres`` shifts
            blocks 0, 2, 4, ... of every stage, as the reference does.
        width: multiplier of all channel counts.
        num_seg: T, frames per clip.
        shift_div: 1/shift_div of the channels moves each way.
        shift_place: "blockres" shifts the residual branch only, "block" the whole block's input.
        shift_mode: "offline" (past and future) or "online" (past only).
        shift_padding: "zero" or "circulant".
        temporal_pool: halve the number of frames (max over 3, stride 2) in front of layer2.
        partial_bn: as in ResNet, like the remaining arguments.
        norm_eval: see ResNet.
        frozen_stages: see ResNet.
        data_format: see ResNet.

    Shape: [N*T, 3, H, W] float32 -> [N*out_segments, out_channels, H/32, W/32].

    Inside, the first fold comes from the past (Paddle's order). The authors' networks are the same
    with the two folds of every residual stream exchanged; ``in_authors_order`` exchanges those of
    the last stream back, so that features and classifier are theirs, channel by channel.
    """

    is_shifted = True

    def __init__(
        self,
        depth: int = 50,
        width: float = 1.0,
        num_seg: int = 8,
        shift_div: int = 8,
        shift_place: ShiftPlace = "blockres",
        shift_mode: ShiftMode = "offline",
        shift_padding: ShiftPadding = "zero",
        temporal_pool: bool = False,
        *,
        partial_bn: bool = False,
        norm_eval: bool = False,
        frozen_stages: int = -1,
        data_format: str = "NCHW",
    ) -> None:
        nn.Layer.__init__(self)
        if depth not in _DEPTHS:
            raise ValueError(f"depth must be one of {sorted(_DEPTHS)}, not {depth}")
        is_deep = _DEPTHS[depth][0][2] >= _DEEP_STAGE and shift_place == "blockres"
        self.shift_div, self.shift_place = shift_div, shift_place
        self.shift_mode, self.shift_padding = shift_mode, shift_padding
        self.temporal_pool = temporal_pool
        # An online network moves one fold only; the authors' online code moves the same one.
        self.restores_order = shift_mode == "offline"
        pooled_segments = (num_seg + 1) // 2 if temporal_pool else num_seg

        def shift(stage: int, block: int) -> TemporalShift | None:
            if is_deep and block % 2:
                return None
            return TemporalShift(
                num_seg if stage == 0 else pooled_segments,
                shift_div,
                mode=shift_mode,
                padding=shift_padding,
                data_format=data_format,
            )

        self._build(depth, width, num_seg, data_format, shift, shift_place)
        self.out_segments = pooled_segments
        self.norm_policy = NormPolicy(partial_bn, norm_eval, frozen_stages)
        self.norm_policy.freeze(self)

    def in_authors_order(self, pooled: Tensor) -> Tensor:
        """Exchange the two folds of pooled features [M, C]."""
        if not self.restores_order:
            return pooled
        fold = self.out_channels // self.shift_div
        parts = [pooled[:, fold : 2 * fold], pooled[:, :fold], pooled[:, 2 * fold :]]
        return paddle.concat(parts[: 2 if 2 * fold == self.out_channels else 3], 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer1(self.stem(x))
        if self.temporal_pool:
            x = _pool_over_time(x, self.num_seg)
        for stage in self.stages[1:]:
            x = stage(x)
        return x.transpose([0, 3, 1, 2]) if self.data_format == "NHWC" else x


def scaled_channels(channels: int, width: float) -> int:
    """Channel count times ``width``, a multiple of 8 so that an eighth can be shifted."""
    return max(8, round(channels * width / 8) * 8)


def _pool_over_time(x: Tensor, num_segments: int) -> Tensor:
    """Max over 3 frames with stride 2 and padding 1: [N*T, A, B, D] -> [N*ceil(T/2), A, B, D]."""
    shape = x.shape[1:]
    clips = x.reshape([-1, 1, num_segments, shape[0] * shape[1] * shape[2]])
    pooled = F.max_pool2d(clips, kernel_size=(3, 1), stride=(2, 1), padding=(1, 0))
    return pooled.reshape([-1, *shape])
