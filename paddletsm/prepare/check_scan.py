# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Decode every entry of a data set in worker processes, and note what each holds.

The workers are the loader's own: an entry that hangs is cut off, one that kills its process is
named, and the reader is the one that training uses.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from paddletsm.data.backends import opencv
from paddletsm.data.class_folders import natural_key
from paddletsm.data.container import NEEDS_PYAV, NO_PICTURE, inspect_container
from paddletsm.data.datasets import ClipDataset
from paddletsm.data.loader import ClipLoader
from paddletsm.data.pipeline import DecoderLike
from paddletsm.data.readers import Reader, count_frames, frame_pattern_parts
from paddletsm.data.types import Clip, Sample
from paddletsm.errors import DataError
from paddletsm.utils.text import plural

THUMBNAIL_WIDTH = 160

_TOLD = {NO_PICTURE: "no_picture", NEEDS_PYAV: "no_decoder"}  # by the reader: kind of finding

_CHUNK_BYTES = 32 << 20  # of decoded frames at a time: the length of a video must not matter
_ESTIMATE_SLACK = 0.1  # durations in headers are rounded, and rates vary
_NO_PICTURE = b"-"


@dataclass(frozen=True)
class Entry:
    """What one sample turned out to hold.

    Attributes:
        split: "train", "valid" or "test".
        sample: the entry of the list or folder.
        frames: number of frames, 0 when it cannot be read.
        size: width and height in pixels, (0, 0) when it cannot be read.
        kind: what is wrong, a key of ``check_findings.KINDS``; "" for a sound entry.
        text: the same in words.
        file_hash: of the file's bytes, or of all files of a folder; "" when unreadable.
        frame_hash: of the decoded frames; "" when unreadable.
    """

    split: str
    sample: Sample
    frames: int = 0
    size: tuple[int, int] = (0, 0)
    kind: str = ""
    text: str = ""
    file_hash: str = ""
    frame_hash: str = ""


def scan(
    samples: Sequence[Sample],
    decoder: DecoderLike,
    *,
    split: str,
    workers: int,
    timeout_s: float,
    quick: int = 0,
    progress: Callable[[], None] | None = None,
) -> list[Entry]:
    """Decode all samples; a broken one does not stop the others.

    Args:
        samples: of one split; ``samples[i].id == i``.
        decoder: opens a sample, as in training.
        split: name of the split.
        workers: processes, 1 or more.
        timeout_s: limit for one sample; the process that passes it is replaced.
        quick: decode this many frames, spread over the video, instead of all; 0: all.
        progress: called after each sample.

    Returns: one ``Entry`` per sample, in their order.
    """
    entries = []
    inspection = _Inspection(decoder, quick)
    for sample, reply, failure in _run(samples, inspection, workers, timeout_s):
        if failure is not None:
            kind = "stuck" if "not read within" in failure else "crash"
            entries.append(Entry(split, sample, kind=kind, text=failure))
        else:
            details = json.loads(reply)
            details["size"] = tuple(details["size"])
            entries.append(Entry(split, sample, **details))
        if progress:
            progress()
    return entries


def thumbnails(
    samples: Sequence[Sample], decoder: DecoderLike, *, workers: int, timeout_s: float
) -> list[bytes]:
    """Return a small JPEG of each sample's middle frame; b"" where no frame can be decoded."""
    pictures = _run(samples, _Thumbnail(decoder), workers, timeout_s)
    return [b"" if failure or reply == _NO_PICTURE else reply for _, reply, failure in pictures]


def _run(
    samples: Sequence[Sample], job: _Job, workers: int, timeout_s: float
) -> Iterator[tuple[Sample, bytes, str | None]]:
    """Yield (sample, the job's reply, or why there is none) in the order of the samples."""
    if not samples:
        return
    dataset = ClipDataset(samples, job)  # which asks no more of a pipeline than to be called
    workers = min(workers, len(samples))
    with ClipLoader(dataset, num_workers=workers, timeout_s=timeout_s) as loader:
        batches = loader.iterate([i] for i in range(len(samples)))
        for sample, batch in zip(samples, batches, strict=True):
            if batch.failed:
                reason = batch.failed[0].reason
                yield sample, b"", reason.partition(f"{sample.path}: ")[2] or reason
            else:
                yield sample, batch.clips.tobytes(), None


