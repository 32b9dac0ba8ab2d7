# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Streams and timelines destroy no input, and tell what is wrong with one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from paddletsm.cli import predict as predict_command
from paddletsm.cli import stream as stream_command
from tests.conftest import random_frames, write_video
from tests.unit.deploy.conftest import make_model
from tests.unit.deploy.stream.test_sources import cut_index
from tests.unit.deploy.test_online_export import export

LINKS = [lambda one, two: None, os.symlink, os.link]


@pytest.fixture(scope="module")
def online_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Expects 8 frames per second."""
    return export(make_model(shift_mode="online"), tmp_path_factory.mktemp("m") / "online")


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Two seconds at 8 frames per second."""
    return write_video(tmp_path / "a.mp4", random_frames(16), codec="mp4v")


@pytest.mark.parametrize("link", LINKS, ids=["itself", "symlink", "hard link"])
@pytest.mark.parametrize(("option", "suffix"), [("--save_video", ".mp4"), ("--output", ".csv")])
def test_a_stream_does_not_overwrite_its_input(
    video: Path,
    option: str,
    suffix: str,
    link: Callable[[Path, Path], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Refused before the model, which is not there, is looked for."""
    path = video.rename(video.with_suffix(suffix))
    before = path.read_bytes()
    link(path, path.parent / f"b{suffix}")
    other = next((each for each in path.parent.iterdir() if each != path), path)
    for source, target in ((path, other), (other, path)):
        words = ["--model_dir", "none", "-i", str(source), option, str(target)]
        assert stream_command.main(words) == 2
        assert f"{option} {target}: would overwrite" in capsys.readouterr().err
        assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["a.jsonl", "a.png", "list.csv"])
def test_a_timeline_does_not_overwrite_its_inputs(
    online_dir: Path, video: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither a video of such a name, nor the list that names the videos."""
    folder = video.parent
    words = ["--model_dir", str(online_dir), "--timeline", str(folder)]
    if name == "list.csv":
        video = video.rename(folder / "list.mp4")
        (folder / name).write_text(f"{video}\n")
        words += ["-i", str(folder / name), "--timeline_format", "csv"]
    else:
        shutil.copy(video, folder / "real.mp4")
        (folder / name).symlink_to(folder / "real.mp4")
        words += ["-i", str(video), str(folder / "real.mp4")]
    before = (folder / name).read_bytes()
    assert predict_command.main(words) == 2
    assert f"--timeline {folder / name}: would overwrite" in capsys.readouterr().err
    assert (folder / name).read_bytes() == before


@pytest.mark.parametrize(
    ("make", "code", "message"),
    [
        (cut_index, 1, "truncated video: 0 frames could be decoded (the index (moov box)"),
        (lambda path: path.touch(), 1, "the file is empty (0 bytes)"),
        (lambda path: path.write_bytes(b"no video " * 99), 2, "not a video"),
    ],
)
def test_what_cannot_be_opened_is_told_alike(
    online_dir: Path,
    tmp_path: Path,
    make: Callable[[Path], object],
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "bad.mp4"
    make(path)
    model = ["--model_dir", str(online_dir), "-i", str(path)]
    assert stream_command.main(model) == code
    assert message in capsys.readouterr().err
    out = tmp_path / "t"
    assert predict_command.main([*model, "--timeline", str(out)]) == 1
    assert message in capsys.readouterr().err
    assert list(out.iterdir()) == []


def test_unknown_schemes_are_refused_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert stream_command.main(["--model_dir", "none", "-i", "ftp://x"]) == 2
    assert "ftp:// cannot be read" in capsys.readouterr().err


def test_a_rate_above_the_source_holds_frames(
    online_dir: Path, video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    always = ["--threshold", "0.01", "--release", "0.005", "--smooth", "1"]
    words = ["--model_dir", str(online_dir), "-i", str(video), "--fps", "80", *always]
    assert stream_command.main(words) == 0
    printed = capsys.readouterr()
    assert "151 seen by the network" in printed.err
    assert printed.err.count("frames are held") == 1
    assert "begins anew" not in printed.err
    assert printed.out.count("\n") >= 1
