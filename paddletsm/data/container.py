# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What a video file says about itself, read from a few header bytes.

Decoders disagree about a file that was cut: decord takes the frames that are left for the whole
video, OpenCV believes the header. The container's own sizes tell at the price of one small read.
"""

from __future__ import annotations

import os
import re
import stat
import struct
from dataclasses import dataclass
from typing import BinaryIO

from paddletsm.data.mp4_index import read_codecs
from paddletsm.errors import DataError
from paddletsm.utils.io import nearest_file

_MP4_FIRST_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp"}
_MAGICS = (
    (b"\x1a\x45\xdf\xa3", "mkv"),  # Matroska, WebM
    (b"FLV", "flv"),
    (b"\x30\x26\xb2\x75", "wmv"),
    (b"\x00\x00\x01\xba", "mpg"),
    (b"\x00\x00\x01\xb3", "mpg"),
    (b"\x47", "ts"),
)


_UNFINISHED = 0x7F000000
_MATROSKA_CODEC = re.compile(rb"\x86.([AVS]_[A-Z0-9/]+)", re.DOTALL)
_MATROSKA_HEAD = 1 << 16  # bytes that hold the list of tracks

NO_PICTURE = "no picture stream, only sound"
NEEDS_PYAV = (
    "AV1, for which OpenCV and decord have no decoder: it needs PyAV "
    "(pip install 'paddletsm[av]', backend auto or pyav)"
)


@dataclass(frozen=True)
class Container:
    """Facts of one file.

    Attributes:
        kind: "avi", "mp4", "mkv", ..., "unknown".
        frames: number of frames that the header declares, where a header has an exact one (AVI).
        flaw: why the file looks cut, or "".
        missing_bytes: how many bytes of frame data should follow the end of the file.
    """

    kind: str
    frames: int | None = None
    flaw: str = ""
    missing_bytes: int = 0

    @property
    def has_exact_count(self) -> bool:
        """Whether the frame count that decoders report is one of the file, not an estimate."""
        return self.kind in ("avi", "mp4")


def check_name(path: str) -> None:
    """Refuse a path that decoders, which are written in C, crash on.

    Raises:
        DataError: the name is not valid UTF-8, or holds a null byte.
    """
    try:
        is_usable = b"\0" not in path.encode()
    except UnicodeEncodeError:
        is_usable = False
    if not is_usable:
        shown = path.encode(errors="backslashreplace").decode().replace("\0", "\\0")
        raise DataError(
            f"{shown}: the name is not valid UTF-8, which decoders need; rename the file"
        )


def inspect_container(path: str) -> Container:
    """Read the header of a video file.

    Raises:
        DataError: missing, a folder, no regular file, unreadable, empty, or of a name that
            decoders crash on.
    """
    check_name(path)
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise DataError(
                f"{path}: is a folder, not a video file (a folder of frames needs "
                "'format: FrameDataset' and the decoder FrameDecoder)"
            )
        if not stat.S_ISREG(mode):  # opening a pipe waits for its writer
            raise DataError(f"{path}: is not a regular file")
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(64)
            if size == 0:
                raise DataError(f"{path}: the file is empty (0 bytes)")
            return _inspect(file, head, size)
    except FileNotFoundError as err:
        raise DataError(f"{path}: the video does not exist{nearest_file(path)}") from err
    except OSError as err:
        raise DataError(f"{path}: the video cannot be read ({err.strerror or err})") from err


def why_undecodable(path: str) -> str:
    """Tell why OpenCV and decord get no frame out of a file that is sound: NO_PICTURE, NEEDS_PYAV.

    Returns: "" where the file gives no such reason.
    """
    try:
        kind = inspect_container(path).kind
        tracks = _matroska_codecs(path) if kind == "mkv" else []
    except (DataError, OSError):
        return ""
    if kind == "mp4":
        tracks = read_codecs(path)
    pictures = [codec for track, codec in tracks if track == "vide"]
    if tracks and not pictures:
        return NO_PICTURE if any(track == "soun" for track, _ in tracks) else ""
    return NEEDS_PYAV if pictures[:1] in (["av01"], ["V_AV1"]) else ""


def _matroska_codecs(path: str) -> list[tuple[str, str]]:
    """As ``mp4_index.read_codecs``, of Matroska and WebM."""
    with open(path, "rb") as file:
        head = file.read(_MATROSKA_HEAD)
    codecs = [name.decode() for name in _MATROSKA_CODEC.findall(head)]
    kinds = {"V": "vide", "A": "soun", "S": "text"}
    return [(kinds[codec[0]], codec) for codec in codecs]


def _inspect(file: BinaryIO, head: bytes, size: int) -> Container:
    if head[:4] == b"RIFF" and head[8:11] == b"AVI":
        missing = _avi_missing(file, size)
        return Container("avi", _avi_frames(head), _cut(size, missing), missing)
    if head[4:8] in _MP4_FIRST_BOXES:
        missing, has_index = _mp4_missing(file, size)
        flaw = _cut(size, missing) if has_index else "the index (moov box) is missing"
        return Container("mp4", None, flaw, missing)
    for magic, kind in _MAGICS:
        if head.startswith(magic):
            return Container(kind)
    return Container("unknown")


def _cut(size: int, missing: int) -> str:
    return f"{size} of at least {size + missing} bytes are there" if missing else ""


def _avi_frames(head: bytes) -> int | None:
    # RIFF size "AVI " LIST size "hdrl" "avih" size, then dwTotalFrames as the fifth number.
    if head[24:28] != b"avih" or len(head) < 52:
        return None
    return struct.unpack_from("<I", head, 48)[0] or None


def _avi_missing(file: BinaryIO, size: int) -> int:
    """Walk the RIFF chunks (several in files above 1 GB); return the missing bytes of frames."""
    offset = 0
    while True:
        kind, length = _avi_chunk(file, offset)
        if kind != b"RIFF":
            return 0
        if offset + 8 + length > size:
            return _movi_missing(file, offset + 12, size)
        offset += 8 + length


def _movi_missing(file: BinaryIO, offset: int, size: int) -> int:
    """Missing bytes of the list of frames; an index behind it that was cut does no harm."""
    while offset + 8 <= size:
        kind, length = _avi_chunk(file, offset)
        if kind == b"LIST" and file.read(4) == b"movi":
            is_open = length >= _UNFINISHED  # left so by a recorder: runs to the end
            return 0 if is_open else max(0, offset + 8 + length - size)
        offset += 8 + length + length % 2
    return max(1, offset - size)


def _avi_chunk(file: BinaryIO, offset: int) -> tuple[bytes, int]:
    file.seek(offset)
    header = file.read(8)
    return struct.unpack("<4sI", header) if len(header) == 8 else (b"", 0)


def _mp4_missing(file: BinaryIO, size: int) -> tuple[int, bool]:
    """Walk the top-level boxes; return (missing bytes of the last one, whether moov is there)."""
    offset, has_index = 0, False
    while offset + 8 <= size:
        file.seek(offset)
        header = file.read(16)
        length, kind = struct.unpack_from(">I4s", header)
        if length == 1 and len(header) == 16:
            length = struct.unpack_from(">Q", header, 8)[0]
        elif length == 0:  # runs to the end of the file
            length = size - offset
        if length < 8:  # not a box: what follows the last one is ignored by players, too
            break
        has_index = has_index or (kind == b"moov" and offset + length <= size)
        offset += length
    return max(0, offset - size), has_index
