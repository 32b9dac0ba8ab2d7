# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paddletsm.data import TRANSFORMS, Clip, Sample, build_pipeline, open_video
from paddletsm.data.transforms import (
    CenterCrop,
    MultiScaleCrop,
    Normalization,
    RandomCrop,
    RandomFlip,
    RandomResizedCrop,
    Scale,
    TenCrop,
    ThreeCrop,
    Transform,
    functional,
)
from paddletsm.errors import ConfigError, DataError

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def clip_of(frames: np.ndarray) -> Clip:
    return Clip(frames, 0, 0, np.zeros((frames.shape[0], frames.shape[1]), np.int64))


def apply(frames: np.ndarray, *transforms: Transform, seed: int = 0) -> np.ndarray:
    clip, rng = clip_of(frames), np.random.default_rng(seed)
    for transform in transforms:
        clip = transform(clip, rng)
    return clip.frames


def sha256(frame: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(frame).tobytes()).hexdigest()


def positions(height: int, width: int, segments: int = 2) -> np.ndarray:
    """Frames whose pixels tell their column, row and segment."""
    frames = np.empty((1, segments, height, width, 3), np.uint8)
    frames[..., 0] = np.arange(width) % 256
    frames[..., 1] = np.arange(height)[:, None] % 256
    frames[..., 2] = np.arange(segments)[:, None, None]
    return frames


@pytest.fixture(scope="module")
def reference(shared_dir: Path) -> dict:
    return json.loads((shared_dir / "parity/pixels.json").read_text())


@pytest.fixture(scope="module")
def frame(shared_dir: Path, reference: dict) -> np.ndarray:
    """One frame as uint8 [1,1,256,340,3]."""
    reader = open_video(shared_dir / "videos/demo.mp4", "opencv")
    frames = reader.get([reference["frame_index"]])[None]
    assert sha256(frames[0, 0]) == reference["frame_cv2"]["sha256"]
    return frames


PIXEL_CASES = {
    "resize_short256": ((256, 0, 340), Scale(256)),
    "resize_short256_center224": ((256, 0, 340), Scale(256), CenterCrop(224)),
    "resize_short256_three256": ((256, 0, 340), Scale(256), ThreeCrop(256)),
    "resize_short256_ten224": ((256, 0, 340), Scale(256), TenCrop(224)),
    "crop200rows_resize_short256": ((200, 0, 340), Scale(256)),
    "crop200rows_resize_short256_center224": ((200, 0, 340), Scale(256), CenterCrop(224)),
    "resize_short240": ((256, 0, 340), Scale(240)),
    "resize_short128": ((256, 0, 340), Scale(128)),
    "cols50_200_resize_short256_three256": ((256, 50, 200), Scale(256), ThreeCrop(256)),
    "odd255x339_resize_short256_center224": ((255, 0, 339), Scale(256), CenterCrop(224)),
    "odd255x339_resize_short256_three256": ((255, 0, 339), Scale(256), ThreeCrop(256)),
    "odd255x339_resize_short256_ten224": ((255, 0, 339), Scale(256), TenCrop(224)),
}


@pytest.mark.parametrize("name", PIXEL_CASES)
def test_reference_pixels(reference: dict, frame: np.ndarray, name: str) -> None:
    (rows, left, right), *transforms = PIXEL_CASES[name]
    expected = reference["mmaction2"][name]
    views = apply(frame[:, :, :rows, left:right], *transforms)
    assert views.dtype == np.uint8
    assert [sha256(view[0]) for view in views] == [i["sha256"] for i in expected["images"]]


def test_reference_sizes_and_values(reference: dict, frame: np.ndarray) -> None:
    expected = reference["mmaction2"]
    square = functional.resize(frame, 224, 224)
    assert sha256(square[0, 0]) == expected["resize_224x224_noratio"]["images"][0]["sha256"]
    for size, (width, height) in expected["resize_short256_sizes"].items():
        source_width, source_height = map(int, size.split("x"))
        found = functional.short_side_size(source_height, source_width, 256)
        assert found == (height, width), size
    known = expected["normalized_center224"]
    values = apply(frame, Scale(256), CenterCrop(224), Normalization(MEAN, STD))
    assert values.shape == tuple(known["shape"])
    # Means over 150528 float32 values.
    assert values.mean() == pytest.approx(known["mean"], abs=1e-6)
    assert values.std() == pytest.approx(known["std"], abs=1e-6)


