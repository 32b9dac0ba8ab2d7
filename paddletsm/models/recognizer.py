# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Recognizer2D: a 2D backbone over all frames, a head over the clip."""

from __future__ import annotations

import numpy as np
import paddle
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
        self._pixel_terms: tuple[np.ndarray, np.ndarray] | None = None
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
            clips: [N, T, 3, H, W] float32, normalised RGB; or uint8 pixels, see
                ``accept_pixels``. Where frames do not see each other (no shift, no non-local
                block), T is free.

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
        clips = self.normalized(clips)
        segments = self.backbone.out_segments if is_fixed else clips.shape[1]
        features = self.backbone(clips.reshape([-1, *clips.shape[2:]]))
        return self.head.pool(features, segments), segments

    def accept_pixels(self, scale: np.ndarray, shift: np.ndarray) -> None:
        """Let the network normalise clips that come as uint8 pixels: ``x * scale + shift``.

        Args:
            scale: float32 [3, 1, 1].
            shift: float32 [3, 1, 1].
        """
        self._pixel_terms = (scale, shift)

    def normalized(self, clips: Tensor) -> Tensor:
        """Return float clips as they are, and uint8 ones normalised, float32.

        Raises:
            ValueError: uint8 clips, but ``accept_pixels`` was not called.
        """
        if clips.dtype != paddle.uint8:
            return clips
        if self._pixel_terms is None:
            raise ValueError("clips must be normalised float32, not uint8: accept_pixels first")
        with paddle.amp.auto_cast(enable=False):  # half precision would round the pixels
            scale, shift = (paddle.to_tensor(terms) for terms in self._pixel_terms)
            return clips.astype("float32") * scale + shift

    def train(self) -> Recognizer2D:
        """Training mode, except for the layers that the backbone's policy keeps fixed."""
        super().train()
        self.backbone.norm_policy.apply(self.backbone)
        return self

    def input_spec(self, height: int, width: int, num_seg: int | None = None) -> list[InputSpec]:
        """What an exported copy takes: any number of clips of one size."""
        return [InputSpec([None, num_seg or self.num_seg, 3, height, width], "float32", "clips")]
