# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Loaders: another decoder, stuck threads, memory shared with workers."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest

from paddletsm.data import ClipDataset, ClipLoader, Sample, eval_batches
from paddletsm.data.pipeline import Pipeline
from paddletsm.data.sampling import Sampler
from paddletsm.data.shared import Place, Slots, WorkerSlots
from paddletsm.data.transforms import Normalization, RandomCrop
from tests.unit.data.fakes import TwoFacedDecoder, make_dataset

posix = pytest.mark.skipif(os.name != "posix", reason="signals")


def two_faced(paths: list[str]) -> ClipDataset:
    dataset = make_dataset(paths)
    transforms = [RandomCrop(12), Normalization([0.5] * 3, [0.25] * 3)]
    dataset.pipeline = Pipeline(TwoFacedDecoder(), Sampler(4), transforms)
    return dataset


@pytest.mark.parametrize("num_workers", [0, 1])
def test_another_decoder_is_tried_once(caplog: pytest.LogCaptureFixture, num_workers: int) -> None:
    """The clip is the one that the usual decoder would have given."""
    paths = ["ok", "first_stuck/1", "ok", "stuck/3", "ok"]
    expected = list(ClipLoader(two_faced(["ok"] * 5)).iterate([[0, 1], [2, 3], [4]]))
    with ClipLoader(two_faced(paths), num_workers=num_workers, timeout_s=0.7) as loader:
        batches = list(loader.iterate([[0, 1], [2, 3], [4]]))
        again = list(loader.iterate([[4], [0]]))
    assert [batch.ids.tolist() for batch in batches] == [[0, 1], [2], [4]]
    assert np.array_equal(batches[0].clips, expected[0].clips)
    assert np.array_equal(again[0].clips, batches[2].clips)
    (failure,) = batches[1].failed
    assert failure.reason.startswith("a.list:4: stuck/3: not read within 0.7 s")
    assert "by another decoder: not read within 0.7 s" in failure.reason
    assert "first_stuck/1: not read within 0.7 s" in caplog.text
    assert "another decoder read it" in caplog.text


@posix
def test_another_decoder_after_a_crash() -> None:
    with ClipLoader(two_faced(["first_killed/0", "killed/1", "ok"]), num_workers=1) as loader:
        (batch,) = loader.iterate([[0, 1, 2]])
    assert batch.ids.tolist() == [0, 2]
    assert batch.failed[0].reason.count("SIGKILL") == 2


def test_a_process_takes_over_from_a_stuck_thread(caplog: pytest.LogCaptureFixture) -> None:
    """One stuck file never ends the iteration, nor are there ever two stuck threads."""
    with ClipLoader(make_dataset(["ok", "stuck/1", "ok", "stuck/3"]), timeout_s=0.5) as loader:
        assert loader.worker_pids == []
        for _ in range(2):
            batches = list(loader.iterate([[0, 1], [2, 3]]))
            assert [batch.ids.tolist() for batch in batches] == [[0], [2]]
            assert "stuck/1: not read within 0.5 s" in batches[0].failed[0].reason
        assert [batch.ids.tolist() for batch in loader.iterate([[2]])] == [[2]]
        assert len(loader.worker_pids) == 1
    assert caplog.text.count("a worker process, which can be stopped, reads from now on") == 1


def test_a_thread_takes_over_where_no_process_can() -> None:
    dataset = make_dataset(["stuck/0", "ok"])
    dataset.pipeline.decoder.hook = lambda: None  # cannot be pickled
    with ClipLoader(dataset, timeout_s=0.3) as loader:
        batches = list(loader.iterate([[0], [1]]))
    assert [batch.ids.tolist() for batch in batches] == [[], [1]]
    assert "not read within 0.3 s" in batches[0].failed[0].reason


# --- memory that is shared with workers ---------------------------------------------------------

needs_shared = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="Linux has it")


@needs_shared
def test_batches_keep_their_clips() -> None:
    """Shared memory is used again, but never under someone who still holds a batch."""
    dataset = make_dataset(["ok"] * 40)
    with ClipLoader(dataset, num_workers=2) as loader:
        held = [(batch.clips[1:], batch.ids) for batch in loader.iterate(eval_batches(40, 2))]
        assert len(loader._slots.handles) < len(held)  # so pipes have had a share, too
        places = set()
        for batch in loader.iterate(eval_batches(40, 2), epoch=1):
            places.add(batch.clips.__array_interface__["data"][0])
            expected = dataset.load(int(batch.ids[1]), epoch=1).frames
            assert np.array_equal(batch.clips[1], expected)
    for clips, ids in held:
        assert np.array_equal(clips[0], dataset.load(int(ids[1])).frames)
    assert len(places) > 1


@needs_shared
def test_slots_are_used_again() -> None:
    slots = Slots(2)
    number, first = slots.take((2, 3), np.float32)
    part = first[1:, :1]
    other, second = slots.take((4,), np.uint8)
    assert {number, other} == {0, 1}
    assert slots.take((4,), np.uint8) is None
    del first, second
    assert slots.take((4,), np.uint8)[0] == other
    part[...] = 7
    assert part.tolist() == [[7.0]]
    found, large = slots.take((5000, 3), np.float32)
    assert large.shape == (5000, 3)
    large[...] = 1.5
    worker = WorkerSlots(slots.handles)
    place = Place(found, slots.size(found), 12, (2, 3), "float32")
    assert np.array_equal(worker.array(place), large[1:3])
    worker.array(place)[...] = 2.5
    assert large[1:4].tolist() == [[2.5] * 3] * 2 + [[1.5] * 3]
    slots.close()
    assert large[0, 0] == 1.5  # what is held stays


def test_samples_that_are_not_of_the_data_set() -> None:
    asked = []

    def batches() -> Iterator[list[Sample]]:
        for i in range(6):
            asked.append(i)
            yield [Sample("ok" if i != 3 else "broken/3", -1, i)]

    with ClipLoader(make_dataset(["ok"]), num_workers=1) as loader:
        found = loader.iterate_samples(batches())
        first = next(found)
        assert len(asked) < 6
        rest = list(found)
    assert [batch.ids.tolist() for batch in (first, *rest)] == [[0], [1], [2], [], [4], [5]]
    assert rest[2].failed[0].path == "broken/3"
    times = first.times_ms[0]
    assert set(times) == {"open", "seek", "decode", "transform", "normalize"}
    assert min(times.values()) >= 0
