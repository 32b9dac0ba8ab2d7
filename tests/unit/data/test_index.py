# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from paddletsm.data import load_index, natural_key
from paddletsm.errors import ConfigError, DataError


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


LINES = [  # format, line, path, num_frames, label
    ("VideoDataset", "a/b.avi 3", "a/b.avi", None, 3),
    ("VideoDataset", "a/b.avi,3", "a/b.avi", None, 3),
    ("VideoDataset", "a/b.avi\t3", "a/b.avi", None, 3),
    ("VideoDataset", "  a/b.avi   3  ", "a/b.avi", None, 3),
    ("VideoDataset", "my clip.avi 3", "my clip.avi", None, 3),
    ("VideoDataset", '"my clip 7" 3', "my clip 7", None, 3),
    ("VideoDataset", "'my clip 7', 3", "my clip 7", None, 3),
    ("VideoDataset", "my clip 7,3", "my clip 7", None, 3),
    ("VideoDataset", "my  clip 7\t3", "my  clip 7", None, 3),
    ("VideoDataset", "Lee, Bruce.avi 3", "Lee, Bruce.avi", None, 3),
    ("VideoDataset", "a\\b c.avi 3", "a/b c.avi", None, 3),
    ("VideoDataset", "C:\\my clips\\a b.mp4 3", "C:/my clips/a b.mp4", None, 3),
    ("VideoDataset", '"C:\\my clips\\a 7", 3', "C:/my clips/a 7", None, 3),
    ("VideoDataset", "C:\\my clips\\a 7\t3", "C:/my clips/a 7", None, 3),
    ("VideoDataset", "\\\\server\\share\\a.mp4,3", "//server/share/a.mp4", None, 3),
    ("VideoDataset", '"a, b.mp4","3"', "a, b.mp4", None, 3),
    ("VideoDataset", "it's.mp4 3", "it's.mp4", None, 3),
    ("VideoDataset", "#20_Rhythm.avi 3", "#20_Rhythm.avi", None, 3),
    ("VideoDataset", "a,1.mp4 3", "a,1.mp4", None, 3),
    ("VideoDataset", "5 3", "5", None, 3),
    ("VideoDataset", "视频.avi 3", "视频.avi", None, 3),
    ("FrameDataset", "a/b 120 3", "a/b", 120, 3),
    ("FrameDataset", "a/b,120,3", "a/b", 120, 3),
    ("FrameDataset", "a/b\t120\t3", "a/b", 120, 3),
    ("FrameDataset", "my clip 120 3", "my clip", 120, 3),
    ("FrameDataset", '"my clip 7" 120 3', "my clip 7", 120, 3),
    ("FrameDataset", "12 120 3", "12", 120, 3),
    ("FrameDataset", "C:\\my frames\\a\t120\t3", "C:/my frames/a", 120, 3),
    ("FrameDataset", "a/b 3", "a/b", None, 3),
]


@pytest.mark.parametrize(("form", "line", "path", "num_frames", "label"), LINES)
def test_lines(
    tmp_path: Path, form: str, line: str, path: str, num_frames: int | None, label: int
) -> None:
    first = "first 1" if num_frames is None else "first 1 1"
    file = write(tmp_path / "a.list", f"{first}\n{line}\n")
    sample = load_index(file, format=form).samples[1]
    assert (sample.path, sample.num_frames, sample.label) == (path, num_frames, label)
    assert (sample.id, sample.where) == (1, f"{file}:2")


BAD_LINES = [  # format, line, message
    ("VideoDataset", "", "blank line"),
    ("VideoDataset", "   ", "blank line"),
    ("VideoDataset", "a.avi", "no label"),
    ("VideoDataset", "a.avi walk", "'walk' is not a whole number"),
    ("VideoDataset", "a.avi walk", "labels, in the last column, count the classes from 0"),
    ("VideoDataset", "a.avi 1.0", r"'1.0' is not a whole number \(write 1\)"),
    ("VideoDataset", "x/clip 12 3", 'ends in a number: "x/clip 12" 3'),
    ("VideoDataset", "a.avi -1", "negative label -1"),
    ("VideoDataset", "a 120 3", "3 columns.*FrameDataset"),
    ("VideoDataset", "a,120,3", "3 columns.*FrameDataset"),
    ("VideoDataset", "path,label", "'label' is not a whole number"),
    ("VideoDataset", "a.avi;3", "a semicolon .columns are separated by white space"),
    ("VideoDataset", "my clip.avi; 3", "a semicolon"),
    ("FrameDataset", "a 7 120 3", "4 columns.*quote"),
    ("FrameDataset", "a 0 3", "num_frames is 0"),
    ("FrameDataset", "a 120 x", "'x' is not a whole number"),
]


