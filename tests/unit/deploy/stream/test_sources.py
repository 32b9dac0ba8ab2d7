# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Files, fake cameras and a server on this machine that break off in every way."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from paddletsm.data import open_video
from paddletsm.deploy.stream.reasons import DamagedVideoError, why_no_answer
from paddletsm.deploy.stream.sources import (
    FileSource,
    LiveSource,
    RetryRules,
    StreamFrame,
    open_source,
)
from paddletsm.errors import DataError
from tests.conftest import random_frames, write_video

FAST = RetryRules(attempts=2, first_wait_s=0.01)


class FakeCapture:
    """Frames of one brightness each; None ends it, an exception is raised."""

    def __init__(
        self, levels: Sequence[int | Exception | None], *, wait: float = 0.0, fps: float = 25.0
    ) -> None:
        self._levels, self._wait, self._fps = list(levels), wait, fps
        self.released = False

    def isOpened(self) -> bool:  # noqa: N802
        return bool(self._levels)

    def read(self) -> tuple[bool, np.ndarray | None]:
        time.sleep(self._wait)
        level = self._levels.pop(0) if self._levels else None
        if isinstance(level, Exception):
            raise level
        if level is None:
            return False, None
        return True, np.full((8, 8 + level % 2, 3), (0, 0, level), np.uint8)

    def get(self, key: int) -> float:
        return self._fps if key == cv2.CAP_PROP_FPS else 0.0

    def release(self) -> None:
        self.released = True


def follow(
    source: LiveSource | FileSource, *, limit_s: float = 20.0, pause: float = 0.0
) -> list[StreamFrame]:
    end = time.monotonic() + limit_s
    frames = []
    for frame in source.frames(lambda: time.monotonic() > end):
        frames.append(frame)
        time.sleep(pause)
    assert time.monotonic() < end, "the source did not end by itself"
    source.close()
    return frames


def levels(frames: list[StreamFrame]) -> list[int]:
    return [int(frame.image[0, 0, 0]) for frame in frames]


def live(
    *captures: FakeCapture, retry: RetryRules | None = FAST
) -> tuple[LiveSource, list[FakeCapture]]:
    waiting = list(captures)
    return LiveSource(
        "camera", lambda: waiting.pop(0) if waiting else FakeCapture([]), retry=retry
    ), list(captures)


def test_a_file_loses_no_frame_and_has_its_own_time(tmp_path: Path) -> None:
    frames = random_frames(20)
    source = open_source(str(write_video(tmp_path / "a.avi", frames, fps=10)))
    assert isinstance(source, FileSource)
    found = follow(source, pause=0.001)
    assert len(found) == source.count == source.declared == 20
    np.testing.assert_allclose([frame.time for frame in found], np.arange(20) / 10, atol=1e-3)
    assert [frame.is_first for frame in found] == [True] + 19 * [False]
    assert np.abs(found[3].image.astype(int) - frames[3]).mean() < 12, "RGB, in order"
    assert source.problem is None


@pytest.mark.parametrize("damage", ["cut", "zeros"])
def test_a_damaged_file_ends_with_a_message(tmp_path: Path, damage: str) -> None:
    path = write_video(tmp_path / "a.avi", random_frames(40))
    content = bytearray(path.read_bytes())
    half = len(content) // 2
    if damage == "cut":
        del content[half:]
    else:
        content[half:] = bytes(len(content) - half)
    path.write_bytes(content)
    source = open_source(str(path))
    found = follow(source)
    assert 5 < len(found) < 40
    assert f"its header says 40 frames, {len(found)} could be decoded" in source.problem
    # An AVI counts its times from its frames; what a cut has taken away makes nothing early.
    lost = (40 - len(found)) / 8
    assert (f"may be early, by up to {lost:.1f} s" in source.problem) is (damage == "zeros")


def test_behind_damaged_frames_the_others_are_read() -> None:
    class Damaged(FakeCapture):
        def read(self) -> tuple[bool, np.ndarray | None]:
            return super().read() if self._levels and self._levels[0] else (self.skip(), None)

        def skip(self) -> bool:
            del self._levels[:1]
            return False

        def get(self, key: int) -> float:
            return 6.0 if key == cv2.CAP_PROP_FRAME_COUNT else super().get(key)

    source = FileSource("clip.mp4", Damaged([2, 4, None, None, 6, 8]))
    assert levels(follow(source)) == [2, 4, 6, 8]
    assert "its header says 6 frames, 4 could be decoded" in source.problem
    assert "early" not in source.problem, "other files than AVI store times"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "the name is empty"),
        ("-1", "camera numbers begin at 0"),
        ("/dev/null", "is no file"),
        ("ftp://host/a.mp4", r"ftp:// cannot be read .*rtsp, .*; download the file"),
        ("rtsp:///a", "names no host"),
        ("file:///tmp/no/file.avi", "/tmp/no/file.avi does not exist"),
    ],
)
def test_names_that_are_no_source_are_refused(name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_source(name)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, r"does not exist; did you mean '.*clip\.avi'"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: path.write_bytes(b"no video " * 100), "not a video"),
    ],
)
def test_what_is_no_video_is_refused(
    tmp_path: Path, make: Callable[[Path], object], message: str
) -> None:
    write_video(tmp_path / "clip.avi", random_frames(2))
    make(tmp_path / "clap.avi")
    with pytest.raises(DataError, match=message):
        open_source(str(tmp_path / "clap.avi"))


def cut_index(path: Path) -> Path:
    """An MP4 whose index, at its end, is missing."""
    content = write_video(path, random_frames(12), codec="mp4v").read_bytes()
    path.write_bytes(content[: content.rindex(b"moov") - 4])
    return path


