# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Suggested configurations: the choices for sets and machines, and the ways data can lie."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import cv2
import pytest
import yaml

from paddletsm.builders import load_config, resolve_classes
from paddletsm.cli import suggest as command
from paddletsm.cli import train
from paddletsm.errors import DataError
from paddletsm.prepare.machine import Machine
from paddletsm.prepare.suggest import suggest
from paddletsm.prepare.suggest_data import DataFacts, Source, read_facts
from tests.conftest import random_frames, write_video

GPU8 = Machine("gpu", 8, 24_000, 64)
GPU1 = Machine("gpu", 1, 24_000, 8)
CPU = Machine("cpu", 1, 16_000, 2)


def facts(clips: int = 9600, classes: int = 100, **changed: Any) -> DataFacts:
    values = {
        "name": "set",
        "train": Source("train.txt"),
        "valid": Source("val.txt"),
        "test": None,
        "counts": (clips // classes,) * classes,
        "num_valid": 50,
        "names": tuple(f"name {i}" for i in range(classes)),
        "names_file": "classes.txt",
        "short_side": 240,
        "num_frames": 100,
    }
    return DataFacts(**{**values, **changed})


def chosen(data: DataFacts, machine: Machine, **options: Any) -> dict[str, Any]:
    return yaml.safe_load(suggest(data, machine, **options).text)


@pytest.mark.parametrize("machine", [GPU8, GPU1, CPU], ids=lambda m: f"{m.device}{m.count}")
@pytest.mark.parametrize("pretrained", [None, "k400_r50.pdparams"])
@pytest.mark.parametrize("clips", [30, 300, 9600, 90_000])
def test_every_suggestion_loads_and_adds_up(
    machine: Machine, pretrained: str | None, clips: int, tmp_path: Path
) -> None:
    data = facts(clips, 10)
    suggestion = suggest(data, machine, pretrained=pretrained)
    path = tmp_path / "suggested.yaml"
    path.write_text(suggestion.text)
    config = load_config(path)
    rate = config.OPTIMIZER.learning_rate
    step = config.DATASET.batch_size * config.OPTIMIZER.accumulate_steps * machine.count
    assert rate.total_batch_size == step
    assert step <= max(clips, machine.count)
    top = rate.base if rate.name == "CosineDecay" else rate.values[0]
    assert 5e-5 < top <= 0.02
    assert (config.MODEL.backbone.partial_bn is True) == (bool(pretrained) and clips < 20_000)
    assert any("pretrained" in note for note in suggestion.notes) == (pretrained is None)
    for key in ("batch_size:", "epochs:", "name: ResNetTSM", "transform:"):
        above = suggestion.text[
            : suggestion.text.index(f" {key}" if key != "epochs:" else "\nepochs:")
        ]
        assert above.rstrip().rsplit("\n", 1)[-1].lstrip().startswith("#"), key


def test_published_recipe_where_it_fits() -> None:
    """UCF101: 9,537 clips from Kinetics weights, 8 GPUs."""
    config = chosen(facts(9537 // 101 * 101, 101), GPU8, pretrained="k400_r50.pdparams")
    assert config["MODEL"]["backbone"]["depth"] == 50
    assert config["MODEL"]["head"]["drop_ratio"] == 0.8
    assert config["epochs"] == 25
    rate = config["OPTIMIZER"]["learning_rate"]
    assert rate["boundaries"] == [10, 20]
    per_clip = rate["values"][0] / rate["total_batch_size"]
    assert per_clip == pytest.approx(0.0015 / 96, rel=1e-4)


def test_little_memory_makes_smaller_batches_and_adds_them_up() -> None:
    large, small = (chosen(facts(), Machine("gpu", 1, memory, 8)) for memory in (90_000, 8000))
    assert large["DATASET"]["batch_size"] == 64
    assert "accumulate_steps" not in large["OPTIMIZER"]
    batch, steps = small["DATASET"]["batch_size"], small["OPTIMIZER"]["accumulate_steps"]
    assert batch * 1040 < 8000 * 0.8
    assert 48 <= batch * steps <= 64
    tight = suggest(facts(), Machine("gpu", 4, 2500, 8))
    assert any("may not suffice" in note for note in tight.notes)
    assert yaml.safe_load(tight.text)["sync_bn"] is True


def test_networks_for_machines_and_clips() -> None:
    assert chosen(facts(), GPU1)["MODEL"]["backbone"]["depth"] == 50
    assert chosen(facts(900), GPU1)["MODEL"]["backbone"]["depth"] == 18
    cpu = chosen(facts(), CPU)["MODEL"]["backbone"]
    assert (cpu["depth"], cpu["width"]) == (18, 0.5)
    tiny = chosen(facts(short_side=64), CPU)
    assert tiny["MODEL"]["backbone"]["width"] == 0.25
    assert tiny["PIPELINE"]["valid"]["transform"][:2] == [
        {"Scale": {"short_size": 64}}, {"CenterCrop": {"target_size": 56}},
    ]  # fmt: skip
    mobile = chosen(facts(), GPU1, pretrained="x/tsm_mobilenetv2.pth")["MODEL"]["backbone"]
    assert mobile["name"] == "MobileNetV2TSM"
    assert "depth" not in mobile
    assert chosen(facts(), GPU1, pretrained="resnet18.pth")["MODEL"]["backbone"]["depth"] == 18


def flips(data: DataFacts) -> list[Any]:
    transforms = chosen(data, GPU1)["PIPELINE"]["train"]["transform"]
    return [item["RandomFlip"] for item in transforms if "RandomFlip" in item]


def test_flips_follow_the_names() -> None:
    assert flips(facts(30, 3)) == [{}]
    named = ("push left", "push right", "lean left")
    assert flips(facts(30, 3, names=named)) == [{"label_map": [[0, 1]], "no_flip": [2]}]
    assert flips(facts(30, 3, names=None, names_file=None)) == []
    text = suggest(facts(30, 3, names=None, names_file=None), GPU1).text
    assert "num_classes: 3" in text
    assert "without class names nobody knows" in text.replace("\n    # ", " ")


def test_unbalanced_classes_are_drawn_as_often() -> None:
    unequal = chosen(facts(counts=(100, 40, 20), names=("a", "b", "c")), GPU1)
    assert unequal["DATASET"]["sampling"] == "balanced"
    equal = chosen(facts(counts=(50, 40, 20), names=("a", "b", "c")), GPU1)
    assert "sampling" not in equal["DATASET"]
    notes = suggest(facts(counts=(50, 0, 4), names=("a", "b", "c")), GPU1).notes
    assert "classes without a training clip: b" in notes
    assert "classes with fewer than 10 training clips: c" in notes


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """videos/<class>/<n>.avi, three of each of two classes."""
    for name in ("left", "right"):
        for n in range(3):
            write_video(tmp_path / f"videos/{name}/{n}.avi", random_frames(9, seed=n))
    return tmp_path / "videos"


def write_lists(folder: Path, prefix: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        f"{prefix}{name}/{n}.avi {k}" for k, name in enumerate(("left", "right")) for n in (0, 1)
    ]
    (folder / "train.txt").write_text("\n".join(lines) + "\n")
    (folder / "val.txt").write_text(f"{prefix}left/2.avi 0\n{prefix}right/2.avi 1\n")
    (folder / "classes.txt").write_text("left\nright\n")


@pytest.mark.parametrize(
    "layout", ["absolute", "beside", "below", "stated", "folders", "two lists"]
)
def test_data_in_all_its_ways(layout: str, clips: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {}
    path = tmp_path / "lists"
    if layout == "absolute":
        write_lists(path, f"{clips}/")
    elif layout == "beside":
        path = clips.parent
        write_lists(path, "videos/")
    elif layout == "below":
        path = clips.parent / "videos/lists"
        write_lists(path, "")
    elif layout == "stated":
        write_lists(path, "")
        options["data_prefix"] = str(clips)
    elif layout == "two lists":
        write_lists(path, f"{clips}/")
        options["valid"] = path / "val.txt"
        path = path / "train.txt"
    else:
        path = tmp_path / "split"
        shutil.copytree(clips, path / "train")
        shutil.copytree(clips, path / "val")
    found = read_facts(path, **options)
    assert found.counts == ((3, 3) if layout == "folders" else (2, 2))
    assert found.num_valid == (6 if layout == "folders" else 2)
    assert found.names == ("left", "right")
    assert (found.short_side, found.num_frames) == (48, 9)
    written = tmp_path / "suggested.yaml"
    written.write_text(suggest(found, CPU).text)
    config = resolve_classes(load_config(written))
    assert config.DATASET.class_names == ("left", "right")
    from paddletsm.builders import build_dataset

    for mode in ("train", "valid"):
        assert build_dataset(config, mode).load(0).frames.shape == (1, 8, 3, 40, 40)


def test_folders_of_frames(tmp_path: Path) -> None:
    for split in ("train", "val"):
        for name in ("a", "b"):
            folder = tmp_path / f"set/{split}/{name}/clip"
            folder.mkdir(parents=True)
            for number, frame in enumerate(random_frames(9, 60, 80), 1):
                cv2.imwrite(str(folder / f"frame{number:04}.jpg"), frame)
    found = read_facts(tmp_path / "set")
    assert found.train == Source(
        str(tmp_path / "set/train"), "FrameDataset", suffix="frame{:04}.jpg"
    )
    path = tmp_path / "suggested.yaml"
    path.write_text(suggest(found, CPU).text)
    assert load_config(path).DATASET.valid.suffix == "frame{:04}.jpg"
    lines = [f"{tmp_path}/set/train/{name}/clip 9 {k}" for k, name in enumerate("ab")]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    found = read_facts(tmp_path / "list.txt", valid=tmp_path / "list.txt")
    assert found.train.format == "FrameDataset"
    assert (found.names, found.num_frames) == (None, 9)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: root / "nothing", "does not exist"),
        (lambda root: root / "videos", r"has no train.txt and val.txt.*prepare_data.py folder"),
        (lambda root: root / "lists/train.txt", "--valid LIST"),
        (lambda root: root / "moved", "neither there nor below .*--data_prefix"),
        (lambda root: root / "short", "2 names|has 1 names, but"),
        (lambda root: root / "broken", "none of 1 clips can be read"),
    ],
)
def test_data_that_cannot_be_used(make: Any, message: str, clips: Path, tmp_path: Path) -> None:
    write_lists(tmp_path / "lists", f"{clips}/")
    write_lists(tmp_path / "moved", "elsewhere/")
    write_lists(tmp_path / "short", f"{clips}/")
    (tmp_path / "short/classes.txt").write_text("left\n")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "x.avi").write_bytes(b"no video")
    for name in ("train.txt", "val.txt"):
        (broken / name).write_text("x.avi 0\n")
    with pytest.raises(DataError, match=message):
        read_facts(make(tmp_path))


