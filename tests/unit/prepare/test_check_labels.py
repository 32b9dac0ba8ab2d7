# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from paddletsm.prepare.check_labels import direction_findings, label_findings, out_of_range

SOURCES = {"train": "train.txt", "valid": "val.txt"}


@pytest.mark.parametrize(
    ("labels", "num_classes", "expected"),
    [
        ({"train": [0, 1, 2]}, None, []),
        ({"train": [0, 1, 3]}, None, [("label_gap", "train", "no clip has label 2")]),
        ({"train": [0, 1]}, 4, [("label_gap", "train", "no clip has label 2, 3")]),
        ({"train": [1, 2, 3]}, None, [("one_based", "train", "labels run from 1 to 3")]),
        ({"train": [1, 2, 3]}, 3, [("one_based", "train", "labels run from 1 to 3")]),
        # With four classes stated, 1 to 3 is a class without clips.
        ({"train": [1, 2, 3]}, 4, [("label_gap", "train", "no clip has label 0")]),
        ({"train": [0, 1, 2], "valid": [1, 2, 3]}, None, [("one_based", "valid", "from 1 to 3")]),
        ({"train": [0, 1, 2], "valid": [1, 2]}, None, [("few_classes", "valid", "label 0")]),
        # A class that only validation has is a gap of training.
        ({"train": [0, 1], "valid": [0, 1, 2]}, None, [("label_gap", "train", "label 2")]),
        ({"train": [0] * 20 + [1] * 2}, None, [("imbalance", "train", "10.0 to 1")]),
        ({"train": [0] * 19 + [1] * 2}, None, []),
        # A label that is no class is another finding, and no rare class.
        ({"train": [0] * 20 + [1] * 20 + [2]}, 2, []),
    ],
)
def test_labels(
    labels: dict[str, list[int]], num_classes: int | None, expected: list[tuple[str, str, str]]
) -> None:
    found = label_findings(labels, SOURCES, num_classes=num_classes, names=None)
    assert [(f.kind, f.split) for f in found] == [(kind, split) for kind, split, _ in expected]
    for finding, (_, split, text) in zip(found, expected, strict=True):
        assert text in finding.text
        assert finding.path == SOURCES[split]


def test_a_gap_is_told_by_the_name_of_its_class() -> None:
    found = label_findings({"train": [0, 2]}, SOURCES, num_classes=3, names=("a", "b", "c"))
    assert found[0].text == "no clip has label 1 (b)"


def test_labels_out_of_range() -> None:
    assert out_of_range([0, 3, 1, 9], 3) == [1, 3]
    assert out_of_range([0, 3], None) == []
    assert out_of_range([1, 2, 3], 3) == []  # one-based: said once, not for each clip


NAMES = ("Archery", "turn left", "turn right", "turn clockwise", "turn counter-clockwise")


@pytest.mark.parametrize(
    ("flipped", "label_map", "no_flip", "expected"),
    [
        (True, {}, (1, 2), ["keeps their label: 3 (turn clockwise), 4 (turn counter-clockwise)"]),
        (True, {1: 2, 2: 1}, (3, 4), []),
        (True, {1: 2, 2: 1, 3: 4, 4: 3}, (), []),
        (True, {1: 3, 3: 1}, (2, 4), ["does: 1 (turn left) and 3 (turn clockwise)"]),
        (True, {1: 3, 3: 1}, (2,), ["label: 4 (turn counter-cl", "exchanges what no mirror"]),
        (True, {0: 3, 3: 0}, (1, 2, 4), []),  # the first name tells nothing: perhaps it is right
        (False, {}, (), []),
        (None, {}, (), ["mirrored clips would have a wrong label"]),
    ],
)
def test_directions(
    flipped: bool | None, label_map: dict[int, int], no_flip: tuple[int, ...], expected: list[str]
) -> None:
    found = direction_findings(
        NAMES,
        split="train",
        source="train.txt",
        flipped=flipped,
        label_map=label_map,
        no_flip=no_flip,
    )
    assert {finding.kind for finding in found} <= {"direction" if flipped is None else "flip"}
    assert len(found) == len(expected)
    for finding, part in zip(found, expected, strict=True):
        assert part in finding.text
