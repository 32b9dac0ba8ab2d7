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

import paddle.nn.functional as F
from paddle import Tensor, nn

from paddletsm.models.backbone import BACKBONES, Backbone, ShiftPlace, conv
from paddletsm.models.non_local import NonLocal, NonLocalMode
from paddletsm.models.norm_policy import NormPolicy
from paddletsm.models.shift import ShiftMode, ShiftPadding, TemporalShift

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
# Stage (from 0) -> blocks that a non-local block follows, where the stage has them.
_NON_LOCAL = {1: (0, 2), 2: (0, 2, 4)}


class _Block(nn.Layer):
    """What both residual blocks share: the shift in front, the shortcut around, what follows."""

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
        self.non_local: NonLocal | None = None
        out_channels = self.out_channels = channels * self.expansion
        self.downsample = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                conv(in_channels, out_channels, 1, stride, data_format=data_format),
                nn.BatchNorm2D(out_channels, data_format=data_format),
            )
        self.make_layers(in_channels, channels, stride, data_format)

    def make_layers(self, in_channels: int, channels: int, stride: int, data_format: str) -> None:
        """Create the layers of the residual branch."""
        raise NotImplementedError

    def residual(self, x: Tensor) -> Tensor:
        """The residual branch, before it is added to the shortcut."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        shifted = x if self.shift is None else self.shift(x)
        shortcut = shifted if self.shift_shortcut else x
        if self.downsample is not None:
            shortcut = self.downsample(shortcut)
        out = F.relu(self.residual(shifted) + shortcut)
        return out if self.non_local is None else self.non_local(out)


class BasicBlock(_Block):
    """3x3, 3x3. Shape: [N*T, C_in, H, W] -> [N*T, channels, H/stride, W/stride]."""

    def make_layers(self, in_channels: int, channels: int, stride: int, data_format: str) -> None:
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

    def make_layers(self, in_channels: int, channels: int, stride: int, data_format: str) -> None:
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
class ResNet(Backbone):
    """ResNet over single frames: the backbone of TSN.

    Args:
        depth: 18, 34, 50, 101 or 152.
        width: multiplier of all channel counts; 1.0 is the published network.
        num_seg: T, frames per clip; without ``non_local`` the frames are independent here, and it
            is only handed to the head.
        non_local: "embedded_gaussian", "gaussian" or "dot_product" puts such blocks behind
            layer2.{0,2} and layer3.{0,2,4}, where these exist; None: no such blocks.
        partial_bn: every BatchNorm2D but the first keeps its statistics and its affine weights
            (those of non-local blocks learn).
        norm_eval: all BatchNorm2D keep their statistics, the affine weights are trained.
        frozen_stages: the stem and this many stages are not trained; -1: all are (0: the stem).
        data_format: "NCHW", or "NHWC" for GPUs that prefer it; the input stays [N*T, 3, H, W].

    Shape: [N*T, 3, H, W] float32 -> [N*T, out_channels, H/32, W/32].
    """

    def __init__(
        self,
        depth: int = 50,
        width: float = 1.0,
        num_seg: int = 8,
        *,
        non_local: NonLocalMode | None = None,
        partial_bn: bool = False,
        norm_eval: bool = False,
        frozen_stages: int = -1,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__(num_seg, data_format)
        self._build(depth, width, _no_shift, "blockres")
        self._add_non_local(non_local)
        self.apply_policy(NormPolicy(partial_bn, norm_eval, frozen_stages))

    def _build(
        self, depth: int, width: float, shift: ShiftBuilder, shift_place: ShiftPlace
    ) -> None:
        blocks, is_bottleneck = _layout(depth)
        block = Bottleneck if is_bottleneck else BasicBlock
        data_format = self.data_format
        self.depth, self.width = depth, width
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

    def _add_non_local(self, mode: NonLocalMode | None) -> None:
        self.non_local = mode
        if mode is None:
            return
        self.fixes_segments = True
        for stage, indices in _NON_LOCAL.items():
            blocks = self.stages[stage]
            for index in indices:
                if index < len(blocks):
                    blocks[index].non_local = NonLocal(
                        blocks[index].out_channels,
                        self.out_segments,
                        mode,
                        data_format=self.data_format,
                    )

    @property
    def stages(self) -> list[nn.Layer]:
        """layer1 to layer4."""
        return [self.layer1, self.layer2, self.layer3, self.layer4]

    def groups(self) -> list[list[nn.Layer]]:
        """Stem, layer1 to layer4."""
        return [[self.conv1, self.bn1], *([stage] for stage in self.stages)]

    def stem(self, x: Tensor) -> Tensor:
        """[N*T, 3, H, W] -> [N*T, C, H/4, W/4] (channels last for NHWC)."""
        return self.maxpool(F.relu(self.bn1(self.conv1(self.channels_last(x)))))

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer1(self.stem(x))
        if self.temporal_pool:
            x = pool_over_time(x, self.num_seg)
        for stage in self.stages[1:]:
            x = stage(x)
        return self.channels_first(x)


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
        non_local: as in ResNet; not with ``shift_mode`` "online".
        partial_bn: as in ResNet, like the remaining arguments.
        norm_eval: see ResNet.
        frozen_stages: see ResNet.
        data_format: see ResNet.

    Shape: [N*T, 3, H, W] float32 -> [N*out_segments, out_channels, H/32, W/32].

    Inside, the first fold comes from the past (Paddle's order); see ``in_source_order``.
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
        non_local: NonLocalMode | None = None,
        partial_bn: bool = False,
        norm_eval: bool = False,
        frozen_stages: int = -1,
        data_format: str = "NCHW",
    ) -> None:
        Backbone.__init__(self, num_seg, data_format)
        if non_local is not None and shift_mode == "online":
            raise ValueError(
                "non_local blocks let every frame see the later ones, which shift_mode: online "
                "rules out; leave one of the two out"
            )
        is_deep = _layout(depth)[0][2] >= _DEEP_STAGE and shift_place == "blockres"
        self.shift_div, self.shift_place = shift_div, shift_place
        self.shift_mode, self.shift_padding = shift_mode, shift_padding
        self.temporal_pool = temporal_pool
        # An online network moves one fold only; the authors' online code moves the same one.
        self.knows_folds = self.restores_order = shift_mode == "offline"
        self.out_segments = (num_seg + 1) // 2 if temporal_pool else num_seg

        def shift(stage: int, block: int) -> TemporalShift | None:
            if is_deep and block % 2:
                return None
            return TemporalShift(
                num_seg if stage == 0 else self.out_segments,
                shift_div,
                mode=shift_mode,
                padding=shift_padding,
                data_format=data_format,
            )

        self._build(depth, width, shift, shift_place)
        self._add_non_local(non_local)
        self.apply_policy(NormPolicy(partial_bn, norm_eval, frozen_stages))


def _layout(depth: int) -> tuple[tuple[int, ...], bool]:
    """Blocks per stage, and whether they are bottlenecks."""
    if depth not in _DEPTHS:
        raise ValueError(f"depth must be one of {sorted(_DEPTHS)}, not {depth}")
    return _DEPTHS[depth]


def scaled_channels(channels: int, width: float) -> int:
    """Channel count times ``width``, a multiple of 8 so that an eighth can be shifted."""
    return max(8, round(channels * width / 8) * 8)


def pool_over_time(x: Tensor, num_segments: int) -> Tensor:
    """Max over 3 frames with stride 2 and padding 1: [N*T, A, B, D] -> [N*ceil(T/2), A, B, D]."""
    shape = x.shape[1:]
    clips = x.reshape([-1, 1, num_segments, shape[0] * shape[1] * shape[2]])
    pooled = F.max_pool2d(clips, kernel_size=(3, 1), stride=(2, 1), padding=(1, 0))
    return pooled.reshape([-1, *shape])
