# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The form in which a streaming network is exported: the same sums, arranged for fast inference.

    plain    x ---- concat(state, x[fold:]) ---- conv1 ...       new state = x[:fold]

    ResNet   a ---> new state    state ---- conv1a ---(+)- ReLU ...
             b ---------------------------- conv1b ---/

    sums     x -----------------------(+)- conv1 ...             new state = x[:fold]
             state - x[:fold] -- 1x1 --/

A shifted ResNet has the residual stream of ``fuse.py``: its moving channels ``a`` are a tensor of
their own. They are the state as they are, and the state of the frame before takes their place, so
nothing is cut or joined. The stream of MobileNetV2 is thin and stays whole. ONNX Runtime joins it
fast; OpenVINO copies all channels to cut some off, so for Paddle, which computes with it, the
difference to the state is added, by a convolution that puts each channel where it belongs.
``tools/benchmark.py stream`` measures it.
"""

from __future__ import annotations

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import Tensor, nn

from paddletsm.deploy.fuse import StreamsResNet, has_streams
from paddletsm.models import Recognizer2D
from paddletsm.models.streaming import StreamingRecognizer, StreamingShift


class FastStreaming(StreamingRecognizer):
    """A ``StreamingRecognizer`` whose graph runs faster, equal to it but for rounding.

    Args:
        model: an online ``Recognizer2D``; its weights are copied.
        by_sums: what does not become a pair of streams adds its state instead of joining it.

    Raises:
        ConfigError: the network looks at later frames; says which part does.
    """

    def __init__(self, model: Recognizer2D, *, by_sums: bool = False) -> None:
        # Graphs know parameters by name, and Paddle starts counting again after each one it traces.
        with paddle.utils.unique_name.guard("online_"):
            super().__init__(model)
            self.fast: nn.Layer = self.network.backbone
            if has_streams(self.network.backbone):
                self.fast = StreamsResNet(self.network.backbone, _Exchange)
            elif by_sums:
                for block in self.blocks:
                    block.shift = _Sum(block.shift, block.conv1.weight.shape[1])
        self.eval()

    def classify(self, frame: Tensor) -> Tensor:
        """Logits [N, K]; pools before the head, whose mean over a map is slow."""
        features = F.adaptive_avg_pool2d(self.fast(frame), 1)
        head = self.network.head
        return head.fc(features.reshape([-1, head.in_channels]))


class _Exchange(nn.Layer):
    """A shift whose channels all move: hands them to the next frame, gives those of the last."""

    def __init__(self, shift: StreamingShift, channels: int) -> None:
        super().__init__()
        self.slot = shift.slot  # in which the recognizer looks

    def forward(self, x: Tensor) -> Tensor:
        return self.slot.exchange(x)


class _Sum(nn.Layer):
    """A shift as a sum. Shape: [N, C, H, W] -> the same."""

    def __init__(self, shift: StreamingShift, channels: int) -> None:
        super().__init__()
        self.slot, self.fold = shift.slot, channels // shift.shift_div
        self.spread = nn.Conv2D(self.fold, channels, 1, bias_attr=False)
        self.spread.weight.set_value(np.eye(channels, self.fold, dtype=np.float32)[..., None, None])

    def forward(self, x: Tensor) -> Tensor:
        kept = x[:, : self.fold]
        return x + self.spread(self.slot.exchange(kept) - kept)
