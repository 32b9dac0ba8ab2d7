# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import shutil
import struct
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from paddletsm.data import Reader, Sample, backends, open_frames, open_video
from paddletsm.data.readers import READERS
from paddletsm.errors import DataError
from tests.conftest import random_frames, write_video

BACKENDS = ("decord", "opencv")
SHARED_VIDEOS = ("archery.avi", "demo.mp4", "test.avi", "test.mp4")
CUTS = (30, 50, 80, 95)


@pytest.fixture(autouse=True)
def _needs_decord(request: pytest.FixtureRequest) -> None:
    if "backend" in request.fixturenames and request.getfixturevalue("backend") == "decord":
        pytest.importorskip("decord")


def cut(source: Path, target: Path, size: int) -> Path:
    target.write_bytes(source.read_bytes()[:size])
    return target


def index_first(mp4: bytes) -> bytes:
    """Move the index (moov box) of an mp4 in front of its frames, as for streaming."""
    boxes, offset = [], 0
    while offset < len(mp4):
        length, kind = struct.unpack_from(">I4s", mp4, offset)
        boxes.append((kind, mp4[offset : offset + length]))
        offset += length
    moov = bytearray(next(data for kind, data in boxes if kind == b"moov"))
    place = moov.find(b"stco")
    while place >= 0:  # tables of absolute chunk offsets
        for i in range(struct.unpack_from(">I", moov, place + 8)[0]):
            at = place + 12 + 4 * i
            struct.pack_into(">I", moov, at, struct.unpack_from(">I", moov, at)[0] + len(moov))
        place = moov.find(b"stco", place + 1)
    first = next(i for i, (kind, _) in enumerate(boxes) if kind == b"mdat")
    parts = [data for _, data in boxes[:first]] + [bytes(moov)]
    return b"".join(parts + [data for kind, data in boxes[first:] if kind != b"moov"])


