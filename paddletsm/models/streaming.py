# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""An online network unrolled in time: a frame and the state in, its logits and the state out.

    clip     x[t] ---- concat(x[t-1][:fold], x[t][fold:]) ---- conv1 ...       (models/shift.py)
    stream   x    ---- concat(state,         x[fold:])    ---- conv1 ...       new state = x[:fold]

The state is what each shift hands to the next frame, zeros before the first frame. So the logits of
frame t equal those that the network gives frame t of a clip that began at the same frame.

Source: Lin, Gan, Han: TSM, ICCV 2019, arXiv:1811.08383, section 4.2 (uni-directional TSM).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import paddle
from paddle import Tensor, nn

from paddletsm.errors import ConfigError
from paddletsm.models.recognizer import Recognizer2D
from paddletsm.models.shift import TemporalShift


@dataclass
class _Slot:
    """What passes through one shift during one frame; no layer attribute, so it is never saved."""

    incoming: Tensor | None = None
    outgoing: Tensor | None = None

    def exchange(self, kept: Tensor) -> Tensor:
        """Leave what the next frame is to get; returns what the frame before has left, or zeros."""
        self.outgoing = kept
        return paddle.zeros_like(kept) if self.incoming is None else self.incoming


class StreamingShift(nn.Layer):
    """``TemporalShift`` of mode "online" for one frame at a time.

    Slices, because every format of a graph has those.

    Shape: [N, C, H, W] -> [N, C, H, W]; the slot's tensors are [N, C // shift_div, H, W].
    """

    def __init__(self, shift_div: int, data_format: str = "NCHW") -> None:
        super().__init__()
        self.shift_div = shift_div
        self.axis = 1 if data_format == "NCHW" else 3
        self.slot = _Slot()

    def forward(self, x: Tensor) -> Tensor:
        fold = x.shape[self.axis] // self.shift_div
        if self.axis == 1:
            kept, rest = x[:, :fold], x[:, fold:]
        else:
            kept, rest = x[..., :fold], x[..., fold:]
        return paddle.concat([self.slot.exchange(kept), rest], self.axis)


class StreamingRecognizer(nn.Layer):
    """One frame in, its logits out; what a frame hands to the next is a list of tensors.

    Args:
        model: an online ``Recognizer2D``; its weights are copied, so training it on changes nothing
            here.

    Raises:
        ConfigError: the network looks at later frames; says which part does.
    """

    def __init__(self, model: Recognizer2D) -> None:
        super().__init__()
        check_causal(model)
        self.network = copy.deepcopy(model)
        self.blocks = _shifted_blocks(self.network)
        self.shifts = [_unrolled(block) for block in self.blocks]
        self.eval()

    @property
    def num_seg(self) -> int:
        """Frames of a clip in training: over as many the authors average the logits."""
        return self.network.num_seg

    def forward(self, frame: Tensor, state: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Classify the next frame of N streams.

        Args:
            frame: [N, 3, H, W] float32, normalised RGB.
            state: of the frame before, or ``init_state`` for the first.

        Returns:
            Logits [N, K] of this frame, before softmax, and the new state. The mean of the logits
            of T frames is what the network gives a clip of T frames.

        Raises:
            ValueError: the state is not one of this network and frame size.
        """
        if len(state) != len(self.shifts):
            raise ValueError(f"state must hold {len(self.shifts)} tensors, not {len(state)}")
        slots = [shift.slot for shift in self.shifts]
        for index, slot in enumerate(slots):  # a graph's tracer knows no zip(strict=True)
            slot.incoming = state[index]
        logits = self.classify(frame)
        new_state = [slot.outgoing for slot in slots]
        for slot in slots:
            slot.incoming = slot.outgoing = None
        return logits, new_state

    def classify(self, frame: Tensor) -> Tensor:
        """Logits [N, K] of a frame, with the state that the shifts hold."""
        head = self.network.head
        return head.classify(head.pool(self.network.backbone(frame), 1), 1)

    def state_shapes(self, height: int, width: int) -> list[tuple[int, int, int]]:
        """Shape of each state tensor without its batch axis, for frames of this size."""
        slots = [shift.slot for shift in self.shifts]
        with paddle.no_grad():
            self.classify(paddle.zeros([1, 3, height, width]))
        shapes = [tuple(slot.outgoing.shape[1:]) for slot in slots]
        for slot in slots:
            slot.outgoing = None
        return shapes

    def init_state(self, batch_size: int = 1, height: int = 224, width: int = 224) -> list[Tensor]:
        """State before the first frame: zeros, [batch_size, C // shift_div, h, w] per shift."""
        shapes = self.state_shapes(height, width)
        return [paddle.zeros([batch_size, *shape]) for shape in shapes]


def to_streaming(model: Recognizer2D) -> StreamingRecognizer:
    """Unroll an online network in time; see ``StreamingRecognizer``."""
    return StreamingRecognizer(model)


def check_causal(model: Recognizer2D) -> None:
    """Refuse networks that cannot run frame by frame.

    Raises:
        ConfigError: a frame's result depends on later frames.
    """
    backbone = model.backbone
    reasons = {
        "MODEL.backbone.shift_mode is offline, so every frame sees the next one; train a network "
        "with shift_mode: online": backbone.is_shifted and backbone.shift_mode != "online",
        "shift_padding: circulant hands the last frame to the first": backbone.is_shifted
        and backbone.shift_padding == "circulant",
        "temporal_pool joins a frame with the next one": backbone.temporal_pool,
        "non_local blocks compare a frame with all later ones": backbone.non_local is not None,
    }
    for reason, holds in reasons.items():
        if holds:
            raise ConfigError(f"this network cannot run frame by frame: {reason}")


def _shifted_blocks(model: Recognizer2D) -> list[nn.Layer]:
    """Blocks with a shift, in the order in which a frame meets them."""
    return [
        layer
        for layer in model.backbone.sublayers()
        if isinstance(getattr(layer, "shift", None), TemporalShift)
    ]


def _unrolled(block: nn.Layer) -> StreamingShift:
    """Replace the shift of a block."""
    block.shift = StreamingShift(block.shift.shift_div, block.shift.data_format)
    return block.shift
