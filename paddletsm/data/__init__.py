# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""From files to batches of clips. NumPy only at import; decoders come with first use."""

from __future__ import annotations

from paddletsm.data.balance import BalancedSampling
from paddletsm.data.class_folders import VIDEO_SUFFIXES, natural_key
from paddletsm.data.datasets import ClipDataset
from paddletsm.data.index import FORMATS, Index, load_index
from paddletsm.data.loader import ClipLoader, eval_batches, share_order, train_batches
from paddletsm.data.pipeline import Pipeline, build_pipeline
from paddletsm.data.readers import READERS, Reader, open_frames, open_video
from paddletsm.data.sampling import SAMPLERS, sample_dense, sample_segments
from paddletsm.data.transforms import TRANSFORMS
from paddletsm.data.types import Batch, Clip, Failure, Sample

__all__ = [
    "FORMATS",
    "READERS",
    "SAMPLERS",
    "TRANSFORMS",
    "VIDEO_SUFFIXES",
    "BalancedSampling",
    "Batch",
    "Clip",
    "ClipDataset",
    "ClipLoader",
    "Failure",
    "Index",
    "Pipeline",
    "Reader",
    "Sample",
    "build_pipeline",
    "eval_batches",
    "load_index",
    "natural_key",
    "open_frames",
    "open_video",
    "sample_dense",
    "sample_segments",
    "share_order",
    "train_batches",
]
