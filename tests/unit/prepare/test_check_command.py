# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import pytest

from paddletsm.builders import build_dataset, load_config, pipelines, resolve_classes
from paddletsm.cli.check import main
from tests.conftest import REPO, random_frames, write_video

CONFIG = """
_base_: {repo}/configs/_base_/data/motion.yaml
model_name: checked
MODEL:
  backbone: {{name: ResNetTSM, depth: 18, num_seg: 4}}
  head: {{name: TSMHead, drop_ratio: 0.1}}
DATASET:
  train: {{file_path: train}}
  valid: {{file_path: val}}
  test: {{file_path: val}}
PIPELINE:
  train:
    transform: [{flip}{{RandomCrop: {{target_size: 32}}}}, {{Normalization: {{}}}}]
"""


def make(*names: str, count: int = 8) -> None:
    for name in names:
        write_video(Path(name), random_frames(count, seed=sum(map(ord, name))))


def run(*words: str) -> int:
    return main([*words, "--workers", "1"])


def test_clean_data_exit_0(capsys: pytest.CaptureFixture[str]) -> None:
    make("data/run/a.avi", "data/walk/b.avi")
    assert run("data") == 0
    out = capsys.readouterr()
    assert "0 errors, 0 warnings" in out.out
    assert "2/2 clips" in out.err


def test_findings_exit_1_and_files(capsys: pytest.CaptureFixture[str]) -> None:
    make("data/run/a.avi", "data/walk/b.avi")
    Path("data/walk/c.avi").write_text("no video")
    words = ("--json", "r.json", "--html", "r.html", "--fix", "clean.txt")
    assert run("data", *words) == 1
    out = capsys.readouterr().out
    assert "error: corrupt (1); copy or download it again" in out
    assert "data/walk/c.avi" in out
    content = json.loads(Path("r.json").read_text())
    assert [(f["kind"], f["path"]) for f in content["findings"]] == [("corrupt", "data/walk/c.avi")]
    assert content["class_names"] == ["run", "walk"]
    assert content["splits"][0]["classes"] == {"0": 1, "1": 2}
    assert Path("r.html").read_text().startswith("<!DOCTYPE html>")
    assert run("clean.txt", "--class_names", "clean_classes.txt") == 0


def test_warnings_fail_when_strict() -> None:
    make("data/left/a.avi", "data/right/b.avi")
    assert run("data") == 0
    assert run("data", "--strict") == 1


@pytest.mark.parametrize(
    ("flip", "code", "finding"),
    [
        ("", 0, None),
        ("{RandomFlip: {}}, ", 1, "flip"),
        ("{RandomFlip: {p: 0.0}}, ", 0, None),
        ("{RandomFlip: {label_map: [[0, 1]]}}, ", 0, None),
        ("{RandomFlip: {no_flip: [0, 1]}}, ", 0, None),
    ],
)
def test_all_splits_of_a_config(flip: str, code: int, finding: str | None) -> None:
    make("train/left/a.avi", "train/right/b.avi", "val/left/c.avi", "val/right/d.avi")
    Path("own.yaml").write_text(CONFIG.format(repo=REPO, flip=flip))
    assert run("-c", "own.yaml", "--json", "r.json") == code
    content = json.loads(Path("r.json").read_text())
    assert [split["split"] for split in content["splits"]] == ["train", "valid"]
    assert [f["kind"] for f in content["findings"]] == ([finding] if finding else [])


@pytest.mark.parametrize(
    ("flip", "said"),
    [
        ("{RandomFlip: {}}, ", "mirrors clips and keeps their label: 0 (left), 1 (right)"),
        ("{RandomFlip: {label_map: [[0, 1]]}}, ", ""),
        ("", ""),
    ],
)
def test_training_says_that_its_flip_contradicts_the_labels(
    flip: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    make("train/left/a.avi", "train/right/b.avi", "val/left/c.avi", "val/right/d.avi")
    Path("own.yaml").write_text(CONFIG.format(repo=REPO, flip=flip))
    pipelines._warn_once.cache_clear()
    pipelines._cached_index.cache_clear()
    config = resolve_classes(load_config("own.yaml"))
    for mode in ("train", "train", "valid"):
        build_dataset(config, mode)
    assert len(caplog.messages) == bool(said)
    assert not said or said in caplog.messages[0]
    assert not said or caplog.messages[0].startswith("own.yaml:")


def test_num_seg_and_overrides_of_a_config() -> None:
    make("train/left/a.avi", "train/right/b.avi", "val/left/c.avi", "val/right/d.avi", count=5)
    Path("own.yaml").write_text(CONFIG.format(repo=REPO, flip=""))
    assert run("-c", "own.yaml") == 0  # four segments
    assert run("-c", "own.yaml", "-o", "MODEL.backbone.num_seg=6") == 1
    assert run("-c", "own.yaml", "--num_seg", "6") == 1


def test_frames_that_a_config_never_draws() -> None:
    make("train/left/a.avi", "train/right/b.avi", "val/left/c.avi", "val/right/d.avi", count=7)
    Path("own.yaml").write_text(CONFIG.format(repo=REPO, flip=""))
    assert run("-c", "own.yaml", "--json", "r.json") == 0
    found = json.loads(Path("r.json").read_text())["findings"]
    assert [(f["kind"], f["split"]) for f in found] == [("short", "train")] * 2
    words = ("--strict", "-o", "PIPELINE.train.sample.keep_tail=true")
    assert run("-c", "own.yaml", *words) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name one thing to check"),
        (["gone.txt"], "does not exist"),
        (["data", "-c", "own.yaml"], "name one thing to check"),
        (["data", "-o", "a=1"], "needs a config"),
        (["-c", "own.yaml", "--val", "x"], "--val: belongs to PATH"),
        (["data", "--group", "(a"], "no regular expression"),
        (["data", "--group", "usf"], "0 groups"),
        (["data", "--num_classes", "5"], "5, but there are 2 class names"),
        (["data", "--html", "data"], "is a folder; name a file"),
        (["data", "--suffix", "img_{}_{}.jpg", "--format", "FrameDataset"], "no folders of frames"),
        (["empty"], "has no sub-folders"),
    ],
)
def test_wrong_usage_exits_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make("data/run/a.avi", "data/walk/b.avi")
    Path("empty").mkdir()
    assert run(*words) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize("words", [["--workers", "0"], ["--timeout", "-1"], ["--formt", "x"]])
def test_wrong_numbers_exit_2(words: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["data", *words])
    assert stop.value.code == 2
