# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""ColorJitter, RandAugment, AugMix, flips with a label map, clips that stay uint8."""

from __future__ import annotations

import collections
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paddletsm.data import TRANSFORMS, Batch, Clip, ClipDataset, ClipLoader, Pipeline, Sample
from paddletsm.data.sampling import Sampler
from paddletsm.data.transforms import (
    AugMix,
    ColorJitter,
    Normalization,
    RandAugment,
    RandomFlip,
    Transform,
    functional,
    operations,
    pixels,
)
from paddletsm.errors import ConfigError
from tests.conftest import random_frames
from tests.unit.data.fakes import FakeDecoder, make_dataset

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
RANDOM = [
    ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1),
    RandAugment(),
    RandAugment("pytorchvideo"),
    AugMix(),
]
each_random = pytest.mark.parametrize("transform", RANDOM, ids=lambda t: type(t).__name__)


def clip_of(frames: np.ndarray, label: int = 0) -> Clip:
    return Clip(frames, label, 0, np.zeros(frames.shape[:2], np.int64))


def run(transform: Transform, frames: np.ndarray, seed: int, label: int = 0) -> Clip:
    return transform(clip_of(frames, label), np.random.default_rng(seed))


@pytest.fixture(scope="module")
def still() -> np.ndarray:
    """A clip whose frames are all the same, two views."""
    return np.repeat(random_frames(1, height=36, width=40)[None], 3, axis=1).repeat(2, axis=0)


# --- all frames alike, all draws from the generator ---------------------------------------------


@each_random
@pytest.mark.parametrize("seed", range(12))
def test_frames_are_treated_alike_and_draws_repeat(
    transform: Transform, still: np.ndarray, seed: int
) -> None:
    before = still.copy()
    out = run(transform, still, seed).frames
    assert np.array_equal(still, before)
    assert (out.shape, out.dtype) == (still.shape, np.uint8)
    assert (out == out[:1, :1]).all()
    copy = pickle.loads(pickle.dumps(transform))  # as workers get it
    assert np.array_equal(out, run(copy, still, seed).frames)


@each_random
def test_clips_differ(transform: Transform, still: np.ndarray) -> None:
    assert len({run(transform, still, seed).frames.tobytes() for seed in range(30)}) >= 15
    with pytest.raises(ValueError, match="Generator"):
        transform(clip_of(still), None)


def test_mirrored_views_can_be_augmented(still: np.ndarray) -> None:
    for transform in RANDOM:
        view = run(transform, still[:, :, :, ::-1], 1).frames
        assert np.array_equal(view, run(transform, still[:, :, :, ::-1].copy(), 1).frames)


# --- RandAugment --------------------------------------------------------------------------------


def drawn(policy: RandAugment, clips: int = 3000) -> list[list[tuple[str, float]]]:
    return [policy.draw(np.random.default_rng(seed)) for seed in range(clips)]


def test_imgaug_policy() -> None:
    clips = drawn(RandAugment())
    assert {len(clip) for clip in clips} == {2}
    assert {level for clip in clips for _, level in clip} == {0.9}
    order = list(operations.IMGAUG)
    assert len(order) == 15
    for (first, _), (second, _) in clips:
        assert order.index(first) < order.index(second)
    counts = collections.Counter(name for clip in clips for name, _ in clip)
    # Each of 15 in 2/15 of 3000 clips: 400, with deviation 19.
    assert all(abs(counts[name] - 400) < 100 for name in order)


def test_pytorchvideo_policy() -> None:
    clips = drawn(RandAugment("pytorchvideo"))
    assert len(operations.PYTORCHVIDEO) == 14
    lengths = collections.Counter(map(len, clips))
    for length, share in ((0, 0.25), (1, 0.5), (2, 0.25)):
        assert lengths[length] / len(clips) == pytest.approx(share, abs=0.05)
    levels = np.array([level for clip in clips for _, level in clip])
    assert levels.mean() == pytest.approx(0.9, abs=0.01)
    assert levels.std() == pytest.approx(0.05, abs=0.01)
    assert levels.max() <= 1
    firsts = {tuple(name for name, _ in clip) for clip in clips if len(clip) == 2}
    assert any((b, a) in firsts for a, b in firsts)  # in the order of the draw


def test_settings_replace_those_of_the_policy() -> None:
    clips = drawn(RandAugment("pytorchvideo", num_ops=3, magnitude=4, p=1.0, magnitude_std=0), 50)
    assert {len(clip) for clip in clips} == {3}
    assert {level for clip in clips for _, level in clip} == {0.4}


class Recorder:
    """Stands for a generator whose sign and place are given."""

    def __init__(self, *values: float) -> None:
        self.values = list(values)

    def random(self) -> float:
        return self.values.pop(0)


