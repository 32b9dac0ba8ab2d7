# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from paddletsm.errors import ConfigError
from paddletsm.prepare.groups import detect_rule, recording_of, rule_to_compare

NAMES = [  # path, by "ucf", by "prefix"
    ("a/v_YoYo_g01_c02.avi", "v_YoYo_g01", "v_YoYo_g01"),
    ("a\\v_YoYo_g01_c02.avi", "v_YoYo_g01", "v_YoYo_g01"),
    ("a/match12_clip3.mp4", None, "match12"),
    ("a/match12clip3.mp4", None, "match12"),
    ("a/match12-3.MP4", None, "match12"),
    ("a/match 12 (3).mp4", None, "match 12"),
    ("a/match12_part_3.mkv", None, "match12"),
    ("a/abcdefghijk_000010_000020.mp4", None, "abcdefghijk"),
    ("b/001_2.mp4", None, "b/001"),  # of its class: numbers alone do not tell
    ("a/match12_3", None, "match12"),  # a folder of frames
    ("a/walk7.mp4", None, None),
    ("a/7.mp4", None, None),
    ("a/match12.mp4", None, None),
]


@pytest.mark.parametrize(("path", "ucf", "prefix"), NAMES)
def test_names(path: str, ucf: str | None, prefix: str | None) -> None:
    own = path.replace("\\", "/")
    assert recording_of(path, rule="ucf") == (ucf or own)
    assert recording_of(path, rule="prefix") == (prefix or own)
    assert recording_of(path, rule="none") == own


def test_regular_expressions() -> None:
    path = "c/subject07/match12_x.mp4"
    assert recording_of(path, rule=r"^(\w+?)_") == "match12"  # the name, not the folders
    assert recording_of(path, rule=r"/(subject\d+)/") == "subject07"
    assert recording_of(path, rule=r"(zzz)") == path
    assert recording_of(path, rule=r"x(y)?") == path  # a group that takes no part


@pytest.mark.parametrize(("rule", "message"), [
    ("(", "no regular expression"), ("abc", "0 groups"), ("(a)(b)", "2 groups"),
])  # fmt: skip
def test_bad_rules(rule: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        recording_of("a/b.mp4", rule=rule)


def paths(name: str, classes: tuple[str, ...] = ("run", "walk")) -> list[str]:
    """Six names per class: two clips of each of three recordings."""
    return [
        f"{c}/" + name.format(c=c, recording=f"{r:02d}", clip=k, number=2 * r + k)
        for c in classes
        for r in range(3)
        for k in range(2)
    ]


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("v_{c}_g{recording}_c0{clip}.avi", "ucf"),
        ("match{recording}_{clip}.mp4", "prefix"),
        ("{c} match{recording}-clip{clip}", "prefix"),
        ("{c}_{number:03d}.mp4", "none"),  # one "recording" per class: an enumeration
        ("{c}{number:03d}.mp4", "none"),
        ("clip_{number}.mp4", "none"),
        ("{number}.mp4", "none"),
        ("match{number}_x.mp4", "none"),
        ("match{number}_1.mp4", "none"),  # as many recordings as clips
    ],
)
def test_rule_from_names(name: str, rule: str) -> None:
    classes = ("run", "walk") if "{c}" in name or "match" not in name else ("run",)
    assert detect_rule(paths(name, classes)) == rule


def test_odd_names_do_not_change_the_rule() -> None:
    names = [f"{c}/match{r:02d}_{k}.mp4" for c in ("a", "b") for r in range(5) for k in range(5)]
    assert detect_rule([*names, "a/odd.mp4"]) == "prefix"
    odd = [f"a/odd{k}.mp4" for k in range(80)]
    assert detect_rule([*names, *odd]) == "prefix"
    assert detect_rule(odd) == detect_rule([]) == "none"
    assert detect_rule([*names, *(f"{c}/x.mp4" for c in "cd")]) == "none"  # in few of the classes


def test_classes_that_are_no_folders() -> None:
    names = [f"all/{c}_{k:03}.mp4" for c in ("run", "walk") for k in range(9)]
    assert detect_rule(names) == "prefix"
    assert detect_rule(names, [name[4] for name in names]) == "none"  # a mere enumeration


def test_names_of_ucf101_are_compared_however_few() -> None:
    pair = ["train/Walk/v_Walk_g01_c01.mp4", "val/Walk/v_Walk_g01_c02.mp4"]
    assert detect_rule(pair) == "none"  # not by prepare: a class of one recording cannot be split
    assert rule_to_compare(pair, [0, 0]) == "ucf"
    match = [f"a/match{r}_{k}.mp4" for r in range(3) for k in range(2)]
    assert rule_to_compare(match, [0] * 6) == "prefix"
