# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Whatever a user can get wrong: one clear message, the right exit code, no traceback, no hang."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from paddletsm.cli import export, predict, train
from paddletsm.models.weights import read_state
from paddletsm.utils.io import seal
from tests.conftest import random_frames, write_video
from tests.e2e.conftest import Command

Main = Callable[[list[str]], int]


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command in this process, expect exit code 2 and one message; return the message."""

    def run(main: Main, *words: object) -> str:
        try:
            code = main([str(word) for word in words])
        except SystemExit as err:  # argparse's own way out
            code = err.code
        message = capsys.readouterr().err
        assert code == 2, message
        assert "Traceback" not in message
        assert message.count("error:") == 1, message
        return message

    return run


@pytest.fixture
def own_list(tmp_path: Path, config: Path, bars: Path) -> Callable[[str], list[object]]:
    """Arguments that train with a list file of the given text."""

    def make(text: str) -> list[object]:
        path = tmp_path / "train.txt"
        path.write_text(text)
        prefix = f"data_prefix: {bars / 'train'}"
        (tmp_path / "own.yaml").write_text(
            f"_base_: {config}\n"
            f"MODEL: {{head: {{num_classes: 2}}}}\n"
            f"DATASET: {{train: {{file_path: {path}, {prefix}}}}}\n"
        )
        return ["-c", tmp_path / "own.yaml", "--output_dir", tmp_path / "out", "--device", "cpu"]

    return make


GOOD = "left/clip_000.avi 0\nright/clip_000.avi 1\n"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["train.txt", "empty"]),
        ("left/clip_000.avi 0\n\nright/clip_000.avi 1\n", ["train.txt:2", "blank"]),
        (GOOD + "left/clip_001.avi 2\n", ["train.txt:3", "2", "0 to 1"]),
        (GOOD + "left/clip_001.avi -1\n", ["train.txt:3", "-1"]),
        (GOOD + "left/clip_001.avi one\n", ["train.txt:3", "one"]),
        (GOOD + "left/clip_001.avi\n", ["train.txt:3"]),
        ("left/clip_000.avi 1\nright/clip_000.avi 2\n", ["train.txt", "subtract 1"]),
    ],
)
def test_wrong_lists(
    text: str, parts: list[str], fails: Callable[..., str], own_list: Callable[[str], list[object]]
) -> None:
    message = fails(train.main, *own_list(text))
    for part in parts:
        assert part in message, message


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["-o", "MODEL.backbone.detph=18"], ["MODEL.backbone.detph", "'depth'"]),
        (["-o", "MODEL.backbone.name=ResNetTMS"], ["ResNetTMS", "'ResNetTSM'"]),
        (["-o", "MODEL.head.name=TSMhead"], ["TSMhead", "'TSMHead'"]),
        (["-o", "MODEL.backbone.depth=19"], ["MODEL.backbone", "18, 34, 50, 101, 152"]),
        (["-o", "MODEL.head.in_channels=7"], ["in_channels", "7", "64"]),
        (["-o", "MODEL.head.num_classes=3"], ["num_classes", "3", "2"]),
        (["-o", "epochs=many"], ["epochs", "an integer"]),
        (["-o", "DATASET.train.file_path=/nowhere/x"], ["/nowhere/x", "prepare"]),
        (["-o", "MODEL.backbone.pretrained=nowhere.pdparams"], ["nowhere.pdparams"]),
        (["-w", "nowhere.pdparams"], ["nowhere.pdparams"]),
        (["--device", "gpuu"], ["gpuu", "'gpu'"]),
        (["--device", "gpu"], ["gpu"]),
        (["--amp"], ["--amp", "GPU"]),
        (["--max_iters", "0"], ["--max_iters"]),
        (["--resume"], ["no complete resume state"]),
        (["--resume", "nowhere.npz"], ["nowhere.npz"]),
        (["--frame_order", "shuffled"], ["--test"]),
        (["--vaildate"], ["--vaildate", "'--validate'"]),
        (["--test"], ["needs weights"]),
        (["--test", "--resume"], ["--resume"]),
        (["--resume", "-w", "any.pdparams"], ["--resume", "-w"]),
        (["--output_dir", "/proc/nowhere"], ["/proc/nowhere"]),
    ],
)
def test_wrong_arguments(
    words: list[str], parts: list[str], fails: Callable[..., str], config: Path, tmp_path: Path
) -> None:
    message = fails(train.main, "-c", config, "--output_dir", tmp_path, *words)
    for part in parts:
        assert part in message, message


def test_state_of_another_version(fails: Callable[..., str], config: Path, tmp_path: Path) -> None:
    state = tmp_path / "resume_step_00000001.npz"
    np.savez(state, meta=json.dumps({"global_step": 1, "state": {"failed": 0}, "run": {}}))
    seal(state)
    message = fails(train.main, "-c", config, "--output_dir", tmp_path / "out", "--resume", state)
    assert "does not hold the state of a run of this version" in message
    assert not (tmp_path / "out").exists()


def test_missing_config(fails: Callable[..., str], config: Path) -> None:
    message = fails(train.main, "-c", config.with_name("brs.yaml"))
    assert "brs.yaml" in message
    assert "bars.yaml" in message


def test_ucf101_without_data_names_the_command(
    fails: Callable[..., str], repo_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = repo_dir / "configs/tsm_ucf101.yaml"
    monkeypatch.chdir(tmp_path)  # wherever data/ucf101 does not lie
    message = fails(train.main, "-c", config)
    assert "ucf101_train_split_1_rawframes.txt does not exist" in message
    assert "python tools/prepare_data.py ucf101" in message


def test_a_wrong_prefix_is_said_before_anything_is_written(
    fails: Callable[..., str], own_list: Callable[[str], list[object]], tmp_path: Path
) -> None:
    message = fails(train.main, *own_list(GOOD), "-o", "DATASET.train.data_prefix=/nowhere")
    assert "/nowhere/left/clip_000.avi does not exist" in message
    assert "data_prefix" in message
    assert not (tmp_path / "out").exists()


class Malicious:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("hacked"),))


@pytest.fixture
def foreign_weights(tmp_path: Path, trained: Path) -> dict[str, Path]:
    """Files that are no weights of this network."""
    import paddle

    best = trained / "TSM_bars_best.pdparams"
    state = paddle.load(str(best))
    files = {name: tmp_path / f"{name}.pdparams" for name in ("cut", "text", "foreign", "classes")}
    files["cut"].write_bytes(best.read_bytes()[:100_000])
    files["text"].write_text("not weights")
    paddle.save({"encoder.0.weight": paddle.zeros([3, 3])}, str(files["foreign"]))
    state["head.fc.weight"] = paddle.zeros([64, 7])
    state["head.fc.bias"] = paddle.zeros([7])
    paddle.save(state, str(files["classes"]))
    files["malicious"] = tmp_path / "malicious.pdparams"
    files["malicious"].write_bytes(pickle.dumps({"a": Malicious()}))
    return files


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("cut", ["cut.pdparams"]),
        ("text", ["text.pdparams"]),
        ("foreign", ["foreign.pdparams", "encoder.0.weight"]),
        ("classes", ["classes.pdparams", "7", "2"]),
        ("malicious", ["malicious.pdparams"]),
    ],
)
def test_wrong_weights_are_refused_everywhere(
    name: str,
    parts: list[str],
    fails: Callable[..., str],
    config: Path,
    tmp_path: Path,
    foreign_weights: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    weights = foreign_weights[name]
    out = tmp_path / "out"
    for message in (
        fails(train.main, "--test", "-c", config, "-w", weights, "--output_dir", out),
        fails(train.main, "-c", config, "-w", weights, "--output_dir", out),
        fails(export.main, "-c", config, "-p", weights, "-o", out),
    ):
        for part in parts:
            assert part in message, message
    assert not (tmp_path / "hacked").exists()
    assert not (out / "inference.yml").exists()


def test_broken_training_videos_are_skipped_counted_and_limited(
    command: Command, config: Path, bars: Path, tmp_path: Path
) -> None:
    data = tmp_path / "train"
    shutil.copytree(bars / "train", data)
    broken = data / "left/clip_003.avi"
    broken.write_bytes(broken.read_bytes()[:3000])
    arguments = [
        "main.py", "-c", config, "--output_dir", tmp_path / "out", "--device", "cpu",
        "-o", f"DATASET.train.file_path={data}", "-o", "epochs=2",
    ]  # fmt: skip
    result = command(*arguments)
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stderr.count("clip_003.avi") == 1  # named once, not once per epoch
    assert "epoch 2: 1 training samples could not be read" in result.stderr
    records = (tmp_path / "out/TSM_bars/metrics.jsonl").read_text().splitlines()
    assert [json.loads(r)["failed"] for r in records if '"train"' in r] == [1, 1]
    for number in range(10, 20):
        (data / f"left/clip_{number:03d}.avi").write_bytes(b"broken")
    result = command(*arguments)
    assert result.returncode == 2
    assert "max_bad_fraction = 0.05" in result.stderr
    assert "Traceback" not in result.stderr
    assert command(*arguments, "-o", "DATASET.max_bad_fraction=0.5").returncode == 0


def test_broken_test_videos_are_reported_never_replaced(
    command: Command, config: Path, bars: Path, trained: Path, tmp_path: Path
) -> None:
    data = tmp_path / "test"
    shutil.copytree(bars / "test", data)
    (data / "left/clip_003.avi").unlink()
    names = [f"left/clip_{n:03d}.avi 0" for n in range(10)]
    names += [f"right/clip_{n:03d}.avi 1" for n in range(11)]
    (tmp_path / "test.txt").write_text("\n".join(names) + "\n")
    cut = data / "right/clip_004.avi"
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    write_video(data / "right/clip_005.avi", random_frames(1, 64, 64))
    result = command(
        "main.py", "--test", "-c", config, "-w", trained / "TSM_bars_best.pdparams",
        "--output_dir", tmp_path / "out", "--device", "cpu",
        "-o", f"DATASET.test.file_path={tmp_path / 'test.txt'}",
        "-o", f"DATASET.test.data_prefix={data}",
    )  # fmt: skip
    assert result.returncode == 1, result.stderr[-2000:]
    metrics = json.loads((tmp_path / "out/TSM_bars/test/metrics.json").read_text())
    assert metrics["num_samples"] == 19  # the video of one frame is a video
    assert metrics["num_failed"] == 2
    failed = {Path(item["path"]).name: item["reason"] for item in metrics["failed"]}
    assert set(failed) == {"clip_003.avi", "clip_004.avi"}
    assert "Traceback" not in result.stderr


def test_artefact_without_its_yml_and_missing_input(
    fails: Callable[..., str], config: Path, trained: Path, tmp_path: Path, bars: Path
) -> None:
    out = tmp_path / "artefact"
    weights = trained / "TSM_bars_best.pdparams"
    assert export.main(["-c", str(config), "-p", str(weights), "-o", str(out)]) == 0
    clip = bars / "test/left/clip_000.avi"
    message = fails(predict.main, "--input_file", clip.with_name("clip_00.avi"), "--model_dir", out)
    assert "clip_00.avi" in message
    (out / "inference.yml").unlink()
    assert "inference.yml" in fails(predict.main, "--input_file", clip, "--model_dir", out)
    missing = fails(predict.main, "--input_file", clip, "--model_dir", tmp_path / "artefcat")
    assert "artefcat" in missing


def test_predict_reports_failed_clips_and_goes_on(
    config: Path, trained: Path, tmp_path: Path, bars: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "artefact"
    weights = trained / "TSM_bars_best.pdparams"
    assert export.main(["-c", str(config), "-p", str(weights), "-o", str(out)]) == 0
    clips = tmp_path / "clips"
    shutil.copytree(bars / "test/left", clips)
    (clips / "clip_001.avi").write_bytes(b"nonsense")
    results = tmp_path / "results.jsonl"
    words = ["--input_file", clips, "--model_dir", out, "--output", results, "--top_k", 9]
    assert predict.main([str(word) for word in words]) == 1
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    assert [Path(row["path"]).name for row in rows] == sorted(p.name for p in clips.iterdir())
    errors = [row for row in rows if row.get("error")]
    assert [Path(row["path"]).name for row in errors] == ["clip_001.avi"]
    assert "1 failed" in capsys.readouterr().out


def test_one_broken_video_is_named_once_by_several_processes(
    command: Command, config: Path, bars: Path, tmp_path: Path
) -> None:
    data = tmp_path / "train"
    shutil.copytree(bars / "train", data)
    (data / "left/clip_003.avi").write_bytes(b"broken")
    result = command(
        "-m", "paddle.distributed.launch", "--nproc_per_node", "2", "--log_dir", tmp_path / "log",
        "main.py", "-c", config, "--output_dir", tmp_path, "--device", "cpu", "--no-validate",
        "-o", f"DATASET.train.file_path={data}", "-o", "epochs=4", "-o", "DATASET.batch_size=1",
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-2000:]
    log = (tmp_path / "TSM_bars/train.log").read_text()
    assert log.count("clip_003.avi") == 1
    # With batches of one clip a process has an empty batch now and then: it leaves no trace.
    weights = read_state(tmp_path / "TSM_bars/TSM_bars_epoch_00004.pdparams")
    assert all(np.isfinite(array).all() for array in weights.values())


def test_diverging_training_stops_and_names_the_step(
    command: Command, config: Path, tmp_path: Path
) -> None:
    result = command(
        "main.py", "-c", config, "--output_dir", tmp_path, "--device", "cpu",
        "-o", "OPTIMIZER.learning_rate.base=1e30", "-o", "OPTIMIZER.grad_clip=null",
        "-o", "OPTIMIZER.learning_rate.warmup_epochs=0",
    )  # fmt: skip
    assert result.returncode == 2
    assert "the loss is not finite at epoch 1, step" in result.stderr
    assert "Traceback" not in result.stderr


def test_seed_fixes_the_run(command: Command, config: Path, tmp_path: Path) -> None:
    losses = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        arguments = ["main.py", "-c", config, "--device", "cpu", "--max_iters", 3, "--no-validate"]
        command(*arguments, "--output_dir", tmp_path / name, "--seed", seed)
        record = json.loads((tmp_path / name / "TSM_bars/metrics.jsonl").read_text())
        losses.append(record["loss"])
    assert losses[0] == losses[1]
    assert np.abs(losses[0] - losses[2]) > 1e-6
