# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The temporal shift: the only shift code in the package.

    frame      t-1      t      t+1             out[t]
    fold 0     a  ----> b ----> c              a   (from the past)
    fold 1     a  <---- b <---- c              c   (from the future; unchanged when mode="online")
    the rest   a        b       c              b

Source: Lin, Gan, Han: TSM, ICCV 2019, arXiv:1811.08383, Fig. 1. The order of the folds is that of
``paddle.nn.functional.temporal_shift``; the authors' PyTorch code has the two folds the other way
round, which the converters in ``paddletsm.convert`` undo by renaming channels.
"""

from __future__ import annotations

import functools
from typing import Literal

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import Tensor, nn
from paddle.autograd import PyLayer

ShiftMode = Literal["offline", "online"]
ShiftPadding = Literal["zero", "circulant"]
_MODES, _PADDINGS, _FORMATS = ("offline", "online"), ("zero", "circulant"), ("NCHW", "NHWC")


def temporal_shift(
    x: Tensor,
    num_segments: int,
    shift_div: int = 8,
    *,
    mode: ShiftMode = "offline",
    padding: ShiftPadding = "zero",
    data_format: str = "NCHW",
) -> Tensor:
    """Move one channel fold a frame forward and one a frame back.

    Args:
        x: features [N*T, C, H, W] (or [N*T, H, W, C] for ``data_format="NHWC"``), any float dtype.
        num_segments: T, frames per clip.
        shift_div: a fold holds ``C // shift_div`` channels.
        mode: "offline" moves two folds, out[t, :fold] = x[t-1] and out[t, fold:2*fold] = x[t+1];
            "online" moves only the first, so that no frame sees a later one.
        padding: what enters at the ends of a clip: zeros, or the frame from the other end.
        data_format: "NCHW" or "NHWC".

    Returns:
        Tensor of the shape and dtype of ``x``.

    Raises:
        ValueError: N*T is no multiple of T, shift_div leaves no channel in a fold, or an unknown
            mode, padding or data_format.

    Source: arXiv:1811.08383, Fig. 1b.
    """
    for value, allowed in ((mode, _MODES), (padding, _PADDINGS), (data_format, _FORMATS)):
        if value not in allowed:
            raise ValueError(f"expected one of {', '.join(allowed)}, not {value!r}")
    channels = x.shape[1 if data_format == "NCHW" else 3]
    if not isinstance(shift_div, int) or shift_div < 2 or channels < shift_div:
        raise ValueError(
            f"shift_div must be an integer from 2 to the number of channels ({channels}), "
            f"not {shift_div}"
        )
    if not paddle.in_dynamic_mode():  # exported graphs: plain operators that every runtime has
        return _shift(x, num_segments, shift_div, 1, mode, padding, data_format)
    if x.shape[0] % num_segments:
        raise ValueError(
            f"{x.shape[0]} frames cannot be split into clips of {num_segments} segments"
        )
    if _framework_op_is_best(x, channels, shift_div, mode, padding):
        return F.temporal_shift(x, num_segments, 1.0 / shift_div, data_format=data_format)
    if x.stop_gradient:
        return _shift(x, num_segments, shift_div, 1, mode, padding, data_format)
    return _ShiftFunction.apply(x, num_segments, shift_div, mode, padding, data_format)


def _framework_op_is_best(
    x: Tensor, channels: int, shift_div: int, mode: ShiftMode, padding: ShiftPadding
) -> bool:
    """Tell whether Paddle's fused operator computes this shift, and faster than slices.

    It is several times faster on a GPU and slower on a CPU. It splits channels that shift_div does
    not divide unevenly and refuses ratios of a half, so those never go there.
    """
    return (
        mode == "offline"
        and padding == "zero"
        and shift_div > 2
        and channels % shift_div == 0
        and x.place.is_gpu_place()
    )


class _ShiftFunction(PyLayer):
    """Slices forward, slices backward.

    Autograd through the slices would pad and add full-size tensors; the adjoint of a shift is the
    shift the other way.
    """

    @staticmethod
    def forward(
        ctx: paddle.autograd.PyLayerContext,
        x: Tensor,
        num_segments: int,
        shift_div: int,
        mode: ShiftMode,
        padding: ShiftPadding,
        data_format: str,
    ) -> Tensor:
        ctx.arguments = (num_segments, shift_div, -1, mode, padding, data_format)
        return _shift(x, num_segments, shift_div, 1, mode, padding, data_format)

    @staticmethod
    def backward(ctx: paddle.autograd.PyLayerContext, grad: Tensor) -> Tensor:
        return _shift(grad, *ctx.arguments)


def _shift(
    x: Tensor,
    num_segments: int,
    shift_div: int,
    step: int,
    mode: ShiftMode,
    padding: ShiftPadding,
    data_format: str,
) -> Tensor:
    """Shift; ``step`` +1 moves the first fold towards later frames, -1 is the adjoint."""
    is_even = data_format == "NCHW" and x.shape[1] % shift_div == 0
    if is_even and paddle.in_dynamic_mode():
        return _shift_rows(x, num_segments, shift_div, step, mode, padding)
    axis = 2 if data_format == "NCHW" else 3
    first, second, third = x.shape[1:]
    # Height and width are merged: slicing four axes is measurably cheaper than five.
    folded = [first, second * third] if axis == 2 else [first * second, third]
    clips = x.reshape([-1, num_segments, *folded])  # [N, T, C, H*W] or [N, T, H*W, C]
    fold = clips.shape[axis] // shift_div
    forward = _move(_channels(clips, axis, 0, fold), step, padding)
    if mode == "online":
        parts = [forward, _channels(clips, axis, fold, None)]
    else:
        back = _move(_channels(clips, axis, fold, 2 * fold), -step, padding)
        parts = [forward, back, _channels(clips, axis, 2 * fold, None)]
    return paddle.concat(parts, axis).reshape([-1, first, second, third])


def _shift_rows(
    x: Tensor, num_segments: int, folds: int, step: int, mode: ShiftMode, padding: ShiftPadding
) -> Tensor:
    """Shift by copying each fold of each frame once, from where it is to where it goes.

    Slices and their concatenation copy everything twice.
    """
    numbers, zeros = _row_numbers(x.shape[0], num_segments, folds, step, mode, padding)
    rows = x.reshape([len(numbers), -1])  # a fold of a frame, [C/folds*H*W]
    moved = paddle.gather(rows, paddle.to_tensor(numbers, place=x.place), axis=0)
    clips = moved.reshape([-1, num_segments, folds, moved.shape[1]])
    for frame, fold in zeros:
        clips[:, frame, fold] = 0.0
    return clips.reshape(x.shape)


@functools.lru_cache(maxsize=16)
def _row_numbers(
    frames: int,
    num_segments: int,
    folds: int,
    step: int,
    mode: ShiftMode,
    padding: ShiftPadding,
) -> tuple[np.ndarray, tuple[tuple[int, int], ...]]:
    """Where the rows [frames * folds] come from, and (frame, fold) of a clip that become zero."""
    source = np.arange(frames * folds, dtype=np.int64).reshape(-1, num_segments, folds)
    numbers = source.copy()
    zeros = []
    for fold, move in ((0, step),) if mode == "online" else ((0, step), (1, -step)):
        numbers[:, :, fold] = np.roll(source[:, :, fold], move, axis=1)
        if padding == "zero":
            zeros.append((0 if move > 0 else num_segments - 1, fold))
    return numbers.reshape(-1), tuple(zeros)


def _channels(clips: Tensor, axis: int, start: int, stop: int | None) -> Tensor:
    return clips[:, :, start:stop] if axis == 2 else clips[:, :, :, start:stop]


def _move(fold: Tensor, step: int, padding: ShiftPadding) -> Tensor:
    """Move frames of one fold [N, T, ...] by one: +1 later, -1 earlier."""
    if padding == "circulant":
        edge = fold[:, -1:] if step > 0 else fold[:, :1]
    else:
        edge = paddle.zeros_like(fold[:, :1])
    return paddle.concat([edge, fold[:, :-1]] if step > 0 else [fold[:, 1:], edge], 1)


class TemporalShift(nn.Layer):
    """``temporal_shift`` as a layer, so that a network can be searched for its shifts.

    Shape: [N*T, C, H, W] -> [N*T, C, H, W].
    """

    def __init__(
        self,
        num_segments: int,
        shift_div: int = 8,
        *,
        mode: ShiftMode = "offline",
        padding: ShiftPadding = "zero",
        data_format: str = "NCHW",
    ) -> None:
        super().__init__()
        self.num_segments = num_segments
        self.shift_div = shift_div
        self.mode = mode
        self.padding = padding
        self.data_format = data_format

    def forward(self, x: Tensor) -> Tensor:
        return temporal_shift(
            x,
            self.num_segments,
            self.shift_div,
            mode=self.mode,
            padding=self.padding,
            data_format=self.data_format,
        )

    def extra_repr(self) -> str:
        return (
            f"num_segments={self.num_segments}, shift_div={self.shift_div}, "
            f"mode={self.mode}, padding={self.padding}"
        )
