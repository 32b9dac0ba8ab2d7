# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What is said of damaged frames, missing clips, few classes, and of the way through the clips."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from paddletsm.builders import load_config
from paddletsm.cli.prepare import main, shared
from paddletsm.prepare.frame_folders import flaw_of
from paddletsm.prepare.sources import SOURCES
from tests.conftest import REPO
from tests.unit.prepare import test_published as published


@pytest.mark.parametrize("name", ["jester", "sthv1"])
def test_damaged_frames_are_named(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mini = published.MINIATURES[name](tmp_path)
    (tmp_path / "frames/7/00003.jpg").write_bytes(b"")
    (tmp_path / "frames/7/00004.jpg").write_bytes(b"")
    assert main(published.command(name, tmp_path, mini)) == 1
    err = capsys.readouterr().err
    folder = tmp_path / "frames/7"
    assert f"unreadable: {folder}: 00003.jpg is empty (0 bytes), and 1 more of 5 frames\n" in err
    assert "1 clip unreadable; no lists are written" in err
    assert main(published.command(name, tmp_path, mini, "--allow_missing")) == 0
    listed = Path(f"data/{name}/{name}_train_list_rawframes.txt").read_text()
    assert listed == "100 4 1\n"


def test_what_a_frame_lacks(tmp_path: Path) -> None:
    published.jester(tmp_path)
    path = tmp_path / "frames/7/00001.jpg"
    whole = path.read_bytes()
    assert flaw_of(path) == ""
    path.write_bytes(whole + b"\0" * 4000)  # as some cameras do
    assert flaw_of(path) == ""
    path.write_bytes(whole[: len(whole) // 2])
    assert flaw_of(path).startswith("is cut off: its end is not in it (")
    path.write_bytes(b"<html>not found</html>")
    assert flaw_of(path) == "is no JPEG (22 bytes)"
    path.unlink()
    path.mkdir()
    assert flaw_of(path).startswith("cannot be read: Is a directory")


def test_a_missing_clip_is_named_as_the_user_knows_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Class folders may have blanks or none: what counts is the id, and where it was searched."""
    mini = published.kinetics400(tmp_path)
    (tmp_path / "videos/train/air drumming/-3B32lodo2M_000059_000069.mp4").unlink()
    assert main(published.command("kinetics400", tmp_path, mini)) == 1
    err = capsys.readouterr().err
    assert "missing: -3B32lodo2M_000059_000069 (air drumming, train)\n" in err
    videos = tmp_path / "videos"
    assert f"searched: {videos / 'train'} and {videos / 'val'}, and all folders in them" in err
    assert "air_drumming" not in err


def test_a_missing_folder_of_frames(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mini = published.jester(tmp_path)
    (tmp_path / "frames/7").rename(tmp_path / "frames/8")
    assert main(published.command("jester", tmp_path, mini)) == 1
    err = capsys.readouterr().err
    assert f"missing: 7\nsearched: {tmp_path / 'frames'}, for folders of these names\n" in err


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_the_number_of_classes_is_that_of_the_configurations(source: object) -> None:
    for file in {source.config, *source.configs.values()}:
        assert load_config(REPO / file).MODEL.head.num_classes == source.num_classes


def test_some_of_the_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mini = published.kinetics400(tmp_path)
    assert main(published.command("kinetics400", tmp_path, mini)) == 0
    shown = capsys.readouterr()
    assert "warning: Kinetics-400 has 400 classes, these annotations name 2: " in shown.err
    line = shown.out.splitlines()[-1]
    assert line == "next: python main.py -c configs/tsm_k400.yaml -o MODEL.head.num_classes=2"
    words = shlex.split(line)
    config = load_config(REPO / words[words.index("-c") + 1], [words[words.index("-o") + 1]])
    assert config.MODEL.head.num_classes == 2


def test_all_of_the_classes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mini = published.kinetics400(tmp_path)
    names = [f"class {k}" for k in range(398)]
    path = tmp_path / "annotations/train.csv"
    rows = "".join(f"{name},{k:011d},0,10,train,0\n" for k, name in enumerate(names))
    path.write_text(path.read_text() + rows)
    assert main(published.command("kinetics400", tmp_path, mini, "--allow_missing")) == 0
    shown = capsys.readouterr()
    assert "these annotations name" not in shown.err
    assert shown.out.endswith("next: python main.py -c configs/tsm_k400.yaml\n")


def test_lines_of_progress(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no terminal, one every ten seconds and one at the end."""
    now = 100.0
    monkeypatch.setattr(shared.time, "monotonic", lambda: now)
    progress = shared.Progress()
    for done in range(1, 13):
        now += 3.0
        progress(done, 12)
    assert capsys.readouterr().err == "4/12 clips, 12 s\n8/12 clips, 24 s\n12/12 clips, 36 s\n"
