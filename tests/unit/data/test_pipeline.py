# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paddletsm.data import ClipDataset, Pipeline, Sample, build_pipeline
from paddletsm.errors import ConfigError, DataError
from tests.conftest import random_frames, write_video

NORMALIZATION = {"Normalization": {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}}


def spec_of(*transforms: Any, **sample: Any) -> dict[str, Any]:
    return {
        "decode": {"name": "VideoDecoder", "backend": "opencv"},
        "sample": {"name": "Sampler", "num_seg": 4, **sample},
        "transform": [*transforms, NORMALIZATION],
    }


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("pipeline") / "clip.avi", random_frames(12))


FACTS = [  # transforms, sampler, (num_clips, num_crops, target_size)
    ([{"CenterCrop": {"target_size": 32}}], {"valid_mode": True}, (1, 1, 32)),
    ([{"ThreeCrop": {"target_size": 40}}], {"valid_mode": True, "twice": True}, (2, 3, 40)),
    ([{"TenCrop": {"target_size": 32}}], {"valid_mode": True}, (1, 10, 32)),
    ([{"Scale": {"short_size": 32}}], {"valid_mode": True}, (1, 1, None)),
    ([{"MultiScaleCrop": {"target_size": 24}}, "RandomFlip"], {}, (1, 1, 24)),
    ([{"RandomCrop": {"target_size": 40}}, {"Scale": {"short_size": 20}}], {}, (1, 1, 20)),
]


@pytest.mark.parametrize(("transforms", "sampler", "facts"), FACTS)
def test_facts_hold(video: Path, transforms: list, sampler: dict, facts: tuple) -> None:
    pipeline = build_pipeline(spec_of(*transforms, **sampler))
    assert (pipeline.num_clips, pipeline.num_crops, pipeline.target_size) == facts
    copy: Pipeline = pickle.loads(pickle.dumps(pipeline))
    clip = copy(Sample(str(video), 5, 9), np.random.default_rng(0))
    height = facts[2] or 32
    width = facts[2] or 43
    assert clip.frames.shape == (facts[0] * facts[1], 4, 3, height, width)
    assert clip.frames.dtype == np.float32
    assert clip.indices.shape == (facts[0], 4)
    assert (clip.label, clip.sample_id) == (5, 9)


def test_one_frame_fills_the_clip(tmp_path: Path) -> None:
    path = write_video(tmp_path / "one.avi", random_frames(1))
    clip = build_pipeline(spec_of(valid_mode=True))(Sample(str(path), 0, 0))
    assert (clip.frames == clip.frames[:, :1]).all()


BAD = [  # change of the spec, message
    ({"decode": {"name": "VideoDecode"}}, r"PIPELINE.test.decode: .*did you mean 'VideoDecoder'"),
    ({"decode": {"backend": "decord"}}, r"PIPELINE.test.decode: .*'name'"),
    ({"decode": None}, r"PIPELINE.test: the key 'decode' is missing"),
    ({"sampel": {}}, r"PIPELINE.test: unknown key 'sampel'; did you mean 'sample'"),
    ({"sample": {"name": "Sampler", "numseg": 8}}, r"PIPELINE.test.sample: .*'num_seg'"),
    ({"sample": {"name": "Sampler", "num_seg": 8, "seg_len": 2}}, r"sample: .*seg_len must be 1"),
    ({"transform": "Scale"}, r"PIPELINE.test.transform: must be a list"),
    ({"transform": [{"Scale": 256}, NORMALIZATION]}, r"transform\[0\].Scale: arguments"),
    ({"transform": [{"Scal": {}}, NORMALIZATION]}, r"transform\[0\]: .*did you mean 'Scale'"),
    ({"transform": [{"Scale": {}, "RandomFlip": {}}]}, r"transform\[0\]: must be one transform"),
    ({"transform": [{"Scale": {"short_size": 9}}]}, r"transform: Normalization must be the last"),
    ({"transform": []}, r"Normalization must be the last .*none"),
    ({"transform": [NORMALIZATION, {"Scale": {"short_size": 9}}]}, r"must be the last"),
    ({"transform": [NORMALIZATION, NORMALIZATION]}, r"must stand once"),
    ({"transform": ["RandomFlip", NORMALIZATION]}, r"transform\[0\]: RandomFlip is random"),
]


@pytest.mark.parametrize(("change", "match"), BAD)
def test_wrong_specs_are_refused(change: dict, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        build_pipeline({**spec_of(valid_mode=True), **change}, where="PIPELINE.test")


def test_image2array_may_stand_anywhere() -> None:
    spec = spec_of({"Image2Array": {"transpose": False}}, valid_mode=True)
    build_pipeline(spec)
    spec["transform"].append("Image2Array")
    build_pipeline(spec)


def test_errors_name_the_sample(video: Path) -> None:
    pipeline = build_pipeline(spec_of({"CenterCrop": {"target_size": 60}}, valid_mode=True))
    with pytest.raises(DataError, match=r"clip.avi: a crop of 60x60 does not fit .*64x48"):
        pipeline(Sample(str(video), 0, 0))


def test_draws_depend_on_seed_epoch_and_id(video: Path) -> None:
    pipeline = build_pipeline(spec_of({"RandomResizedCrop": {"target_size": 16}}, "RandomFlip"))
    samples = [Sample(str(video), 0, i) for i in range(2)]
    dataset = ClipDataset(samples, pipeline, seed=3)
    clip = dataset.load(0, epoch=1)
    assert np.array_equal(clip.frames, dataset.load(0, epoch=1).frames)
    assert np.array_equal(clip.frames, dataset.without_samples().read(samples[0], 1).frames)
    others = [
        dataset.load(1, epoch=1),
        dataset.load(0, epoch=2),
        ClipDataset(samples, pipeline, seed=4).load(0, epoch=1),
    ]
    for other in others:
        assert not np.array_equal(clip.frames, other.frames)
