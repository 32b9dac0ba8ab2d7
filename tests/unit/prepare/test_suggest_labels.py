# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What --suggest says about lists of several labels per clip."""

from __future__ import annotations

from pathlib import Path

import pytest

from paddletsm.cli import suggest
from tests.conftest import random_frames, write_video


@pytest.mark.parametrize(
    ("train", "valid", "where"),
    [
        ("0.avi 1,2\n1.avi 0\n", "0.avi 0\n", "train.txt:1"),
        ("0.avi 0\n1.avi 1,2\n", "0.avi 0\n", "train.txt:2"),
        ('0.avi,1\n1.avi,"1,2"\n', "0.avi 0\n", "train.txt:2"),
        ("0.avi 0\n1.avi 1\n", "0.avi 0,1\n", "val.txt:1"),
    ],
)
def test_lists_of_several_labels_are_named_as_such(
    train: str, valid: str, where: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("0.avi", "1.avi"):
        write_video(tmp_path / name, random_frames(9))
    for name, text in (("train.txt", train), ("val.txt", valid), ("classes.txt", "a\nb\nc\n")):
        (tmp_path / name).write_text(text)
    assert suggest.main([str(tmp_path), "--device", "cpu"]) == 2
    message = capsys.readouterr().err
    assert f"{where}: several labels: a suggestion can only be made for lists of one" in message
    assert "MODEL.loss: bce" in message
    lists = [str(tmp_path / "train.txt"), "--valid", str(tmp_path / "val.txt"), "--device", "cpu"]
    assert suggest.main(lists) == 2
    assert f"{where}: several labels" in capsys.readouterr().err


def test_other_mistakes_keep_their_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "train.txt").write_text("0.avi one\n")
    (tmp_path / "val.txt").write_text("0.avi 0\n")
    assert suggest.main([str(tmp_path)]) == 2
    assert "the label 'one' is not a whole number" in capsys.readouterr().err
