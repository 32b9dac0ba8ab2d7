# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What happens when in a long video: the stream of an online network, or sliding clips.

offline:  frame, T per clip_seconds -> the last T frames -> network, every few frames -> scores
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from paddletsm.data.sampling import sample_segments
from paddletsm.deploy.artefact import Artefact
from paddletsm.deploy.predictor import Prediction, Predictor
from paddletsm.deploy.stream.clock import Resampler, checked_fps
from paddletsm.deploy.stream.events import Event, EventDetector, EventRules
from paddletsm.deploy.stream.frames import FrameTransform
from paddletsm.deploy.stream.run import Network, StreamRun, Summary
from paddletsm.deploy.stream.smoothing import as_prediction
from paddletsm.deploy.stream.sources import FileSource, open_source
from paddletsm.errors import ConfigError, ExportError

_PER_CLIP = 4  # clips overlap: so many begin within the length of one


@dataclass
class Timeline:
    """Scores over the time of one video, and the events in them.

    Attributes:
        labels: K class names.
        times: seconds, where each row of ``scores`` begins to stand.
        ends: seconds, where it ceases to; the next row begins there, or frames are missing.
        scores: rows [K], softmax.
        events: in the order of their ends.
        summary: of the run; None while it goes on.
    """

    labels: tuple[str, ...]
    times: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    scores: list[np.ndarray] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    summary: Summary | None = None


class SlidingPredictor:
    """Lets clips of an offline network slide over frames that come one by one.

    Args:
        predictor: of whole clips; its pipeline makes one crop.
        clip_seconds: length of a clip; its T frames lie evenly in it.
        stride: frames between the ends of two clips; default: a quarter of T.

    Raises:
        ConfigError: a number is not above 0.
        ExportError: the pipeline makes several crops, or clips have several labels.
    """

    def __init__(
        self, predictor: Predictor, *, clip_seconds: float, stride: int | None = None
    ) -> None:
        artefact = predictor.artefact
        if not 0 < clip_seconds < float("inf"):
            raise ConfigError(f"clip_seconds must be above 0, not {clip_seconds:g}")
        if artefact.activation == "sigmoid":
            raise ExportError(
                "this network gives a clip several labels (MODEL.loss: bce); events have one at a "
                "time, so there is no timeline of it: predict clips instead"
            )
        self._predictor = predictor
        self._transform = FrameTransform(artefact.pipeline)
        self._frames: deque[np.ndarray] = deque(maxlen=artefact.num_seg)
        self._stride = max(1, artefact.num_seg // _PER_CLIP) if stride is None else stride
        if self._stride < 1:
            raise ConfigError(f"stride must be at least 1, not {stride}")
        self._until_next = self.num_seg = artefact.num_seg
        self.fps: float | None = artefact.num_seg / clip_seconds
        # A clip of T frames lasts until one frame behind the time of its last.
        self.middle_s: float | None = clip_seconds * (0.5 - 1 / artefact.num_seg)

    def push(self, frame: np.ndarray) -> Prediction | None:
        """Take a frame uint8 [H, W, 3] RGB; the prediction of a clip that ends with it, or None."""
        self._frames.append(self._transform.batch([frame])[0])
        self._until_next -= 1
        if self._until_next > 0:
            return None
        self._until_next = self._stride
        return self._predict(np.stack(self._frames))

    def finish(self) -> Prediction | None:
        """At the end of a video: the prediction of its last clip, unless that was made already.

        A video that is shorter than a clip is one clip of what there is.
        """
        count = len(self._frames)
        if count == 0 or (count == self.num_seg and self._until_next == self._stride):
            return None
        self._until_next = self._stride
        return self._predict(np.stack(self._frames)[sample_segments(count, self.num_seg)])

    def reset(self) -> None:
        """Begin anew."""
        self._frames.clear()
        self._until_next = self.num_seg

    def _predict(self, clip: np.ndarray) -> Prediction:
        start = time.perf_counter()
        logits = self._predictor.logits(clip[None])[0]
        times = {"infer": 1e3 * (time.perf_counter() - start)}
        return as_prediction(logits, self._predictor.labels, path="", top_k=5, times_ms=times)


def clip_seconds_of(artefact: Artefact, video_fps: float) -> float | None:
    """Length of a clip of the artefact's sampler, where that does not depend on the video."""
    sample = artefact.pipeline["sample"]
    if sample.get("name") == "DenseSampler" and video_fps > 0:
        return sample.get("sample_range", 64) / video_fps
    return None


def make_timeline(
    path: str,
    make_network: Callable[[FileSource], Network],
    labels: tuple[str, ...],
    *,
    rules: EventRules,
    fps: float | None = None,
    longest_hold: int = 8,
    on_event: Callable[[Event], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Timeline:
    """Run a network over a whole video.

    Args:
        path: a video file.
        make_network: gives the network for an opened video.
        labels: K class names.
        rules: what counts as an event.
        fps: frames per second for the network; default: what the network expects.
        longest_hold: frames of the network that may be missing; after more of them it begins anew.
        on_event: called with each event when it has ended.
        should_stop: asked before each frame.

    Raises:
        DataError: the file cannot be opened.
        ConfigError: rules or rates that cannot be.
    """
    timeline = Timeline(labels)
    source = open_source(path)
    assert isinstance(source, FileSource)
    network = make_network(source)
    rate = network.fps if fps is None else fps
    if rate is None:
        source.close()
        raise ConfigError(
            "the model does not say at which rate of frames it was trained: give --fps"
        )
    checked_fps(rate, "the frames of a clip divided by its seconds" if fps is None else "--fps")

    def take_event(event: Event) -> None:
        timeline.events.append(event)
        if on_event is not None:
            on_event(event)

    def take_scores(start: float, end: float, scores: np.ndarray) -> None:
        timeline.times.append(start)
        timeline.ends.append(end)
        timeline.scores.append(scores)

    run = StreamRun(
        network,
        EventDetector(labels, rules),
        Resampler(rate, longest_hold=longest_hold),
        on_event=take_event,
        on_scores=take_scores,
    )
    timeline.summary = run.run(source, should_stop)
    return timeline