class _Job:
    """Stands where a loader worker has its pipeline: replies to a sample with bytes."""

    def __init__(self, decoder: DecoderLike) -> None:
        self.decoder = decoder

    def __call__(self, sample: Sample, rng: np.random.Generator | None = None) -> Clip:
        """Return the reply as frames of the shape that workers send, uint8 [1,1,1,1,n]."""
        reply = np.frombuffer(self.reply(sample), np.uint8).reshape(1, 1, 1, 1, -1)
        return Clip(reply, sample.label, sample.id, np.zeros((1, 1), np.int64))

    def reply(self, sample: Sample) -> bytes:
        """Return at least one byte."""
        raise NotImplementedError


class _Inspection(_Job):
    """Decodes a sample and replies with the fields of its ``Entry`` as JSON."""

    def __init__(self, decoder: DecoderLike, quick: int) -> None:
        super().__init__(decoder)
        self._quick = quick
        self._pattern: str | None = getattr(decoder, "suffix", None)  # of the frames' names

    def reply(self, sample: Sample) -> bytes:
        return json.dumps(self._inspect(sample)).encode()

    def _inspect(self, sample: Sample) -> dict[str, object]:
        found: dict[str, object] = {"kind": "", "text": "", "size": (0, 0)}
        try:
            found["kind"], found["text"] = self._folder_problem(sample)
            if found["kind"] in ("frame_missing", "zero_frames"):
                return found
            reader = self.decoder.open(sample)
            try:
                self._decode(sample, reader, found)
            finally:
                reader.close()
        except DataError as err:
            if not found["kind"]:
                text = str(err).removeprefix(f"{sample.path}: ")
                found.update(kind=_TOLD.get(text) or _damage(sample.path), text=text)
        except _library_errors() as err:
            found.update(kind="corrupt", text=f"{type(err).__name__}: {err}")
        return found

    def _decode(self, sample: Sample, reader: Reader, found: dict[str, object]) -> None:
        count = len(reader)
        if count == 0:
            found.update(kind="zero_frames", text="the video holds no frame")
            return
        numbers = np.arange(count)
        if self._quick:
            numbers = np.unique(np.linspace(0, count - 1, self._quick).astype(np.int64))
        shape, digest = _hash_frames(reader, numbers)
        found.update(frames=count, size=(shape[1], shape[0]))
        if sample.num_frames not in (None, count) and os.path.isfile(sample.path):
            text = f"the list says {plural(sample.num_frames, 'frame')}, the video has {count}"
            found.update(kind="num_frames", text=text)
        if not found["kind"]:
            found["kind"], found["text"] = _silent_cut(sample.path, count)
        found.update(frame_hash=digest, file_hash=_hash_files(sample.path))

    def _folder_problem(self, sample: Sample) -> tuple[str, str]:
        """What the names in a folder of frames tell before any is decoded."""
        if self._pattern is None or not os.path.isdir(sample.path):
            return "", ""
        before, after = frame_pattern_parts(self._pattern)
        match = re.compile(re.escape(before) + r"(\d+)" + re.escape(after)).fullmatch
        hits = (match(name) for name in os.listdir(sample.path))
        every = {int(hit[1]) for hit in hits if hit}
        numbers = every - {0}
        if not numbers:
            like = self._pattern.format(1)
            return "zero_frames", f"no frame named like {like!r} in this folder; see --suffix"
        if 0 in every:
            first = self._pattern.format(0)
            return "from_zero", f"frames are numbered from 0, and training never reads {first}"
        last = max(numbers)
        if len(numbers) < last:
            absent = (number for number in range(1, last) if number not in numbers)
            first = [str(number) for number in itertools.islice(absent, 5)]
            more = last - len(numbers) - len(first)
            rest = f" and {more} more" if more else ""
            return "frame_missing", f"missing of {last} frames: {', '.join(first)}{rest}"
        if sample.num_frames not in (None, last):
            return "num_frames", f"the list says {sample.num_frames} frames, the folder has {last}"
        return "", ""


