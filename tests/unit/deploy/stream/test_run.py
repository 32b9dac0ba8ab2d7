# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The loop of a stream with a network and a source that do what the test says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from paddletsm.deploy.predictor import Prediction
from paddletsm.deploy.stream.clock import Resampler
from paddletsm.deploy.stream.events import Event, EventDetector, EventRules
from paddletsm.deploy.stream.run import StreamRun, Summary
from paddletsm.deploy.stream.smoothing import as_prediction
from paddletsm.deploy.stream.sources import StreamFrame
from paddletsm.deploy.stream.views import VideoFile, Window, draw
from paddletsm.errors import ConfigError

LABELS = ("wave", "point", "rest")


class Brightness:
    """A network that names the class whose number the pixels have."""

    fps, middle_s = 10.0, None

    def __init__(self) -> None:
        self.pushed: list[int] = []
        self.resets = 0

    def push(self, frame: np.ndarray) -> Prediction:
        level = int(frame[0, 0, 0])
        self.pushed.append(level)
        logits = np.full(3, -4.0, np.float32)
        logits[level] = 4.0
        return as_prediction(logits, LABELS, path="", top_k=3, times_ms={})

    def finish(self) -> None:
        return None

    def reset(self) -> None:
        self.resets += 1


class Source:
    """Frames (time, class), with gaps and beginnings as told."""

    name, fps, dropped, problem, is_live = "test", 10.0, 0, None, False

    def __init__(self, rows: list[tuple[float, int]], firsts: tuple[int, ...] = (0,)) -> None:
        self.rows, self.firsts = rows, firsts
        self.count = 0
        self.closed = False

    def frames(self, should_stop: Callable[[], bool]) -> Iterator[StreamFrame]:
        for number, (time, level) in enumerate(self.rows):
            if should_stop():
                return
            self.count += 1
            side = 8 if number < 5 else 16
            image = np.full((side, side, 3), level, np.uint8)
            yield StreamFrame(image, time, 0.0, is_first=number in self.firsts)

    def close(self) -> None:
        self.closed = True


def run(source: Source, **options: object) -> tuple[Summary, list[Event], Brightness]:
    network, events = Brightness(), []
    should_stop = options.pop("should_stop", lambda: False)
    loop = StreamRun(
        network,
        EventDetector(LABELS, EventRules(silent=("rest",))),
        Resampler(10.0, longest_hold=4),
        on_event=events.append,
        **options,
    )
    return loop.run(source, should_stop), events, network


def test_events_come_out_and_the_last_one_is_ended() -> None:
    rows = [(number / 10, level) for number, level in enumerate([2, 0, 0, 2, 1, 1])]
    source = Source(rows)
    seen: list[tuple[float, float]] = []
    summary, events, network = run(source, on_scores=lambda *row: seen.append(row[:2]))
    assert [(event.start, event.end, event.label) for event in events] == [
        (0.1, pytest.approx(0.3), "wave"),
        (0.4, pytest.approx(0.6), "point"),
    ]
    assert (summary.frames, summary.steps, summary.events) == (6, 6, 2)
    assert summary.problem is None
    assert summary.p95_ms >= summary.p50_ms > 0
    ends = [time for time, _ in rows[1:]] + [pytest.approx(0.6)]
    assert seen == list(zip([time for time, _ in rows], ends, strict=True))
    assert summary.seconds == pytest.approx(0.6)
    assert source.closed
    assert network.pushed == [2, 0, 0, 2, 1, 1]


def test_a_new_connection_and_a_gap_begin_anew() -> None:
    """What was before is no past of what comes; an event does not span the hole."""
    rows = [(0.0, 0), (0.1, 0), (0.2, 0), (5.0, 0), (5.1, 0)]
    _, events, network = run(Source(rows))
    assert [(event.start, event.end) for event in events] == [
        (0.0, pytest.approx(0.3)),
        (5.0, pytest.approx(5.2)),
    ]
    assert network.resets == 2
    _, events, network = run(Source([(n / 10, 0) for n in range(4)], firsts=(0, 2)))
    assert [(event.start, event.end) for event in events] == [
        (0.0, 0.2),
        (0.2, pytest.approx(0.4)),
    ]


def test_frames_are_held_where_the_source_is_slow_and_skipped_where_it_is_fast() -> None:
    assert run(Source([(n / 5, 0) for n in range(4)]))[2].pushed == [0] * 7
    assert run(Source([(n / 30, 0) for n in range(9)]))[2].pushed == [0] * 3


