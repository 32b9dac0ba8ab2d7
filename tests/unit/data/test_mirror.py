# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from paddletsm.data.mirror import MirrorPolicy, mirror_policy, tells_direction

CASES = [
    (["walk", "run"], (), ()),
    (["move_left", "move_right", "grow"], ((0, 1),), ()),
    (["Swiping Left", "Sliding Two Fingers Left", "Swiping Right"], ((0, 2),), (1,)),
    (["turn_clockwise", "turn_counter_clockwise"], ((0, 1),), ()),
    (["Turning Hand Counterclockwise", "Turning Hand Clockwise"], ((0, 1),), ()),
    (["rotate cw", "rotate anti-clockwise"], ((0, 1),), ()),
    (["rotate ccw"], (), (0,)),
    (["MoveLeft", "MoveRight"], ((0, 1),), ()),
    (["from left to right", "from right to left"], ((0, 1),), ()),
    (["向左转", "向右转", "顺时针转", "逆时针转"], ((0, 1), (2, 3)), ()),
    (["LeftwardStep", "rightward step", "left_hand", "right_hand"], ((0, 1), (2, 3)), ()),
    # No directions: words, not letters.
    (["bright", "cleft chin", "upright", "leftover"], (), ()),
    ([], (), ()),
]  # fmt: skip


@pytest.mark.parametrize(("names", "pairs", "alone"), CASES, ids=lambda value: str(value)[:40])
def test_names(
    names: list[str], pairs: tuple[tuple[int, int], ...], alone: tuple[int, ...]
) -> None:
    assert mirror_policy(names) == MirrorPolicy(pairs, alone)


@pytest.mark.parametrize(
    "name",
    ["Swiping Left", "SwipingRight", "turn_left", "move-right", "rolling clockwise", "leftwards",
     "Turning Hand Counterclockwise", "spin counter-clockwise", "anti clockwise", "left_handed",
     "leftmost", "rotate ccw", "acw", "left-hand side", "向左转", "逆时针转"],
)  # fmt: skip
def test_names_that_tell_a_direction(name: str) -> None:
    assert tells_direction(name)


@pytest.mark.parametrize(
    "name",
    [
        "Bright lights",
        "upright",
        "cleft",
        "copyrighting",
        "Archery",
        "Aright",
        "wright",
        "leftover",
    ],
)
def test_names_that_do_not(name: str) -> None:
    assert not tells_direction(name)