def spread(reader: Reader, count: int = 8) -> np.ndarray:
    return reader.get([(2 * i + 1) * len(reader) // (2 * count) for i in range(count)])


@pytest.mark.parametrize("name", SHARED_VIDEOS)
def test_backends_are_bit_equal(shared_dir: Path, name: str) -> None:
    pytest.importorskip("decord")
    path = shared_dir / "videos" / name
    first, second = open_video(path, "decord"), open_video(path, "opencv")
    assert type(first).__name__ == ("OpenCVReader" if name.endswith("avi") else "DecordReader")
    assert len(first) == len(second) > 100
    assert first.fps == pytest.approx(second.fps)
    numbers = [*range(0, len(first), 7), len(first) - 1]
    frames = first.get(numbers)
    assert frames.dtype == np.uint8
    assert np.array_equal(frames, second.get(numbers))
    # Or both were read with OpenCV. On a busy machine decord has given up too early.
    assert "decord" not in backends._fallback_said()


@pytest.mark.parametrize("backend", BACKENDS)
def test_frames_are_the_written_ones(mjpg: Path, backend: str) -> None:
    reader = open_video(mjpg, backend)
    assert (len(reader), reader.fps) == (16, 8.0)
    frames = reader.get(range(16))
    # RGB, in order: JPEG moves pixels of these smooth frames by 3 on average, other frames and
    # swapped channels by 50 and more.
    error = np.abs(frames.astype(int) - random_frames(16, 64, 64)).mean((1, 2, 3))
    assert error.max() < 15


@pytest.mark.parametrize("backend", BACKENDS)
def test_any_order_and_repeats(mjpg: Path, backend: str) -> None:
    every = open_video(mjpg, backend).get(range(16))
    reader = open_video(mjpg, backend)
    for numbers in ([9, 3, 3, 15, 0], [2], [0, 0, 0], [15, 14]):
        assert np.array_equal(reader.get(numbers), every[numbers])
    for numbers in ([16], [-1]):
        with pytest.raises(IndexError, match="of 16"):
            reader.get(numbers)


def test_repeats_are_decoded_once(mjpg: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = open_video(mjpg, "opencv")
    asked = []
    decode = reader._decode
    monkeypatch.setattr(reader, "_decode", lambda n: asked.append(n.tolist()) or decode(n))
    reader.get([5, 5, 1, 5])
    assert asked == [[1, 5]]


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_frame(tmp_path: Path, backend: str) -> None:
    reader = open_video(write_video(tmp_path / "one.avi", random_frames(1)), backend)
    assert len(reader) == 1
    assert reader.get([0] * 8).shape == (8, 48, 64, 3)


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_video(tmp_path: Path, backend: str) -> None:
    cases = {
        "empty.avi": (b"", "empty"),
        "text.avi": (b"not a video\n" * 99, "no decoder can open it"),
        "noise.mp4": (np.random.default_rng(0).bytes(9999), "no decoder can open it"),
        "head.avi": (b"RIFF\xff\xff\x00\x00AVI LIST", "0 frames"),
        "head.mp4": (b"\0\0\0\x08ftyp\0\0\0\x10moov", "moov box"),
    }
    for name, (data, match) in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DataError, match=match) as caught:
            open_video(tmp_path / name, backend)
        assert str(caught.value).startswith(str(tmp_path / name))
    write_video(tmp_path / "zero.avi", np.empty((0, 48, 64, 3), np.uint8))
    with pytest.raises(DataError, match=r"zero\.avi"):
        open_video(tmp_path / "zero.avi", backend)
    with pytest.raises(DataError, match=r"does not exist; did you mean '.*text.avi'"):
        open_video(tmp_path / "texd.avi", backend)
    with pytest.raises(DataError, match=r"is a folder.*FrameDataset"):
        open_video(tmp_path, backend)


def assert_truncated(path: Path, backend: str) -> str:
    start = time.monotonic()
    with pytest.raises(DataError, match="truncated") as caught:
        spread(open_video(path, backend))
    assert time.monotonic() - start < 20, "nearly a hang"  # decord's default waits minutes
    assert str(path) in str(caught.value)
    assert "could be decoded" in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", SHARED_VIDEOS)
def test_truncated_real_videos(shared_dir: Path, tmp_path: Path, name: str, backend: str) -> None:
    source = shared_dir / "videos" / name
    for percent in CUTS:
        size = source.stat().st_size * percent // 100
        message = assert_truncated(cut(source, tmp_path / name, size), backend)
        if name.endswith("avi"):
            assert f"says {131 if name == 'archery.avi' else 164} frames" in message


@pytest.mark.parametrize("backend", BACKENDS)
def test_truncated_with_index_in_front(shared_dir: Path, tmp_path: Path, backend: str) -> None:
    """Such a file still opens, and claims all of its 280 frames."""
    data = index_first((shared_dir / "videos/demo.mp4").read_bytes())
    whole = tmp_path / "whole.mp4"
    whole.write_bytes(data)
    assert len(open_video(whole, backend)) == 280
    for percent in CUTS:
        path = cut(whole, tmp_path / "cut.mp4", len(data) * percent // 100)
        assert "says 280 frames" in assert_truncated(path, backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_truncated_mjpg(mjpg: Path, tmp_path: Path, backend: str) -> None:
    data = mjpg.read_bytes()
    index = data.rfind(b"idx1")
    last_frame = data.rfind(b"00dc", 0, index)
    sizes = [len(data) * percent // 100 for percent in CUTS]
    # A JPEG without its end is filled up with grey, and no decoder complains.
    for size in (*sizes, last_frame + 8, (last_frame + index) // 2):
        message = assert_truncated(cut(mjpg, tmp_path / "cut.avi", size), backend)
        assert "says 16 frames" in message
    assert "15 could be decoded" in message
    # Without the index behind the frames the video is complete.
    whole = open_video(mjpg, backend).get(range(16))
    short = open_video(cut(mjpg, tmp_path / "cut.avi", index + 20), backend)
    assert np.array_equal(short.get(range(16)), whole)


@pytest.mark.parametrize("backend", BACKENDS)
def test_hole_in_the_middle(shared_dir: Path, tmp_path: Path, backend: str) -> None:
    """No frame of the hole is made up from its neighbours."""
    data = bytearray(index_first((shared_dir / "videos/demo.mp4").read_bytes()))
    half = len(data) // 2
    data[half : half + len(data) // 10] = bytes(len(data) // 10)
    path = tmp_path / "hole.mp4"
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"damaged video: its header says 280 frames, \d+ could"):
        spread(open_video(path, backend))


def test_turned_videos_are_upright(shared_dir: Path, tmp_path: Path) -> None:
    """Phones store a rotation; both backends follow it."""
    pytest.importorskip("decord")
    data = bytearray((shared_dir / "videos/demo.mp4").read_bytes())
    matrix = data.find(b"tkhd") + 44
    struct.pack_into(">9i", data, matrix, 0, 1 << 16, 0, -1 << 16, 0, 0, 256 << 16, 0, 1 << 30)
    path = tmp_path / "turned.mp4"
    path.write_bytes(data)
    first, second = (open_video(path, backend).get([0, 9]) for backend in BACKENDS)
    assert first.shape == (2, 340, 256, 3)
    assert np.array_equal(first, second)


needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")


@needs_linux
def test_name_that_decoders_crash_on(mjpg: Path, tmp_path: Path) -> None:
    odd = os.fsdecode(bytes(tmp_path) + b"/clip_\xff.avi")
    shutil.copy(mjpg, odd)
    folder = os.fsdecode(bytes(tmp_path) + b"/\xff")
    os.mkdir(folder)
    for make in ("VideoDecoder", "FrameDecoder"):
        decoder = READERS.build(make, {})
        for path in (odd, folder, odd + "\0"):
            with pytest.raises(DataError, match=r"not valid UTF-8.*rename") as info:
                decoder.open(Sample(path, 0, 0))
            str(info.value).encode()  # a log file can hold it
    with pytest.raises(DataError, match="not valid UTF-8"):
        open_frames(folder, num_frames=3)


@needs_linux
def test_pipes_and_devices_are_no_videos(tmp_path: Path) -> None:
    pipe = tmp_path / "clip.avi"
    os.mkfifo(pipe)
    for path in (str(pipe), "/dev/zero"):
        with pytest.raises(DataError, match="is not a regular file"):
            open_video(path)
    with pytest.raises(DataError, match="not a readable folder of frames"):
        open_frames(pipe)
    os.mkfifo(tmp_path / "img_00001.jpg")
    with pytest.raises(DataError, match="frame 1 is not a regular file"):
        open_frames(tmp_path).get([0])
