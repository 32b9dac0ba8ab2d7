# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""MobileNetV2, with and without the temporal shift.

    [N*T,3,H,W] -> 3x3/2 -> layer1 .. layer7 -> 1x1 -> [N*T, 1280, H/32, W/32]

    block:  x --+-- shift -- conv1 1x1 -- conv2 3x3 depthwise -- conv3 1x1 --(+)--
                +------------------------------------------------------------+

ReLU6 behind conv1 and conv2, nothing behind conv3. The shift is there only in blocks that have the
shortcut and the expansion: layer2.1, 3.1-2, 4.1-3, 5.1-2, 6.1-2.

Names are those of ResNet: conv1/bn1 is the stem, layerS.B.{conv,bn}{1,2,3} a block (layer1.0 has no
expansion, hence no conv1), conv2/bn2 the last convolution.

Source: Sandler et al., CVPR 2018, arXiv:1801.04381, Table 2; Lin et al., ICCV 2019,
arXiv:1811.08383.
"""

from __future__ import annotations

from collections.abc import Callable

import paddle.nn.functional as F
from paddle import Tensor, nn

from paddletsm.models.backbone import BACKBONES, Backbone, conv
from paddletsm.models.norm_policy import NormPolicy
from paddletsm.models.shift import ShiftMode, ShiftPadding, TemporalShift

# Per stage: expansion, channels, blocks, stride of the first block.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_STEM, _LAST = 32, 1280


class InvertedResidual(nn.Layer):
    """Expand, filter, project. Shape: [N*T, C_in, H, W] -> [N*T, C_out, H/stride, W/stride]."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        expansion: int,
        shift: Callable[[], TemporalShift | None],
        data_format: str,
    ) -> None:
        super().__init__()
        hidden = in_channels * expansion
        self.is_residual = stride == 1 and in_channels == out_channels
        self.shift = shift() if self.is_residual and expansion > 1 else None
        self.conv1 = None
        if expansion > 1:
            self.conv1 = conv(in_channels, hidden, 1, data_format=data_format)
            self.bn1 = nn.BatchNorm2D(hidden, data_format=data_format)
        self.conv2 = conv(hidden, hidden, 3, stride, groups=hidden, data_format=data_format)
        self.bn2 = nn.BatchNorm2D(hidden, data_format=data_format)
        self.conv3 = conv(hidden, out_channels, 1, data_format=data_format)
        self.bn3 = nn.BatchNorm2D(out_channels, data_format=data_format)

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.shift is None else self.shift(x)
        if self.conv1 is not None:
            y = F.relu6(self.bn1(self.conv1(y)))
        y = F.relu6(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return x + y if self.is_residual else y


def _no_shift() -> None:
    return None


@BACKBONES.register
class MobileNetV2(Backbone):
    """MobileNetV2 over single frames.

    Args:
        width: multiplier of all channel counts; the last convolution never has fewer than 1280.
        num_seg: T, frames per clip; the frames are independent here, it is handed to the head.
        partial_bn: every BatchNorm2D but the first keeps its statistics and its affine weights.
        norm_eval: all BatchNorm2D keep their statistics, the affine weights are trained.
        frozen_stages: the stem and this many stages are not trained; -1: all are (0: the stem, 8:
            none, as the last convolution counts as a stage).
        data_format: "NCHW", or "NHWC" for GPUs that prefer it; the input stays [N*T, 3, H, W].

    Shape: [N*T, 3, H, W] float32 -> [N*T, out_channels, H/32, W/32].
    """

    def __init__(
        self,
        width: float = 1.0,
        num_seg: int = 8,
        *,
        partial_bn: bool = False,
        norm_eval: bool = False,
        frozen_stages: int = -1,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__(num_seg, data_format)
        self._build(width, _no_shift)
        self.apply_policy(NormPolicy(partial_bn, norm_eval, frozen_stages))

    def _build(self, width: float, shift: Callable[[], TemporalShift | None]) -> None:
        if width <= 0:
            raise ValueError(f"width must be positive, not {width}")
        self.width = width
        data_format = self.data_format
        channels = scaled_channels(_STEM, width)
        self.conv1 = conv(3, channels, 3, 2, data_format=data_format)
        self.bn1 = nn.BatchNorm2D(channels, data_format=data_format)
        for stage, (expansion, base, count, first_stride) in enumerate(_STAGES):
            layers, planes = [], scaled_channels(base, width)
            for index in range(count):
                stride = first_stride if index == 0 else 1
                layers.append(
                    InvertedResidual(channels, planes, stride, expansion, shift, data_format)
                )
                channels = planes
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layers))
        self.out_channels = scaled_channels(_LAST, max(1.0, width))
        self.conv2 = conv(channels, self.out_channels, 1, data_format=data_format)
        self.bn2 = nn.BatchNorm2D(self.out_channels, data_format=data_format)

    @property
    def stages(self) -> list[nn.Layer]:
        """layer1 to layer7."""
        return [getattr(self, f"layer{number}") for number in range(1, len(_STAGES) + 1)]

    def groups(self) -> list[list[nn.Layer]]:
        """Stem, layer1 to layer7, last convolution."""
        return [[self.conv1, self.bn1], *([stage] for stage in self.stages), [self.conv2, self.bn2]]

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self.bn1(self.conv1(self.channels_last(x))))
        for stage in self.stages:
            x = stage(x)
        return self.channels_first(F.relu6(self.bn2(self.conv2(x))))


@BACKBONES.register
class MobileNetV2TSM(MobileNetV2):
    """MobileNetV2 whose residual blocks exchange channels between neighbouring frames.

    Args:
        width: multiplier of all channel counts; the last convolution never has fewer than 1280.
        num_seg: T, frames per clip.
        shift_div: 1/shift_div of the channels moves each way.
        shift_mode: "offline" (past and future) or "online" (past only).
        shift_padding: "zero" or "circulant".
        partial_bn: as in MobileNetV2, like the remaining arguments.
        norm_eval: see MobileNetV2.
        frozen_stages: see MobileNetV2.
        data_format: see MobileNetV2.

    Shape: [N*T, 3, H, W] float32 -> [N*T, out_channels, H/32, W/32].

    Inside, the first fold comes from the past (Paddle's order). The last convolution mixes all
    channels of the last stream, so features and classifier have no folds and are the authors'.
    """

    is_shifted = True
    shift_place = "blockres"

    def __init__(
        self,
        width: float = 1.0,
        num_seg: int = 8,
        shift_div: int = 8,
        shift_mode: ShiftMode = "offline",
        shift_padding: ShiftPadding = "zero",
        *,
        partial_bn: bool = False,
        norm_eval: bool = False,
        frozen_stages: int = -1,
        data_format: str = "NCHW",
    ) -> None:
        Backbone.__init__(self, num_seg, data_format)
        self.shift_div, self.shift_mode, self.shift_padding = shift_div, shift_mode, shift_padding

        def shift() -> TemporalShift:
            return TemporalShift(
                num_seg, shift_div, mode=shift_mode, padding=shift_padding, data_format=data_format
            )

        self._build(width, shift)
        self.apply_policy(NormPolicy(partial_bn, norm_eval, frozen_stages))


def scaled_channels(channels: int, width: float) -> int:
    """The multiple of 8 nearest to ``channels * width``, but at most a tenth below it.

    Source: the rule of the authors' TensorFlow code, which torchvision and MMAction2 share.
    """
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * wanted else rounded + 8