def test_an_event_of_one_frame_lasts_a_frame() -> None:
    """Of the network where the source is faster, of the source where it is slower."""
    for fps, levels, expected in (
        (30.0, [2] * 3 + [0] * 3 + [2] * 3, [(0.1, 0.2)]),
        (10.0, [0], [(0.0, 0.1)]),
        (5.0, [2, 0, 2], [(0.2, 0.4)]),
        (5.0, [2, 0], [(0.2, 0.4)]),
    ):
        source = Source([(number / fps, level) for number, level in enumerate(levels)])
        source.fps = fps
        _, events, _ = run(source)
        found = [(event.start, event.end) for event in events]
        assert found == [pytest.approx(span) for span in expected], fps


def test_a_source_that_is_much_slower_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """Frames are held, and the stream does not begin anew at each of them."""
    source = Source([(number / 2, 0) for number in range(9)])
    source.fps = 2.0
    caplog.set_level("INFO")
    _, events, network = run(source)
    assert network.resets == 1
    assert len(network.pushed) == 1 + 5 * 8
    assert [(event.start, event.end) for event in events] == [(0.0, pytest.approx(4.5))]
    assert len(caplog.records) == 2, "the rate, and that the frames change their size"


def test_many_gaps_are_not_told_one_by_one(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    run(Source([(float(number), 0) for number in range(50)]))
    gaps = [record for record in caplog.records if "begins anew" in record.getMessage()]
    assert 1 < len(gaps) < 10
    assert "further ones are not told" in gaps[-1].getMessage()


def test_a_stop_request_ends_the_open_event() -> None:
    asked = iter([False, False, False])
    summary, events, _ = run(
        Source([(n / 10, 0) for n in range(50)]), should_stop=lambda: next(asked, True)
    )
    assert summary.frames == 3
    assert [(event.start, event.end) for event in events] == [(0.0, pytest.approx(0.3))]


def test_events_are_kept_when_the_network_fails() -> None:
    source = Source([(n / 10, level) for n, level in enumerate([0, 0, 9])])
    events: list[Event] = []
    loop = StreamRun(Brightness(), EventDetector(LABELS), Resampler(10), on_event=events.append)
    with pytest.raises(IndexError):
        loop.run(source)
    assert [event.label for event in events] == ["wave"]
    assert source.closed


def test_the_video_plays_as_long_as_the_source(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    view = VideoFile(path, 10.0)
    # Frames of two sizes, with a hole of half a second.
    rows = [(n / 10, 0) for n in (0, 1, 2, 3, 8, 9, 10, 11)]
    run(Source(rows), views=[view])
    view.close()
    capture = cv2.VideoCapture(str(path))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 12
    assert capture.get(cv2.CAP_PROP_FPS) == 10
    assert capture.read()[1].shape == (320, 320, 3)


def test_a_long_hole_does_not_fill_the_disk(tmp_path: Path) -> None:
    view = VideoFile(tmp_path / "out.mp4", 10.0)
    prediction = Brightness().push(np.zeros((1, 1, 3), np.uint8))
    for time in (0.0, 3600.0, 3600.1):
        assert view.show(np.zeros((8, 8, 3), np.uint8), time, prediction, None)
    view.close()
    capture = cv2.VideoCapture(str(tmp_path / "out.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 1 + 20 + 1


def test_a_video_without_frames_leaves_no_file(tmp_path: Path) -> None:
    VideoFile(tmp_path / "out.mp4", 10.0).close()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match=r"\.mp4"):
        VideoFile(tmp_path / "out.avi", 10.0)


def test_a_window_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*words: object) -> None:
        raise cv2.error("The function is not implemented. Rebuild the library")

    monkeypatch.setattr(cv2, "namedWindow", refuse)
    with pytest.raises(ConfigError, match=r"--save_video.*opencv-python"):
        Window()


def test_the_picture_shows_the_event() -> None:
    image = np.full((90, 120, 3), (200, 100, 50), np.uint8)
    prediction = Brightness().push(np.zeros((1, 1, 3), np.uint8))
    during = draw(image, 1.0, prediction, Event(0.5, 1.0, "wave", 0, 0.9))
    idle = draw(image, 1.0, prediction, None)
    assert during.shape[1] >= 320
    assert during.shape == idle.shape
    assert (during[-1, -1] != idle[-1, -1]).any(), "no frame around the event"
    np.testing.assert_allclose(idle[-20, 200], (50, 100, 200), atol=3)
    assert (image == (200, 100, 50)).all()