# Operation of the sources, draws, the same by hand at level 0.9.
VALUES = [
    (operations.IMGAUG, "posterize", (), lambda x: pixels.posterize(x, 3)),
    (operations.IMGAUG, "solarize", (), lambda x: pixels.solarize(x, 230.4)),
    (operations.IMGAUG, "color", (), lambda x: pixels.color(x, 1.72)),
    (operations.IMGAUG, "contrast", (), lambda x: pixels.contrast(x, 1.72)),
    (operations.IMGAUG, "brightness", (), lambda x: pixels.brightness(x, 1.72)),
    (operations.IMGAUG, "sharpness", (), lambda x: pixels.sharpness(x, 1.72)),
    (operations.IMGAUG, "autocontrast", (), pixels.autocontrast),
    (operations.IMGAUG, "equalize", (), pixels.equalize),
    (operations.IMGAUG, "invert", (), pixels.invert),
    (
        operations.IMGAUG,
        "cutout",
        (0.25, 0.75),
        lambda x: pixels.cutout(x, 0.18, (0.25, 0.75), fill=128),
    ),
    (operations.PYTORCHVIDEO, "posterize", (), lambda x: pixels.posterize(x, 1)),
    (operations.PYTORCHVIDEO, "solarize", (), lambda x: pixels.solarize(x, 25.5)),
    (operations.PYTORCHVIDEO, "brightness", (0.1,), lambda x: pixels.brightness(x, 1.81)),
    (operations.PYTORCHVIDEO, "contrast", (0.9,), lambda x: pixels.contrast(x, 0.19)),
    (operations.PYTORCHVIDEO, "color", (0.9,), lambda x: pixels.color(x, 0.19)),
    (operations.PYTORCHVIDEO, "sharpness", (0.1,), lambda x: pixels.sharpness(x, 1.81)),
]


@pytest.mark.parametrize(
    ("table", "name", "draws", "by_hand"), VALUES, ids=[f"{v[1]}-{len(v[0])}" for v in VALUES]
)
def test_colour_values(still: np.ndarray, table: dict, name: str, draws: tuple, by_hand) -> None:
    assert np.array_equal(table[name](still, 0.9, Recorder(*draws)), by_hand(still))


MOVED = [
    # table, operation, displacement of a point 10 pixels right of and 6 below the middle
    (operations.IMGAUG, "shear_x", (6 * np.tan(np.radians(17.19 * 0.9)), 0)),
    (operations.IMGAUG, "shear_y", (0, 10 * np.tan(np.radians(17.19 * 0.9)))),
    (operations.IMGAUG, "translate_x", (61 * 0.18, 0)),
    (operations.IMGAUG, "translate_y", (0, 61 * 0.18)),
    (operations.PYTORCHVIDEO, "shear_x", (6 * 0.27, 0)),
    (operations.PYTORCHVIDEO, "shear_y", (0, 10 * 0.27)),
    (operations.PYTORCHVIDEO, "translate_x", (61 * 0.405, 0)),
    (operations.PYTORCHVIDEO, "translate_y", (0, 61 * 0.405)),
    (operations.AUGMIX, "translate_x", (61 * 0.3, 0)),
    (operations.AUGMIX, "translate_y", (0, 61 * 0.3)),
]


@pytest.mark.parametrize(("table", "name", "expected"), MOVED)
def test_moves(table: dict, name: str, expected: tuple[float, float]) -> None:
    """A bright spot moves by the stated way, and the other way with the other sign."""
    for sign, draw in ((1, 0.1), (-1, 0.9)):
        # So that a large move stays in the frame.
        spot = (10, 6) if "shear" in name else (-sign * 15, -sign * 15)
        frames = np.zeros((1, 1, 61, 61, 3), np.uint8)
        frames[0, 0, 29 + spot[1] : 32 + spot[1], 29 + spot[0] : 32 + spot[0]] = 255
        out = table[name](frames, 0.9, Recorder(draw))[0, 0, ..., 0].astype(float)
        fill = 0 if table is operations.IMGAUG else 128
        weight = np.where(out > fill + 1, out, 0)
        # The fill of the other tables is grey, so only what is brighter is the spot.
        weight[weight <= 130] = 0
        rows, columns = np.mgrid[:61, :61]
        found = (
            (columns * weight).sum() / weight.sum() - 30 - spot[0],
            (rows * weight).sum() / weight.sum() - 30 - spot[1],
        )
        assert found == pytest.approx((sign * expected[0], sign * expected[1]), abs=0.5)


