# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Videos into folders of JPEG frames: in parallel, and resumable."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from paddletsm.data.backends import opencv
from paddletsm.errors import DataError
from paddletsm.utils.threads import usable_cores

FRAME_NAME = "img_{:05d}.jpg"
JPEG_QUALITY = 95

_SLACK = 0.05  # containers overstate by a frame or two; more than this share means a damaged file


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
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Extraction]:
    """Extract many videos; a broken one does not stop the others.

    Args:
        jobs: (video, folder of its frames).
        workers: videos at a time; None: one per usable core. Threads are enough: decoding and
            encoding leave Python's lock.
        progress: called with (videos done, videos in all).

    Returns:
        One ``Extraction`` per job, in their order.
    """

    def extract(job: tuple[Path, Path]) -> Extraction:
        video, folder = job
        try:
            num_frames, is_new = extract_frames(video, folder)
        except DataError as err:
            return Extraction(video, folder, 0, False, str(err))
        return Extraction(video, folder, num_frames, is_new)

    results = []
    with ThreadPoolExecutor(workers or usable_cores()) as pool:
        try:
            for result in pool.map(extract, jobs):
                results.append(result)
                if progress:
                    progress(len(results), len(jobs))
        except BaseException:
            pool.shutdown(cancel_futures=True)  # or Ctrl-C would wait for all videos
            raise
    return results


def extract_frames(video: Path, folder: Path) -> tuple[int, bool]:
    """Write all frames of a video, at its own size, as ``folder/img_00001.jpg`` and so on.

    The folder appears under its name when it is complete; one that exists is left alone.

    Returns:
        The number of frames, and whether they were written now.

    Raises:
        DataError: missing, unreadable or truncated video; folder that cannot be written.
    """
    if folder.is_dir():
        count = sum(1 for entry in folder.iterdir() if entry.suffix == ".jpg")
        if count:
            return count, False
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
            fresh = Path(scratch) / "frames"
            fresh.mkdir()
            count = _decode(video, fresh)
            if folder.is_dir():  # empty, or holds no frames: see above
                folder.rmdir()
            fresh.rename(folder)
    except OSError as err:
        raise DataError(f"{folder}: the frames of {video} cannot be written: {err}") from err
    return count, True


def _decode(video: Path, folder: Path) -> int:
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
            _write_jpeg(folder / FRAME_NAME.format(count), frame)
    finally:
        capture.release()
    if count == 0:
        raise DataError(f"{video}: no frame can be decoded; is it a video, and complete?")
    if count < stated - max(2, _SLACK * stated):
        raise DataError(f"{video}: only {count} of {stated} frames can be decoded; truncated?")
    return count


def _write_jpeg(path: Path, frame: object) -> None:
    cv2 = opencv()
    _, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    path.write_bytes(data.tobytes())
