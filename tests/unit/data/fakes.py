# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Decoders without files, in a module that loader workers can import."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from dataclasses import replace

import numpy as np

from paddletsm.data import ClipDataset, Pipeline, Reader, Sample
from paddletsm.data.sampling import Sampler
from paddletsm.data.transforms import Normalization, RandomCrop
from paddletsm.errors import DataError

FRAMES = 12


class FakeReader(Reader):
    """Frames that tell the sample's id."""

    def __init__(self, path: str, number: int, side: int) -> None:
        self.path = path
        self._number = number
        self._side = side

    def __len__(self) -> int:
        return FRAMES

    def _decode(self, numbers: np.ndarray) -> np.ndarray:
        rng = np.random.default_rng(self._number)
        every = rng.integers(0, 256, (FRAMES, self._side, self._side, 3), dtype=np.uint8)
        every[:, 0, 0] = self._number
        return every[numbers]


class FakeDecoder:
    """The path of a sample says what happens when it is opened."""

    def open(self, sample: Sample) -> FakeReader:
        what = sample.path.split("/")[0]
        if what == "broken":
            raise DataError(f"{sample.path}: broken")
        if what == "stuck":
            time.sleep(600)
        if what == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "bug":
            raise KeyError("a bug")
        if what == "modules":
            heavy = {"paddle", "torch", "__mp_main__"} & set(sys.modules)
            raise DataError(f"heavy: {sorted(heavy)}, pid {os.getpid()}")
        if what == "chatty":
            print("a library prints", flush=True)
            logging.getLogger("paddletsm.data").warning("said once")
        return FakeReader(sample.path, sample.id, 20 if what == "large" else 16)


class TwoFacedDecoder(FakeDecoder):
    """Has an alternative, which can read what begins with "first_"."""

    def __init__(self, is_other: bool = False) -> None:
        self.is_other = is_other

    def open(self, sample: Sample) -> FakeReader:
        is_fine = self.is_other and sample.path.startswith("first_")
        path = "ok" if is_fine else sample.path.removeprefix("first_")
        return super().open(replace(sample, path=path))

    def alternative(self, sample: Sample) -> TwoFacedDecoder:
        return TwoFacedDecoder(is_other=True)


def make_dataset(paths: list[str], *, crop: int | None = 12, seed: int = 0) -> ClipDataset:
    transforms = [Normalization([0.5] * 3, [0.25] * 3)]
    if crop:
        transforms.insert(0, RandomCrop(crop))
    pipeline = Pipeline(FakeDecoder(), Sampler(4), transforms)
    samples = [Sample(path, i % 3, i, where=f"a.list:{i + 1}") for i, path in enumerate(paths)]
    return ClipDataset(samples, pipeline, seed=seed)
