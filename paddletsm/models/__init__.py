# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Networks: the temporal shift, backbones, heads and the recognizer that joins them."""

from __future__ import annotations

from paddletsm.models.heads import HEADS, TSMHead, TSNHead
from paddletsm.models.recognizer import FRAMEWORKS, Recognizer2D
from paddletsm.models.resnet import BACKBONES, ResNet, ResNetTSM
from paddletsm.models.shift import TemporalShift, temporal_shift

__all__ = [
    "BACKBONES",
    "FRAMEWORKS",
    "HEADS",
    "Recognizer2D",
    "ResNet",
    "ResNetTSM",
    "TSMHead",
    "TSNHead",
    "TemporalShift",
    "temporal_shift",
]
