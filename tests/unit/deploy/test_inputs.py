# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What a user names becomes a fixed list of clips."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from paddletsm.deploy import Prediction
from paddletsm.deploy.inputs import Named, collect_inputs, collect_named
from paddletsm.deploy.results import as_text
from paddletsm.errors import DataError


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """clips/{b.avi, notes.md, a/{x 1.MP4, y.mkv}, frames/{img_00001.jpg}}, and it is the cwd."""
    names = ("b.avi", "notes.md", "a/x 1.MP4", "a/y.mkv", "frames/img_00001.jpg")
    for name in names:
        path = tmp_path / "clips" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("names", "takes_frames", "expected"),
    [
        (["clips/b.avi"], False, ["clips/b.avi"]),
        (["clips"], False, ["clips/b.avi", "clips/a/x 1.MP4", "clips/a/y.mkv"]),
        (["clips"], True, ["clips/b.avi", "clips/a/x 1.MP4", "clips/a/y.mkv", "clips/frames"]),
        (["clips/frames"], True, ["clips/frames"]),
        (["clips/*.avi"], False, ["clips/b.avi"]),
        (["clips/a/*"], False, ["clips/a/x 1.MP4", "clips/a/y.mkv"]),
        (["clips/**/*.mkv"], False, ["clips/a/y.mkv"]),
        (["clips/b.avi", "gone.avi"], False, ["clips/b.avi", "gone.avi"]),
        (["clips/a/y.mkv", "clips/b.avi"], False, ["clips/a/y.mkv", "clips/b.avi"]),
    ],
)
def test_files_folders_and_patterns(
    tree: Path, names: list[str], takes_frames: bool, expected: list[str]
) -> None:
    assert collect_inputs(names, takes_frames=takes_frames) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("clips/b.avi", "clips/b.avi"),
        ("clips/b.avi 3", "clips/b.avi"),
        ("clips/b.avi 120 3", "clips/b.avi"),
        ("clips/a/x 1.MP4", "clips/a/x 1.MP4"),
        ("'clips/a/x 1.MP4' 3", "clips/a/x 1.MP4"),
        ("clips/a/x 1.MP4\t3", "clips/a/x 1.MP4"),
        ("clips/a/x 1.MP4,3", "clips/a/x 1.MP4"),
        ('"clips/a/x 1.MP4", 3', "clips/a/x 1.MP4"),
        ("gone.avi 3", "gone.avi"),
    ],
)
def test_lines_of_a_list(tree: Path, line: str, expected: str) -> None:
    for name in ("clips.txt", "clips.list", "clips.csv"):
        Path(name).write_text(f"{line}\nclips/b.avi\n")
        assert collect_inputs([name]) == [expected, "clips/b.avi"]


def test_listed_paths_may_start_from_the_folder_of_the_list(tree: Path) -> None:
    Path("clips/all.txt").write_text("a/y.mkv 0\n")
    assert collect_inputs(["clips/all.txt"]) == ["clips/a/y.mkv"]


def test_a_path_that_means_two_files_is_that_of_the_current_folder(
    tree: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("paddletsm"), "propagate", True)
    (tree / "b.avi").touch()
    Path("clips/all.txt").write_text("b.avi 0\na/y.mkv 0\n")
    assert collect_inputs(["clips/all.txt"]) == ["b.avi", "clips/a/y.mkv"]
    (said,) = {record.getMessage() for record in caplog.records}
    assert "clips/all.txt: 1 path, the first 'b.avi', exist" in said
    caplog.clear()
    Path("list.txt").write_text("clips/b.avi 0\n")
    assert collect_inputs(["list.txt", str(tree / "list.txt")]) == ["clips/b.avi"] * 2
    assert not caplog.records


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"path,label\nclips/b.avi,3\n", r"bad\.txt:1: 'path,label' is no file; a line of titles"),
        (b"Video_Name label\nclips/b.avi 3\n", r"bad\.txt:1: .*a line of titles"),
        (b"path,error,label1,id1,score1\nclips/b.avi,,a,1,1\n", r"bad\.txt:1: .* holds results of"),
        (b"clips/b.avi\n# the rest\n", r"bad\.txt:2: '# the rest' is no file; a comment\?"),
        (b"", r"bad\.txt: the list is empty"),
        (b"clips/b.avi\n\nclips/b.avi\n", r"bad\.txt:2: blank line"),
        (b"'clips/b.avi 3\n", r"bad\.txt:1: No closing quotation"),
        (b"\xff\xfe\xff\n", r"bad\.txt: the list cannot be read"),
    ],
)
def test_malformed_list_is_refused(tree: Path, content: bytes, words: str) -> None:
    Path("bad.txt").write_bytes(content)
    with pytest.raises(DataError, match=words):
        collect_inputs(["bad.txt"])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("clips/c.avi", r"clips/c\.avi does not exist; did you mean 'clips/b\.avi'"),
        ("empty", "empty: no video in this folder"),
        ("clips/frames", "was not exported for folders of frames"),
        ("clips/*.wmv", r"clips/\*\.wmv: no file matches"),
    ],
)
def test_inputs_that_mean_nothing_are_refused(tree: Path, name: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        collect_inputs([name])


def test_files_may_have_names_like_titles_and_comments(tree: Path) -> None:
    for name in ("path", "#1.avi"):
        Path(name).touch()
    Path("list.txt").write_text("path,3\n#1.avi 3\n")
    assert collect_named(["list.txt"]) == [Named("path", "3"), Named("#1.avi", "3")]
    assert [clip.where for clip in collect_named(["list.txt"])] == ["list.txt:1", "list.txt:2"]


def test_labels_of_a_list_are_kept(tree: Path) -> None:
    Path("list.txt").write_text("clips/b.avi 8 3\n'clips/a/x 1.MP4' jump\nclips/a/y.mkv\n")
    Path("list.csv").write_text("clips/b.avi,yes sir\n")
    assert collect_named(["list.txt", "list.csv", "clips/b.avi"]) == [
        Named("clips/b.avi", "3"),
        Named("clips/a/x 1.MP4", "jump"),
        Named("clips/a/y.mkv"),
        Named("clips/b.avi", "yes sir"),
        Named("clips/b.avi"),
    ]


GOOD = Prediction(
    "a, b.avi", ("jump",), (1,), (0.75,), np.zeros((1, 2)), {"open": 1.0, "infer": 2.5}
)
BAD = Prediction("bad.avi", error="bad.avi: truncated")


def test_text_names_file_class_score_and_times() -> None:
    assert as_text(GOOD).splitlines() == [
        "a, b.avi",
        "   75.00 %  jump  (class 1)",
        "  ms: open 1.0, infer 2.5",
    ]
    assert as_text(BAD) == "bad.avi\n  failed: bad.avi: truncated"