@pytest.mark.parametrize(
    ("table", "fill"),
    [(operations.IMGAUG, 0), (operations.PYTORCHVIDEO, 128), (operations.AUGMIX, 128)],
)
def test_what_comes_from_outside(table: dict, fill: int) -> None:
    frames = np.full((1, 1, 20, 20, 3), 255, np.uint8)
    for name in ("shear_x", "shear_y", "translate_x", "translate_y", "rotate"):
        assert table[name](frames, 0.9, np.random.default_rng(0)).min() == fill


def test_every_level_gives_a_picture(still: np.ndarray) -> None:
    """No level makes a clip black: PyTorchVideo's posterise would keep no bit at level 1."""
    for table in (operations.IMGAUG, operations.PYTORCHVIDEO, operations.AUGMIX):
        for operation in table.values():
            for level in (0.0, 0.01, 0.3, 1.0):
                out = operation(still, level, np.random.default_rng(0))
                assert (out.shape, out.dtype) == (still.shape, np.uint8)
    assert operations.PYTORCHVIDEO["posterize"](still, 1.0, None).max() == 128


# --- AugMix, ColorJitter ------------------------------------------------------------------------


def test_augmix_is_a_weighted_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    """With chains that only set a value, the result is that of the weights drawn."""
    table = {"dark": lambda x, level, rng: np.zeros_like(x)}
    monkeypatch.setattr(operations, "AUGMIX", table)
    white = np.full((1, 2, 4, 4, 3), 200, np.uint8)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        rng.dirichlet([1.0] * 3)
        share = rng.beta(1.0, 1.0)
        assert np.unique(run(AugMix(), white, seed).frames).tolist() == [round(200 * share)]
    monkeypatch.setattr(operations, "AUGMIX", {"same": lambda x, level, rng: x})
    assert np.array_equal(run(AugMix(), white, 0).frames, white)


def test_augmix_draws_depth_and_level(monkeypatch: pytest.MonkeyPatch) -> None:
    levels: list[float] = []

    def note(frames: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
        levels.append(level)
        return frames

    monkeypatch.setattr(operations, "AUGMIX", {"note": note})
    frames, depths = np.zeros((1, 1, 2, 2, 3), np.uint8), collections.Counter()
    for seed in range(300):
        before = len(levels)
        run(AugMix(width=1), frames, seed)
        depths[len(levels) - before] += 1
    assert set(depths) == {1, 2, 3}
    assert min(depths.values()) > 70
    assert 0.01 <= min(levels) < 0.02
    assert 0.29 < max(levels) <= 0.3
    levels.clear()
    run(AugMix(width=4, depth=5), frames, 0)
    assert len(levels) == 20


def test_color_jitter_stays_in_its_ranges(still: np.ndarray) -> None:
    grey = np.full((1, 1, 4, 4, 3), 100, np.uint8)
    levels = [run(ColorJitter(brightness=0.4), grey, s).frames.max() for s in range(200)]
    assert 60 <= min(levels) < 65
    assert 135 < max(levels) <= 140
    darker = [run(ColorJitter(brightness=[0.5, 0.6]), grey, s).frames.max() for s in range(50)]
    assert 50 <= min(darker) <= max(darker) <= 60
    assert run(ColorJitter(), still, 0).frames is still
    assert run(ColorJitter(hue=0.5, p=0.0), still, 0).frames is still
    changed = [run(ColorJitter(hue=0.5, p=0.25), still, s).frames is not still for s in range(400)]
    assert 60 < sum(changed) < 140


# --- flips and labels ---------------------------------------------------------------------------

SETS = {
    "sthv1": [[2, 4], [30, 41], [52, 66]],
    "sthv2": [[86, 87], [93, 94], [166, 167]],
    "jester": [[0, 1], [6, 7]],
}


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(sorted(SETS)),
    st.integers(0, 173),
    st.integers(0, 2**32),
    st.sets(st.sampled_from([10, 11, 12, 50]), max_size=3),
)
def test_no_flip_crosses_a_label_unless_mapped(
    name: str, label: int, seed: int, kept: set[int]
) -> None:
    frames = np.arange(2 * 2 * 3 * 3, dtype=np.uint8).reshape(1, 2, 2, 3, 3)
    flip = RandomFlip(label_map=SETS[name], no_flip=sorted(kept))
    out = run(flip, frames, seed, label)
    is_mirrored = np.array_equal(out.frames, frames[:, :, :, ::-1])
    assert is_mirrored or out.frames is frames
    other = dict(map(tuple, SETS[name] + [pair[::-1] for pair in SETS[name]]))
    assert out.label == (other.get(label, label) if is_mirrored else label)
    if label in kept:
        assert not is_mirrored
    # Twice is none at all.
    always = RandomFlip(p=1.0, label_map=SETS[name])
    twice = always(run(always, frames, seed, label), np.random.default_rng(0))
    assert twice.label == label
    assert np.array_equal(twice.frames, frames)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_batches_carry_the_label_of_the_mirror_image(num_workers: int) -> None:
    dataset = make_dataset(["a", "broken/b", "c", "d"])  # labels 0, 1, 2, 0
    transforms = [RandomFlip(p=1.0, label_map=[[0, 2]]), Normalization(MEAN, STD)]
    flipped = ClipDataset(dataset.samples, Pipeline(FakeDecoder(), Sampler(4), transforms))
    (batch,) = load(flipped, num_workers)
    assert batch.labels.tolist() == [2, 0, 2]
    assert batch.ids.tolist() == [0, 2, 3]
    assert [failure.sample_id for failure in batch.failed] == [1]