def test_a_cut_or_empty_file_is_told_as_in_predict(tmp_path: Path) -> None:
    cut, empty = cut_index(tmp_path / "cut.mp4"), tmp_path / "empty.mp4"
    empty.touch()
    cases = [(cut, r"truncated video: 0 frames .*moov box"), (empty, r"empty \(0 bytes")]
    for path, message in cases:
        with pytest.raises(DataError, match=message) as predicted:
            open_video(str(path))
        with pytest.raises(DamagedVideoError) as streamed:
            open_source(str(path))
        assert str(streamed.value) == str(predicted.value)


def test_a_file_url_is_the_file(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a b.avi", random_frames(3))
    assert len(follow(open_source(path.as_uri()))) == 3


def test_a_source_that_breaks_off_is_opened_again(caplog: pytest.LogCaptureFixture) -> None:
    source, captures = live(
        FakeCapture([10, 12, None], wait=0.02), FakeCapture([20, 22], wait=0.02)
    )
    found = follow(source)
    assert levels(found) == [10, 12, 20, 22]
    assert [frame.is_first for frame in found] == [True, False, True, False]
    assert source.reconnects == 3
    assert "given up after 2 attempts" in source.problem
    assert "broke off" in caplog.text
    assert all(capture.released for capture in captures)


def test_a_source_that_never_starts_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    source, _ = live()
    assert follow(source) == []
    assert "given up after 2 attempts" in source.problem
    assert "gives no frame" in caplog.text
    source = LiveSource(
        "camera",
        lambda: FakeCapture([]),
        retry=RetryRules(attempts=1, first_wait_s=0.01),
        explain=lambda: "no camera",
    )
    follow(source)
    assert source.problem == "camera: given up after 1 attempt (no camera)"
    assert "gives no frame (no camera); trying again" in caplog.text


def test_waits_grow_up_to_a_limit() -> None:
    rules = RetryRules(first_wait_s=0.5, longest_wait_s=30)
    assert [rules.wait(count) for count in (1, 2, 3, 8, 5000)] == [0.5, 1.0, 2.0, 30.0, 30.0]


def test_an_error_of_the_decoder_ends_the_source_with_a_message() -> None:
    source, _ = live(FakeCapture([10, RuntimeError("decoder broke")], wait=0.02))
    assert levels(follow(source)) == [10]
    assert "decoder broke" in source.problem


def test_late_frames_are_dropped_never_queued() -> None:
    source, _ = live(FakeCapture(list(range(2, 102)), wait=0.005), retry=None)
    found = follow(source, pause=0.05)
    assert source.count == 100
    assert source.count == len(found) + source.dropped
    assert source.dropped > 50
    assert levels(found) == sorted(levels(found))
    assert levels(found)[-1] == 101, "the newest frame is the one that is seen"
    # Never older than the pause and one frame of the source; a queue would be seconds behind.
    gaps = np.diff([frame.arrived for frame in found])
    assert gaps.min() > 0


def test_a_dropped_first_frame_still_begins_the_stream() -> None:
    source, _ = live(FakeCapture([2, 4, 6, 8], wait=0.0), retry=None)
    source._read_all()
    found = list(_rest(source))
    assert levels(found) == [8]
    assert found[0].is_first
    assert source.dropped == 3


def _rest(source: LiveSource) -> Iterator[StreamFrame]:
    yield source._newest


def test_grey_frames_become_rgb() -> None:
    capture = FakeCapture([7])
    capture.read = lambda: (capture._levels and bool(capture._levels.pop()), np.eye(8, dtype="u1"))
    source = LiveSource("camera", lambda: capture)
    assert follow(source)[0].image.shape == (8, 8, 3)


def test_a_file_in_real_time_takes_its_time(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", random_frames(12), fps=20)
    source = open_source(str(path), realtime=True)
    begun = time.monotonic()
    found = follow(source)
    assert time.monotonic() - begun > 0.5
    assert isinstance(source, LiveSource)
    assert source.problem is None
    assert found[-1].time > 0.4


class _Server(http.server.ThreadingHTTPServer):
    """Serves motion JPEG that breaks off after some frames, so many times, then nothing."""

    daemon_threads = True
    frames, times = 15, 2


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, *words: object) -> None:
        pass

    def do_GET(self) -> None:
        if self.server.times <= 0:
            self.send_error(404)
            return
        self.server.times -= 1
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for number in range(self.server.frames):
            # The second half has another size.
            side = 48 if number < self.server.frames // 2 else 64
            _, data = cv2.imencode(".jpg", np.full((side, side, 3), 10 * number, np.uint8))
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            self.wfile.write(head.encode() + data.tobytes() + b"\r\n")
            self.wfile.flush()
            time.sleep(0.02)


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server(("127.0.0.1", 0), _Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def test_a_network_stream_is_opened_again_and_given_up(server: _Server) -> None:
    source = open_source(f"http://127.0.0.1:{server.server_port}/live.mjpg", retry=FAST)
    assert isinstance(source, LiveSource)
    found = follow(source)
    assert sum(frame.is_first for frame in found) == 2
    assert source.count >= 20
    assert "given up after 2 attempts (the host answers 404" in source.problem


def test_an_address_where_nothing_is_is_given_up() -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), _Handler) as closed:
        port = closed.server_port
    for scheme in ("http", "rtsp"):
        source = open_source(f"{scheme}://127.0.0.1:{port}/live.mjpg", retry=FAST)
        assert follow(source) == []
        assert "given up after 2 attempts (connection refused)" in source.problem


def test_a_camera_that_is_not_there_is_told() -> None:
    assert why_no_answer("987") == "there is no /dev/video987"
    assert why_no_answer("udp://127.0.0.1:1") == ""
