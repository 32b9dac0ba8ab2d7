# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Threads work on a stream: its order stays, little is taken ahead, nothing is left running."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from paddletsm.deploy.ahead import in_order


def nothing() -> None:
    pass


def test_results_come_in_order_though_later_ones_are_ready_first() -> None:
    second_is_done = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert second_is_done.wait(60)
        if number == 1:
            second_is_done.set()
        return 10 * number

    found = in_order(iter(range(6)), work, threads=2, interrupt=nothing)
    assert list(found) == [0, 10, 20, 30, 40, 50]


def test_no_more_is_taken_than_there_are_places() -> None:
    taken = []

    def items() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    results = in_order(items(), lambda number: number, threads=2, interrupt=nothing)
    for number in range(50):
        assert next(results) == number
        assert len(taken) <= number + 1 + 4
    results.close()
    assert len(taken) < 60


@pytest.mark.parametrize("place", ["items", "work"])
def test_an_error_comes_at_its_place(place: str) -> None:
    def items() -> Iterator[int]:
        for number in range(9):
            if place == "items" and number == 3:
                raise KeyError("three")
            yield number

    def work(number: int) -> int:
        if place == "work" and number == 3:
            raise KeyError("three")
        return number

    results = in_order(items(), work, threads=2, interrupt=nothing)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError, match="three"):
        next(results)


def test_leaving_the_loop_interrupts_a_stuck_stream() -> None:
    released = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        assert released.wait(60)
        raise RuntimeError("interrupted")

    before = threading.active_count()
    results = in_order(items(), lambda number: number, threads=1, interrupt=released.set)
    assert next(results) == 1
    results.close()
    assert threading.active_count() == before
