# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paddletsm.data.sampling import (
    SAMPLERS,
    DenseSampler,
    Sampler,
    sample_dense,
    sample_segments,
)
from paddletsm.errors import ConfigError

TEST_CASES = [  # num_frames, num_seg, twice, indices
    (1, 8, False, [0] * 8),
    (5, 8, False, [0, 0, 1, 2, 2, 3, 4, 4]),
    (9, 8, False, [0, 1, 2, 3, 5, 6, 7, 8]),
    (16, 8, False, [1, 3, 5, 7, 9, 11, 13, 15]),
    (300, 8, False, [18, 56, 93, 131, 168, 206, 243, 281]),
    (9, 8, True, [0, 1, 2, 3, 5, 6, 7, 8, 0, 1, 2, 3, 4, 5, 6, 7]),
    (300, 3, False, [50, 150, 250]),
]


@pytest.fixture(scope="module")
def reference(shared_dir: Path) -> dict:
    return json.loads((shared_dir / "parity/sampling.json").read_text())["mmaction2"]


@pytest.mark.parametrize(("num_frames", "num_seg", "twice", "expected"), TEST_CASES)
def test_middles(num_frames: int, num_seg: int, twice: bool, expected: list[int]) -> None:
    assert sample_segments(num_frames, num_seg, twice=twice).tolist() == expected


def test_reference_test_indices(reference: dict) -> None:
    for num_seg in (8, 16):
        for twice in (False, True):
            name = f"T{num_seg}_{'twice' if twice else 'once'}"
            for num_frames, expected in reference[f"test_{name}"].items():
                found = sample_segments(int(num_frames), num_seg, "test", twice)
                assert found.dtype == np.int64
                assert found.tolist() == expected
            digest = hashlib.sha256()
            for num_frames in range(1, 1001):
                digest.update(sample_segments(num_frames, num_seg, "test", twice).astype("<i4"))
            assert digest.hexdigest() == reference["test_sha256_n1_to_1000"][name]


@pytest.mark.parametrize("keep_tail", [False, True])
@pytest.mark.parametrize("num_seg", [8, 16])
def test_reference_train_ranges(reference: dict, num_seg: int, keep_tail: bool) -> None:
    """Draws stay inside the reference's ranges, and reach their ends."""
    rng = np.random.default_rng(0)
    name = f"train{'_keep_tail' if keep_tail else ''}_T{num_seg}"
    for num_frames, entry in reference[name].items():
        n = int(num_frames)
        draws = np.stack(
            [sample_segments(n, num_seg, "train", False, rng, keep_tail) for _ in range(800)]
        )
        low, high = np.array(entry["ranges"]).T
        assert (draws >= low).all(), n
        assert (draws < high).all(), n
        if n <= 100:
            # 800 draws miss a given one of at most 14 frames with probability 1e-25; the last
            # frame of a keep_tail segment may be much rarer.
            assert (draws.min(0) == low).mean() > (0.8 if keep_tail else 0.99), n
            assert (draws.max(0) == high - 1).mean() > (0.8 if keep_tail else 0.99), n


def test_reference_dense(reference: dict) -> None:
    rng = np.random.default_rng(0)
    for num_frames, expected in reference["dense_test_T8_p10_r64"].items():
        assert sample_dense(int(num_frames), 8).tolist() == expected
    for num_frames, entry in reference["dense_train_T8_r64"].items():
        n = int(num_frames)
        low, high = entry["start_range"]
        for _ in range(50):
            found = sample_dense(n, 8, mode="train", rng=rng)
            assert low <= found[0] < high
            assert found.tolist() == [(found[0] + 8 * i) % n for i in range(8)]


@given(st.integers(1, 5000), st.integers(1, 64), st.integers(0, 2**32))
def test_indices_are_frames(num_frames: int, num_seg: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    draws = [
        sample_segments(num_frames, num_seg),
        sample_segments(num_frames, num_seg, "test", True),
        sample_segments(num_frames, num_seg, "train", False, rng),
        sample_segments(num_frames, num_seg, "train", False, rng, True),
        sample_dense(num_frames, num_seg),
        sample_dense(num_frames, num_seg, mode="train", rng=rng),
    ]
    for draw, clips in zip(draws, (1, 2, 1, 1, 10, 1), strict=True):
        assert draw.shape == (clips * num_seg,)
        assert draw.dtype == np.int64
        assert 0 <= draw.min() <= draw.max() < num_frames
    middles = draws[0]
    assert (np.diff(middles) >= 0).all()
    if num_frames >= num_seg:
        assert (np.diff(draws[2]) > 0).all()


def test_draws_depend_on_the_generator_alone() -> None:
    sampler = Sampler(num_seg=8)
    first, again, other = (sampler(300, np.random.default_rng(s)).tolist() for s in (1, 1, 2))
    assert first == again != other


def test_samplers_tell_their_clips() -> None:
    assert Sampler(8, valid_mode=True, twice=True).num_clips == 2
    assert Sampler(8).num_clips == 1
    assert DenseSampler(8, valid_mode=True).num_clips == 10
    assert DenseSampler(8).num_clips == 1
    assert DenseSampler(8, num_clips=3, valid_mode=True)(200).shape == (24,)
    assert DenseSampler(8)(200, np.random.default_rng(0)).shape == (8,)
    paddlevideo = {"num_seg": 8, "seg_len": 1, "valid_mode": True, "select_left": True}
    assert SAMPLERS.build("Sampler", paddlevideo)(16).tolist() == [1, 3, 5, 7, 9, 11, 13, 15]


@pytest.mark.parametrize(
    ("args", "match"),
    [
        ({"num_seg": 8, "seg_len": 3}, "seg_len must be 1"),
        ({"num_seg": 0}, "num_seg"),
        ({"num_seg": "8"}, "num_seg"),
        ({"num_seg": 8, "twice": True}, "valid_mode"),
        ({"num_seg": 8, "valid_mod": True}, "did you mean 'valid_mode'"),
        ({}, "needs the argument num_seg"),
    ],
)
def test_wrong_settings(args: dict, match: str) -> None:
    with pytest.raises(ConfigError, match=match) as caught:
        SAMPLERS.build("Sampler", args, where="PIPELINE.test.sample")
    assert "PIPELINE.test.sample" in str(caught.value)


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="mode"):
        sample_segments(10, 8, "valid")
    with pytest.raises(ValueError, match="num_frames"):
        sample_segments(0, 8)
    with pytest.raises(ValueError, match="twice"):
        sample_segments(10, 8, "train", True)
    with pytest.raises(ValueError, match="sample_range"):
        sample_dense(10, 8, sample_range=4)
