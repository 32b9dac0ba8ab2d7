# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from paddletsm.cli.prepare import main
from paddletsm.data.index import load_index
from paddletsm.data.readers import open_video
from paddletsm.errors import ConfigError, DataError
from paddletsm.prepare.motion import MotionSettings, prepare_motion, write_mjpg
from paddletsm.prepare.motion_scene import CLASS_NAMES, render_clip

SMALL = MotionSettings(clips=2, val_clips=1, test_clips=1, frames=8, size=32)
OPTIONS = "--clips 2 --val_clips 1 --test_clips 1 --frames 8 --size 32".split()


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("motion") / "data" / "motion"
    assert prepare_motion(out, SMALL)
    return out


def test_layout(small: Path) -> None:
    for split, count in (("train", 2), ("val", 1), ("test", 1)):
        index = load_index(small / split)
        assert index.class_names == CLASS_NAMES
        assert len(index.samples) == count * 8
    assert sorted(path.name for path in (small / "train/grow").iterdir()) == [
        "clip_00001.avi",
        "clip_00002.avi",
    ]
    assert json.loads((small / "motion.json").read_text())["size"] == 32
    assert [path.name for path in small.parent.iterdir()] == ["motion"]  # no leftovers


def test_same_settings_same_bytes(small: Path, tmp_path: Path) -> None:
    assert prepare_motion(tmp_path / "again", SMALL)
    assert contents(tmp_path / "again") == contents(small)
    clips = [value for key, value in contents(small).items() if key.endswith(".avi")]
    assert len(set(clips)) == len(clips) == SMALL.total


def test_another_seed_gives_other_clips(small: Path, tmp_path: Path) -> None:
    prepare_motion(tmp_path / "m", MotionSettings(2, 1, 1, frames=8, size=32, seed=1))
    mine, other = contents(small), contents(tmp_path / "m")
    assert mine.keys() == other.keys()
    assert not any(mine[key] == other[key] for key in mine)


def test_both_decoders_see_the_rendered_frames(small: Path) -> None:
    pytest.importorskip("decord")
    path = str(small / "train/turn_clockwise/clip_00001.avi")
    frames = {}
    for backend in ("decord", "opencv"):
        reader = open_video(path, backend=backend)
        assert len(reader) == 8
        frames[backend] = reader.get(np.arange(8))
    np.testing.assert_array_equal(frames["decord"], frames["opencv"])
    label = CLASS_NAMES.index("turn_clockwise")
    rendered = render_clip(
        "turn_clockwise", np.random.default_rng((0, 0, label, 0)), num_frames=8, size=32
    )
    # JPEG halves the resolution of colours; a wrong channel order would differ by tens.
    assert np.abs(frames["decord"].astype(int) - rendered).mean() < 6


def test_the_coding_of_a_frame_does_not_depend_on_its_place(tmp_path: Path) -> None:
    frames = render_clip("grow", np.random.default_rng(0), num_frames=6, size=32)
    write_mjpg(tmp_path / "a.avi", frames, fps=8.0)
    write_mjpg(tmp_path / "b.avi", frames[::-1], fps=8.0)
    a, b = (open_video(str(tmp_path / f"{name}.avi")).get(np.arange(6)) for name in "ab")
    np.testing.assert_array_equal(a, b[::-1])


def test_second_run_does_nothing(small: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in small.rglob("*")}
    assert not prepare_motion(small, SMALL)
    assert {path: path.stat().st_mtime_ns for path in small.rglob("*")} == before


def test_other_settings_need_force(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "m"
    prepare_motion(out, SMALL)
    other = MotionSettings(clips=1, val_clips=1, test_clips=1, frames=8, size=32)
    with pytest.raises(DataError, match=r"clips 2 instead of 1.*--force"):
        prepare_motion(out, other)
    assert contents(out) == contents(small)
    assert prepare_motion(out, other, force=True)
    assert len(list(out.rglob("*.avi"))) == other.total


def test_a_lost_clip_is_reported(tmp_path: Path) -> None:
    prepare_motion(tmp_path / "m", SMALL)
    lost = tmp_path / "m/val/shrink/clip_00001.avi"
    lost.unlink()
    with pytest.raises(DataError, match=r"1 of 32 clips are missing.*val.shrink.*--force"):
        prepare_motion(tmp_path / "m", SMALL)
    assert prepare_motion(tmp_path / "m", SMALL, force=True)
    assert lost.is_file()


@pytest.mark.parametrize("force", [False, True])
def test_a_foreign_folder_is_left_alone(tmp_path: Path, force: bool) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(DataError, match="holds no motion data set"):
        prepare_motion(tmp_path, SMALL, force=force)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_an_interrupted_run_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_motion(tmp_path / "m", SMALL, progress=interrupt)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("setting", "message"), [
    ({"clips": 0}, "--clips 0: it must be 1 or more"),
    ({"frames": 1}, "--frames 1: it must be 2 or more"),
    ({"size": 8}, "--size 8: it must be 16 or more"),
    ({"size": 65}, "multiple of 16, such as 64 or 80"),
    ({"seed": -1}, "--seed -1: it must be 0 or more"),
])  # fmt: skip
def test_wrong_settings(setting: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MotionSettings(**setting)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "m")
    assert main(["motion", "--out", out, *OPTIONS]) == 0
    assert "16 train, 8 val, 8 test; rendered" in capsys.readouterr().out
    assert main(["motion", "--out", out, *OPTIONS]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert main(["motion", "--out", out, "--clips", "3"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "--force" in captured.err


@pytest.mark.parametrize(("argv", "message"), [
    (["motoin"], "did you mean 'motion'"),
    (["motion", "--clip", "3"], "did you mean '--clips'"),
    ([], "ucf101"),
])  # fmt: skip
def test_wrong_commands(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(argv)
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    assert message in capsys.readouterr().err