def test_the_command_writes_once(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_lists(tmp_path / "lists", f"{clips}/")
    out = tmp_path / "configs/my.yaml"
    words = ["--suggest", str(tmp_path / "lists"), "--out", str(out), "--device", "cpu"]
    assert train.main(words) == 0
    printed = capsys.readouterr()
    assert printed.out == out.read_text()
    assert f"main.py -c {out}" in printed.err
    assert load_config(out).model_name == "TSM_my"
    assert train.main(words) == 2
    assert "exists; choose another name" in capsys.readouterr().err
    assert train.main([*words, "--force"]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--devices", "0"], "--devices must be at least 1"),
        (["--memory", "-1"], "--memory must be above 0"),
        (["--pretrained", "missing.pth"], "missing.pth does not exist"),
        (["--out", "my.txt"], r"a \.yaml file"),
    ],
)
def test_wrong_options(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["data", *words]) == 2
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--suggest"], "required: PATH"),
        (["-c", "a.yaml", "--suggest"], r"-c is no option of --suggest"),
        (["-c", "a.yaml", "--suggest", "data"], r"-c is no option of --suggest"),
        (["--suggest=data", "--test"], r"--test is no option of --suggest"),
        (["--suggest", "data", "--max_iters", "3"], r"--max_iters is no option of --suggest"),
        (["--suggest", "data", "--devices", "x"], r"Try: main\.py --suggest --help"),
        (["--suggest", "data", "--devicez", "2"], r"did you mean '--devices?'"),
    ],
)
def test_options_of_a_training_do_not_go_with_it(
    words: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.argv", ["main.py", *words])
    with pytest.raises(SystemExit) as ended:
        train.main(words)
    assert ended.value.code == 2
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (CPU, "the CPU, in 1 process that has 16 GB of memory"),
        (Machine("cpu", 2, 11_000, 4), "the CPU, in 2 processes that have 11 GB of memory each"),
        (Machine("cpu", 2, None, 4), "the CPU, in 2 processes"),
        (GPU1, "1 GPU that has 24 GB of memory"),
        (GPU8, "8 GPUs that have 24 GB of memory each"),
    ],
)
def test_the_head_says_what_the_machine_has(machine: Machine, words: str) -> None:
    text = suggest(facts(), machine).text
    head = " ".join(line.removeprefix("# ") for line in text.split("model_name")[0].splitlines())
    assert f"For {words}." in head
