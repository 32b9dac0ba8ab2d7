# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Pure logic of a stream: which frames, which events, how they are written."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paddletsm.deploy.stream.clock import Resampler
from paddletsm.deploy.stream.events import Event, EventDetector, EventRules
from paddletsm.deploy.stream.smoothing import Latencies, RunningMean, softmax
from paddletsm.deploy.stream.writers import EventWriter, as_srt
from paddletsm.errors import ConfigError, PaddleTSMError

LABELS = ("wave", "point", "No gesture")


def taken(fps: float, times: list[float]) -> list[int]:
    clock = Resampler(fps)
    return [clock.ticks(time) for time in times]


@pytest.mark.parametrize(
    ("source_fps", "fps", "expected"),
    [
        (8, 8, [1, 1, 1, 1, 1, 1, 1, 1]),
        (16, 8, [1, 0, 1, 0, 1, 0, 1, 0]),
        (30, 10, [1, 0, 0, 1, 0, 0, 1, 0]),
        (25, 10, [1, 0, 0, 1, 0, 1, 0, 0]),
        (4, 8, [1, 2, 2, 2, 2, 2, 2, 2]),
    ],
)
def test_frames_are_taken_by_time(source_fps: float, fps: float, expected: list[int]) -> None:
    assert taken(fps, [number / source_fps for number in range(8)]) == expected


@given(st.floats(1, 60), st.floats(1, 60), st.floats(0, 1e6))
def test_over_time_the_network_sees_its_rate(source: float, fps: float, origin: float) -> None:
    clock = Resampler(fps, longest_hold=1000)
    ticks = [clock.ticks(origin + number / source) for number in range(400)]
    assert min(ticks) >= 0
    assert sum(ticks) == pytest.approx(399 / source * fps + 1, abs=1.1)


def test_a_jittering_source_keeps_the_rate() -> None:
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(0.01, 0.09, 2000))
    assert sum(taken(8, times.tolist())) == pytest.approx((times[-1] - times[0]) * 8 + 1, abs=1.1)


def test_held_frames_are_no_gap() -> None:
    """A source that is much slower than the network does not begin anew at each of its frames."""
    clock = Resampler(500, longest_hold=8)
    clock.expect(30.0)
    assert [clock.ticks(number / 30) for number in range(4)] == [1, 16, 17, 17]
    assert clock.ticks(0.5) == -1, "a gap still is one"
    clock.expect(0.0)
    assert clock.longest_hold == 34, "an unknown rate changes nothing"


def test_a_gap_begins_a_new_stream() -> None:
    clock = Resampler(8, longest_hold=4)
    assert [clock.ticks(time) for time in (0.0, 0.125, 0.5, 5.0, 5.125)] == [1, 1, 3, -1, 1]
    assert clock.ticks(1.0) == -1, "time has run backwards"
    clock.reset()
    assert clock.ticks(0.0) == 1


@pytest.mark.parametrize("fps", [0, -1, 1e-9, 1e9, float("nan"), float("inf")])
def test_impossible_rates(fps: float) -> None:
    with pytest.raises(ConfigError, match=r"from 0.001 to 1000 frames per second, not"):
        Resampler(fps)


def detect(
    rows: list[tuple[float, ...]], rules: EventRules
) -> list[tuple[float, float, str, float]]:
    """Events of scores (wave, point, no gesture), one row a second."""
    detector = EventDetector(LABELS, rules)
    events: list[Event] = []
    for second, row in enumerate(rows):
        events += detector.step(float(second), np.array(row))
    events += detector.flush(float(len(rows)))
    assert detector.flush(float(len(rows))) == []
    return [(event.start, event.end, event.label, event.score) for event in events]


QUIET = (0.1, 0.1, 0.8)
WAVE, WEAK, POINT = (0.7, 0.1, 0.2), (0.4, 0.1, 0.5), (0.1, 0.9, 0.0)


