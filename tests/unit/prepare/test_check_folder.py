# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Checking class folders: what lies in them unread, and how their frames are named."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import pytest

from paddletsm.cli.check import main
from tests.conftest import random_frames, write_video


def videos(*names: str) -> None:
    for number, name in enumerate(names):
        write_video(Path(name), random_frames(8, seed=number))


def frames(folder: str, pattern: str, seed: int = 0) -> None:
    Path(folder).mkdir(parents=True)
    for number, frame in enumerate(random_frames(8, seed=seed), 1):
        cv2.imwrite(f"{folder}/{pattern.format(number)}", frame)


def findings(*words: str) -> list[tuple[str, str]]:
    main([*words, "--workers", "1", "--json", "r.json"])
    return [(f["kind"], f["path"]) for f in json.loads(Path("r.json").read_text())["findings"]]


@pytest.mark.parametrize(
    ("unread", "named"),
    [
        ("data/walk/day2/c.avi", "data/walk/day2"),
        ("data/walk/day2/deeper/c.avi", "data/walk/day2"),
        ("data/c.avi", "data/c.avi"),
    ],
)
def test_clips_that_nobody_would_read_are_an_error(unread: str, named: str) -> None:
    videos("data/run/a.avi", "data/walk/b.avi", unread)
    assert findings("data") == [("unread", named)]
    assert main(["data", "--workers", "1"]) == 1


def test_clips_of_the_other_kind_are_not_read() -> None:
    videos("data/run/a.avi", "data/walk/b.avi")
    frames("data/walk/c", "img_{:05}.jpg", seed=5)
    assert findings("data") == [("unread", "data/walk/c")]
    frames("pictures/run/a", "img_{:05}.jpg")
    frames("pictures/walk/b", "img_{:05}.jpg", seed=1)
    videos("pictures/walk/c.avi")
    assert findings("pictures", "--format", "FrameDataset") == [("unread", "pictures/walk/c.avi")]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_links_to_nowhere_and_pipes_are_not_read() -> None:
    videos("data/run/a.avi", "data/walk/b.avi")
    Path("data/run/gone.avi").symlink_to("nowhere.avi")
    os.mkfifo("data/walk/pipe.mp4")
    Path("data/walk/fine.avi").symlink_to(Path("data/walk/b.avi").absolute())
    found = findings("data")
    assert found[:2] == [("unread", "data/run/gone.avi"), ("unread", "data/walk/pipe.mp4")]
    assert [kind for kind, _ in found[2:]] == ["duplicate"]


def test_other_files_are_mentioned(capsys: pytest.CaptureFixture[str]) -> None:
    videos("data/run/a.avi", "data/walk/b.avi")
    for name in ("data/run/notes.txt", "data/run/.hidden.avi", "data/README.txt"):
        Path(name).write_text("x")
    assert findings("data") == [("no_clip", "data/run/notes.txt")]
    assert main(["data", "--workers", "1"]) == 0


def test_the_names_of_frames_are_found(capsys: pytest.CaptureFixture[str]) -> None:
    for number, name in enumerate(("run/a", "run/b", "walk/c")):
        frames(f"data/{name}", "frame-{:03}.png", seed=number)
    assert findings("data") == []
    assert "frames are named frame-{:03}.png" in capsys.readouterr().out
    lines = [f"data/{name} 8 {label}" for name, label in (("run/a", 0), ("walk/c", 1))]
    Path("list.txt").write_text("gone 8 0\n" + "\n".join(lines))
    assert findings("list.txt") == [("missing", "gone")]


def test_a_folder_named_otherwise_than_the_first_is_found() -> None:
    frames("data/run/a", "f{}.png")
    frames("data/run/b", "img_{:05}.jpg", seed=1)
    frames("data/walk/c", "f{}.png", seed=2)
    assert findings("data") == [("zero_frames", "data/run/b")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--fix", "train.txt"], "would overwrite train.txt"),
        (["--json", "train.txt"], "would overwrite train.txt"),
        (["--html", "data/../train.txt"], "would overwrite train.txt"),
        (["--html", "x", "--json", "x"], "would overwrite --json x"),
        (["--fix", "train.txt/clean.txt"], "train.txt is not a folder"),
        (["--html", "train.txt/a/b.html"], "train.txt is not a folder"),
    ],
)
def test_places_that_cannot_be_written_are_told_first(
    words: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    videos("data/run/a.avi", "data/walk/b.avi")
    text = "data/run/a.avi 0\ndata/walk/b.avi 1\n"
    Path("train.txt").write_text(text)

    def decode(*args: object, **options: object) -> None:
        raise AssertionError("decoding has begun")

    monkeypatch.setattr("paddletsm.cli.check.check_data", decode)
    assert main(["train.txt", *words]) == 2
    assert message in capsys.readouterr().err
    assert Path("train.txt").read_text() == text


def test_a_video_is_no_list(capsys: pytest.CaptureFixture[str]) -> None:
    videos("clip.avi")
    assert main(["clip.avi"]) == 2
    assert "clip.avi: a video, not a list or folder of them" in capsys.readouterr().err
