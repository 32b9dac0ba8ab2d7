# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""``check_data.py FOLDER --fix LIST``, then ``prepare_data.py folder FOLDER --list LIST``."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import pytest

from paddletsm.cli import check
from paddletsm.cli.prepare import main
from paddletsm.data import load_index
from tests.conftest import random_frames, write_video

NAMES = [f"{name}/match{m}_{k}" for name in ("jump", "walk") for m in range(3) for k in range(2)]


def clips(root: Path = Path("clips")) -> Path:
    for number, name in enumerate(NAMES):
        write_video(root / f"{name}.avi", random_frames(8, seed=number))
    return root


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:500])


def fix(root: str, *words: str) -> int:
    return check.main([root, "--workers", "1", "--fix", "clean.txt", *words])


def listed(out: str, form: str = "VideoDataset") -> dict[str, int]:
    """Clips of all lists, relative to this folder, and their labels."""
    found = {}
    for part in ("train", "val"):
        index = load_index(f"{out}/{part}.txt", format=form)
        found.update({os.path.relpath(s.path): s.label for s in index.samples})
    return found


def test_what_fix_took_out_is_in_no_list(capsys: pytest.CaptureFixture[str]) -> None:
    """Damaged, too short, the same twice; and what came into the folder behind the check."""
    root = clips()
    damage(root / "walk/match1_0.avi")
    write_video(root / "jump/match2_1.avi", random_frames(2))
    (root / "walk/again.avi").write_bytes((root / "jump/match0_0.avi").read_bytes())
    (root / "jump/gone.avi").symlink_to("nowhere")
    assert fix("clips") == 1
    write_video(root / "walk/new_1.avi", random_frames(8, seed=99))
    capsys.readouterr()
    command = ["folder", "clips", "--out", "out", "--val", "0.3", "--group", "prefix"]
    assert main([*command, "--list", "clean.txt"]) == 0
    good = {f"clips/{name}.avi": int("walk" in name) for name in NAMES}
    del good["clips/walk/match1_0.avi"], good["clips/jump/match2_1.avi"]
    assert listed("out") == good
    said = "4 clips of the folder are not in clean.txt"
    assert said in capsys.readouterr().err
    assert main(command) == 0
    assert "clips/walk/match1_0.avi" in listed("out"), "without the list all are taken"


def test_the_same_folder_by_another_name(tmp_path: Path) -> None:
    clips()
    (tmp_path / "other").symlink_to("clips")
    damage(Path("clips/walk/match1_0.avi"))
    assert fix(str(tmp_path / "other")) == 1
    assert main(["folder", "clips", "--out", "out", "--list", "clean.txt"]) == 0
    assert len(listed("out")) == len(NAMES) - 1


def test_folders_of_frames() -> None:
    """A folder with a gap does not stop the others, once the list leaves it out."""
    for number, name in enumerate(NAMES):
        folder = Path("clips", name)
        folder.mkdir(parents=True)
        for k, frame in enumerate(random_frames(8, seed=number), 1):
            cv2.imwrite(str(folder / f"{k:04}.png"), frame)
    Path("clips", NAMES[1], "0003.png").unlink()
    assert main(["folder", "clips", "--out", "out"]) == 2
    assert fix("clips") == 1
    assert main(["folder", "clips", "--out", "out", "--list", "clean.txt"]) == 0
    assert sorted(listed("out", "FrameDataset")) == sorted(
        f"clips/{name}" for name in NAMES if name != NAMES[1]
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clips/jump/match0_0.avi 0\nclips/jump/none.avi 0\n", "list.txt:2: clips/jump/none.avi"),
        ("else/jump/match0_0.avi 0\n", "list.txt:1: else/jump/match0_0.avi: no clip of /"),
        ("clips/jump/match0_0.avi 1\n", "list.txt:1: label 1, but 'jump' is class 0"),
        ("clips/jump/match0_0.avi 0\n", "list.txt leaves no clip of walk"),
        ("clips/jump/match0_0.avi\n", "list.txt:1: no label"),
        (None, "list.txt does not exist"),
        ("", "the list is empty"),
    ],
)
def test_wrong_lists(text: str | None, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    clips()
    if text is not None:
        Path("list.txt").write_text(text)
    assert main(["folder", "clips", "--out", "out", "--list", "list.txt"]) == 2
    assert message in capsys.readouterr().err
    assert main(["folder", "clips", "--out", "out", "--list", "clips"]) == 2
    assert "--list clips: is a folder" in capsys.readouterr().err
    assert not Path("out").exists()
