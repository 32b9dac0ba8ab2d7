# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Where frames come from: a file, read to its end; a camera or URL, of which the newest counts.

Files lose no frame. Live sources are read by a thread that keeps only the newest frame: a network
that is too slow sees fewer frames, never older ones.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from paddletsm.deploy.stream.reasons import (
    ALWAYS_LIVE,
    URL,
    check_source,
    why_fewer,
    why_no_answer,
    why_unreadable,
)
from paddletsm.utils.text import plural

logger = logging.getLogger(__name__)

_POLL_S = 0.1  # how soon a stop request is noticed
_OPEN_TIMEOUT_MS = 10_000


@dataclass(frozen=True)
class StreamFrame:
    """One frame of a source.

    Attributes:
        image: uint8 [H, W, 3] RGB.
        time: seconds from the start of the source: of the video's clock for files, of the wall
            clock for live sources.
        arrived: ``time.monotonic()`` at which it was there.
        is_first: the source has just begun, or begun again: what was before is not its past.
    """

    image: np.ndarray
    time: float
    arrived: float
    is_first: bool = False


class Capture(Protocol):
    """The part of ``cv2.VideoCapture`` that is used."""

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        """Whether frames can be read."""

    def read(self) -> tuple[bool, np.ndarray | None]:
        """The next frame, BGR; False at the end and on errors."""

    def get(self, key: int) -> float:
        """A property."""

    def release(self) -> None:
        """Free it."""


@dataclass(frozen=True)
class RetryRules:
    """How a live source is opened again.

    Attributes:
        attempts: in a row without a frame; then the source is given up. None: for ever.
        first_wait_s: in front of the second attempt; each further wait is twice as long ...
        longest_wait_s: ... but no longer than this.
    """

    attempts: int | None = 10
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0

    def wait(self, failures: int) -> float:
        """Seconds after so many failures in a row, 1 or more."""
        return min(self.longest_wait_s, self.first_wait_s * 2.0 ** min(failures - 1, 30))


