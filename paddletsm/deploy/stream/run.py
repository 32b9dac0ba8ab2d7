# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""A source, a network, a detector and writers, joined: the loop of ``paddletsm stream``."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from paddletsm.deploy.predictor import Prediction
from paddletsm.deploy.stream.clock import Resampler
from paddletsm.deploy.stream.events import Event, EventDetector
from paddletsm.deploy.stream.smoothing import Latencies, softmax
from paddletsm.deploy.stream.sources import FileSource, LiveSource, StreamFrame

logger = logging.getLogger(__name__)

# Below this share of the expected rate the network sees held frames, which it was not trained on.
_SLOW = 0.9
_TOLD_GAPS = 5


class Network(Protocol):
    """What predicts frame by frame: ``StreamPredictor``, or clips that slide over the frames.

    Attributes:
        fps: frames per second that it expects, where known.
        middle_s: seconds by which the middle of what a prediction is of lies before the time of its
            last frame; None: it is of that frame.
    """

    fps: float | None
    middle_s: float | None

    def push(self, frame: np.ndarray) -> Prediction | None:
        """The prediction for the video so far; None where there is none yet."""

    def finish(self) -> Prediction | None:
        """At the end of the video: what it still has to say."""

    def reset(self) -> None:
        """Begin anew."""


class View(Protocol):
    """What shows or keeps the frames with what was found."""

    def show(
        self, image: np.ndarray, time: float, prediction: Prediction, event: Event | None
    ) -> bool:
        """Take a frame; False: the user has closed the view."""

    def close(self) -> None:
        """Finish."""


@dataclass(frozen=True)
class Summary:
    """A run in figures.

    Attributes:
        frames: frames that arrived.
        dropped: of these, late frames that were never looked at.
        steps: frames that the network has seen, held ones counted again.
        events: number of events.
        seconds: of the video, its last frame included.
        wall_seconds: that the run took.
        p50_ms: median time from the arrival of a frame to its prediction.
        p95_ms: the same, 95 % quantile.
        reconnects: how often the source was opened again.
        problem: what was wrong with the source; None: nothing.
    """

    frames: int
    dropped: int
    steps: int
    events: int
    seconds: float
    wall_seconds: float
    p50_ms: float
    p95_ms: float
    reconnects: int
    problem: str | None


