# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The form in which a network is exported: the same sums, arranged for fast inference.

A shift in a graph costs more than it looks: slicing channels makes the runtime rewrite the whole
tensor from its blocked layout. Here the residual stream of a shifted ResNet is never whole. Its
moving channels ``a`` and the rest ``b`` are two tensors, and the weights are cut accordingly:

    a [N*T, 2*fold, H, W] --- move --- conv1a ---(+)- ReLU - conv2 - ... -+- last conv a --(+)-- a'
    b [N*T, C-2*fold, H, W] ---------- conv1b ---/                       +- last conv b --(+)-- b'
       each (+) of a' and b' adds its own a or b, or its part of the downsampled concat(a, b)

Moving frames is one small matrix product over time, [2T, 2T] @ [N, 2T, fold*H*W]: it holds the
zeros at the ends, or the other end for circulant padding, and reads and writes ``a`` once.
Training code stays plain, and so do networks that this makes no faster: the stream of MobileNetV2
is thin. ``tools/benchmark.py model`` measures it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import Tensor, nn

from paddletsm.models import Recognizer2D, ResNet, TemporalShift
from paddletsm.models.resnet import Bottleneck, pool_over_time

_ALL = slice(None)


def fast_form(model: Recognizer2D, *, keep_shifts: bool = False) -> nn.Layer:
    """Build the network that is exported in place of ``model``.

    Args:
        model: the network with its weights; it is left as it is, tensors are shared or copied.
        keep_shifts: leave the shifts as slices, which cost little in 8 bit.

    Returns:
        A layer in evaluation mode, clips [N, T, 3, H, W] -> logits [N, K], equal to the model but
        for rounding. Networks that it knows no faster form for keep theirs.
    """
    network: nn.Layer = model.backbone
    # Graphs know parameters by name, and Paddle starts counting again after each one it traces.
    with paddle.utils.unique_name.guard("fast_"):
        if not keep_shifts and has_streams(model.backbone):
            network = StreamsResNet(model.backbone)
        form = _Fast(model, network)
    form.eval()
    return form


def has_streams(backbone: nn.Layer) -> bool:
    """Whether it is a ResNet with shifts that leave some channels in place: one to cut."""
    if not isinstance(backbone, ResNet) or not backbone.is_shifted:
        return False
    channels = {_in_channels(block) for block in _blocks(backbone)} | {backbone.out_channels}
    return all(0 < _moving_channels(backbone, count) < count for count in channels)


class _Fast(nn.Layer):
    """Backbone and head; pools before the head, whose mean over a large map is slow."""

    def __init__(self, model: Recognizer2D, network: nn.Layer) -> None:
        super().__init__()
        self.network, self.head = network, model.head
        self.fixed_segments = model.backbone.out_segments if model.backbone.fixes_segments else 0

    def forward(self, clips: Tensor) -> Tensor:
        segments = self.fixed_segments or clips.shape[1]
        features = self.network(clips.reshape([-1, *clips.shape[2:]]))
        return self.head(F.adaptive_avg_pool2d(features, 1), segments)


class StreamsResNet(nn.Layer):
    """A shifted ResNet whose residual stream is the pair (moving channels, the rest).

    Args:
        backbone: one that ``has_streams``; its weights are shared or copied.
        make_move: for a block's shift and the number of moving channels, what moves those:
            [N*T, C, H, W] -> the same shape.

    Shape: [N*T, 3, H, W] -> [N*T', C, 1, 1], pooled.
    """

    def __init__(
        self, backbone: ResNet, make_move: Callable[[nn.Layer, int], nn.Layer] | None = None
    ) -> None:
        super().__init__()
        make_move = make_move or _Move
        self.trunk = nn.LayerList([backbone.conv1, backbone.bn1, backbone.maxpool])
        blocks = _blocks(backbone)
        self.blocks = nn.LayerList([_StreamsBlock(block, backbone, make_move) for block in blocks])
        self.moving = _moving_channels(backbone, _in_channels(blocks[0]))
        # Number of the block in front of which time is halved; -1 for none.
        self.pool_at = len(backbone.layer1) if backbone.temporal_pool else -1
        self.num_segments = backbone.num_seg

    def forward(self, x: Tensor) -> Tensor:
        conv, norm, maxpool = self.trunk
        x = maxpool(F.relu(norm(conv(x))))
        a, b = x[:, : self.moving], x[:, self.moving :]
        for index, block in enumerate(self.blocks):
            if index == self.pool_at:
                a = pool_over_time(a, self.num_segments)
                b = pool_over_time(b, self.num_segments)
            a, b = block(a, b)
        pooled = [F.adaptive_avg_pool2d(a, 1), F.adaptive_avg_pool2d(b, 1)]
        return paddle.concat(pooled, 1)


