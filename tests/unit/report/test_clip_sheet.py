# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from paddletsm.cli import browse, prepare
from paddletsm.data import ClipDataset, Sample, build_pipeline
from paddletsm.errors import DataError
from paddletsm.report import clip_sheet
from paddletsm.report.clip_sheet import read_clips, write_sheet, write_video
from tests.conftest import random_frames
from tests.conftest import write_video as write_clip

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def dataset_of(paths: list[Path], *, on_device: bool = False) -> ClipDataset:
    spec = {
        "decode": {"name": "VideoDecoder", "backend": "opencv"},
        "sample": {"name": "Sampler", "num_seg": 4},
        "transform": [
            {"RandomCrop": {"target_size": 40}},
            {"Normalization": {"mean": MEAN, "std": STD, "on_device": on_device}},
        ],
    }
    samples = [Sample(str(path), i % 2, i) for i, path in enumerate(paths)]
    return ClipDataset(samples, build_pipeline(spec), seed=3)


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "clips"
    return [write_clip(folder / f"{i}.avi", random_frames(9, seed=i)) for i in range(3)]


def test_pixels_are_what_the_network_gets(paths: list[Path]) -> None:
    dataset = dataset_of(paths)
    clips = read_clips(dataset, ["walk", "run $x_1$"], count=9, epoch=2)
    assert [clip.title for clip in clips] == ["0  walk", "1  run $x_1$", "0  walk"]
    clip = dataset.load(1, epoch=2)
    assert clips[1].detail == "1.avi, frames " + ", ".join(map(str, clip.indices[0]))
    again = (clips[1].frames / 255 - MEAN) / STD
    np.testing.assert_allclose(np.moveaxis(again, -1, 1), clip.frames[0], atol=1e-5)
    raw = read_clips(dataset_of(paths, on_device=True), ["a", "b"], count=9, epoch=2)
    assert np.array_equal(raw[1].frames, clips[1].frames)


def test_choice_and_failures(paths: list[Path], tmp_path: Path) -> None:
    dataset = dataset_of([paths[0], tmp_path / "none.avi"])
    names = ["a", "b"]
    assert len(read_clips(dataset, names, count=5)) == 1
    with pytest.raises(DataError, match=r"none of 1 samples can be read.*none\.avi"):
        read_clips(dataset_of([tmp_path / "none.avi"]), names, count=5)
    with pytest.raises(DataError, match="empty"):
        read_clips(dataset_of([]), names, count=5)
    many = dataset_of(paths * 4)
    picked = [[c.detail for c in read_clips(many, names, count=2, seed=s)] for s in (0, 0, 1)]
    assert picked[0] == picked[1] != picked[2]


def test_sheet_and_video(paths: list[Path], tmp_path: Path) -> None:
    clips = read_clips(dataset_of(paths), ["walk", "跑"], count=9)
    sheet = tmp_path / "new" / "sheet.png"
    write_sheet(clips, sheet)
    image = cv2.imread(str(sheet))
    # Three rows of four frames of 128 pixels below a line of text.
    assert image.shape[0] > 3 * (128 + 20)
    assert image.shape[1] > 4 * 128
    frame = cv2.resize(clips[0].frames[0], (128, 128), interpolation=cv2.INTER_NEAREST)
    found = cv2.matchTemplate(image, np.ascontiguousarray(frame[..., ::-1]), cv2.TM_SQDIFF)
    assert found.min() == 0
    video = tmp_path / "clips.mp4"
    write_video(clips, video)
    capture = cv2.VideoCapture(str(video))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 16  # four times four frames
    assert capture.read()[1].shape[0] > 2 * 256  # two rows


def test_command(paths: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    root = tmp_path / "data"
    for name in ("walk", "run"):
        write_clip(root / name / "a.avi", random_frames(9))
    config = Path(__file__).resolve().parents[3] / "configs/tsm_motion.yaml"
    args = ["-c", str(config), "--num", "2", "--out", "sheet.png"]
    for split in ("train", "valid", "test"):
        args += ["-o", f"DATASET.{split}.file_path={root}"]
    args += ["-o", "DATASET.class_names=null", "-o", "MODEL.head.num_classes=2"]
    assert prepare.main(["browse", *args]) == 0
    told = capsys.readouterr().out
    assert told == "sheet.png: 2 clips of train, augmented as in epoch 0\n"
    assert Path("sheet.png").stat().st_size > 1000
    assert browse.main([*args, "--out", "sheet.gif"]) == 2
    assert "must end in .png" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        browse.main([*args, "--num", "0"])
    assert "--num: expected a whole number from 1 on" in capsys.readouterr().err
    assert browse.main([*args, "--split", "valid", "--num", "100"]) == 0
    assert capsys.readouterr().out == (
        "sheet.png: 2 clips of valid, as validation sees them, without augmentation "
        "(--num 100: there are no more)\n"
    )
    assert browse.main([*args, "--split", "test"]) == 0
    assert "2 clips of test, as the test sees them, without" in capsys.readouterr().out
    assert browse.main([*args, "--split", "test", "-o", "DATASET.test=null"]) == 0
    assert (
        "2 clips of valid (there is no DATASET.test: the test reads the validation split), as the "
        "test sees them" in capsys.readouterr().out
    )


def test_a_video_names_files_and_frames(
    paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second line under the label, which changes with the frame."""
    seen: list[str] = []
    draw = clip_sheet._caption
    monkeypatch.setattr(
        clip_sheet, "_caption", lambda text, width: seen.append(text) or draw(text, width)
    )
    clips = read_clips(dataset_of(paths), ["walk", "run"], count=2)
    write_video(clips, tmp_path / "clips.mp4")
    for clip in clips:
        name, numbers = clip.detail.split(", frames ")
        for number in numbers.split(", "):
            assert f"{name}, frame {number}" in seen
        assert clip.title in seen
