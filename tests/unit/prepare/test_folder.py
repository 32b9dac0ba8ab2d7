# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""``prepare folder``: an own folder of clips becomes lists that train."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from paddletsm.builders import build_dataset, load_config, resolve_classes
from paddletsm.cli.prepare import main
from paddletsm.data.index import load_index
from paddletsm.prepare.groups import recording_of
from tests.conftest import REPO, random_frames, write_video

CLIPS = [
    f"{name}/match{m:02d}_{k}.avi" for name in ("jump", "walk") for m in range(5) for k in range(4)
]


def touch(root: Path, names: list[str]) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def parts_of(out: Path, root: Path) -> dict[str, list[str]]:
    """Clips below the root, by the list that holds them."""
    return {
        path.stem: [str(Path(s.path).relative_to(root)) for s in load_index(path).samples]
        for path in sorted(out.glob("*.txt"))
        if path.stem != "classes"
    }


def test_lists_and_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = touch(tmp_path / "clips", [*CLIPS, "walk/notes.txt", ".cache/a.avi"])
    out = tmp_path / "out"
    assert main(["folder", str(root), "--out", str(out), "--val", "0.2", "--test", "0.2"]) == 0
    assert (out / "classes.txt").read_text().splitlines() == ["jump", "walk"]
    parts = parts_of(out, root)
    assert sorted(clip for clips in parts.values() for clip in clips) == sorted(CLIPS)
    recordings = {
        part: {recording_of(c, rule="prefix") for c in clips} for part, clips in parts.items()
    }
    assert not recordings["train"] & recordings["val"]
    assert not recordings["test"] & (recordings["train"] | recordings["val"])
    assert [len(parts[name]) for name in ("train", "val", "test")] == [24, 8, 8]
    printed = capsys.readouterr()
    assert "recordings: 5, by --group prefix, chosen from the names" in printed.out
    assert "match04_0.avi" in printed.out  # an example
    table = [line.split() for line in printed.out.splitlines() if line.startswith(("walk", "all"))]
    assert table == [["walk", "20", "5", "12", "4", "4"], ["all", "40", "5", "24", "8", "8"]]
    assert "no clips, left out: walk/notes.txt" in printed.err


def test_same_seed_same_lists(tmp_path: Path) -> None:
    root = touch(tmp_path / "clips", [f"{c}/{k}.avi" for c in "ab" for k in range(30)])
    texts = []
    for name, seed in (("one", "1"), ("two", "1"), ("three", "2")):
        assert main(["folder", str(root), "--out", str(tmp_path / name), "--seed", seed]) == 0
        texts.append((tmp_path / name / "val.txt").read_text())
    assert texts[0] == texts[1] != texts[2]


def test_group_by_regular_expression(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"{c}/cam{s}_{x}.avi" for c in ("jump", "walk") for s in range(5) for x in "pqr"]
    root, out = touch(tmp_path / "clips", [*names, "walk/other.avi"]), tmp_path / "out"
    command = ["folder", str(root), "--out", str(out)]
    assert main([*command, "--val", "0.2", "--group", r"^(cam\d)_"]) == 0
    cams = [{Path(c).name[:4] for c in clips} for clips in parts_of(out, root).values()]
    assert not (cams[0] - {"othe"}) & (cams[1] - {"othe"})
    assert "the rule says nothing of 1 clip (walk/other.avi)" in capsys.readouterr().err
    assert main([*command, "--group", "(zzz)"]) == 2
    assert "fits no name of a clip, such as 'jump/cam0_p.avi'" in capsys.readouterr().err


def test_names_that_need_care(tmp_path: Path) -> None:
    names = [
        "it's, 7",
        'a "b" 3',
        "#1",
        "x,12",
        "视频 5",
        "tab\there",
        "a 1 2",
        '"q" 4',
        "'r 8",
        "c,3",
    ]
    root = touch(tmp_path / "my clips", [f"turn {c}/{n}.avi" for c in ("l", "r") for n in names])
    assert main(["folder", str(root), "--out", "out", "--group", "none"]) == 0
    found = [clip for clips in parts_of(tmp_path / "out", root).values() for clip in clips]
    assert sorted(found) == sorted(f"turn {c}/{n}.avi" for c in ("l", "r") for n in names)
    touch(root, ["turn l/back\\slash.avi"])
    assert main(["folder", str(root), "--out", "out2", "--group", "none"]) == 2


def frames(root: Path, name: str, count: int, pattern: str = "img_{:05}.jpg") -> None:
    touch(root, [f"{name}/{pattern.format(k)}" for k in range(1, count + 1)])


@pytest.mark.parametrize("pattern", ["img_{:05}.jpg", "{:04}.png", "frame-{}.JPG"])
def test_frame_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str], pattern: str) -> None:
    for label, name in enumerate(("jump", "walk")):
        for k in range(3):
            frames(tmp_path / "clips", f"{name}/x{k}", 9 + label + 3 * k, pattern)
    assert main(["folder", "clips", "--out", "out"]) == 0
    index = load_index(tmp_path / "out/train.txt", format="FrameDataset", num_classes=2)
    assert {(s.num_frames - s.label) % 3 for s in index.samples} == {0}
    printed = capsys.readouterr().out
    command = next(line for line in printed.splitlines() if "python main.py -c" in line)
    assert f'DATASET.valid.suffix="{pattern}"' in shlex.split(command)
    assert "DATASET.train.format=FrameDataset" in shlex.split(command)


