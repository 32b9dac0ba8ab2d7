# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Memory that loader workers write clips into, so that no clip travels through a pipe.

Anonymous files of Linux (memfd), not /dev/shm, of which containers have 64 MB. The files are made
empty before the workers start and handed down to them; they grow to the size of a batch, and are
used again as soon as nobody holds the batch. Other systems have none, and use pipes.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import weakref
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Place:
    """Where a worker may put a clip of exactly this shape and dtype.

    Attributes:
        slot: number of the shared memory.
        size: bytes that it has by now.
        offset: of the clip in bytes.
        shape: of the clip, [V,T,3,H,W].
        dtype: its name.
    """

    slot: int
    size: int
    offset: int
    shape: tuple[int, ...]
    dtype: str


class Slots:
    """The parent's shared memories.

    Args:
        count: how many batches may be in the making or in use; further ones go through pipes.

    Attributes:
        handles: file descriptors, to be inherited by workers.
    """

    def __init__(self, count: int) -> None:
        self.handles: tuple[int, ...] = ()
        if hasattr(os, "memfd_create"):
            with contextlib.suppress(OSError):
                for _ in range(count):
                    self.handles += (os.memfd_create("paddletsm-clips"),)
        self._maps: list[mmap.mmap | None] = [None] * len(self.handles)
        # Last used, first used again: as few as possible ever get memory.
        self._free = list(reversed(range(len(self.handles))))

    def take(self, shape: Sequence[int], dtype: np.dtype | str) -> tuple[int, np.ndarray] | None:
        """Return the number and the array of a free memory, or None; any thread may drop it.

        Args:
            shape: of the array; it holds what was there before.
            dtype: of its numbers.
        """
        size = math.prod(shape) * np.dtype(dtype).itemsize
        try:
            slot = self._free.pop()
        except IndexError:
            return None
        try:
            mapped = self._mapped(slot, size)
        except OSError:  # no memory left
            self._free.append(slot)
            return None
        lease = _Lease(mapped, tuple(shape), np.dtype(dtype))
        # All arrays that are made of it keep the lease alive, down to the last slice.
        weakref.finalize(lease, self._free.append, slot)
        return slot, np.asarray(lease)

    def size(self, slot: int) -> int:
        """Bytes that a memory has by now."""
        return len(self._maps[slot] or b"")

    def close(self) -> None:
        """Give the memory back as soon as nobody holds it."""
        for handle in self.handles:
            os.close(handle)
        self.handles, self._free[:] = (), []
        self._maps.clear()

    def _mapped(self, slot: int, size: int) -> mmap.mmap:
        held = self._maps[slot]
        if held is None or len(held) < size:
            os.ftruncate(self.handles[slot], size)  # grows only: workers have mapped what is there
            held = self._maps[slot] = mmap.mmap(self.handles[slot], size)
        return held


class _Lease:
    """What an array says it is made of; gone when the last array is."""

    def __init__(self, mapped: mmap.mmap, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self._whole = np.frombuffer(mapped, np.uint8)
        self.__array_interface__ = {
            "data": (self._whole.ctypes.data, False),
            "shape": shape,
            "typestr": dtype.str,
            "version": 3,
        }


class WorkerSlots:
    """A worker's view of its parent's memories.

    Args:
        handles: the inherited file descriptors.
    """

    def __init__(self, handles: Sequence[int]) -> None:
        self._handles = handles
        self._maps: dict[int, mmap.mmap] = {}

    def array(self, place: Place) -> np.ndarray:
        """Return the array of a place."""
        held = self._maps.get(place.slot)
        if held is None or len(held) < place.size:
            held = self._maps[place.slot] = mmap.mmap(self._handles[place.slot], place.size)
        count = math.prod(place.shape)
        return np.frombuffer(held, place.dtype, count, place.offset).reshape(place.shape)
