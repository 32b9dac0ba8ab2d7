# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The form in which a streaming network is exported: the same sums, arranged for fast inference.

    plain   x ---- concat(state, x[fold:]) ---- conv1 - bn1 ...
    here    x ---- conv1 without the fold's weights --(+)-- ...       (where conv1 does not widen)
        state ---- conv1, the fold's weights --------/

A concat makes the runtime rewrite the whole tensor from its blocked layout; the second convolution
reads the state alone. Blocks that widen, those of MobileNetV2, keep the concat: their sum would be
larger than what it saves. ``tools/benchmark.py stream`` measures it.
"""

from __future__ import annotations

import paddle
import paddle.nn.functional as F
from paddle import Tensor, nn

from paddletsm.models import Recognizer2D
from paddletsm.models.streaming import StreamingRecognizer, StreamingShift


class FastStreaming(StreamingRecognizer):
    """A ``StreamingRecognizer`` whose graph runs faster, equal to it but for rounding.

    Args:
        model: an online ``Recognizer2D``; its weights are copied.

    Raises:
        ConfigError: the network looks at later frames; says which part does.
    """

    def __init__(self, model: Recognizer2D) -> None:
        # Graphs know parameters by name, and Paddle starts counting again after each one it traces.
        with paddle.utils.unique_name.guard("online_"):
            super().__init__(model)
            for block in self.blocks:
                if _is_worth_splitting(block):
                    block.conv1 = _SplitConv(block.conv1, block.bn1, block.shift)
                    block.bn1 = _Nothing()
                    block.shift = None
        self.eval()

    def classify(self, frame: Tensor) -> Tensor:
        """Logits [N, K]; pools before the head, whose mean over a map is slow."""
        features = F.adaptive_avg_pool2d(self.network.backbone(frame), 1)
        head = self.network.head
        return head.fc(features.reshape([-1, head.in_channels]))


class _SplitConv(nn.Layer):
    """conv1 and bn1 of a shifted block: the state's part and the frame's part, added."""

    def __init__(self, conv: nn.Conv2D, norm: nn.BatchNorm2D, shift: StreamingShift) -> None:
        super().__init__()
        weight = conv.weight.numpy()
        self.fold = weight.shape[1] // shift.shift_div
        self.slot = shift.slot
        resting = weight.copy()
        resting[:, : self.fold] = 0
        self.of_frame, self.norm = _like(conv, resting), norm
        self.of_state = _like(conv, weight[:, : self.fold])
        # Only scales, but only a normalisation is folded into the convolution in front of it.
        self.scale = nn.BatchNorm2D(weight.shape[0], epsilon=norm._epsilon)
        self.scale._variance.set_value(norm._variance)
        self.scale.weight.set_value(norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        slot = self.slot
        kept = x[:, : self.fold]
        slot.outgoing = kept
        before = paddle.zeros_like(kept) if slot.incoming is None else slot.incoming
        # In this order the second convolution takes the sum in.
        return self.scale(self.of_state(before)) + self.norm(self.of_frame(x))


class _Nothing(nn.Layer):
    def forward(self, x: Tensor) -> Tensor:
        return x


def _is_worth_splitting(block: nn.Layer) -> bool:
    out_channels, in_channels = block.conv1.weight.shape[:2]
    return out_channels <= in_channels and not getattr(block, "shift_shortcut", False)


def _like(conv: nn.Conv2D, weight: object) -> nn.Conv2D:
    """A convolution with other weights [C_out, C_in, k, k]."""
    out_channels, in_channels, kernel = weight.shape[:3]
    part = nn.Conv2D(
        in_channels,
        out_channels,
        kernel,
        stride=conv._stride,
        padding=kernel // 2,
        bias_attr=False,
    )
    part.weight.set_value(weight)
    return part
