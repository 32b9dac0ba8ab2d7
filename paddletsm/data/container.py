# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What a video file says about itself, read from a few header bytes.

Decoders disagree about a file that was cut: decord takes the frames that are left for the whole
video, OpenCV believes the header. The container's own sizes tell at the price of one small read.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import BinaryIO

from paddletsm.errors import DataError

_MP4_FIRST_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp"}
_MAGICS = (
    (b"\x1a\x45\xdf\xa3", "mkv"),  # Matroska, WebM
    (b"FLV", "flv"),
    (b"\x30\x26\xb2\x75", "wmv"),
    (b"\x00\x00\x01\xba", "mpg"),
    (b"\x00\x00\x01\xb3", "mpg"),
    (b"\x47", "ts"),
)


@dataclass(frozen=True)
class Container:
    """Facts of one file.

    Attributes:
        kind: "avi", "mp4", "mkv", ..., "unknown".
        frames: number of frames that the header declares, where a header has an exact one (AVI).
        flaw: why the file looks cut, or "".
    """

    kind: str
    frames: int | None = None
    flaw: str = ""

    @property
    def has_exact_count(self) -> bool:
        """Whether the frame count that decoders report is one of the file, not an estimate."""
        return self.kind in ("avi", "mp4")


def inspect_container(path: str) -> Container:
    """Read the header of a video file.

    Raises:
        DataError: missing, a folder, unreadable or empty.
    """
    if os.path.isdir(path):
        raise DataError(
            f"{path}: is a folder, not a video file (a folder of frames needs "
            "'format: FrameDataset' and the decoder FrameDecoder)"
        )
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(64)
            if size == 0:
                raise DataError(f"{path}: the file is empty (0 bytes)")
            return _inspect(file, head, size)
    except FileNotFoundError as err:
        raise DataError(f"{path}: the video does not exist") from err
    except OSError as err:
        raise DataError(f"{path}: the video cannot be read ({err.strerror or err})") from err


def _inspect(file: BinaryIO, head: bytes, size: int) -> Container:
    if head[:4] == b"RIFF" and head[8:11] == b"AVI":
        return _inspect_avi(head, size)
    if head[4:8] in _MP4_FIRST_BOXES:
        return Container("mp4", flaw=_mp4_flaw(file, size))
    for magic, kind in _MAGICS:
        if head.startswith(magic):
            return Container(kind)
    return Container("unknown")


def _inspect_avi(head: bytes, size: int) -> Container:
    # RIFF size "AVI " LIST size "hdrl" "avih" size, then dwTotalFrames as the fifth number.
    frames = None
    if head[24:28] == b"avih" and len(head) >= 52:
        frames = struct.unpack_from("<I", head, 48)[0] or None
    stated = struct.unpack_from("<I", head, 4)[0] + 8
    flaw = f"{size} of {stated} bytes are there" if stated > size else ""
    return Container("avi", frames, flaw)


def _mp4_flaw(file: BinaryIO, size: int) -> str:
    """Walk the top-level boxes: each must end inside the file, and one must be the index."""
    offset, has_index = 0, False
    while offset + 8 <= size:
        file.seek(offset)
        header = file.read(16)
        length, kind = struct.unpack_from(">I4s", header)
        if length == 1 and len(header) == 16:
            length = struct.unpack_from(">Q", header, 8)[0]
        elif length == 0:  # runs to the end of the file
            length = size - offset
        if length < 8:
            return f"the box at byte {offset} is damaged"
        if offset + length > size:
            return f"{size} of {offset + length} bytes are there"
        has_index = has_index or kind == b"moov"
        offset += length
    return "" if has_index else "the index (moov box) is missing"
