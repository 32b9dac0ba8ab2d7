# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Samples and the pipeline that reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from paddletsm.data.pipeline import Destination, Pipeline
from paddletsm.data.types import Clip, Sample


class ClipDataset:
    """The only data set class: an index plus a pipeline.

    Args:
        samples: what there is to read.
        pipeline: how it is read.
        seed: of the random draws; with epoch and sample id it fixes a clip, whatever process
            reads it and in whatever order.
    """

    def __init__(self, samples: Sequence[Sample], pipeline: Pipeline, *, seed: int = 0) -> None:
        if seed < 0:
            raise ValueError(f"seed must be 0 or more, not {seed}")
        self.samples = tuple(samples)
        self.pipeline = pipeline
        self.seed = seed

    def __len__(self) -> int:
        return len(self.samples)

    def load(self, i: int, epoch: int = 0) -> Clip:
        """Return the clip of sample ``i``, frames [V,T,3,H,W] as the pipeline gives them.

        Raises:
            DataError: it cannot be read; no other sample takes its place.
        """
        return self.read(self.samples[i], epoch)

    def read(self, sample: Sample, epoch: int = 0) -> Clip:
        """Return the clip of any sample, drawn with this data set's seed; see ``load``."""
        rng = np.random.default_rng((self.seed, epoch, sample.id))
        return self.pipeline(sample, rng)

    def read_into(
        self, sample: Sample, epoch: int, destination: Destination
    ) -> tuple[Clip, Mapping[str, float]]:
        """Return a clip, in memory that the caller offers, and the milliseconds of each stage.

        Whether the clip lies there tells ``clip.frames``.
        """
        if not isinstance(self.pipeline, Pipeline):  # anything that makes clips of samples
            return self.read(sample, epoch), {}
        rng = np.random.default_rng((self.seed, epoch, sample.id))
        return self.pipeline.run_into(sample, rng, destination)

    def alternative(self, sample: Sample) -> ClipDataset | None:
        """Return what reads the sample by another decoder, or None where there is none."""
        if not isinstance(self.pipeline, Pipeline):
            return None
        pipeline = self.pipeline.alternative(sample)
        return None if pipeline is None else ClipDataset((), pipeline, seed=self.seed)

    def without_samples(self) -> ClipDataset:
        """Return a copy that can only ``read``: a worker is handed its samples one by one."""
        return ClipDataset((), self.pipeline, seed=self.seed)
