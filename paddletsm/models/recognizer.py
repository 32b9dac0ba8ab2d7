# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Recognizer2D: a 2D backbone over all frames, a head over the clip."""

from __future__ import annotations

from paddle import Tensor, nn
from paddle.static import InputSpec

from paddletsm.registry import Registry

FRAMEWORKS = Registry("framework")


@FRAMEWORKS.register
class Recognizer2D(nn.Layer):
    """Clip in, logits out, in training and in evaluation alike.

        [N,T,3,H,W] -> [N*T,3,H,W] -> backbone -> [N*T,C,h,w] -> head.pool -> head.classify -> [N,K]

    Args:
        backbone: ``[N*T,3,H,W] -> [N*T',C,h,w]`` with ``num_seg`` = T and ``out_segments`` = T'.
        head: ``pool(features, T')``, then ``classify(pooled, T') -> [N,K]``.
    """

    def __init__(self, backbone: nn.Layer, head: nn.Layer) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.train()

    @property
    def num_seg(self) -> int:
        """T, the frames of one clip."""
        return self.backbone.num_seg

    def num_parameters(self) -> int:
        """Numbers that training can change; Paddle also lists BN statistics as parameters."""
        named = self.named_parameters()
        return sum(p.size for name, p in named if not name.endswith(("._mean", "._variance")))

    def forward(self, clips: Tensor) -> Tensor:
        """Classify clips.

        Args:
            clips: [N, T, 3, H, W] float32, normalised RGB. Where frames do not see each
                other (no shift, no non-local block), T is free.

        Returns:
            Logits [N, K], before softmax.
        """
        pooled, segments = self._pooled(clips)
        return self.head.classify(pooled, segments)

    def extract_feature(self, clips: Tensor) -> Tensor:
        """Pooled features before dropout and classifier: TSM [N*T', C], TSN [N, C].

        The channels are in the order of the source of the weights, or of the authors' code for
        networks that were trained here; the classifier reads them in the order inside.
        """
        return self.backbone.in_source_order(self._pooled(clips)[0])

    def _pooled(self, clips: Tensor) -> tuple[Tensor, int]:
        """[N, T, 3, H, W] -> (pooled, T')."""
        is_fixed = self.backbone.fixes_segments
        if clips.ndim != 5 or clips.shape[2] != 3 or (is_fixed and clips.shape[1] != self.num_seg):
            frames = self.num_seg if is_fixed else "T"
            raise ValueError(f"clips must be [N, {frames}, 3, H, W], not {list(clips.shape)}")
        segments = self.backbone.out_segments if is_fixed else clips.shape[1]
        features = self.backbone(clips.reshape([-1, *clips.shape[2:]]))
        return self.head.pool(features, segments), segments

    def train(self) -> Recognizer2D:
        """Training mode, except for the layers that the backbone's policy keeps fixed."""
        super().train()
        self.backbone.norm_policy.apply(self.backbone)
        return self

    def input_spec(self, height: int, width: int, num_seg: int | None = None) -> list[InputSpec]:
        """What an exported copy takes: any number of clips of one size."""
        return [InputSpec([None, num_seg or self.num_seg, 3, height, width], "float32", "clips")]
