# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Single frames through the transforms of the test pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from paddletsm.data.types import Clip
from paddletsm.errors import DataError, ExportError


class FrameTransform:
    """The transforms of a pipeline for one frame at a time; nothing is decoded or sampled.

    Args:
        spec: the pipeline, as an artefact carries it.
        where: key path for messages.

    Raises:
        ConfigError: the pipeline is not valid.
        ExportError: it makes several crops of a frame.
    """

    def __init__(self, spec: Mapping[str, Any], *, where: str = "PIPELINE.test") -> None:
        from paddletsm.data import build_pipeline  # imports OpenCV

        pipeline = build_pipeline(spec, where=where)
        if pipeline.num_crops != 1:
            raise ExportError(
                f"{where}: {pipeline.num_crops} crops of each frame; for frames that come one by "
                "one export with one crop (--protocol efficient)"
            )
        self._transforms = pipeline.transforms

    def batch(self, frames: Sequence[np.ndarray]) -> np.ndarray:
        """uint8 frames [H, W, 3] RGB, each of its own size, to float32 [N, 3, h, w].

        Raises:
            DataError: one is no such array, or too small for the crop.
        """
        return np.stack([self._one(frame) for frame in frames])

    def _one(self, frame: np.ndarray) -> np.ndarray:
        frame = np.asarray(frame)
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
            raise DataError(
                f"a frame must be uint8 [H, W, 3] RGB, not {frame.dtype} {list(frame.shape)}"
            )
        clip = Clip(frame[None, None], -1, 0, np.zeros((1, 1), np.int64))
        for transform in self._transforms:
            clip = transform(clip, None)
        return clip.frames[0, 0]
