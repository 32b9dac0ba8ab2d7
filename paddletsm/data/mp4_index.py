# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What an mp4 file says about its frames, as far as decord gets it wrong.

Behind a key frame may follow frames that are shown before it ("open GOP", the rule in HEVC and in
MPEG-4 with B frames). decord counts them as if they came after it, and hands out frames that lie
up to several places off. Pictures that are to be turned it may return with slanted rows. Frames
that an edit list hides (a video that was cut without being encoded again starts at a key frame, and
is shown from the cut) it counts, and returns others in their place.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from paddletsm.errors import DataError

_MOST_BYTES = 256 << 20  # of an index; a day of video has less
_MOST_FRAMES = 1 << 24  # so has two days


@dataclass(frozen=True)
class Mp4Index:
    """Facts of a video track.

    Attributes:
        keys_come_first: no frame behind a key frame is shown before it.
        is_turned: players turn or mirror the picture.
        may_hide: an edit list may leave out frames that the tables count.
    """

    keys_come_first: bool
    is_turned: bool
    may_hide: bool = False


def read_index(path: str) -> Mp4Index | None:
    """Return facts of the first video track of an mp4 (mov) file, or None where there are none.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        moov = _read_moov(path)
    except OSError as err:
        raise DataError(f"{path}: the video cannot be read ({err.strerror or err})") from err
    try:
        for trak in _find(moov, b"trak"):
            tables = _tables(trak)
            if tables is not None:
                hides = _may_hide(trak, tables, _timescale(moov, b"mvhd"))
                return Mp4Index(_is_ordered(tables), _is_turned(trak), hides)
    except (struct.error, ValueError, IndexError, StopIteration):
        pass
    return None


def read_codecs(path: str) -> list[tuple[str, str]]:
    """Return (kind, codec) of each track, ("vide", "av01") say; [] where nothing can be told."""
    try:
        moov = _read_moov(path)
        found = []
        for trak in _find(moov, b"trak"):
            handler = next(_find(trak, b"mdia", b"hdlr"), memoryview(b""))
            table = next(_find(trak, b"mdia", b"minf", b"stbl", b"stsd"), memoryview(b""))
            names = (bytes(part).decode("latin-1") for part in (handler[8:12], table[12:16]))
            found.append(tuple(names))
    except (OSError, struct.error):
        return []
    return found


def _read_moov(path: str) -> memoryview:
    with open(path, "rb") as file:
        while len(header := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", header)
            size = 8
            if length == 1:
                length, size = struct.unpack(">Q", file.read(8))[0], 16
            if kind == b"moov" and length <= _MOST_BYTES:
                return memoryview(file.read(length - size))
            if length < size:  # runs to the end of the file, or is no box
                break
            file.seek(length - size, 1)
    return memoryview(b"")


def _find(data: memoryview, *path: bytes) -> Iterator[memoryview]:
    """Contents of the boxes of a path of names."""
    offset = 0
    while offset + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, offset)
        if length < 8:
            return
        if kind == path[0]:
            content = data[offset + 8 : offset + length]
            yield from _find(content, *path[1:]) if len(path) > 1 else (content,)
        offset += length


def _tables(trak: memoryview) -> dict[str, np.ndarray] | None:
    """Of a video track: durations and delays (count, value), and the numbers of key frames."""
    handler = next(_find(trak, b"mdia", b"hdlr"), memoryview(b""))
    if bytes(handler[8:12]) != b"vide":
        return None
    found = {}
    for name, columns in (("stts", 2), ("ctts", 2), ("stss", 1)):
        box = next(_find(trak, b"mdia", b"minf", b"stbl", name.encode()), None)
        if box is not None:
            rows = struct.unpack_from(">I", box, 4)[0]
            table = np.frombuffer(box, ">i4", rows * columns, 8)
            found[name] = table.reshape(rows, columns).astype(np.int64)
    return found


def _shown(tables: dict[str, np.ndarray]) -> np.ndarray:
    """When each frame is shown, in the order of the file.

    Raises:
        ValueError: no number of frames that a video has.
    """
    if max(tables[name][:, 0].sum() for name in ("stts", "ctts") if name in tables) > _MOST_FRAMES:
        raise ValueError("too many frames")
    lengths = np.repeat(tables["stts"][:, 1], tables["stts"][:, 0])
    shown = np.cumsum(lengths) - lengths
    if "ctts" in tables:
        shown = shown + np.repeat(tables["ctts"][:, 1], tables["ctts"][:, 0])[: len(lengths)]
    return shown


def _is_ordered(tables: dict[str, np.ndarray]) -> bool:
    if "ctts" not in tables or "stss" not in tables:
        return "stts" in tables  # shown as stored, or every frame is a key frame
    shown = _shown(tables)
    earliest_later = np.minimum.accumulate(shown[::-1])[::-1]
    keys = tables["stss"][:, 0] - 1
    return bool(np.all(shown[keys] == earliest_later[keys]))


def _is_turned(trak: memoryview) -> bool:
    header = next(_find(trak, b"tkhd"))
    # Version 1 has times of 8 bytes. Of the matrix the first two columns turn and scale.
    matrix = struct.unpack_from(">9i", header, 52 if header[0] == 1 else 40)
    return matrix[0] <= 0 or matrix[4] <= 0 or matrix[1] != 0 or matrix[3] != 0


def _may_hide(trak: memoryview, tables: dict[str, np.ndarray], movie_scale: int) -> bool:
    """Whether some frame lies outside of the one part of the track that is shown."""
    box = next(_find(trak, b"edts", b"elst"), None)
    if box is None or "stts" not in tables:
        return False
    is_long = box[0] == 1  # 8 bytes for times
    form, size = (">qqi", 20) if is_long else (">iii", 12)
    rows = struct.unpack_from(">I", box, 4)[0]
    edits = [struct.unpack_from(form, box, 8 + size * row)[:2] for row in range(rows)]
    parts = [(length, start) for length, start in edits if start >= 0]  # the others are pauses
    shown = _shown(tables)
    if len(parts) != 1 or not len(shown):
        return len(parts) > 1
    (length, start), scale = parts[0], _timescale(trak, b"mdia", b"mdhd")
    end = start + -(-length * scale // max(1, movie_scale)) if length else shown.max() + 1
    return bool(shown.min() < start or shown.max() >= end)


def _timescale(data: memoryview, *path: bytes) -> int:
    """Ticks of a second, of a movie header or a media header."""
    header = next(_find(data, *path))
    return struct.unpack_from(">I", header, 20 if header[0] == 1 else 12)[0]
