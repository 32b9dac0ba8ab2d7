# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What is changed in an mp4 file without encoding it again."""

from __future__ import annotations

import struct
from pathlib import Path


def turn(source: Path, target: Path) -> Path:
    """Copy an mp4 and have players turn it by 90 degrees, as phones do."""
    data = bytearray(source.read_bytes())
    matrix = data.find(b"tkhd") + 44
    struct.pack_into(">9i", data, matrix, 0, 1 << 16, 0, -1 << 16, 0, 0, 64 << 16, 0, 1 << 30)
    target.write_bytes(data)
    return target


def edit(source: Path, target: Path, *, hidden: int = 0, length: int | None = None) -> Path:
    """Copy an mp4 and have players begin later (ticks of the track), or end early (ms).

    That is how a video is cut without being encoded again.
    """
    data = bytearray(source.read_bytes())
    place = data.find(b"elst") + 12
    stated, start = struct.unpack_from(">ii", data, place)
    struct.pack_into(">ii", data, place, length or stated, start + hidden)
    target.write_bytes(data)
    return target
