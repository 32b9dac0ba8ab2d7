# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Video files through PyAV.

Where the container tells when each frame is shown, only what leads to a frame that is asked for
is decoded: from the key frame before it, and without the frames that no other one refers to.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

from paddletsm.data import backends
from paddletsm.data.reader import Reader
from paddletsm.data.video_files import read_otherwise

_THREADS_SINCE = 17
_VP8_SHOWN = 0x10  # of a frame's first byte


class PyAVReader(Reader):
    """Video file through PyAV; give it back with ``close``.

    Attributes:
        is_exact: its frames can be counted and found. Else the file is one for OpenCV.
    """

    backend = "pyav"

    def __init__(self, path: str, module: ModuleType) -> None:
        self.path = path
        self._errors = backends.decoder_errors(module)
        # PyAV 17 and newer start threads for each picture that changes its colour space; older
        # ones use one and do not know the option.
        major = int(module.__version__.partition(".")[0])
        self._one_thread = {"threads": 1} if major >= _THREADS_SINCE else {}
        self._file: Any = module.open(path)
        if not self._file.streams.video:
            raise ValueError(f"{path}: holds no video")
        self._stream = self._file.streams.video[0]
        self._codec = self._stream.codec_context
        self._codec.thread_count = 1  # as many workers as cores are busy already
        # Decoders of other libraries (AV1) read only once, as they begin, what they may leave out.
        self._may_skip = not self._codec.name.startswith("lib")
        self.fps = float(self._stream.average_rate or 0.0)
        self._list_frames()

    def _list_frames(self) -> None:
        """Read through the packets, without decoding, for number and times of the frames."""
        times, keys, every = [], [], []
        for packet in self._demux():
            if not packet.size:  # the last one is empty
                continue
            every.append(packet.pts)
            keys += [packet.pts] if packet.is_keyframe else []
            times += [packet.pts] if self._is_shown(packet) else []
        self._count = len(times)
        self._times: np.ndarray | None = None
        # AVI does not say when a frame is shown; there frames are counted as they come.
        is_timed = self._file.format.name != "avi" and None not in every
        if is_timed and len(set(times)) == len(times):
            self._times = np.array(sorted(times), np.int64)
            self._keys = np.array(sorted(keys), np.int64)
        # What is shown before the first key frame may not be decodable (a broadcast that was cut).
        # In a program stream packets are found again neither by time nor by place.
        is_whole = self._times is None or (bool(keys) and min(keys) == min(every))
        self.is_exact = is_whole and self._file.format.name != "mpeg"

    def _is_shown(self, packet: Any) -> bool:
        """Whether a packet is a frame of the video; edit lists hide some, and VP8 has others."""
        if self._codec.name == "vp8" and not memoryview(packet)[0] & _VP8_SHOWN:
            return False
        return not packet.is_discard

    def __len__(self) -> int:
        return self._count

    def _demux(self) -> Iterator[Any]:
        try:
            yield from self._file.demux(self._stream)
        except self._errors:  # the packets end early: what is missing is missed by number
            return

    def _decode(self, numbers: np.ndarray) -> np.ndarray:
        try:
            with self._seeking():
                is_timed = self._times is not None
                found = self._by_time(numbers) if is_timed else self._in_order(numbers)
        except self._errors as err:
            return read_otherwise(self.path, len(self), numbers, backend="pyav", cause=err)
        if any(number not in found for number in numbers.tolist()):
            return read_otherwise(self.path, len(self), numbers, backend="pyav", cause=None)
        return np.stack([found[number] for number in numbers.tolist()])

    def _in_order(self, numbers: np.ndarray) -> dict[int, np.ndarray]:
        """Decode from the start and count."""
        self._file.seek(0, stream=self._stream)
        self._codec.skip_frame = "DEFAULT"
        wanted, found = set(numbers.tolist()), {}
        number = 0
        for packet in self._demux():
            for frame in packet.decode():
                if number in wanted:
                    found[number] = self._pixels(frame)
                number += 1
            if len(found) == len(wanted):
                break
        return found

    def _by_time(self, numbers: np.ndarray) -> dict[int, np.ndarray]:
        """Decode, for each key frame that leads to wanted frames, from there to the last of them.

        Frames that share a key frame are read in one go.
        """
        times = self._times[numbers]
        before = np.searchsorted(self._keys, times, side="right") - 1
        found: dict[int, np.ndarray] = {}
        for key in np.unique(before):
            mine = before == key
            group = dict(zip(times[mine].tolist(), numbers[mine].tolist(), strict=True))
            start = int(self._keys[key]) if key >= 0 else None
            if not self._run(start, group, found):
                self._run(None, group, found)
        return found

    def _run(self, start: int | None, wanted: dict[int, int], found: dict[int, np.ndarray]) -> bool:
        """Decode from a key frame (None: from the first packet) until all wanted ones are there.

        Args:
            start: time of the key frame.
            wanted: time of a frame to its number.
            found: takes the frames by number.

        Returns: False when the container does not go to that key frame.
        """
        self._file.seek(0 if start is None else start, stream=self._stream)
        left = len(wanted)
        for place, packet in enumerate(self._demux()):
            if place == 0 and start is not None and packet.pts != start:
                return False
            # Frames that no other refers to are decoded only when they are wanted themselves.
            is_needed = packet.pts in wanted or not self._may_skip
            self._codec.skip_frame = "DEFAULT" if is_needed else "NONREF"
            for frame in packet.decode():
                number = wanted.get(frame.pts)
                if number is not None and not frame.is_corrupt:
                    found[number] = self._pixels(frame)
                    left -= 1
            if not left:
                break
        return True

    def _pixels(self, frame: Any) -> np.ndarray:
        """RGB pixels, upright: phones store a rotation (degrees, counter-clockwise)."""
        start = time.perf_counter()
        image = frame.to_ndarray(format="rgb24", **self._one_thread)
        self.seek_ms -= 1e3 * (time.perf_counter() - start)  # it is called while seeking
        return np.rot90(image, round(frame.rotation / 90)) if frame.rotation else image

    def close(self) -> None:
        """Free the decoder."""
        self._file.close()
