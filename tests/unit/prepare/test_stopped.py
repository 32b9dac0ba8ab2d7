# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Real signals to an extraction: it says how to go on, and goes on."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import REPO, random_frames, write_video

COUNT = 60


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """The command for one class of UCF101 with many equal videos."""
    video = write_video(tmp_path / "videos/Archery/v_Archery_g01_c000.avi", random_frames(120))
    names = [f"v_Archery_g01_c{k:03d}.avi" for k in range(COUNT)]
    for name in names[1:]:
        os.link(video, video.with_name(name))
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "classInd.txt").write_text("1 Archery\n")
    (lists / "trainlist01.txt").write_text("".join(f"Archery/{n} 1\n" for n in names[1:]))
    (lists / "testlist01.txt").write_text(f"Archery/{names[0]}\n")
    folders = ["--videos", str(tmp_path / "videos"), "--annotations", str(lists)]
    script = str(REPO / "tools/prepare_data.py")
    out = ["--out", str(tmp_path / "out"), "--workers", "1"]
    return [sys.executable, script, "ucf101", *folders, *out]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_stopped_and_continued(words: list[str], number: int, tmp_path: Path) -> None:
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    frames = tmp_path / "out/rawframes/Archery"
    end = time.monotonic() + 120
    while not (frames.is_dir() and any(p.name[0] != "." for p in frames.iterdir())):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 128 + number, err
    assert out == ""
    wanted = (
        rf"stopped(?: after \d+ of {COUNT} clips)?: the frames that are written stay, and the same "
        r"command goes on behind them\n"
    )
    assert re.search(wanted, err), err
    assert "Traceback" not in err
    done = sorted(path.name for path in frames.iterdir())
    assert 0 < len(done) < COUNT
    assert not [name for name in done if name.startswith(".")]
    again = subprocess.run(words, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    told = rf"frames of {COUNT - len(done)} videos extracted, {len(done)} were there already"
    assert re.search(told, again.stdout), again.stdout
    assert re.search(rf"^{COUNT}/{COUNT} clips, \d+ s$", again.stderr, re.MULTILINE)
