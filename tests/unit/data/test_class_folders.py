# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Folders with a sub-folder per class: their clips, and what lies in them unread."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from paddletsm.data import load_index
from paddletsm.errors import DataError

needs_links = pytest.mark.skipif(os.name == "nt", reason="links need rights there")


def make_folder(root: Path, names: list[str]) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def test_class_folders(tmp_path: Path) -> None:
    root = make_folder(
        tmp_path / "videos",
        [
            "class10/v2.AVI",
            "class10/v10.mp4",
            "class10/notes.txt",
            "class2/a b.webm",
            ".cache/x.avi",
        ],
    )
    index = load_index(root, num_classes=2)
    assert index.class_names == ("class2", "class10")
    assert [(Path(s.path).name, s.label, s.id) for s in index.samples] == [
        ("a b.webm", 0, 0),
        ("v2.AVI", 1, 1),
        ("v10.mp4", 1, 2),
    ]
    with pytest.raises(DataError, match="2 class folders, but num_classes is 3"):
        load_index(root, num_classes=3)


def test_class_folders_of_another_split(tmp_path: Path) -> None:
    """A validation folder without one of the classes must not renumber the others."""
    root = make_folder(tmp_path / "valid", ["walk/a.avi"])
    index = load_index(root, class_names=["run", "walk"], num_classes=2)
    assert [s.label for s in index.samples] == [1]
    assert index.class_names == ("run", "walk")
    with pytest.raises(DataError, match="'walk' is no class of the training set; did you mean"):
        load_index(root, class_names=["run", "walks"])


def test_class_folders_of_frames(tmp_path: Path) -> None:
    names = ["run/v1/img_00001.jpg", "run/v2/img_00001.jpg", "walk/v3/img_00001.jpg"]
    root = make_folder(tmp_path / "frames", names)
    index = load_index(root, format="FrameDataset")
    assert [(Path(s.path).name, s.label) for s in index.samples] == [
        ("v1", 0),
        ("v2", 0),
        ("v3", 1),
    ]
    with pytest.raises(DataError, match="no videos in its 2 class folders"):
        load_index(root)


def test_folder_without_classes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no sub-folders"):
        load_index(make_folder(tmp_path / "flat", ["a.avi"]))


def test_class_folders_give_one_label_in_a_multi_label_data_set(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "clip.avi").touch()
    samples = load_index(tmp_path, multi_label=True).samples
    assert [sample.labels for sample in samples] == [(0,), (1,)]


UNREAD = [  # format, what else is there, how many clips, the first of them, why
    ("VideoDataset", ["walk/day1/c.avi"], 1, "walk/day1/c.avi", "one level too deep"),
    ("VideoDataset", ["walk/d/e/c.avi", "walk/d/f.MP4"], 2, "walk/d/", "one level too deep"),
    ("VideoDataset", ["run/c/img_1.jpg", "walk/d/e.avi"], 2, "run/c", "frames among videos"),
    ("VideoDataset", ["c.avi"], 1, "c.avi", "beside the class folders"),
    ("FrameDataset", ["walk/c.avi"], 1, "walk/c.avi", "a video among folders of frames"),
    ("FrameDataset", ["c.avi"], 1, "c.avi", "beside the class folders"),
]


@pytest.mark.parametrize(("form", "others", "count", "first", "reason"), UNREAD)
def test_clips_that_are_not_read_are_said_once(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    form: str,
    others: list[str],
    count: int,
    first: str,
    reason: str,
) -> None:
    """One warning of the whole folder, and what to do; the clips that are read stay the same."""
    clips = ["run/a.avi", "walk/b.avi"]
    if form == "FrameDataset":
        clips = [name.replace(".avi", "/img_00001.jpg") for name in clips]
    root = make_folder(tmp_path / "clips", clips)
    before = load_index(root, format=form)
    assert not caplog.records
    make_folder(root, others)
    for _ in range(2):
        assert load_index(root, format=form) == before
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    text = record.getMessage()
    noun = "clip is" if count == 1 else "clips are"
    assert text.startswith(f"{root}: {count} {noun} not read")
    assert f"{root / first}" in text
    assert reason in text
    assert f"tools/check_data.py {root}" in text


@needs_links
@pytest.mark.parametrize("form", ["VideoDataset", "FrameDataset"])
def test_links_to_nowhere_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, form: str
) -> None:
    clips = ["run/a", "walk/b"] if form == "FrameDataset" else ["run/a.avi", "walk/b.avi"]
    root = make_folder(
        tmp_path / "clips", [name + "/i.jpg" if "." not in name else name for name in clips]
    )
    (root / "walk" / ("gone" if form == "FrameDataset" else "gone.avi")).symlink_to("nowhere")
    (root / "walk" / "notes.txt").touch()
    (root / "walk" / ".hidden.avi").touch()
    assert len(load_index(root, format=form).samples) == 2
    (record,) = caplog.records
    assert "1 clip is not read" in record.getMessage()
    assert "a link to nowhere" in record.getMessage()


def test_who_reports_them_is_not_warned(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = make_folder(tmp_path / "clips", ["run/a.avi", "walk/b.avi", "walk/day1/c.avi"])
    assert len(load_index(root, is_reported=True).samples) == 2
    assert not caplog.records