@pytest.mark.parametrize(
    ("name", "args", "match"),
    [
        ("RandomFlip", {"label_map": [[1, 2], [2, 3]]}, "class 2 stands in two pairs"),
        ("RandomFlip", {"label_map": [[1, 1]]}, "two different"),
        ("RandomFlip", {"label_map": [[1, 2, 3]]}, "not a pair"),
        ("RandomFlip", {"label_map": [[1, -2]]}, "class numbers"),
        ("RandomFlip", {"label_map": [["left", "right"]]}, "class numbers"),
        ("RandomFlip", {"label_map": "2-4"}, "list of pairs"),
        ("RandomFlip", {"label_map": {2: 4}}, "list of pairs"),
        ("RandomFlip", {"no_flip": 3}, "no_flip must be a list"),
        ("RandomFlip", {"label_map": [[1, 2]], "no_flip": [2]}, "both name class 2"),
        ("RandAugment", {"policy": "imgag"}, "did you mean 'imgaug'"),
        ("RandAugment", {"magnitude": 11}, "0..10"),
        ("RandAugment", {"num_ops": 16}, "more than the 15"),
        ("RandAugment", {"p": 2}, "probability"),
        ("AugMix", {"magnitude": 0}, "0.1..10"),
        ("AugMix", {"width": 0}, "1 or more"),
        ("AugMix", {"depth": 0}, "1 or more"),
        ("AugMix", {"alpha": 0}, "alpha"),
        ("ColorJitter", {"hue": 0.6}, "0..0.5"),
        ("ColorJitter", {"brightness": -1}, "brightness"),
        ("ColorJitter", {"contrast": [1.2, 0.8]}, "ascending"),
        ("ColorJitter", {"contrast": [1.2]}, "two numbers"),
        ("Normalization", {"mean": MEAN, "std": STD, "on_device": 1}, "true or false"),
    ],
)
def test_wrong_settings(name: str, args: dict, match: str) -> None:
    with pytest.raises(ConfigError, match=match) as caught:
        TRANSFORMS.build(name, args, where="PIPELINE.train.transform[0]")
    assert "PIPELINE.train.transform[0]" in str(caught.value)


def test_classes_that_do_not_exist() -> None:
    transforms = [RandomFlip(label_map=[[2, 8]]), Normalization(MEAN, STD)]
    pipeline = Pipeline(FakeDecoder(), Sampler(4), transforms, where="PIPELINE.train")
    pipeline.check_classes(9)
    pipeline.check_classes(None)
    with pytest.raises(ConfigError, match=r"PIPELINE.train.transform\[0\].*class 8 does not exist"):
        pipeline.check_classes(8)


# --- clips that are normalised later ------------------------------------------------------------


def load(dataset: ClipDataset, num_workers: int) -> list[Batch]:
    with ClipLoader(dataset, num_workers=num_workers) as loader:
        return list(loader.iterate([list(range(len(dataset)))]))


@pytest.mark.parametrize("num_workers", [0, 1])
def test_uint8_clips_are_those_that_would_have_been_normalised(num_workers: int) -> None:
    samples = make_dataset(["a", "b"]).samples
    batches = []
    for on_device in (False, True):
        transforms = [RandomFlip(), Normalization(MEAN, STD, on_device=on_device)]
        dataset = ClipDataset(samples, Pipeline(FakeDecoder(), Sampler(4), transforms))
        batches += load(dataset, num_workers)
    plain, raw = batches
    assert raw.clips.dtype == np.uint8
    assert raw.clips.shape == plain.clips.shape
    assert raw.clips.nbytes * 4 == plain.clips.nbytes
    scale, shift = functional.normalization_terms(MEAN, STD)
    assert np.array_equal(raw.clips.astype(np.float32) * scale + shift, plain.clips)
    clip = dataset.read(Sample("a", 0, 0))
    assert (clip.frames.dtype, clip.frames.flags.c_contiguous) == (np.uint8, True)
