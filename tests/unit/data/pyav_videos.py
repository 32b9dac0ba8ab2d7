# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""PyAV in a process of its own.

``write DIR`` makes odd videos, ``read PATH...`` tells hashes, ``alone PATH`` whether frames that
are asked for alone are those of the whole video.
"""

from __future__ import annotations

import hashlib
import json
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np

from paddletsm.data import open_video, sample_segments
from paddletsm.errors import DataError
from tests.conftest import random_frames

UNEVEN_MS = np.cumsum(np.random.default_rng(1).integers(20, 300, 40)).tolist()
# name: (codec, pixel format, size, frames, options)
KINDS = {
    "closed.mp4": ("libx264", "yuv420p", (48, 64), 60, {"g": "12", "bf": "3"}),
    "open.mkv": (
        "libx264",
        "yuv420p",
        (48, 64),
        60,
        {"x264-params": "open-gop=1:keyint=12:bframes=3"},
    ),
    "bframes.mp4": ("mpeg4", "yuv420p", (48, 64), 60, {"g": "15", "bf": "2"}),
    "bframes.avi": ("mpeg4", "yuv420p", (48, 64), 60, {"g": "15", "bf": "2"}),
    "hevc.mp4": ("libx265", "yuv420p", (64, 64), 40, {"x265-params": "keyint=12:log-level=none"}),
    "uneven.mp4": ("libx264", "yuv420p", (48, 64), 40, {}),
    "uneven.mkv": ("libx264", "yuv420p", (48, 64), 40, {}),
    "audio_first.mp4": ("libx264", "yuv420p", (48, 64), 20, {}),
    "audio_first.mkv": ("libx264", "yuv420p", (48, 64), 20, {}),
    "odd.mkv": ("ffv1", "yuv444p", (47, 63), 12, {}),
    "odd.mp4": ("libx264", "yuv444p", (47, 63), 12, {}),
    "grey.mkv": ("ffv1", "gray", (48, 64), 12, {}),
    "grey.mp4": ("libx264", "gray", (48, 64), 12, {}),
    "stream.mpg": ("mpeg2video", "yuv420p", (48, 64), 60, {"g": "12", "bf": "2"}),
    "stream.ts": ("libx264", "yuv420p", (48, 64), 60, {"g": "12", "bf": "3"}),
    "plain.webm": ("libvpx", "yuv420p", (48, 64), 40, {}),
}
AV1 = "av1.mp4"  # OpenCV and decord come without a decoder for it
_AV1_KIND = ("libsvtav1", "yuv420p", (64, 64), 30, {"preset": "12", "svtav1-params": "keyint=12"})
_TS_PACKET = 188


def numbers_of(count: int) -> list[list[int]]:
    """What is asked for, each of a fresh reader: spread, alone behind key frames, backwards."""
    alone = [[number] for number in range(0, count, max(7, count // 6))]
    return [sample_segments(count, 8).tolist(), [count - 1, 0], *alone]


def hashes(path: str, backend: str) -> list[str]:
    """Of the frames of ``numbers_of``."""
    reader = open_video(path, backend)
    count = len(reader)
    reader.close()
    found = [f"{count} frames"]
    for numbers in numbers_of(count):
        reader = open_video(path, backend)
        frames = reader.get(numbers)
        reader.close()
        found.append(hashlib.sha256(frames.tobytes()).hexdigest()[:16] + f" {frames.shape}")
    return found


def _write(path: Path) -> None:
    import av

    kind = _AV1_KIND if path.name == AV1 else KINDS[path.name]
    codec, pixels, (height, width), count, options = kind
    with av.open(str(path), "w") as out:
        audio = out.add_stream("aac", rate=8000) if "audio" in path.name else None
        video = out.add_stream(codec, rate=10, options=options)
        video.height, video.width, video.pix_fmt = height, width, pixels
        if "uneven" in path.name:
            video.codec_context.time_base = video.time_base = Fraction(1, 1000)
        if audio is not None:
            for k in range(20):
                silence = np.zeros((1, 1024), np.float32)
                sound = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
                sound.rate, sound.pts = 8000, k * 1024
                out.mux(audio.encode(sound))
            out.mux(audio.encode(None))
        for k, picture in enumerate(random_frames(count, height, width)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixels)
            if "uneven" in path.name:
                frame.pts, frame.time_base = UNEVEN_MS[k], Fraction(1, 1000)
            else:
                frame.pts, frame.time_base = k, Fraction(1, 10)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))


def _write_all(folder: Path) -> None:
    import av

    for name, (codec, *_) in {**KINDS, AV1: _AV1_KIND}.items():
        if codec in av.codecs_available:
            _write(folder / name)
    if (folder / "stream.ts").exists():  # a broadcast that somebody began to record
        data = (folder / "stream.ts").read_bytes()
        (folder / "midway.ts").write_bytes(data[len(data) // 3 // _TS_PACKET * _TS_PACKET :])
    if (folder / "plain.webm").exists():
        _add_hidden(folder / "plain.webm", folder / "hidden.webm")


def _add_hidden(source: Path, target: Path) -> None:
    """Copy a VP8 video and put frames into it that are decoded, and not shown."""
    import av

    with av.open(str(source)) as file, av.open(str(target), "w") as out:
        stream = file.streams.video[0]
        copy = out.add_stream_from_template(stream)
        for number, packet in enumerate(file.demux(stream)):
            if not packet.size:
                continue
            if number % 9 == 5:
                data = bytearray(bytes(packet))
                data[0] &= ~0x10
                hidden = av.Packet(bytes(data))
                hidden.pts = hidden.dts = packet.pts - 3
                hidden.time_base, hidden.stream = packet.time_base, copy
                out.mux(hidden)
            packet.stream = copy
            out.mux(packet)


def _is_same_alone(path: str) -> bool:
    reader = open_video(path)
    every = reader.get(range(len(reader)))
    alone = [open_video(path).get([number])[0] for number in range(len(every))]
    return np.array_equal(every, alone)


def main() -> None:
    what, *places = sys.argv[1:]
    if what == "write":
        _write_all(Path(places[0]))
        return
    if what == "alone":
        print(json.dumps(_is_same_alone(places[0])))
        return
    found = {}
    for place in places:
        try:
            found[place] = hashes(place, "pyav")
        except DataError as err:
            found[place] = f"DataError: {err}"
    heavy = sorted({"decord", "paddle"} & set(sys.modules))
    print(json.dumps({"hashes": found, "imported": heavy}))


if __name__ == "__main__":
    main()
