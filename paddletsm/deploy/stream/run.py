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


class Network(Protocol):
    """What predicts frame by frame: ``StreamPredictor``, or clips that slide over the frames.

    Attributes:
        fps: frames per second that it expects, where known.
        delay_s: seconds by which a prediction's time lies before its frame.
    """

    fps: float | None
    delay_s: float

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
        seconds: of the video.
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

    Args:
        network: predicts.
        detector: finds events in the scores.
        resampler: chooses the frames that the network sees.
        on_event: called with each event when it has ended.
        on_scores: called with the time and the scores [K] of each prediction.
        views: see ``View``.
    """

    def __init__(
        self,
        network: Network,
        detector: EventDetector,
        resampler: Resampler,
        *,
        on_event: Callable[[Event], None],
        on_scores: Callable[[float, np.ndarray], None] | None = None,
        views: Sequence[View] = (),
    ) -> None:
        self.network, self.detector, self.resampler = network, detector, resampler
        self._on_event, self._on_scores, self._views = on_event, on_scores, views
        self._latencies = Latencies()
        self._last: Prediction | None = None
        self._size: tuple[int, ...] | None = None
        self._steps = self._events = 0
        self._time = 0.0

    def run(
        self, source: FileSource | LiveSource, should_stop: Callable[[], bool] = lambda: False
    ) -> Summary:
        """Follow a source to its end, or until told to stop; the open event is then ended too."""
        begun = time.monotonic()
        has_said_rate = False
        try:
            for frame in source.frames(should_stop):
                if not has_said_rate:
                    has_said_rate = True
                    self._say_rate(source)
                if not self._take(frame):
                    break
            self._judge(self.network.finish(), self._time)
        finally:
            self._emit(self.detector.flush())
            source.close()
        return Summary(
            frames=source.count,
            dropped=source.dropped,
            steps=self._steps,
            events=self._events,
            seconds=self._time,
            wall_seconds=time.monotonic() - begun,
            p50_ms=self._latencies.quantile(0.5),
            p95_ms=self._latencies.quantile(0.95),
            reconnects=getattr(source, "reconnects", 0),
            problem=None if should_stop() else source.problem,
        )

    def _take(self, frame: StreamFrame) -> bool:
        """Handle one frame; False when a view was closed."""
        self._time = frame.time
        self._notice_size(frame)
        if frame.is_first:
            self._begin_anew()
        count = self.resampler.ticks(frame.time)
        if count < 0:
            logger.info("no frame for a while before %.1f s: the network begins anew", frame.time)
            self._begin_anew()
            count = max(1, self.resampler.ticks(frame.time))
        for _ in range(count):
            self._predict(frame)
        if self._last is None:
            return True
        event = self.detector.current
        shown = [view.show(frame.image, frame.time, self._last, event) for view in self._views]
        return all(shown)

    def _predict(self, frame: StreamFrame) -> None:
        prediction = self.network.push(frame.image)
        self._steps += 1
        self._latencies.add(1e3 * (time.monotonic() - frame.arrived))
        self._judge(prediction, frame.time)

    def _judge(self, prediction: Prediction | None, time: float) -> None:
        """Look for events in a prediction that was made at a time."""
        if prediction is None:
            return
        self._last = prediction
        time = max(0.0, time - self.network.delay_s)
        scores = softmax(prediction.logits[0])
        if self._on_scores is not None:
            self._on_scores(time, scores)
        self._emit(self.detector.step(time, scores))

    def _begin_anew(self) -> None:
        self.network.reset()
        self.resampler.reset()
        self._emit(self.detector.flush())

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

    def _say_rate(self, source: FileSource | LiveSource) -> None:
        wanted = 1.0 / self.resampler.interval
        if source.fps and source.fps < _SLOW * wanted:
            logger.warning(
                "%s gives %.1f frames per second, the model expects %.1f: frames are held, which "
                "it was not trained on",
                source.name,
                source.fps,
                wanted,
            )
