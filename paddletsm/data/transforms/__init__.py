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
from paddletsm.data.transforms.augmix import AugMix
from paddletsm.data.transforms.color import ColorJitter
from paddletsm.data.transforms.compose import TRANSFORMS, Image2Array, Normalization, Transform
from paddletsm.data.transforms.geometry import CenterCrop, Scale, TenCrop, ThreeCrop
from paddletsm.data.transforms.randaugment import RandAugment

__all__ = [
    "TRANSFORMS",
    "AugMix",
    "CenterCrop",
    "ColorJitter",
    "Image2Array",
    "MultiScaleCrop",
    "Normalization",
    "RandAugment",
    "RandomCrop",
    "RandomFlip",
    "RandomResizedCrop",
    "Scale",
    "TenCrop",
    "ThreeCrop",
    "Transform",
]