class _Thumbnail(_Job):
    """Replies with a small JPEG of the middle frame, or of the first one that can be had."""

    def reply(self, sample: Sample) -> bytes:
        """Return the JPEG, or what stands for none."""
        cv2 = opencv()
        try:
            frame = self._frame(sample)
            height = max(1, round(frame.shape[0] * THUMBNAIL_WIDTH / frame.shape[1]))
            small = cv2.resize(frame, (THUMBNAIL_WIDTH, height), interpolation=cv2.INTER_AREA)
            _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 80])
        except (DataError, *_library_errors()):  # the scan has named what is wrong with the file
            return _NO_PICTURE
        return data.tobytes()

    def _frame(self, sample: Sample) -> np.ndarray:
        """Return a frame, uint8 [H,W,3] BGR."""
        try:
            reader = self.decoder.open(sample)
            frame = reader.get([len(reader) // 2])[0]
            reader.close()
            return frame[..., ::-1]
        except (DataError, IndexError):
            return self._first_frame(sample.path)

    def _first_frame(self, path: str) -> np.ndarray:
        """What a damaged file begins with.

        Raises:
            DataError: nothing that can be shown.
        """
        cv2 = opencv()
        if os.path.isdir(path):
            names = sorted(os.listdir(path), key=natural_key)
            frame = cv2.imread(os.path.join(path, names[0])) if names else None
        else:
            frame = cv2.VideoCapture(path).read()[1] if os.path.isfile(path) else None
        if frame is None:
            raise DataError(f"{path}: no frame")
        return frame


def _library_errors() -> tuple[type[Exception], ...]:
    """What a damaged file makes libraries raise. All else is a bug, and must not blame a file."""
    return (OSError, MemoryError, opencv().error)


def _hash_frames(reader: Reader, numbers: np.ndarray) -> tuple[tuple[int, ...], str]:
    """Decode frames, a few at a time; return the shape of one, and a hash of all.

    Raises:
        DataError: one cannot be decoded, or is of another size.
    """
    first = reader.get(numbers[:1])
    shape = first.shape[1:]
    digest = hashlib.blake2b(f"{len(reader)} {shape}".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(first))
    step = max(1, _CHUNK_BYTES // first.nbytes)
    for start in range(1, len(numbers), step):
        frames = reader.get(numbers[start : start + step])
        if frames.shape[1:] != shape:
            raise DataError(f"frames of different size, from frame {numbers[start] + 1} on")
        digest.update(np.ascontiguousarray(frames))
    return shape, digest.hexdigest()


def _hash_files(path: str) -> str:
    """Hash of a file's bytes; of a folder, of those of its files in natural order."""
    if not os.path.exists(path):  # a decoder may take more than files
        return ""
    names = [path]
    if os.path.isdir(path):
        inside = sorted(os.listdir(path), key=natural_key)
        names = [name for name in (os.path.join(path, n) for n in inside) if os.path.isfile(name)]
    digest = hashlib.blake2b(digest_size=16)
    for name in names:
        with open(name, "rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def _damage(path: str) -> str:
    """Kind of finding for a path that could not be opened, or not be decoded to its end."""
    if not os.path.exists(path):
        return "missing"
    if os.path.isdir(path):
        return "corrupt"
    try:
        if os.path.getsize(path) == 0:
            return "zero_frames"
        container = inspect_container(path)
    except (DataError, OSError):
        return "corrupt"
    if container.flaw:
        return "truncated"
    declared, decodable = count_frames(path)
    if decodable:
        return "truncated" if decodable < declared else "corrupt"
    return "zero_frames" if declared <= 0 and container.kind != "unknown" else "corrupt"


def _silent_cut(path: str, count: int) -> tuple[str, str]:
    """Find a file that ends early and still opens: formats whose headers hold no frame count."""
    if not os.path.isfile(path):
        return "", ""
    container = inspect_container(path)
    if container.has_exact_count:
        return "", ""
    if container.kind == "mkv" and (missing := _matroska_missing(path)):
        text = f"{missing} bytes are missing at the end; {count} frames could be decoded"
        return "truncated", text
    cv2 = opencv()
    capture = cv2.VideoCapture(path, cv2.CAP_ANY, [cv2.CAP_PROP_N_THREADS, 1])
    stated = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
    if 0 < count < stated * (1 - _ESTIMATE_SLACK):
        text = f"its header promises about {stated} frames, {count} could be decoded"
        return "perhaps_truncated", text
    return "", ""


def _matroska_missing(path: str) -> int:
    """Bytes of a Matroska or WebM file that its header promises behind its end."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(4096)
    after_id = 4
    length, width = _vint(head, after_id)  # of the EBML header; the segment follows
    segment = after_id + width + length
    if head[segment : segment + 4] != b"\x18\x53\x80\x67":
        return 0
    length, width = _vint(head, segment + 4)
    is_open = length == (1 << (7 * width)) - 1  # a recorder that did not know the size
    return 0 if is_open else max(0, segment + 4 + width + length - size)


def _vint(data: bytes, offset: int) -> tuple[int, int]:
    """Read EBML's variable-length number; return (value, bytes it takes)."""
    first = data[offset] if offset < len(data) else 0
    width = 9 - first.bit_length()
    value = int.from_bytes(data[offset : offset + width], "big")
    return value & ((1 << (7 * width)) - 1), width
