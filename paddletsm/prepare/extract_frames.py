# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Videos into folders of JPEG frames: in parallel, and resumable."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from paddletsm.data.backends import opencv
from paddletsm.data.container import inspect_container
from paddletsm.data.video_files import may_hide
from paddletsm.errors import DataError
from paddletsm.prepare.pool import map_in_threads
from paddletsm.utils.disk import problem_of

FRAME_NAME = "img_{:05d}.jpg"
JPEG_QUALITY = 95

# Share of the stated frames that may be lacking before a file counts as damaged: containers
# overstate by a frame or two, and some state no number, so that the decoder estimates it.
_SLACK = {True: 0.05, False: 0.25}


@dataclass(frozen=True)
class FrameSize:
    """Size of stored frames; without any value they keep that of the video.

    Attributes:
        short_side: the shorter side has this many pixels; the picture keeps its shape.
        height: the height has; with ``width`` None the picture keeps its shape.
        width: with ``height``, both sides are stated, and the picture is stretched to them.
    """

    short_side: int | None = None
    height: int | None = None
    width: int | None = None

    def of(self, width: int, height: int) -> tuple[int, int]:
        """Return (width, height) of the stored frames of a video of this size, in pixels."""
        if self.width and self.height:
            return self.width, self.height
        wanted = self.short_side or self.height
        if not wanted:
            return width, height
        scale = wanted / (min(width, height) if self.short_side else height)
        return max(1, round(width * scale)), max(1, round(height * scale))


@dataclass(frozen=True)
class Extraction:
    """Outcome of one video: its number of frames, or why it failed."""

    video: Path
    folder: Path
    num_frames: int
    is_new: bool
    reason: str = ""

    def __str__(self) -> str:
        return self.reason or f"{self.folder}: {self.num_frames} frames"


def extract_all(
    jobs: Sequence[tuple[Path, Path]],
    *,
    size: FrameSize | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Extraction]:
    """Extract many videos; a broken one does not stop the others.

    Args:
        jobs: (video, folder of its frames).
        size: of the stored frames; None: that of the video.
        workers: videos at a time; None: one per usable core.
        progress: called with (videos done, videos in all).

    Returns:
        One ``Extraction`` per job, in their order.
    """

    def extract(job: tuple[Path, Path]) -> Extraction:
        video, folder = job
        try:
            num_frames, is_new = extract_frames(video, folder, size=size)
        except DataError as err:
            return Extraction(video, folder, 0, False, str(err))
        return Extraction(video, folder, num_frames, is_new)

    return map_in_threads(extract, jobs, workers=workers, progress=progress)


def extract_frames(video: Path, folder: Path, *, size: FrameSize | None = None) -> tuple[int, bool]:
    """Write all frames of a video as ``folder/img_00001.jpg`` and so on, JPEG quality 95.

    The folder appears under its name when it is complete; one that holds frames is left alone.
    Until then they lie in ``.NAME.part`` beside it, which the next attempt starts anew. Two
    processes must not write the same folder: see ``paddletsm.utils.locks``.

    Returns:
        The number of frames, and whether they were written now.

    Raises:
        DataError: missing, unreadable or truncated video; folder that cannot be written.
    """
    if folder.is_dir():
        count = sum(1 for entry in folder.iterdir() if entry.suffix == ".jpg")
        if count:
            return count, False
    scratch = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(scratch, ignore_errors=True)  # left by a process that was killed
        scratch.mkdir(parents=True)
        try:
            count = _decode(video, scratch, size or FrameSize())
            if folder.is_dir():  # empty, or holds no frames: see above
                folder.rmdir()
            scratch.rename(folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as err:
        problem = problem_of(err)
        raise DataError(f"{folder}: the frames of {video} cannot be written: {problem}") from err
    return count, True


def _decode(video: Path, folder: Path, size: FrameSize) -> int:
    cv2 = opencv()
    if not video.is_file():
        raise DataError(f"{video}: no such file")
    capture = cv2.VideoCapture(str(video), cv2.CAP_ANY, [cv2.CAP_PROP_N_THREADS, 1])
    try:
        stated = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
        count = 0
        while True:
            is_read, frame = capture.read()
            if not is_read:
                break
            count += 1
            _write_jpeg(folder / FRAME_NAME.format(count), _resize(frame, size))
    finally:
        capture.release()
    if count == 0:
        raise DataError(f"{video}: no frame can be decoded; is it a video, and complete?")
    container = inspect_container(str(video))
    is_exact = container.has_exact_count
    if may_hide(str(video), container) and not container.flaw:
        return count
    if count < stated - max(2, _SLACK[is_exact] * stated):
        raise DataError(f"{video}: only {count} of {stated} frames can be decoded; truncated?")
    return count


def _resize(frame: np.ndarray, size: FrameSize) -> np.ndarray:
    """Resize by area averaging, or linearly where the picture grows."""
    cv2 = opencv()
    height, width = frame.shape[:2]
    wanted = size.of(width, height)
    if wanted == (width, height):
        return frame
    shrinks = wanted[0] <= width and wanted[1] <= height
    return cv2.resize(frame, wanted, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _write_jpeg(path: Path, frame: np.ndarray) -> None:
    cv2 = opencv()
    _, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    path.write_bytes(data.tobytes())
