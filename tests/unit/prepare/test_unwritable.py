# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What the system refuses to read or write: the message says what, where, and in words why."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from paddletsm.cli.prepare import main
from paddletsm.errors import DataError
from paddletsm.prepare.build_lists import read_json, read_lines, write_text
from paddletsm.utils.disk import problem_of
from tests.conftest import random_frames, write_video

IN_THE_WAY = "a file is where a folder is needed"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("where the folder should be")
    return path


def test_lists(file: Path) -> None:
    with pytest.raises(DataError, match=rf"file/a\.txt: cannot be written: {IN_THE_WAY}$"):
        write_text(file / "a.txt", ["a"])
    with pytest.raises(DataError, match=r"cannot be written: Is a directory; name a file$"):
        write_text(file.parent, ["a"])


@pytest.mark.parametrize("read", [read_lines, read_json])
def test_annotations(read: Callable[[Path], object], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r": cannot be read: Is a directory; name a file$"):
        read(tmp_path)
    binary = tmp_path / "list.txt"
    binary.write_bytes(b"\xff\xfe\xfd")
    with pytest.raises(DataError, match=r"list\.txt: is not UTF-8 text"):
        read(binary)


@pytest.mark.parametrize(
    "words", [["folder", "{clips}"], ["motion", "--clips", "1"]], ids=lambda words: words[0]
)
def test_commands(words: list[str], file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clips = file.with_name("clips")
    for name in ("a/1.avi", "a/2.avi", "b/1.avi", "b/2.avi"):
        write_video(clips / name, random_frames(3))
    arguments = [word.format(clips=clips) for word in words]
    assert main([*arguments, "--out", str(file / "out")]) == 2
    shown = capsys.readouterr().err
    assert str(file / "out") in shown
    assert "Errno" not in shown
    assert shown.count("\n") == 1


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "Permission denied; choose another place, or change its rights"),
        (errno.EROFS, "Read-only file system; choose another place"),
        (errno.ENOSPC, "No space left on device; make room, or choose another place"),
    ],
)
def test_remedies(number: int, words: str) -> None:
    assert problem_of(OSError(number, words.partition(";")[0], "somewhere")) == words


def test_other_problems_are_told_as_the_system_says_them() -> None:
    assert problem_of(OSError(errno.EIO, "Input/output error")) == "Input/output error"
    assert problem_of(OSError("something odd")) == "something odd"
