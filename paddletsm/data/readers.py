# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Video files and folders of frames behind one interface: RGB uint8 frames by number."""

from __future__ import annotations

import os

from paddletsm.data import backends
from paddletsm.data.container import check_name, inspect_container, why_undecodable
from paddletsm.data.frame_files import FRAME_PATTERN, FrameFolderReader, frame_pattern_parts
from paddletsm.data.mp4_index import read_index
from paddletsm.data.reader import Reader
from paddletsm.data.types import Sample
from paddletsm.data.video_files import DecordReader, OpenCVReader, count_frames, refuse_truncated
from paddletsm.data.video_pyav import PyAVReader
from paddletsm.registry import Registry
from paddletsm.utils.text import listing, nearest

__all__ = [
    "FRAME_PATTERN",
    "READERS",
    "VIDEO_BACKENDS",
    "FrameDecoder",
    "Reader",
    "VideoDecoder",
    "count_frames",
    "frame_pattern_parts",
    "open_frames",
    "open_video",
]

READERS = Registry("decoder")

VIDEO_BACKENDS = ("auto", "decord", "opencv", "pyav")


def open_video(path: str | os.PathLike[str], backend: str = "auto") -> Reader:
    """Open a video file.

    Args:
        path: the file.
        backend: "auto" (the fastest that this process can use: PyAV, else decord, else OpenCV,
            see ``backends.automatic``), "decord" (OpenCV for all but MP4, and where decord is not
            installed, cannot open the file, or would not find the right frames), "opencv" or
            "pyav". All give the same frames.

    Raises:
        DataError: missing, empty, not a video, or truncated; the message names the path and,
            for a truncated one, how many frames could be decoded. Also when the backend is not
            installed, or cannot be used beside what this process has imported.
    """
    name = os.fspath(path)
    container = inspect_container(name)
    if container.flaw:
        refuse_truncated(name, container)
    # The others print lines of their own on stderr for what is no video at all; OpenCV does not.
    reader = None if container.kind == "unknown" else _open_with(name, container.kind, backend)
    if reader is None:
        return OpenCVReader(name, container)
    if container.frames is not None and container.frames > len(reader):
        refuse_truncated(name, container)
    return reader


def open_frames(
    path: str | os.PathLike[str], pattern: str = FRAME_PATTERN, num_frames: int | None = None
) -> Reader:
    """Open a folder of frames; ``num_frames`` None counts the files.

    Raises:
        DataError: missing folder, no file that matches the pattern, or a name that decoders
            crash on.
    """
    name = os.fspath(path)
    check_name(name)
    return FrameFolderReader(name, pattern, num_frames)


def _is_exact(reader: DecordReader | PyAVReader) -> bool:
    """Whether the frames will be those that are asked for; of decord in mp4: see ``mp4_index``."""
    if isinstance(reader, PyAVReader):
        return reader.is_exact
    index = read_index(reader.path)
    if index is None or index.is_turned or index.may_hide:
        return False
    return index.keys_come_first or reader.num_keys <= 1  # or all is decoded from the start


def _open_with(path: str, kind: str, backend: str) -> Reader | None:
    """Open with decord or PyAV; None where OpenCV has to do it."""
    if backend == "auto":
        backend = backends.automatic()
    # decord is slow in AVI, and what it makes of other files can be checked in mp4 alone.
    if backend == "opencv" or (backend == "decord" and kind != "mp4"):
        return None
    make = {"decord": DecordReader, "pyav": PyAVReader}[backend]
    module = backends.pyav() if backend == "pyav" else backends.decord()
    if module is None:
        return None
    try:
        reader = make(path, module)
        if not _is_exact(reader):
            reader.close()
            return None
        return reader
    except backends.decoder_errors(module):
        if not why_undecodable(path):  # what OpenCV does not read either, it says itself
            backends.say_fallback(path, backend)
        return None


def _check_backend(backend: str) -> str:
    name = {"cv2": "opencv"}.get(backend, backend)  # PaddleVideo's name
    if name not in VIDEO_BACKENDS:
        raise ValueError(
            f"backend {backend!r}{nearest(str(backend), VIDEO_BACKENDS)} "
            f"(known: {listing(VIDEO_BACKENDS)})"
        )
    if name == "pyav" and not backends.has_pyav():
        raise ValueError(f"backend 'pyav': {backends.NO_PYAV}")
    return name


def _other_backend(backend: str) -> str:
    """The one to try when a decoder hangs or crashes on a file."""
    return "decord" if backend == "opencv" else "opencv"


@READERS.register
class VideoDecoder:
    """Opens video files.

    Args:
        backend: "auto" (PyAV where it is installed, else decord, else OpenCV; each process chooses
            for itself), "decord", "opencv" ("cv2" means the same) or "pyav" (the extra ``av``).
    """

    def __init__(self, backend: str = "auto") -> None:
        self.backend = _check_backend(backend)

    def open(self, sample: Sample) -> Reader:
        """Open the video of a sample; see ``open_video``."""
        return open_video(sample.path, self.backend)

    def alternative(self, sample: Sample) -> VideoDecoder | None:
        """What reads the sample when this decoder hangs or crashes on it."""
        return VideoDecoder(_other_backend(self.backend))


@READERS.register
class FrameDecoder:
    """Opens folders of frames, and video files where a sample is one.

    Args:
        suffix: name of the images with their number, from 1.
        backend: how a video file is read, see ``VideoDecoder``: a model that was trained on
            frames can predict on videos.
    """

    def __init__(self, suffix: str = FRAME_PATTERN, backend: str = "auto") -> None:
        frame_pattern_parts(suffix)
        self.suffix = suffix
        self.backend = _check_backend(backend)

    def open(self, sample: Sample) -> Reader:
        """Open the frames of a sample; see ``open_frames``."""
        if os.path.isfile(sample.path):
            return open_video(sample.path, self.backend)
        return open_frames(sample.path, self.suffix, sample.num_frames)

    def alternative(self, sample: Sample) -> VideoDecoder | None:
        """What reads a video file when this decoder hangs or crashes on it; images have none."""
        if os.path.isfile(sample.path):
            return VideoDecoder(_other_backend(self.backend))
        return None
