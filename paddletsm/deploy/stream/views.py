# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Frames with what was found in them: in a window, or as an MP4."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from paddletsm.data.backends import opencv
from paddletsm.deploy.predictor import Prediction
from paddletsm.deploy.stream.events import Event
from paddletsm.errors import ConfigError
from paddletsm.utils.disk import problem_of

_LONGEST_HOLD_S = 2.0  # of a frame in an MP4: a camera may be gone for hours
_ESCAPE, _WINDOW = (27, ord("q")), "paddletsm"
_GREEN, _GREY = (80, 220, 80), (200, 200, 200)


class Window:
    """A window; Esc or q closes it.

    Raises:
        ConfigError: OpenCV has no windows here.
    """

    def __init__(self) -> None:
        self._cv2 = opencv()
        try:
            self._cv2.namedWindow(_WINDOW, self._cv2.WINDOW_NORMAL)
        except self._cv2.error as err:
            raise ConfigError(
                "--show: this OpenCV cannot open a window (opencv-python-headless, or no display); "
                "use --save_video FILE.mp4, or on a desktop: pip uninstall -y "
                "opencv-python-headless && pip install opencv-python"
            ) from err

    def show(
        self, image: np.ndarray, time: float, prediction: Prediction, event: Event | None
    ) -> bool:
        """Draw a frame; False once the user has pressed Esc or q."""
        self._cv2.imshow(_WINDOW, draw(image, time, prediction, event))
        return self._cv2.waitKey(1) & 0xFF not in _ESCAPE

    def close(self) -> None:
        """Close the window."""
        self._cv2.destroyAllWindows()


class VideoFile:
    """An MP4 of the frames, at a constant rate; frames of another size are fitted to the first.

    Args:
        path: ends in .mp4.
        fps: frames of the MP4 per second. Frames that come at other times are left out or
            repeated, so that it plays as long as the source; holes are cut to two seconds.

    Raises:
        ConfigError: another suffix, or a file that cannot be written.
    """

    def __init__(self, path: str | Path, fps: float) -> None:
        self._path, self._fps = Path(path), fps
        self._writer: Any = None
        self._size = (0, 0)
        self._written = 0
        if self._path.suffix.lower() != ".mp4":
            raise ConfigError(f"--save_video {path}: the name must end in .mp4")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.open("wb").close()
        except OSError as err:
            raise ConfigError(f"--save_video {path}: cannot be written: {problem_of(err)}") from err

    def show(
        self, image: np.ndarray, time: float, prediction: Prediction, event: Event | None
    ) -> bool:
        """Write a frame as often as its time asks for."""
        cv2 = opencv()
        wanted = round(time * self._fps) + 1 - self._written
        if wanted < 1:
            return True
        picture = draw(image, time, prediction, event)
        if self._writer is None:
            height, width = picture.shape[:2]
            self._size = (width - width % 2, height - height % 2)  # the codec wants even sides
            code = cv2.VideoWriter_fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(str(self._path), code, self._fps, self._size)
            if not self._writer.isOpened():
                raise ConfigError(f"--save_video {self._path}: this OpenCV cannot write MP4")
            wanted = 1
            self._written = round(time * self._fps)
        if (picture.shape[1], picture.shape[0]) != self._size:
            picture = cv2.resize(picture, self._size)
        for _ in range(min(wanted, max(1, round(_LONGEST_HOLD_S * self._fps)))):
            self._writer.write(picture)
        self._written += wanted
        return True

    def close(self) -> None:
        """Finish the file; without a frame there is none."""
        if self._writer is None:
            self._path.unlink(missing_ok=True)
        else:
            self._writer.release()


def draw(image: np.ndarray, time: float, prediction: Prediction, event: Event | None) -> np.ndarray:
    """A frame with time, best classes and their scores, and a frame around it during an event.

    Args:
        image: uint8 [H, W, 3] RGB; not changed.
        time: seconds.
        prediction: its first three classes are written.
        event: that has begun and not ended.

    Returns:
        uint8 [H', W', 3] BGR, at least 320 pixels wide.
    """
    cv2 = opencv()
    scale = max(1, -(-320 // image.shape[1]))
    picture = cv2.resize(image[..., ::-1], None, fx=scale, fy=scale)
    size = max(0.4, picture.shape[1] / 900)
    step = int(34 * size)
    rows = list(zip(prediction.labels, prediction.scores, strict=True))[:3]
    picture[: step * (len(rows) + 1) + 6] //= 3
    cv2.putText(picture, f"{time:.1f} s", (6, step), 0, size, _GREY, 1, cv2.LINE_AA)
    for number, (label, score) in enumerate(rows, 2):
        text = f"{100 * score:3.0f} %  {label}"
        colour = _GREEN if event is not None and event.label == label else _GREY
        cv2.putText(picture, text, (6, number * step), 0, size, colour, 1, cv2.LINE_AA)
    if event is not None:
        last = (picture.shape[1] - 1, picture.shape[0] - 1)
        cv2.rectangle(picture, (0, 0), last, _GREEN, max(2, int(6 * size)))
    return picture
