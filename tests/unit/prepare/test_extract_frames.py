# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from paddletsm.cli.prepare import main
from paddletsm.prepare.extract_frames import FrameSize, extract_all, extract_frames
from paddletsm.utils.locks import locked
from tests.conftest import REPO, random_frames, write_video
from tests.unit.data.mp4_edits import edit

FRAMES = 240


@pytest.mark.parametrize(
    ("size", "video", "stored"),
    [
        (FrameSize(), (320, 240), (320, 240)),
        (FrameSize(short_side=256), (320, 240), (341, 256)),
        (FrameSize(short_side=256), (240, 320), (256, 341)),
        (FrameSize(short_side=256), (1920, 1080), (455, 256)),
        (FrameSize(height=100), (320, 240), (133, 100)),
        (FrameSize(height=240), (240, 320), (180, 240)),
        (FrameSize(width=340, height=256), (1000, 20), (340, 256)),
        (FrameSize(height=100), (1, 4000), (1, 100)),
    ],
)
def test_sizes(size: FrameSize, video: tuple[int, int], stored: tuple[int, int]) -> None:
    assert size.of(*video) == stored


def test_resized_frames_are_those_of_the_video(tmp_path: Path) -> None:
    import cv2

    frames = random_frames(3, 64, 96)
    video = write_video(tmp_path / "a.avi", frames)
    assert extract_frames(video, tmp_path / "half", size=FrameSize(height=32)) == (3, True)
    for k, frame in enumerate(frames, 1):
        stored = cv2.imread(str(tmp_path / f"half/img_{k:05d}.jpg"))
        wanted = cv2.resize(frame, (48, 32), interpolation=cv2.INTER_AREA)[..., ::-1]
        assert stored.shape == (32, 48, 3)
        # Coded twice, with colours at half resolution: compare the brightness.
        assert np.abs((stored - wanted.astype(float)) @ [0.114, 0.587, 0.299]).mean() < 4
        with Image.open(tmp_path / f"half/img_{k:05d}.jpg") as image:
            # Of the standard's 16 at quality 95: (16 * (200 - 2 * 95) + 50) // 100; 3 at 90.
            assert image.quantization[0][0] == 2


def test_killed_in_the_middle_and_resumed(tmp_path: Path) -> None:
    """After SIGKILL every folder under its name is whole; the next run does the rest."""
    videos, lists, out = tmp_path / "videos", tmp_path / "lists", tmp_path / "out"
    frames = np.repeat(random_frames(4, 240, 320), FRAMES // 4, axis=0)
    first = write_video(videos / "clap/clap_0.avi", frames)
    for k in range(1, 4):
        shutil.copy(first, videos / f"clap/clap_{k}.avi")
    lists.mkdir()
    lines = "".join(f"clap_{k}.avi {1 + k % 2} \n" for k in range(4))
    (lists / "clap_test_split1.txt").write_text(lines)
    command = ["hmdb51", "--videos", str(videos), "--annotations", str(lists), "--out", str(out)]
    script = [sys.executable, str(REPO / "tools/prepare_data.py"), *command, "--workers", "1"]
    folder = out / "rawframes/clap"
    process = subprocess.Popen(script, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 120
        part = folder / ".clap_1.part"
        while process.poll() is None and time.monotonic() < end:
            if part.is_dir() and len(os.listdir(part)) > 5:
                break
            time.sleep(0.002)
    finally:
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    whole = [path for path in folder.iterdir() if not path.name.startswith(".")]
    assert "clap_0" in [path.name for path in whole]
    assert "clap_3" not in [path.name for path in whole]
    assert all(len(list(path.iterdir())) == FRAMES for path in whole)
    assert not list(out.glob("*.txt"))
    kept = (folder / "clap_0/img_00001.jpg").stat().st_mtime_ns
    assert main(command) == 0
    assert sorted(path.name for path in folder.iterdir()) == [f"clap_{k}" for k in range(4)]
    assert all(len(list(path.iterdir())) == FRAMES for path in folder.iterdir())
    assert (folder / "clap_0/img_00001.jpg").stat().st_mtime_ns == kept


def test_a_video_that_was_cut(tmp_path: Path) -> None:
    """Its file holds frames from before the cut; no player shows them, and none is missing."""
    whole = write_video(tmp_path / "a.mp4", random_frames(40), codec="mp4v")
    cut = edit(whole, tmp_path / "b.mp4", length=1250)  # ms, of 5 s
    assert extract_frames(cut, tmp_path / "frames") == (10, True)


def test_two_runs_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_video(tmp_path / "videos/clap_0.avi", random_frames(3))
    (tmp_path / "clap_test_split1.txt").write_text("clap_0.avi 1 \n")
    command = ["hmdb51", "--videos", "videos", "--annotations", str(tmp_path), "--out", "out"]
    with locked(tmp_path / "out/.prepare.lock", message="unused"):
        assert main(command) == 2
    assert f"process {os.getpid()} is preparing this folder" in capsys.readouterr().err


def test_what_cannot_be_written(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.avi", random_frames(3))
    (tmp_path / "out").write_text("a file where the folder should be")
    outcome = extract_all([(video, tmp_path / "out/frames")])[0]
    assert outcome.reason.endswith("cannot be written: a part of this path is a file, not a folder")