class FileSource:
    """Every frame of a finite video, in order.

    Args:
        name: file, or URL of a file.
        capture: it, opened.

    Attributes:
        fps: frames per second as the video states them; 0 where it does not.
        declared: number of frames that the video states; 0: unknown.
        count: frames read so far.
        dropped: always 0.
    """

    is_live = False

    def __init__(self, name: str, capture: Capture) -> None:
        from paddletsm.data.backends import opencv

        cv2 = opencv()
        self.name = name
        self._capture, self._position = capture, cv2.CAP_PROP_POS_MSEC
        self.fps = _positive(capture.get(cv2.CAP_PROP_FPS))
        self.declared = int(_positive(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self.count = self.dropped = 0

    def frames(self, should_stop: Callable[[], bool]) -> Iterator[StreamFrame]:
        """Yield the frames until the end of the video, or until told to stop."""
        last, missed = -1.0, 0
        while not should_stop():
            done, image = self._capture.read()
            if not done or image is None:
                missed += 1  # behind frames that are damaged others may follow
                if self.count + missed >= self.declared:
                    return
                continue
            now = self._capture.get(self._position) / 1e3
            if now <= last or (now <= 0 and self.count):  # a container without usable times
                now = last + 1.0 / (self.fps or 25.0)
            last = max(now, 0.0)
            self.count += 1
            yield StreamFrame(_rgb(image), last, time.monotonic(), is_first=self.count == 1)

    @property
    def problem(self) -> str | None:
        """What was wrong with the video, once it has been read; None: nothing."""
        if self.count == 0:
            return str(why_unreadable(self.name))
        if self.count < self.declared:
            return why_fewer(self.name, self.declared, self.count, self.fps)
        return None

    def close(self) -> None:
        """Free the decoder."""
        self._capture.release()


class LiveSource:
    """The newest frame of a source that does not wait, opened again when it breaks off.

    Args:
        name: for messages.
        connect: opens the source; called by the reading thread, once per attempt.
        retry: how it is opened again; None: at its end the source is over.
        pace: the source is a file that is to be read at its own rate.
        explain: tells why there was no frame, "" where it does not know.

    Attributes:
        fps: as the source states them; 0 where it does not, or has not been opened.
        count: frames that arrived.
        dropped: of these, frames that a newer one has replaced before anyone took them.
        reconnects: how often it was opened again.
    """

    is_live = True

    def __init__(
        self,
        name: str,
        connect: Callable[[], Capture],
        *,
        retry: RetryRules | None = None,
        pace: bool = False,
        explain: Callable[[], str] = lambda: "",
    ) -> None:
        self.name, self._explain = name, explain
        self.fps = 0.0
        self.count = self.dropped = self.reconnects = 0
        self.problem: str | None = None
        self._connect, self._retry, self._pace = connect, retry, pace
        self._newest: StreamFrame | None = None
        self._news = threading.Condition()
        self._is_over = False
        self._stop = threading.Event()
        self._begun = time.monotonic()
        self._thread = threading.Thread(target=self._read_all, name="frames", daemon=True)

    def frames(self, should_stop: Callable[[], bool]) -> Iterator[StreamFrame]:
        """Yield the newest frame whenever there is one, until the source is given up."""
        self._begun = time.monotonic()
        self._thread.start()
        while not should_stop():
            with self._news:
                if self._newest is None and not self._is_over:
                    self._news.wait(_POLL_S)
                frame, self._newest = self._newest, None
                is_over = self._is_over
            if frame is not None:
                yield frame
            elif is_over:
                return

    def close(self) -> None:
        """Tell the thread to stop; a decoder that hangs is left behind, the thread is a daemon."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=1.0)

    def _read_all(self) -> None:
        failures = 0
        try:
            while not self._stop.is_set():
                got = self._read_once()
                if self._retry is None and not got and not self._stop.is_set():
                    self.problem = f"{self.name}: no frame could be read"
                if self._stop.is_set() or self._retry is None:
                    break
                failures = 1 if got else failures + 1
                why = "" if got else self._explain()
                why = f" ({why})" if why else ""
                if self._retry.attempts is not None and failures > self._retry.attempts:
                    attempts = plural(self._retry.attempts, "attempt")
                    self.problem = f"{self.name}: given up after {attempts}{why}"
                    break
                wait = self._retry.wait(failures)
                what = "broke off" if got else f"gives no frame{why}"
                logger.warning("%s %s; trying again in %.1f s", self.name, what, wait)
                if self._stop.wait(wait):
                    break
                self.reconnects += 1
        except Exception as err:  # noqa: BLE001 - a thread has no caller to tell
            self.problem = f"{self.name}: {err}"
        finally:
            with self._news:
                self._is_over = True
                self._news.notify()

    def _read_once(self) -> int:
        """Read until the source ends; returns the number of frames."""
        from paddletsm.data.backends import opencv

        capture = self._connect()
        count = 0
        try:
            if not capture.isOpened():
                return 0
            self.fps = _positive(capture.get(opencv().CAP_PROP_FPS))
            start = time.monotonic()
            while not self._stop.is_set():
                done, image = capture.read()
                if not done or image is None:
                    break
                if self._pace and self._stop.wait(self._until(start, count)):
                    break
                self._hand_over(image, is_first=count == 0)
                count += 1
        finally:
            capture.release()
        return count

    def _until(self, start: float, number: int) -> float:
        """Seconds until a frame of a file is due."""
        return max(0.0, start + number / (self.fps or 25.0) - time.monotonic())

    def _hand_over(self, image: np.ndarray, *, is_first: bool) -> None:
        now = time.monotonic()
        rgb = _rgb(image)
        with self._news:
            waiting = self._newest
            if waiting is not None:
                self.dropped += 1
                is_first = is_first or waiting.is_first
            self._newest = StreamFrame(rgb, now - self._begun, now, is_first=is_first)
            self.count += 1
            self._news.notify()


def open_source(
    name: str, *, realtime: bool = False, retry: RetryRules | None = None
) -> FileSource | LiveSource:
    """Open a file, a camera number or a URL.

    Args:
        name: "clip.mp4", "0", "rtsp://...", "http://...". An http URL of a file, which states its
            number of frames, is read like a file.
        realtime: read a file at its own rate and drop late frames, as if it were a camera.
        retry: how cameras and URLs are opened again.

    Raises:
        DataError: a file that is missing or no video, or a URL that cannot be read. Live sources
            are opened later, by their thread.
        DamagedVideoError: a video that is empty or cut off, so that it cannot be opened.
    """
    retry = retry or RetryRules()
    name = check_source(name)
    if name.isdecimal():
        return LiveSource(
            f"camera {name}",
            lambda: _open_camera(int(name)),
            retry=retry,
            explain=lambda: why_no_answer(name),
        )
    if not URL.match(name):
        return _open_file(name, realtime)
    if name.split("://")[0].lower() in ALWAYS_LIVE:
        return LiveSource(
            name, lambda: _open_url(name), retry=retry, explain=lambda: why_no_answer(name)
        )
    return _open_http(name, realtime, retry)


def _open_file(name: str, realtime: bool) -> FileSource | LiveSource:
    capture = _open_url(name)
    if not capture.isOpened():
        raise why_unreadable(name)
    if not realtime:
        return FileSource(name, capture)
    capture.release()
    return LiveSource(name, lambda: _open_url(name), pace=True)


def _open_http(name: str, realtime: bool, retry: RetryRules) -> FileSource | LiveSource:
    """A URL is a file if it opens and states its length; everything else is live."""
    from paddletsm.data.backends import opencv

    capture = _open_url(name)
    if capture.isOpened() and capture.get(opencv().CAP_PROP_FRAME_COUNT) > 0:
        if not realtime:
            return FileSource(name, capture)
        capture.release()
        return LiveSource(name, lambda: _open_url(name), pace=True)
    opened = [capture] if capture.isOpened() else []
    return LiveSource(
        name,
        lambda: opened.pop() if opened else _open_url(name),
        retry=retry,
        explain=lambda: why_no_answer(name),
    )


def _open_camera(number: int) -> Capture:
    from paddletsm.data.backends import opencv

    return opencv().VideoCapture(number)


def _open_url(name: str) -> Any:
    from paddletsm.data.backends import opencv

    cv2 = opencv()
    has_ffmpeg = cv2.CAP_FFMPEG in cv2.videoio_registry.getBackends()
    if not has_ffmpeg:
        return cv2.VideoCapture(name)
    limits = []
    if URL.match(name):
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _OPEN_TIMEOUT_MS]
        limits += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, _OPEN_TIMEOUT_MS]
    return cv2.VideoCapture(name, cv2.CAP_FFMPEG, limits)


def _rgb(image: np.ndarray) -> np.ndarray:
    """BGR or grey frame of OpenCV as RGB."""
    if image.ndim == 2:
        return np.repeat(image[..., None], 3, 2)
    return np.ascontiguousarray(image[..., ::-1])


def _positive(value: float) -> float:
    """A property of a capture; 0 where it is unknown or nonsense."""
    return float(value) if 0 < value < 1e9 else 0.0
