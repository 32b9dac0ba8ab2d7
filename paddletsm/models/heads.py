# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Classification heads. They return logits; losses and metrics live in the engine.

    TSN:  [N*T,C,h,w] -> pool -> mean over T -> dropout -> fc ->                [N,K]
    TSM:  [N*T,C,h,w] -> pool -> dropout -> fc per frame     -> mean over T ->  [N,K]

Source: Wang et al., ECCV 2016, arXiv:1608.00859 (TSN); Lin et al., ICCV 2019 (TSM).
"""

from __future__ import annotations

import paddle
from paddle import Tensor, nn
from paddle.nn.initializer import Constant, Normal

from paddletsm.registry import Registry

HEADS = Registry("head")


class _Head(nn.Layer):
    """Classifier with dropout.

    Args:
        num_classes: K.
        in_channels: C, the backbone's out_channels.
        drop_ratio: dropout in front of the classifier.
        std: standard deviation of the classifier's initial weights.
    """

    def __init__(self, num_classes: int, in_channels: int, drop_ratio: float, std: float) -> None:
        super().__init__()
        if num_classes < 1:
            raise ValueError(f"num_classes must be at least 1, not {num_classes}")
        if not 0 <= drop_ratio < 1:
            raise ValueError(f"drop_ratio must lie in [0, 1), not {drop_ratio}")
        if not 0 <= std < float("inf"):
            raise ValueError(f"std must not be negative or infinite, not {std}")
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.dropout = nn.Dropout(drop_ratio)
        self.fc = nn.Linear(
            in_channels,
            num_classes,
            weight_attr=paddle.ParamAttr(initializer=Normal(0.0, std)),
            bias_attr=paddle.ParamAttr(initializer=Constant(0.0)),
        )

    def pool(self, features: Tensor, num_segments: int) -> Tensor:
        raise NotImplementedError

    def classify(self, pooled: Tensor, num_segments: int) -> Tensor:
        raise NotImplementedError

    def forward(self, features: Tensor, num_segments: int) -> Tensor:
        return self.classify(self.pool(features, num_segments), num_segments)


@HEADS.register
class TSNHead(_Head):
    """Average the frames' features, then classify; arguments as in ``_Head``."""

    def __init__(
        self, num_classes: int, in_channels: int, drop_ratio: float = 0.4, std: float = 0.01
    ) -> None:
        super().__init__(num_classes, in_channels, drop_ratio, std)

    def pool(self, features: Tensor, num_segments: int) -> Tensor:
        """[N*T, C, h, w] -> [N, C]."""
        pooled = features.mean([2, 3])
        return pooled.reshape([-1, num_segments, self.in_channels]).mean(1)

    def classify(self, pooled: Tensor, num_segments: int) -> Tensor:
        """[N, C] -> logits [N, K]."""
        return self.fc(self.dropout(pooled))


@HEADS.register
class TSMHead(_Head):
    """Classify every frame, then average the logits; arguments as in ``_Head``."""

    def __init__(
        self, num_classes: int, in_channels: int, drop_ratio: float = 0.5, std: float = 0.001
    ) -> None:
        super().__init__(num_classes, in_channels, drop_ratio, std)

    def pool(self, features: Tensor, num_segments: int) -> Tensor:
        """[N*T, C, h, w] -> [N*T, C]."""
        return features.mean([2, 3])

    def classify(self, pooled: Tensor, num_segments: int) -> Tensor:
        """[N*T, C] -> logits [N, K]."""
        per_frame = self.fc(self.dropout(pooled))
        return per_frame.reshape([-1, num_segments, self.num_classes]).mean(1)
