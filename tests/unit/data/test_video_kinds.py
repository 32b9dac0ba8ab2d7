# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Videos that decoders disagree about. PyAV writes and reads them in processes of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from paddletsm.data import backends, open_video
from paddletsm.data.mp4_index import Mp4Index, read_index
from paddletsm.errors import DataError
from tests.conftest import once, random_frames, write_video
from tests.unit.data.mp4_edits import edit, turn
from tests.unit.data.pyav_videos import AV1, KINDS, hashes

REPO = Path(__file__).resolve().parents[3]
SHARED_VIDEOS = ("archery.avi", "demo.mp4", "test.avi", "test.mp4")
needs_pyav = pytest.mark.skipif(
    importlib.util.find_spec("av") is None, reason="PyAV (the extra 'av') is not installed"
)
needs_decord = pytest.mark.skipif(
    importlib.util.find_spec("decord") is None, reason="decord is not installed"
)


def run_pyav(*args: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.data.pyav_videos", *args],
        cwd=REPO,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def read_pyav(*paths: Path) -> dict:
    answer = json.loads(run_pyav("read", *map(str, paths)))
    assert answer["imported"] == []
    return {Path(path).name: found for path, found in answer["hashes"].items()}


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def make(folder: Path) -> None:
        run_pyav("write", str(folder))
        turn(folder / "closed.mp4", folder / "turned.mp4")
        frame = 1024  # ticks, as FFmpeg writes 10 frames per second
        edit(folder / "closed.mp4", folder / "late.mp4", hidden=7 * frame)
        edit(folder / "closed.mp4", folder / "early.mp4", length=2000)

    return once(tmp_path_factory, "video_kinds", make)


@pytest.fixture(scope="module")
def by_pyav(kinds: Path) -> dict:
    return read_pyav(*sorted(kinds.iterdir()))


@needs_pyav
def test_pyav_is_bit_equal(shared_dir: Path) -> None:
    paths = [shared_dir / "videos" / name for name in SHARED_VIDEOS]
    by_pyav = read_pyav(*paths)
    for path in paths:
        assert by_pyav[path.name] == hashes(str(path), "opencv"), path.name


EDITED = ("turned.mp4", "late.mp4", "early.mp4", "midway.ts", "hidden.webm")


@needs_pyav
@pytest.mark.parametrize("name", [*KINDS, *EDITED])
def test_backends_agree(kinds: Path, by_pyav: dict, name: str) -> None:
    """Also behind key frames that are followed by frames shown before them."""
    path = kinds / name
    if not path.exists():
        pytest.skip("this PyAV has not the encoder")
    expected = hashes(str(path), "opencv")
    assert len(expected) > 3
    assert by_pyav[name] == expected
    if importlib.util.find_spec("decord"):
        assert hashes(str(path), "decord") == expected


@needs_pyav
@pytest.mark.parametrize("name", KINDS)
def test_frames_are_the_written_ones(kinds: Path, name: str) -> None:
    """Every frame, in the order of showing."""
    path = kinds / name
    if not path.exists():
        pytest.skip("this PyAV has not the encoder")
    _, pixels, (height, width), count, _ = KINDS[name]
    written = random_frames(count, height, width).astype(int)
    if pixels == "gray":
        written = np.rint(written @ [0.299, 0.587, 0.114])[..., None].repeat(3, -1)
    reader = open_video(path, "opencv")
    assert len(reader) == count
    frames = reader.get(range(count)).astype(int)
    assert frames.shape == written.shape
    # Rows: decoded, columns: written. Lossy codecs move pixels; other frames are far away.
    distance = np.abs(frames[:, None, ::4, ::4] - written[None, :, ::4, ::4]).mean((2, 3, 4))
    assert distance.argmin(1).tolist() == list(range(count))


@needs_pyav
def test_turned_video_is_upright(kinds: Path) -> None:
    as_stored = open_video(kinds / "closed.mp4", "opencv").get([3])[0]
    upright = open_video(kinds / "turned.mp4", "opencv").get([3])[0]
    assert np.array_equal(upright, np.rot90(as_stored, -1))


@needs_pyav
def test_frames_that_are_not_shown_do_not_count(kinds: Path, by_pyav: dict) -> None:
    """Those before the cut, behind it, and the ones of VP8 that only help to decode others."""
    whole = open_video(kinds / "closed.mp4", "opencv").get(range(60))
    for name, first, last in (("late.mp4", 7, 60), ("early.mp4", 0, 20)):
        reader = open_video(kinds / name, "opencv")
        assert np.array_equal(reader.get(range(len(reader))), whole[first:last]), name
        assert by_pyav[name][0] == f"{last - first} frames"
    assert by_pyav["hidden.webm"][0] == by_pyav["plain.webm"][0] == "40 frames"
    assert 60 * 2 // 3 - 12 < int(by_pyav["midway.ts"][0].split()[0]) < 60 * 2 // 3 + 12


@needs_pyav
def test_av1(kinds: Path, by_pyav: dict) -> None:
    """Its decoder cannot leave frames out one by one."""
    if AV1 not in by_pyav:
        pytest.skip("this PyAV has not the encoder")
    assert by_pyav[AV1][0] == "30 frames"
    assert json.loads(run_pyav("alone", str(kinds / AV1)))


@needs_pyav
@needs_decord
def test_decord_where_it_is_exact(kinds: Path) -> None:
    """It goes to key frames by their place in the file, which is not when they are shown."""
    used = {
        name: type(open_video(kinds / name, "decord")).__name__
        for name in (
            *("closed.mp4", "uneven.mp4", "turned.mp4", "bframes.mp4", "open.mkv"),
            *("late.mp4", "early.mp4"),
        )
    }
    assert used == {
        "closed.mp4": "DecordReader",
        "uneven.mp4": "DecordReader",
        "turned.mp4": "OpenCVReader",
        "bframes.mp4": "OpenCVReader",
        "open.mkv": "OpenCVReader",
        "late.mp4": "OpenCVReader",
        "early.mp4": "OpenCVReader",
    }


def test_index_of_an_mp4(tmp_path: Path, shared_dir: Path) -> None:
    path = shared_dir / "videos/demo.mp4"
    assert read_index(str(path)) == Mp4Index(keys_come_first=True, is_turned=False)
    assert read_index(str(turn(path, tmp_path / "turned.mp4"))) == Mp4Index(True, True)
    for change in ({"hidden": 512}, {"length": 9000}):
        edited = edit(path, tmp_path / "edited.mp4", **change)
        assert read_index(str(edited)) == Mp4Index(True, False, may_hide=True)
    path = write_video(tmp_path / "a.mp4", random_frames(30), codec="mp4v")
    assert read_index(str(path)) == Mp4Index(True, False)
    data = path.read_bytes()
    endless = bytearray(data)
    struct.pack_into(">I", endless, data.find(b"stts") + 12, 2**31 - 1)  # frames
    broken = (data.replace(b"mvhd", b"none"), data.replace(b"vide", b"soun"), bytes(endless))
    for content in (b"", b"\0\0\0\x08ftyp", data[: len(data) // 2], *broken):
        (tmp_path / "b.mp4").write_bytes(content)
        assert read_index(str(tmp_path / "b.mp4")) is None
    with pytest.raises(DataError, match="cannot be read"):
        read_index(str(tmp_path / "none.mp4"))


@needs_pyav
def test_truncated_for_pyav(shared_dir: Path, tmp_path: Path) -> None:
    paths = []
    for name in SHARED_VIDEOS:
        data = (shared_dir / "videos" / name).read_bytes()
        paths.append(tmp_path / f"cut_{name}")
        paths[-1].write_bytes(data[: len(data) * 3 // 5])
    (tmp_path / "text.mp4").write_text("no video\n" * 99)
    (tmp_path / "empty.avi").touch()
    found = read_pyav(*paths, tmp_path / "text.mp4", tmp_path / "empty.avi")
    for path in paths:
        assert "truncated" in found[path.name], found
        assert str(path) in found[path.name]
    assert "no decoder can open it" in found["text.mp4"]
    assert "empty" in found["empty.avi"]


def numbered(count: int, height: int, width: int) -> np.ndarray:
    """Grey frames with their number in 16 bars, which codecs cannot blur away."""
    frames = np.full((count, height, width, 3), 90, np.uint8)
    bar = width // 16
    for bit in range(16):
        is_set = (np.arange(count) >> bit & 1).astype(bool)
        frames[is_set, :, bit * bar : (bit + 1) * bar] = 230
    return frames


def number_in(frame: np.ndarray) -> int:
    bar = frame.shape[1] // 16
    bars = frame[:, : 16 * bar].reshape(frame.shape[0], 16, bar, 3)[8:-8, :, bar // 3 : -bar // 3]
    return int(((bars.mean((0, 2, 3)) > 160) << np.arange(16)).sum())


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc")
@pytest.mark.parametrize("backend", ["decord", "opencv"])
def test_long_video_in_little_memory(tmp_path: Path, backend: str) -> None:
    """Decoded as a whole it would have 370 MB."""
    if backend == "decord":
        pytest.importorskip("decord")
    count, height, width = 4000, 96, 320
    path = tmp_path / "long.mp4"
    cv2 = backends.opencv()
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 25, (width, height))
    for row in numbered(count, 1, width):
        writer.write(np.ascontiguousarray(np.broadcast_to(row, (height, width, 3))))
    writer.release()

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    open_video(path, backend).get([0])
    before = resident()
    reader = open_video(path, backend)
    wanted = [count // 16 + i * count // 8 for i in range(8)] + [count - 1, 5]
    assert [number_in(frame) for frame in reader.get(wanted)] == wanted
    assert resident() - before < 60e6
