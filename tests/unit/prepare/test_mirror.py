# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from paddletsm.prepare.mirror import MirrorPolicy, mirror_policy

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
