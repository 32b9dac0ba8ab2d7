# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Transforms of clips. Importing this package registers all of them."""

from __future__ import annotations

from paddletsm.data.transforms.augment import (
    MultiScaleCrop,
    RandomCrop,
    RandomFlip,
    RandomResizedCrop,
)
from paddletsm.data.transforms.compose import TRANSFORMS, Image2Array, Normalization, Transform
from paddletsm.data.transforms.geometry import CenterCrop, Scale, TenCrop, ThreeCrop

__all__ = [
    "TRANSFORMS",
    "CenterCrop",
    "Image2Array",
    "MultiScaleCrop",
    "Normalization",
    "RandomCrop",
    "RandomFlip",
    "RandomResizedCrop",
    "Scale",
    "TenCrop",
    "ThreeCrop",
    "Transform",
]