class _StreamsBlock(nn.Layer):
    """A residual block on the pair: (a, b) -> (a', b')."""

    def __init__(
        self, block: nn.Layer, backbone: ResNet, make_move: Callable[[nn.Layer, int], nn.Layer]
    ) -> None:
        super().__init__()
        into = _moving_channels(backbone, _in_channels(block))
        self.moving_out = _moving_channels(backbone, block.out_channels)
        moving, resting = slice(0, into), slice(into, None)
        parts = (slice(0, self.moving_out), slice(self.moving_out, None))
        self.shift = None if block.shift is None else make_move(block.shift, into)
        self.shifts_shortcut = block.shift_shortcut
        self.conv_a = _cut(block.conv1, moving, _ALL)
        self.norm_a = _cut_norm(block.bn1, _ALL, has_offset=False)
        self.conv_b = _cut(block.conv1, resting, _ALL)
        self.norm_b = _cut_norm(block.bn1, _ALL)
        self.middle = nn.LayerList([])
        last, last_norm = block.conv2, block.bn2
        if isinstance(block, Bottleneck):
            self.middle = nn.LayerList([block.conv2, block.bn2])
            last, last_norm = block.conv3, block.bn3
        self.last = _both(last, last_norm, parts)
        self.downsample = None
        if block.downsample is not None:
            self.downsample = _both(block.downsample[0], block.downsample[1], parts)
        self.non_local = block.non_local

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        moved = a
        if self.shift is not None:
            moved = self.shift(a)
        y = F.relu(self.norm_a(self.conv_a(moved)) + self.norm_b(self.conv_b(b)))
        for conv, norm in _pairs(self.middle):
            y = F.relu(norm(conv(y)))
        shortcut_a, shortcut_b = a, b
        if self.shifts_shortcut:
            shortcut_a = moved
        if self.downsample is not None:
            whole = paddle.concat([shortcut_a, shortcut_b], 1)
            shortcut_a, shortcut_b = self.downsample[0](whole), self.downsample[1](whole)
        a, b = F.relu(self.last[0](y) + shortcut_a), F.relu(self.last[1](y) + shortcut_b)
        if self.non_local is not None:
            whole = self.non_local(paddle.concat([a, b], 1))
            a, b = whole[:, : self.moving_out], whole[:, self.moving_out :]
        return a, b


class _Move(nn.Layer):
    """The shift of channels that all move: [N*T, C, H, W] -> the same shape.

    The C channels are K folds; time and fold together are the rows that one matrix exchanges.
    """

    def __init__(self, shift: TemporalShift, channels: int) -> None:
        super().__init__()
        self.num_segments, self.channels = shift.num_segments, channels
        steps = (1,) if shift.mode == "online" else (1, -1)
        matrix = time_matrix(shift.num_segments, steps, is_circulant=shift.padding == "circulant")
        self.rows = len(matrix)
        self.matrix = self.create_parameter(
            list(matrix.shape), default_initializer=nn.initializer.Assign(matrix)
        )

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        size = self.channels * self.num_segments // self.rows * height * width
        rows = x.reshape([-1, self.rows, size])
        return (self.matrix @ rows).reshape([-1, self.channels, height, width])


def time_matrix(
    num_segments: int, steps: Sequence[int], *, is_circulant: bool = False
) -> np.ndarray:
    """Matrix that moves fold k of all frames by ``steps[k]`` frames.

    Args:
        num_segments: T.
        steps: frames per fold: +1 from the past, -1 from the future.
        is_circulant: frames leave at one end and enter at the other; else zeros enter.

    Returns:
        [T*K, T*K] float32 of zeros and ones, rows (frame, fold).
    """
    folds = len(steps)
    matrix = np.zeros((num_segments, folds, num_segments, folds), np.float32)
    for fold, step in enumerate(steps):
        for frame in range(num_segments):
            source = frame - step
            if is_circulant or 0 <= source < num_segments:
                matrix[frame, fold, source % num_segments, fold] = 1
    return matrix.reshape(num_segments * folds, -1)


def _blocks(backbone: ResNet) -> list[nn.Layer]:
    return [block for stage in backbone.stages for block in stage]


def _in_channels(block: nn.Layer) -> int:
    return block.conv1.weight.shape[1]


def _moving_channels(backbone: ResNet, channels: int) -> int:
    folds = 1 if backbone.shift_mode == "online" else 2
    return folds * (channels // backbone.shift_div)


def _pairs(layers: nn.LayerList) -> list[tuple[nn.Layer, nn.Layer]]:
    return [(layers[0], layers[1])] if len(layers) else []


def _both(conv: nn.Conv2D, norm: nn.BatchNorm2D, parts: tuple[slice, slice]) -> nn.LayerList:
    """The convolution and its normalisation as two, each with a part of the output channels."""
    return nn.LayerList(
        [nn.Sequential(_cut(conv, _ALL, part), _cut_norm(norm, part)) for part in parts]
    )


def _cut(conv: nn.Conv2D, inputs: slice, outputs: slice) -> nn.Conv2D:
    """A convolution with a part of the channels of ``conv``."""
    weight = conv.weight.numpy()[outputs, inputs]
    part = nn.Conv2D(
        weight.shape[1],
        weight.shape[0],
        weight.shape[2],
        stride=conv._stride,
        padding=conv._padding,
        bias_attr=False,
    )
    part.weight.set_value(weight)
    return part


def _cut_norm(norm: nn.BatchNorm2D, channels: slice, *, has_offset: bool = True) -> nn.BatchNorm2D:
    """A part of ``norm``; without offset it only scales, for the second operand of a sum.

    A scale would do, but only a normalisation is folded into the convolution in front of it, which
    can then take the sum in.
    """
    part = nn.BatchNorm2D(len(norm._mean.numpy()[channels]), epsilon=norm._epsilon)
    part._variance.set_value(norm._variance.numpy()[channels])
    part.weight.set_value(norm.weight.numpy()[channels])
    if has_offset:
        part._mean.set_value(norm._mean.numpy()[channels])
        part.bias.set_value(norm.bias.numpy()[channels])
    return part