def test_frames_with_a_gap(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("jump/a", "jump/b", "walk/a", "walk/b"):
        frames(tmp_path / "clips", name, 5)
    (tmp_path / "clips/walk/a/img_00003.jpg").unlink()
    assert main(["folder", "clips"]) == 2
    assert "walk/a: frame 3 of 5 is missing" in capsys.readouterr().err


def test_all_wrong_folders_of_frames_are_told_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"{c}/{k:02}" for c in ("jump", "walk") for k in range(15)]
    for name in names:
        frames(tmp_path / "clips", name, 5)
    root = tmp_path / "clips"
    (root / "jump/00/odd.jpg").touch()  # the first, which tells how frames are named
    (root / "jump/03/img_00002.jpg").unlink()
    (root / "walk/02/img_00004.jpg").unlink()
    assert main(["folder", "clips"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert told[0].endswith(f"{root}: 3 of 30 folders of frames cannot be used; mend or move them:")
    assert told[1].startswith(f"  {root / 'jump/00'}: the frames are not numbered alike")
    assert told[2:] == [
        f"  {root / 'jump/03'}: frame 2 of 5 is missing",
        f"  {root / 'walk/02'}: frame 4 of 5 is missing",
    ]
    for name in names[1:]:
        (root / name / "img_00001.jpg").unlink()
    assert main(["folder", "clips"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert "30 of 30" in told[0]
    assert len(told) == 22
    assert told[-1] == "  ... and 10 more"


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (["a/1.avi", "b/2.avi"], ["--val", "0"], "--val 0 --test 0: shares"),
        (["a/1.avi", "b/2.avi"], ["--val", "1.2"], "val lies between 0 and 1"),
        (["a/1.avi", "b/2.avi"], ["--val", "0.6", "--test", "0.5"], "must remain for training"),
        (["a/1.avi", "b/2.avi"], ["--val", "nan"], "val lies between 0 and 1"),
        (["a/1.avi", "b/2.avi"], ["--seed", "-1"], "--seed -1"),
        (["a/1.avi", "b/2.avi"], ["--group", "("], "no regular expression"),
        (["a/1.avi", "b/2.avi"], [], "too few of 'a' (1), 'b' (1)"),
        (["a/x_1.avi", "a/x_2.avi", "b/2.avi", "b/3.avi"], ["--group", "prefix"], "'a' (1)"),
        (["a/1.avi"], [], "has one class, 'a'"),
        (["1.avi", "2.avi"], [], "2 videos (1.avi, 2.avi) beside the class folders"),
        (["a/1.avi", "b/2.avi", "3.avi"], [], "1 video (3.avi) beside the class folders"),
        (["notes.txt"], [], "has no sub-folders"),
        (["a/1.avi", "b/notes.txt"], [], "no clips in b"),
        (["train/a/1.avi", "val/a/1.avi"], [], "it is split already"),
        (["a/1.avi", "b/day1/2.avi"], [], "day1: holds videos, one level too deep"),
        (["a/1.avi", "b/x/img_00001.jpg"], [], "and folders of frames (b)"),
        (["a/x/img_00000.jpg", "b/x/img_00000.jpg"], [], "numbered from 0"),
        (["a/x/one.jpg", "b/x/img_00001.jpg"], [], "not numbered alike (one.jpg)"),
        (["Walk/1.avi", "walk/2.avi", "Walk/3.avi", "walk/4.avi"], [], "there twice"),
    ],
)
def test_nonsense_is_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    names: list[str],
    options: list[str],
    message: str,
) -> None:
    root = touch(tmp_path / "clips", names)
    assert main(["folder", str(root), "--out", "out", *options]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_other_wrong_places(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = touch(tmp_path / "clips", CLIPS)
    assert main(["folder", str(tmp_path / "clip")]) == 2
    assert "does not exist; did you mean" in capsys.readouterr().err
    assert main(["folder", str(root), "--out", str(root / "lists")]) == 2
    assert "every folder is a class" in capsys.readouterr().err
    assert main(["folder", str(root), "--out", "out", "--test", "0.2"]) == 0
    assert main(["folder", str(root), "--out", "out"]) == 2
    assert "is of an earlier split" in capsys.readouterr().err


def test_warnings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    many = [f"many/m{r}_{k}.avi" for r in range(2) for k in range(30)]
    root = touch(tmp_path / "clips", [*many, "few/a_1.avi", "few/b_1.avi"])
    assert main(["folder", str(root), "--out", "out"]) == 0
    err = capsys.readouterr().err
    assert "fewer than 10 clips: few (2)" in err
    assert "unbalanced: many has 60 clips, few has 2" in err
    assert "val holds 50 % of the clips, not 10 %" in err


def test_the_commands_that_it_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The configuration that is named reads the lists that were written."""
    for k, name in enumerate(CLIPS):
        write_video(tmp_path / "clips" / name, random_frames(8, 32, 40, k))
    assert main(["folder", "clips", "--out", "my lists", "--test", "0.2"]) == 0
    line = next(x for x in capsys.readouterr().out.splitlines() if "python main.py -c" in x)
    words = shlex.split(line)
    assert words[:3] == ["python", "main.py", "-c"]
    config = resolve_classes(load_config(REPO / words[3], words[5::2]))
    assert (config.MODEL.head.num_classes, config.DATASET.class_names) == (2, ("jump", "walk"))
    sizes = [len(build_dataset(config, mode).samples) for mode in ("train", "valid", "test")]
    assert sizes == [24, 8, 8]
    assert build_dataset(config, "train").load(0).frames.shape == (1, 8, 3, 112, 112)


def test_without_options_the_configuration_needs_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    touch(tmp_path / "clips", CLIPS)
    assert main(["folder", "clips"]) == 0
    assert "  python main.py -c configs/tsm_clips.yaml\n" in capsys.readouterr().out
    config = resolve_classes(load_config(REPO / "configs/tsm_clips.yaml"))
    assert len(build_dataset(config, "train").samples) == 32