class StreamRun:
    """The loop over one source.

    Scores stand for a span of time. Those of a frame stand from its time until the next ones begin;
    those of a clip as far as its middle is nearer than that of another. The first ones of an
    unbroken stretch of frames stand from its first frame on, the last ones to the end of its last
    frame: spans lie within the video, and none is empty.

    Args:
        network: predicts.
        detector: finds events in the scores.
        resampler: chooses the frames that the network sees.
        on_event: called with each event when it has ended.
        on_scores: called with start and end (seconds) and the scores [K] of each prediction.
        views: see ``View``.
    """

    def __init__(
        self,
        network: Network,
        detector: EventDetector,
        resampler: Resampler,
        *,
        on_event: Callable[[Event], None],
        on_scores: Callable[[float, float, np.ndarray], None] | None = None,
        views: Sequence[View] = (),
    ) -> None:
        self.network, self.detector, self.resampler = network, detector, resampler
        self._on_event, self._on_scores, self._views = on_event, on_scores, views
        self._latencies = Latencies()
        self._last: Prediction | None = None
        self._size: tuple[int, ...] | None = None
        self._steps = self._events = self._gaps = 0
        self._period = self.resampler.interval
        self._end = 0.0  # of the last frame
        self._pushed = self._judged = 0.0  # times of the last frame seen, and of that judged
        self._stretch: float | None = None  # begin of the unbroken frames; None: none yet
        self._row: tuple[float, np.ndarray] | None = None  # scores that still stand, and since when

    def run(
        self, source: FileSource | LiveSource, should_stop: Callable[[], bool] = lambda: False
    ) -> Summary:
        """Follow a source to its end, or until told to stop; the open event is then ended too."""
        begun = time.monotonic()
        has_begun = False
        try:
            for frame in source.frames(should_stop):
                if not has_begun:
                    has_begun = True
                    self._learn_rate(source)
                if not self._take(frame):
                    break
            self._judge(self.network.finish(), self._pushed)
        finally:
            self._end_stretch()
            source.close()
        return Summary(
            frames=source.count,
            dropped=source.dropped,
            steps=self._steps,
            events=self._events,
            seconds=self._end,
            wall_seconds=time.monotonic() - begun,
            p50_ms=self._latencies.quantile(0.5),
            p95_ms=self._latencies.quantile(0.95),
            reconnects=getattr(source, "reconnects", 0),
            problem=None if should_stop() else source.problem,
        )

    def _take(self, frame: StreamFrame) -> bool:
        """Handle one frame; False when a view was closed."""
        self._notice_size(frame)
        if frame.is_first:
            self._begin_anew(frame)
        count = self.resampler.ticks(frame.time)
        if count < 0:
            self._say_gap(frame.time)
            self._begin_anew(frame)
            count = max(1, self.resampler.ticks(frame.time))
        if self._stretch is None:
            self._stretch = frame.time
        self._end = frame.time + self._period
        self._predict(frame, count)
        if self._last is None:
            return True
        event = self.detector.current
        shown = [view.show(frame.image, frame.time, self._last, event) for view in self._views]
        return all(shown)

    def _predict(self, frame: StreamFrame, count: int) -> None:
        """Let the network see a frame so often; what it says last is what the frame stands for."""
        last: Prediction | None = None
        for _ in range(count):
            last = self.network.push(frame.image) or last
            self._steps += 1
            self._pushed = frame.time
            self._latencies.add(1e3 * (time.monotonic() - frame.arrived))
        self._judge(last, self._pushed)

    def _judge(self, prediction: Prediction | None, time: float) -> None:
        """Look for events in a prediction whose last frame is of a time."""
        if prediction is None or self._stretch is None:
            return
        self._last = prediction
        # Nothing else speaks for what lies before the first scores of a stretch.
        start = self._stretch if self._row is None else self._start(time)
        self._judged = time
        scores = softmax(prediction.logits[0])
        self._hand_over_scores(start)
        self._row = (start, scores)
        self._emit(self.detector.step(start, scores))

    def _start(self, time: float) -> float:
        """Where the scores before give way to those that end with the frame of a time."""
        middle = self.network.middle_s
        return time if middle is None else (self._judged + time) / 2 - middle

    def _hand_over_scores(self, end: float) -> None:
        """Pass the scores on that have stood until now."""
        if self._row is not None and self._on_scores is not None:
            self._on_scores(self._row[0], end, self._row[1])

    def _begin_anew(self, frame: StreamFrame) -> None:
        """What was before a frame is no past of it: it is judged to its end, like a video."""
        if self._stretch is not None:
            self._judge(self.network.finish(), self._pushed)
        if frame.time > self._pushed:
            self._end = min(self._end, frame.time)
        self._end_stretch()
        self.network.reset()
        self.resampler.reset()
        self._stretch = frame.time

    def _end_stretch(self) -> None:
        self._hand_over_scores(self._end)
        self._row = None
        self._emit(self.detector.flush(self._end))

    def _emit(self, events: Sequence[Event]) -> None:
        for event in events:
            self._events += 1
            self._on_event(event)

    def _notice_size(self, frame: StreamFrame) -> None:
        size = frame.image.shape[:2]
        if self._size is not None and size != self._size:
            before, after = (f"{width}x{height}" for height, width in (self._size, size))
            logger.info("at %.1f s the frames change from %s to %s", frame.time, before, after)
        self._size = size

    def _say_gap(self, time: float) -> None:
        self._gaps += 1
        if self._gaps <= _TOLD_GAPS:
            more = "; further ones are not told" if self._gaps == _TOLD_GAPS else ""
            logger.info("no frame for a while before %.1f s: the network begins anew%s", time, more)

    def _learn_rate(self, source: FileSource | LiveSource) -> None:
        """How long a frame lasts, and how long frames are held."""
        if source.fps:
            self._period = 1.0 / source.fps
            self.resampler.expect(source.fps)
        wanted = 1.0 / self.resampler.interval
        if source.fps and source.fps < _SLOW * wanted:
            logger.warning(
                "%s gives %.1f frames per second, the network sees %.1f: frames are held, which "
                "it was not trained on",
                source.name,
                source.fps,
                wanted,
            )