def test_reference_multi_scale_boxes(reference: dict) -> None:
    """The set of reachable boxes is exactly the reference's."""
    known = reference["mmaction2"]["multiscalecrop_boxes_340x256"]
    transform, rng = MultiScaleCrop(224), np.random.default_rng(0)
    # The rarest of the 114 boxes has probability 1/130: missed by 9000 draws once in 1e30.
    drawn = {transform.draw_box(256, 340, rng) for _ in range(9000)}
    assert {(x, y, x + w, y + h) for x, y, w, h in drawn} == set(map(tuple, known["boxes"]))


def test_reference_clip(shared_dir: Path) -> None:
    known = np.load(shared_dir / "parity/e2e_demo.npz")
    spec = {
        "decode": {"name": "VideoDecoder"},
        "sample": {"name": "Sampler", "num_seg": 8, "valid_mode": True},
        "transform": [
            {"Scale": {"short_size": 256}},
            {"CenterCrop": {"target_size": 224}},
            {"Image2Array": None},
            {"Normalization": {"mean": MEAN, "std": STD}},
        ],
    }
    clip, times = build_pipeline(spec).run(Sample(str(shared_dir / "videos/demo.mp4"), 7, 3))
    assert clip.indices.tolist() == [known["frame_inds"].tolist()]
    pixels = clip.frames * np.reshape(STD, (3, 1, 1)) + np.reshape(MEAN, (3, 1, 1))
    assert np.array_equal(np.rint(pixels * 255)[0], known["imgs_uint8"])
    assert (clip.label, clip.sample_id) == (7, 3)
    assert set(times) == {"open_ms", "decode_ms", "transform_ms"}


def test_normalization_is_exact_and_contiguous() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, 20, 30, 3), dtype=np.uint8)
    for view in (frames, frames[:, :, 2:9, 4:20], functional.flip(frames)):
        result = apply(view, Normalization(MEAN, STD))
        assert result.dtype == np.float32
        assert result.flags.c_contiguous
        expected = ((view / 255.0 - MEAN) / STD).transpose(0, 1, 4, 2, 3)
        assert np.abs(result - expected).max() < 1e-6  # float32 rounding of values up to 2.7


def test_views_are_ordered_as_in_the_reference_by_crop_then_clip() -> None:
    frames = np.concatenate([positions(40, 60), positions(40, 60) + 100])
    crops = apply(frames, ThreeCrop(40))
    assert crops.shape == (6, 2, 40, 40, 3)
    assert crops[:, 0, 0, 0, 0].tolist() == [0, 100, 20, 120, 10, 110]
    ten = apply(frames, TenCrop(32))
    assert ten.shape == (20, 2, 32, 32, 3)
    assert ten[:8:2, 0, 0, 0, 0].tolist() == [0, 31, 28, 59]


def test_paddlevideo_ratio() -> None:
    assert apply(positions(50, 90), Scale(30, fixed_ratio=True)).shape[2:4] == (30, 40)
    assert apply(positions(90, 50), Scale(30, fixed_ratio=True)).shape[2:4] == (40, 30)


@pytest.mark.parametrize(
    "transform",
    [CenterCrop(64), ThreeCrop(64), TenCrop(64), RandomCrop(64)],
    ids=lambda item: type(item).__name__,
)
def test_crop_larger_than_the_frame(transform: Transform) -> None:
    with pytest.raises(DataError, match=r"64x64 does not fit into frames of 80x60.*Scale"):
        apply(positions(60, 80), transform)


sides = st.integers(8, 90)


