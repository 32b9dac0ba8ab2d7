# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paddletsm.errors import DataError
from paddletsm.prepare.split import split_clips

NAMES = [f"class{k}" for k in range(5)]


def split(
    clips: list[tuple[int, str]], seed: int = 0, val: float = 0.1, test: float = 0.0
) -> list[str]:
    fractions = {"val": val, "test": test} if test else {"val": val}
    labels, recordings = zip(*clips, strict=True)
    return split_clips(labels, recordings, fractions, seed=seed, class_names=NAMES)


def test_single_clips_are_stratified_exactly() -> None:
    clips = [(label, f"{label}/{k}") for label, n in enumerate((100, 50, 10)) for k in range(n)]
    parts = split(clips, val=0.2, test=0.1)
    counts = Counter((part, label) for part, (label, _) in zip(parts, clips, strict=True))
    assert [counts["val", label] for label in range(3)] == [20, 10, 2]
    assert [counts["test", label] for label in range(3)] == [10, 5, 1]


def test_the_seed_decides() -> None:
    clips = [(k % 2, str(k)) for k in range(60)]
    assert split(clips, seed=1) == split(clips, seed=1)
    assert split(clips, seed=1) != split(clips, seed=2)


def test_the_order_of_the_clips_does_not() -> None:
    clips = [(k % 2, str(k % 20)) for k in range(60)]
    first = dict(zip((r for _, r in clips), split(clips), strict=True))
    again = dict(zip((r for _, r in clips[::-1]), split(clips[::-1]), strict=True))
    assert first == again


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.lists(st.integers(1, 9), min_size=3, max_size=12), min_size=2, max_size=5),
    seed=st.integers(0, 5),
    val=st.sampled_from([0.05, 0.1, 0.3, 0.5]),
    test=st.sampled_from([0.0, 0.1, 0.3]),
)
def test_recordings_stay_whole_and_classes_are_everywhere(
    sizes: list[list[int]], seed: int, val: float, test: float
) -> None:
    clips = [
        (label, f"{label}/{recording}")
        for label, of_class in enumerate(sizes)
        for recording, size in enumerate(of_class)
        for _ in range(size)
    ]
    parts = split(clips, seed, val, test)
    where: dict[str, set[str]] = {}
    for part, (_, recording) in zip(parts, clips, strict=True):
        where.setdefault(recording, set()).add(part)
    assert all(len(found) == 1 for found in where.values())
    pairs = {(part, label) for part, (label, _) in zip(parts, clips, strict=True)}
    names = {"train", "val", "test"} if test else {"train", "val"}
    assert pairs == {(part, label) for part in names for label in range(len(sizes))}
    for label, of_class in enumerate(sizes):
        taken = sum(p == "val" and c[0] == label for p, c in zip(parts, clips, strict=True))
        # No further from what was asked than the largest recording makes it.
        assert abs(taken - val * sum(of_class)) <= max(of_class) + 0.5


def test_a_recording_of_several_classes_stays_whole() -> None:
    clips = [(label, f"match{m}") for m in range(10) for label in range(3) for _ in range(2)]
    parts = split(clips, val=0.2)
    assert Counter(parts) == {"train": 48, "val": 12}
    assert all(len({p for p, (_, r) in zip(parts, clips, strict=True) if r == f"match{m}"}) == 1
               for m in range(10))  # fmt: skip


def test_too_few_recordings() -> None:
    clips = [(0, "a1"), (0, "a2"), (1, "b1"), (1, "b1")]
    with pytest.raises(DataError, match=r"'class1' \(1\); add recordings.*--group none"):
        split(clips)
    with pytest.raises(DataError, match=r"3 parts need 3 .*'class0' \(2\), 'class1' \(1\)"):
        split(clips, test=0.1)


def test_recordings_that_cannot_be_shared_out() -> None:
    assert set(split([(0, "m"), (0, "n"), (1, "m"), (1, "n")])) == {"train", "val"}
    # With m in validation class 0 trains on n and class 1 on o: nothing is left for class 2.
    clips = [(0, "m"), (0, "n"), (1, "m"), (1, "o"), (2, "n"), (2, "o")]
    with pytest.raises(DataError, match=r"no recording of .* can go to 'val'"):
        split(clips)
