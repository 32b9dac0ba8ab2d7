# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What an mp4 file says about its frames, as far as decord gets it wrong.

Behind a key frame may follow frames that are shown before it ("open GOP", the rule in HEVC and in
MPEG-4 with B frames). decord counts them as if they came after it, and hands out frames that lie
up to several places off. Pictures that are to be turned it may return with slanted rows.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from paddletsm.errors import DataError

_MOST_BYTES = 256 << 20  # of an index; a day of video has less


@dataclass(frozen=True)
class Mp4Index:
    """Facts of a video track.

    Attributes:
        keys_come_first: no frame behind a key frame is shown before it.
        is_turned: players turn or mirror the picture.
    """

    keys_come_first: bool
    is_turned: bool


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
                return Mp4Index(_is_ordered(tables), _is_turned(trak))
    except (struct.error, ValueError, IndexError):
        pass
    return None


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


def _is_ordered(tables: dict[str, np.ndarray]) -> bool:
    if "ctts" not in tables or "stss" not in tables:
        return "stts" in tables  # shown as stored, or every frame is a key frame
    lengths = np.repeat(tables["stts"][:, 1], tables["stts"][:, 0])
    delays = np.repeat(tables["ctts"][:, 1], tables["ctts"][:, 0])
    shown = np.cumsum(lengths) - lengths + delays[: len(lengths)]
    earliest_later = np.minimum.accumulate(shown[::-1])[::-1]
    keys = tables["stss"][:, 0] - 1
    return bool(np.all(shown[keys] == earliest_later[keys]))


def _is_turned(trak: memoryview) -> bool:
    header = next(_find(trak, b"tkhd"))
    # Version 1 has times of 8 bytes. Of the matrix the first two columns turn and scale.
    matrix = struct.unpack_from(">9i", header, 52 if header[0] == 1 else 40)
    return matrix[0] <= 0 or matrix[4] <= 0 or matrix[1] != 0 or matrix[3] != 0