@settings(max_examples=60, deadline=None)
@given(sides, sides, st.integers(4, 40), st.integers(0, 2**32))
def test_random_crops(height: int, width: int, size: int, seed: int) -> None:
    """Boxes lie inside, all frames get the same one, the size is the target."""
    frames = positions(height, width)
    crops: list[Transform] = [
        MultiScaleCrop(size),
        MultiScaleCrop(size, more_fix_crop=False, allow_duplication=False),
        MultiScaleCrop(size, fix_crop=False),
        RandomResizedCrop(size),
    ]
    if size <= min(height, width):
        crops.append(RandomCrop(size))
    for crop in crops:
        left, top, w, h = crop.draw_box(height, width, np.random.default_rng(seed))
        assert 0 <= left <= left + w <= width
        assert 0 <= top <= top + h <= height
        out = apply(frames, crop, RandomFlip(), seed=seed)
        assert out.shape == (1, 2, size, size, 3)
        assert np.array_equal(out[0, 0, ..., :2], out[0, 1, ..., :2])
        assert np.array_equal(out, apply(frames, crop, RandomFlip(), seed=seed))


@settings(max_examples=60, deadline=None)
@given(sides, sides, st.integers(8, 90))
def test_scale_and_crops(height: int, width: int, short: int) -> None:
    scaled = apply(positions(height, width), Scale(short))
    assert min(scaled.shape[2:4]) == short
    ratio = max(scaled.shape[2:4]) / short
    assert ratio == pytest.approx(max(height, width) / min(height, width), abs=0.51 / short)
    for crop, views in ((CenterCrop(short), 1), (ThreeCrop(short), 3), (TenCrop(short), 10)):
        assert apply(scaled, crop).shape == (views, 2, short, short, 3)


def test_flip_mirrors_the_whole_clip_or_nothing() -> None:
    frames = positions(6, 9, segments=4)
    seen = set()
    for seed in range(20):
        out = apply(frames, RandomFlip(), seed=seed)
        mirrored = np.array_equal(out, frames[:, :, :, ::-1])
        assert mirrored or np.array_equal(out, frames)
        seen.add(mirrored)
    assert seen == {True, False}
    assert apply(frames, RandomFlip(p=0)) is frames
    # A crop behind a flip gets negative strides, which OpenCV does not take.
    flipped = apply(frames, RandomFlip(p=1), Scale(12))
    assert np.array_equal(flipped, apply(np.ascontiguousarray(frames[:, :, :, ::-1]), Scale(12)))


@pytest.mark.parametrize(
    ("name", "args", "match"),
    [
        ("Scale", {"short_size": "256"}, "whole number"),
        ("CenterCrop", {"target_size": 0}, "1 or more"),
        ("CenterCrop", {}, "needs the argument target_size"),
        ("CenterCrop", {"size": 224}, "no argument 'size'"),
        ("MultiScaleCrop", {"target_size": 224, "scales": [2]}, "scales"),
        ("MultiScaleCrop", {"target_size": 224, "max_distort": -1}, "max_distort"),
        ("RandomResizedCrop", {"target_size": 8, "area_range": [0.5, 2]}, "exceed 1"),
        ("RandomResizedCrop", {"target_size": 8, "aspect_ratio_range": [2, 1]}, "ascending"),
        ("RandomFlip", {"p": 2}, "probability"),
        ("Normalization", {"mean": [123.7, 116.3, 103.5], "std": STD}, "divide"),
        ("Normalization", {"mean": MEAN, "std": [0, 1, 1]}, "above 0"),
        ("Normalization", {"mean": 0.5, "std": STD}, "three numbers"),
        ("RandomFlp", {}, "did you mean 'RandomFlip'"),
    ],
)
def test_wrong_settings(name: str, args: dict, match: str) -> None:
    with pytest.raises(ConfigError, match=match) as caught:
        TRANSFORMS.build(name, args, where="PIPELINE.train.transform[0]")
    assert "PIPELINE.train.transform[0]" in str(caught.value)


def test_random_transforms_need_a_generator() -> None:
    with pytest.raises(ValueError, match="Generator"):
        RandomFlip()(clip_of(positions(4, 4)), None)
