# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Clips that official annotations name twice, with two labels, or in both splits."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from paddletsm.cli.prepare import main
from tests.unit.prepare import test_published as published

TRAIN, VAL = "train", "val"


def something_v2(root: Path) -> Callable[[str, str], None]:
    """How a line of one split is added to another: (from, to)."""
    files = {TRAIN: root / "annotations/train.json", VAL: root / "annotations/validation.json"}

    def add(source: str, target: str) -> None:
        first = json.loads(files[source].read_text())[0]
        files[target].write_text(json.dumps([*json.loads(files[target].read_text()), first]))

    return add


def lines_of(files: dict[str, Path]) -> Callable[[str, str], None]:
    def add(source: str, target: str) -> None:
        first = files[source].read_text().splitlines()[0]
        files[target].write_text(files[target].read_text().rstrip() + f"\n{first}\n")

    return add


def something_v1(root: Path) -> Callable[[str, str], None]:
    stem = root / "annotations/something-something-v1-"
    return lines_of({TRAIN: Path(f"{stem}train.csv"), VAL: Path(f"{stem}validation.csv")})


def jester(root: Path) -> Callable[[str, str], None]:
    folder = root / "annotations"
    return lines_of({TRAIN: folder / "train.csv", VAL: folder / "validation.csv"})


def kinetics(root: Path) -> Callable[[str, str], None]:
    files = {TRAIN: root / "annotations/train.csv", VAL: root / "annotations/validate.csv"}
    words = {TRAIN: "train", VAL: "validate"}

    def add(source: str, target: str) -> None:
        first = files[source].read_text().splitlines()[1]
        line = first.replace(f",{words[source]},", f",{words[target]},")
        files[target].write_text(f"{files[target].read_text()}{line}\n")

    return add


def hmdb(root: Path) -> Callable[[str, str], None]:
    path = root / "annotations/splits/clap_test_split1.txt"
    names = {TRAIN: "#20_Rhythm_clap_u_nm_np5_fr_goo_0.avi", VAL: "a_clap_1.avi"}

    def add(source: str, target: str) -> None:
        number = {TRAIN: 1, VAL: 2}[target]
        path.write_text(f"{path.read_text()}{names[source]} {number} \n")

    return add


def diving(root: Path) -> Callable[[str, str], None]:
    files = {k: root / f"annotations/Diving48_V2_{k}.json" for k in ("train", "test")}
    files[VAL] = files.pop("test")

    def add(source: str, target: str) -> None:
        first = json.loads(files[source].read_text())[0]
        files[target].write_text(json.dumps([*json.loads(files[target].read_text()), first]))

    return add


# Data set: how lines are added, the first clip of training, the first of validation.
CASES = {
    "sthv2": (something_v2, "78687", "36585"),
    "sthv1": (something_v1, "100", "23"),
    "jester": (jester, "100", "23"),
    "kinetics400": (kinetics, "zzzzzzzzzzz_000000_000010", "yyyyyyyyyyy_000100_000110"),
    "hmdb51": (hmdb, "#20_Rhythm_clap_u_nm_np5_fr_goo_0", "a_clap_1"),
    "diving48": (diving, "-mmq0PT-u8k_00155", "_8Vy3dlHg2w_00000"),
}


def names_in(kind: str) -> list[str]:
    """Clips of the list of a split."""
    lists = sorted(Path("data").glob(f"*/*_{kind}_*.txt"), key=lambda path: "videos" in path.name)
    names = [line.split()[0] for line in lists[0].read_text().splitlines()]
    return [name.rpartition("/")[2].removesuffix(".mp4") for name in names]


def prepare(name: str, root: Path) -> int:
    return main(published.command(name, root, published.Miniature(FOLDERS[name], [], [], [])))


FOLDERS = {
    "sthv2": "videos", "sthv1": "frames", "jester": "frames", "kinetics400": "videos",
    "hmdb51": "hmdb51_org", "diving48": "rgb",
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_clip_that_is_named_twice_is_listed_once(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    published.MINIATURES[name](tmp_path)
    make, trained, _ = CASES[name]
    make(tmp_path)(TRAIN, TRAIN)
    assert prepare(name, tmp_path) == 0
    warned = capsys.readouterr().err
    assert re.search(r"warning: \w+_train_\w+: 1 clip more than once \(", warned), warned
    assert f"({trained}); listed once" in warned
    assert names_in(TRAIN).count(trained) == 1


@pytest.mark.parametrize("name", [name for name in CASES if name != "diving48"])
def test_a_clip_of_both_splits_is_left_out_of_training(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    published.MINIATURES[name](tmp_path)
    make, _, validated = CASES[name]
    make(tmp_path)(VAL, TRAIN)
    assert prepare(name, tmp_path) == 0
    warned = capsys.readouterr().err
    assert re.search(rf"_train_\w+: 1 clip also in \w+_val_\w+ \({validated}\); left", warned)
    assert validated not in names_in(TRAIN)
    assert validated in names_in(VAL)


def test_nothing_left_to_train_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    published.diving48(tmp_path)
    folder = tmp_path / "annotations"
    text = (folder / "Diving48_V2_test.json").read_text()
    (folder / "Diving48_V2_train.json").write_text(text)
    assert prepare("diving48", tmp_path) == 2
    assert (
        "diving48_train_list: all of its clips are also in diving48_val_list; is it the same file?"
        in capsys.readouterr().err
    )


def test_two_labels_of_one_clip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    published.sthv1(tmp_path)
    path = tmp_path / "annotations/something-something-v1-train.csv"
    path.write_text(f"{path.read_text().rstrip()}\n7;Turning something upside down\n")
    assert prepare("sthv1", tmp_path) == 0
    assert (
        "warning: sthv1_train_list: 1 clip with several labels (7: 'Holding something' and "
        "'Turning something upside down'); left out" in capsys.readouterr().err
    )
    assert names_in(TRAIN) == ["100"]


def test_splits_of_several_numbers_may_share_clips(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What trains in split 1 validates in split 2."""
    mini = published.hmdb51(tmp_path)
    path = tmp_path / "annotations/splits/clap_test_split2.txt"
    path.write_text("a_clap_1.avi 1 \n#20_Rhythm_clap_u_nm_np5_fr_goo_0.avi 2 \n")
    assert main(published.command("hmdb51", tmp_path, mini, "--split", "1", "2")) == 0
    assert "also in" not in capsys.readouterr().err