@pytest.mark.parametrize(("form", "line", "match"), BAD_LINES)
def test_bad_lines_are_named(tmp_path: Path, form: str, line: str, match: str) -> None:
    file = write(tmp_path / "a.list", f"ok 1\n{line}\nok 1\n")
    with pytest.raises(DataError, match=match) as caught:
        load_index(file, format=form)
    assert str(caught.value).startswith(f"{file}:2: ")


def test_encodings_and_line_ends(tmp_path: Path) -> None:
    file = write(tmp_path / "a.list", b"\xef\xbb\xbfa.avi 0\r\nb.avi 1\r\n")
    assert [s.path for s in load_index(file).samples] == ["a.avi", "b.avi"]
    with pytest.raises(DataError, match="not UTF-8"):
        load_index(write(tmp_path / "b.list", "a.avi 0".encode("utf-16")))


def test_a_missing_label_is_not_the_number_of_frames(tmp_path: Path) -> None:
    file = write(tmp_path / "a.list", "a 30 0\nb 40 1\nc 50\n")
    with pytest.raises(DataError, match=r"a.list:3: 'c 50' holds path and label, but .*a.list:1"):
        load_index(file, format="FrameDataset")


def test_a_line_of_titles(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", "path,label\na.mp4,0\n")
    with pytest.raises(DataError, match=r"a.csv:1: .*a line of titles\? delete it"):
        load_index(file)


def test_windows_list(tmp_path: Path) -> None:
    """BOM, CRLF, backslashes and drives, as an editor on Windows writes them."""
    text = "\ufeffC:\\clips\\walk\\a b.mp4,0\r\nrun\\c.mp4,1\r\n"
    index = load_index(write(tmp_path / "a.csv", text), data_prefix="data")
    assert [s.path for s in index.samples] == ["C:/clips/walk/a b.mp4", "data/run/c.mp4"]


def test_prefix_and_suffix(tmp_path: Path) -> None:
    file = write(tmp_path / "a.list", "c/a 0\nc/b.avi 1\nc/d.AVI 1\n")
    index = load_index(file, data_prefix="data/videos", suffix=".avi")
    assert [s.path for s in index.samples] == [
        "data/videos/c/a.avi",
        "data/videos/c/b.avi",
        "data/videos/c/d.AVI",
    ]
    frames = load_index(file, format="FrameDataset", suffix="img_{:05}.jpg")
    assert frames.samples[0].path == "c/a"
    assert frames.class_names is None


def test_labels_out_of_range(tmp_path: Path) -> None:
    file = write(tmp_path / "a.list", "a 0\nb 5\nc 2\n")
    with pytest.raises(DataError, match=r"a.list:2: label 5, but num_classes is 3 .*0 to 2"):
        load_index(file, num_classes=3)
    assert len(load_index(file, num_classes=6).samples) == 3
    one_based = write(tmp_path / "b.list", "a 1\nb 3\nc 2\n")
    with pytest.raises(DataError, match=r"b.list:2: .*run from 1 to 3.*subtract 1"):
        load_index(one_based, num_classes=3)


def test_missing_and_empty(tmp_path: Path) -> None:
    write(tmp_path / "ucf101_train.txt", "a 0")
    with pytest.raises(
        DataError, match=r"did you mean '.*ucf101_train.txt'.*prepare_data.py ucf101"
    ):
        load_index(tmp_path / "ucf101_trian.txt")
    with pytest.raises(DataError, match=r"nor does the folder .*nix.*prepare_data.py --help"):
        load_index(tmp_path / "nix/deep/a.txt")
    with pytest.raises(DataError, match="the list is empty"):
        load_index(write(tmp_path / "empty.txt", ""))
    with pytest.raises(ConfigError, match="did you mean 'VideoDataset'"):
        load_index(tmp_path, format="VideoDatset")


def test_natural_order() -> None:
    names = ["b10", "b9", "a", "10", "9", "B1"]
    assert sorted(names, key=natural_key) == ["9", "10", "a", "B1", "b9", "b10"]


MULTI_LABEL_LINES = [  # format, line, path, num_frames, labels
    ("VideoDataset", "a/b.avi 1,5,7", "a/b.avi", None, (1, 5, 7)),
    ("VideoDataset", "a/b.avi 3", "a/b.avi", None, (3,)),
    ("VideoDataset", "a/b.avi\t5,1", "a/b.avi", None, (5, 1)),
    ("VideoDataset", "my clip 7\t1,5", "my clip 7", None, (1, 5)),
    ("VideoDataset", '"my clip 7" 1,5', "my clip 7", None, (1, 5)),
    ("VideoDataset", "Lee, Bruce.avi 1,5", "Lee, Bruce.avi", None, (1, 5)),
    ("VideoDataset", 'a/b.avi,"1,5"', "a/b.avi", None, (1, 5)),
    ("VideoDataset", 'a/b.avi, "1, 5"', "a/b.avi", None, (1, 5)),
    ("VideoDataset", '"a, b.avi","1,5"', "a, b.avi", None, (1, 5)),
    ("VideoDataset", "C:\\my clips\\a b.mp4 1,5", "C:/my clips/a b.mp4", None, (1, 5)),
    ("FrameDataset", "a/b 120 1,5", "a/b", 120, (1, 5)),
    ("FrameDataset", "a/b\t120\t1,5", "a/b", 120, (1, 5)),
    ("FrameDataset", 'a/b,120,"1,5"', "a/b", 120, (1, 5)),
    ("FrameDataset", "a/b 1,5", "a/b", None, (1, 5)),
]


@pytest.mark.parametrize(("form", "line", "path", "num_frames", "labels"), MULTI_LABEL_LINES)
def test_lines_of_several_labels(
    tmp_path: Path, form: str, line: str, path: str, num_frames: int | None, labels: tuple[int, ...]
) -> None:
    file = write(tmp_path / "a.list", f"{line}\n")
    (sample,) = load_index(file, format=form, multi_label=True).samples
    assert (sample.path, sample.num_frames, sample.labels) == (path, num_frames, labels)


@pytest.mark.parametrize(
    ("form", "line", "match"),
    [
        ("VideoDataset", "a.avi,1,5", "in quotes"),
        ("VideoDataset", "a.avi,1", "in quotes"),
        ("FrameDataset", "a,120,5", "in quotes"),
        ("VideoDataset", "a.avi 1, 5", "without spaces"),
        ("VideoDataset", "a.avi 1,1", "a label twice"),
        ("VideoDataset", "a.avi 1,-5", "negative label"),
        ("VideoDataset", "a.avi", "no label"),
        ("VideoDataset", "a.avi walk", "not a whole number"),
        ("VideoDataset", " ", "blank line"),
        ("VideoDataset", "a.avi 2,9", "label 9, but num_classes is 8"),
    ],
)
def test_bad_lines_of_several_labels(tmp_path: Path, form: str, line: str, match: str) -> None:
    file = write(tmp_path / "a.list", f"{line}\n")
    with pytest.raises(DataError, match=match) as caught:
        load_index(file, format=form, multi_label=True, num_classes=8)
    assert f"{file}:1" in str(caught.value)


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("VideoDataset", "a.avi 1,5"),
        ("VideoDataset", "a.avi\t1,5"),
        ("VideoDataset", "a.avi 1,5,7"),
        ("FrameDataset", "a/b 120 1,5"),
    ],
)
def test_several_labels_need_the_loss(tmp_path: Path, form: str, line: str) -> None:
    file = write(tmp_path / "a.list", f"{line}\n")
    with pytest.raises(DataError, match=r"MODEL\.loss: bce"):
        load_index(file, format=form)