@pytest.mark.parametrize(
    ("rows", "rules", "expected"),
    [
        ([QUIET] * 3, {}, []),
        # Scores stand until the next ones: two of them last two seconds.
        ([QUIET, WAVE, WAVE, QUIET], {}, [(1, 3, "wave", 0.7)]),
        # Between release and threshold an event goes on, but none begins.
        ([WEAK, WAVE, WEAK, WEAK, QUIET, WEAK], {}, [(1, 4, "wave", 0.7)]),
        ([WAVE, WEAK, WAVE], {"release": 0.5}, [(0, 1, "wave", 0.7), (2, 3, "wave", 0.7)]),
        # Another class takes over; the old one ends.
        ([WAVE, POINT, POINT], {}, [(0, 1, "wave", 0.7), (1, 3, "point", 0.9)]),
        ([(0.6, 0.1, 0.3), (0.45, 0.55, 0.0)], {}, [(0, 1, "wave", 0.6), (1, 2, "point", 0.55)]),
        # Short ones are dropped, not joined with what follows.
        ([WAVE, QUIET, WAVE, WAVE, WAVE], {"min_seconds": 2}, [(2, 5, "wave", 0.7)]),
        # "At least so long" is kept, also where timestamps are rounded to milliseconds.
        ([WAVE, WAVE, QUIET, WAVE], {"min_seconds": 2.0004}, [(0, 2, "wave", 0.7)]),
        # A silent class never is an event and never ends one by itself.
        ([(0.35, 0.0, 0.65)] * 3, {}, []),
        ([WAVE, (0.35, 0.0, 0.65)], {}, [(0, 2, "wave", 0.7)]),
        # The open event is not lost at the end.
        ([QUIET, POINT], {}, [(1, 2, "point", 0.9)]),
    ],
)
def test_events(
    rows: list[tuple[float, ...]],
    rules: dict[str, float],
    expected: list[tuple[float, float, str, float]],
) -> None:
    found = detect(rows, EventRules(**{"threshold": 0.5, "silent": ("No gesture",), **rules}))
    assert found == expected


def test_without_silent_classes_every_class_is_an_event() -> None:
    assert detect([QUIET, QUIET], EventRules()) == [(0, 2, "No gesture", 0.8)]


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"threshold": 0.3, "release": 0.5}, "release"),
        ({"threshold": 1.1}, "threshold"),
        ({"release": 0.0}, "release"),
        ({"min_seconds": -1.0}, "0 seconds or more, not -1"),
        ({"min_seconds": float("nan")}, "0 seconds or more, not nan"),
    ],
)
def test_rules_that_cannot_be(rules: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        EventRules(**rules)


def test_unknown_silent_class_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'No gesture'"):
        EventDetector(LABELS, EventRules(silent=("no gestur",)))


EVENTS = [
    Event(0.5, 1.25, 'say "hi", wave', 0, 0.98765),
    Event(3661.0, 3661.0, "сидеть", 3, 1.0),
]


def test_json_lines_are_there_at_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "events.jsonl"
    with EventWriter(path) as writer:
        for number, event in enumerate(EVENTS, 1):
            writer.write(event)
            assert len(path.read_text(encoding="utf-8").splitlines()) == number
    first, second = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    assert first == {
        "start": 0.5,
        "end": 1.25,
        "label": 'say "hi", wave',
        "label_id": 0,
        "score": 0.9877,
    }
    assert second["label"] == "сидеть"


def test_csv_can_be_read_back(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    with EventWriter(path) as writer:
        for event in EVENTS:
            writer.write(event)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == [event.label for event in EVENTS]
    assert rows[0]["start"] == "0.500"


def test_srt_has_numbers_and_times_that_never_are_empty(tmp_path: Path) -> None:
    path = tmp_path / "events.srt"
    with EventWriter(path) as writer:
        for event in EVENTS:
            writer.write(event)
    blocks = path.read_text(encoding="utf-8").strip().split("\n\n")
    assert blocks[0].splitlines()[:2] == ["1", "00:00:00,500 --> 00:00:01,250"]
    assert blocks[1].splitlines()[:2] == ["2", "01:01:01,000 --> 01:01:01,001"]
    assert as_srt(7, EVENTS[1]).startswith("7\n")


def test_other_formats_and_places_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"did you mean '\.jsonl'"):
        EventWriter(tmp_path / "events.json")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"events\.csv: cannot be written: a file is where a fol"):
        EventWriter(tmp_path / "file" / "events.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ConfigError, match=r"cannot be written: Is a directory; name a file$"):
        EventWriter(tmp_path / "folder.csv")


def test_a_full_disk_is_told_with_what_is_saved(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"

    def write_two() -> None:
        with EventWriter(path) as writer:
            writer.write(EVENTS[0])
            with open("/dev/full", "w") as full:
                os.dup2(full.fileno(), writer._file.fileno())
            writer.write(EVENTS[1])

    with pytest.raises(PaddleTSMError, match=r"any more: No space .*; it holds 1 event$"):
        write_two()
    assert len(path.read_text(encoding="utf-8").splitlines()) == 1


def test_running_mean_and_quantiles() -> None:
    mean = RunningMean(2, 3)
    found = [mean.push(0, np.array([float(value)]))[0] for value in (1, 2, 6, 10)]
    assert found == [1.0, 1.5, 3.0, 6.0]
    assert mean.push(1, np.array([5.0]))[0] == 5.0
    mean.reset(0)
    assert mean.push(0, np.array([4.0]))[0] == 4.0
    latencies = Latencies(limit=4)
    assert np.isnan(latencies.quantile(0.5))
    for value in (100, 1, 2, 3, 4):
        latencies.add(value)
    assert (latencies.quantile(0.5), latencies.quantile(1.0)) == (2.5, 4.0)
    np.testing.assert_allclose(softmax(np.array([1000.0, 1000.0])), [0.5, 0.5])
