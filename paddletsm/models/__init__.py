# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Networks: the temporal shift, backbones, heads and the recognizer that joins them."""

from __future__ import annotations

from paddletsm.models.backbone import BACKBONES, Backbone
from paddletsm.models.heads import HEADS, TSMHead, TSNHead
from paddletsm.models.mobilenet_v2 import MobileNetV2, MobileNetV2TSM
from paddletsm.models.non_local import NonLocal
from paddletsm.models.recognizer import FRAMEWORKS, Recognizer2D
from paddletsm.models.resnet import ResNet, ResNetTSM
from paddletsm.models.shift import TemporalShift, temporal_shift

__all__ = [
    "BACKBONES",
    "FRAMEWORKS",
    "HEADS",
    "Backbone",
    "MobileNetV2",
    "MobileNetV2TSM",
    "NonLocal",
    "Recognizer2D",
    "ResNet",
    "ResNetTSM",
    "TSMHead",
    "TSNHead",
    "TemporalShift",
    "temporal_shift",
]
