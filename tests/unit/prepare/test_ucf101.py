# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""A miniature of the official layout: three classes, six videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from paddletsm.cli.prepare import main
from paddletsm.data.index import load_index
from paddletsm.data.readers import open_frames, open_video
from paddletsm.prepare import extract_frames
from tests.conftest import random_frames, write_video

TRAIN = "ApplyLipstick/v_ApplyLipstick_g08_c01.avi 1\nArchery/v_Archery_g08_c01.avi 2\n"
# The official lists disagree with the official archive on this one's capital letters.
TRAIN += "HandstandPushups/v_HandStandPushups_g08_c01.avi 3\r\n"
TEST = "Archery/v_Archery_g01_c01.avi\nArchery/v_Archery_g01_c02.avi\n"
CLASSES = ("ApplyLipstick", "Archery", "HandstandPushups")
LENGTHS = {
    "ApplyLipstick/v_ApplyLipstick_g08_c01": 4,
    "Archery/v_Archery_g08_c01": 5,
    "HandstandPushups/v_HandstandPushups_g08_c01": 6,
    "Archery/v_Archery_g01_c01": 7,
    "Archery/v_Archery_g01_c02": 8,
}


class Download:
    """What a user has unpacked, and where the result goes."""

    def __init__(self, root: Path, *, is_flat: bool = False) -> None:
        self.videos, self.lists, self.out = root / "UCF-101", root / "lists", root / "out"
        for seed, (name, length) in enumerate(LENGTHS.items()):
            name = Path(name).name if is_flat else name
            write_video(self.videos / f"{name}.avi", random_frames(length, 24, 32, seed))
        self.lists.mkdir()
        (self.lists / "classInd.txt").write_text("1 ApplyLipstick\n2 Archery\n3 HandstandPushups\n")
        (self.lists / "trainlist01.txt").write_text(TRAIN)
        (self.lists / "testlist01.txt").write_text(TEST)

    def prepare(self, *options: str) -> int:
        folders = {"videos": self.videos, "annotations": self.lists, "out": self.out}
        flags = [word for name, path in folders.items() for word in (f"--{name}", str(path))]
        return main(["ucf101", *flags, *options])

    def text(self, name: str) -> str:
        return (self.out / name).read_text()


@pytest.fixture
def download(tmp_path: Path) -> Download:
    return Download(tmp_path)


def test_lists_and_frames(download: Download) -> None:
    assert download.prepare() == 0
    assert download.text("class_names.txt").split() == list(CLASSES)
    assert download.text("ucf101_train_split_1_rawframes.txt").splitlines() == [
        "ApplyLipstick/v_ApplyLipstick_g08_c01 4 0",
        "Archery/v_Archery_g08_c01 5 1",
        "HandstandPushups/v_HandStandPushups_g08_c01 6 2",
    ]
    assert download.text("ucf101_val_split_1_videos.txt").splitlines() == [
        "Archery/v_Archery_g01_c01.avi 1",
        "Archery/v_Archery_g01_c02.avi 1",
    ]
    folder = download.out / "rawframes/Archery/v_Archery_g01_c01"
    names = sorted(path.name for path in folder.iterdir())
    assert names == [f"img_{k:05d}.jpg" for k in range(1, 8)]


def test_the_package_reads_what_it_wrote(download: Download) -> None:
    assert download.prepare() == 0
    for kind, prefix in (("FrameDataset", download.out / "rawframes"), ("VideoDataset", None)):
        suffix = "rawframes" if prefix else "videos"
        for part, count in (("train", 3), ("val", 2)):
            index = load_index(
                download.out / f"ucf101_{part}_split_1_{suffix}.txt",
                format=kind,
                data_prefix=str(prefix or download.videos),
                num_classes=3,
            )
            assert len(index.samples) == count
            assert all(Path(sample.path).exists() for sample in index.samples)
    sample = index.samples[0]
    frames = download.out / "rawframes/Archery/v_Archery_g01_c01"
    from_jpeg = open_frames(str(frames), "img_{:05}.jpg", 7).get(np.arange(7))
    from_video = open_video(sample.path).get(np.arange(7))
    assert from_jpeg.shape == from_video.shape == (7, 24, 32, 3)  # the video's own size
    # Coded twice, with colours at half resolution: compare the brightness.
    assert np.abs((from_jpeg - from_video.astype(float)) @ [0.299, 0.587, 0.114]).mean() < 3


def test_videos_without_class_folders_and_nested_lists(tmp_path: Path) -> None:
    download = Download(tmp_path, is_flat=True)
    download.lists.rename(tmp_path / "ucfTrainTestlist")
    download.lists = tmp_path / "unpacked"
    download.lists.mkdir()
    (tmp_path / "ucfTrainTestlist").rename(download.lists / "ucfTrainTestlist")
    assert download.prepare("--workers", "1") == 0
    assert download.text("ucf101_val_split_1_videos.txt").splitlines() == [
        "v_Archery_g01_c01.avi 1",
        "v_Archery_g01_c02.avi 1",
    ]
    assert len(list((download.out / "rawframes/Archery").iterdir())) == 3


def test_second_run_extracts_only_what_is_missing(
    download: Download, capsys: pytest.CaptureFixture[str]
) -> None:
    assert download.prepare() == 0
    assert "5 videos extracted, 0 were" in capsys.readouterr().out
    folder = download.out / "rawframes/Archery/v_Archery_g01_c02"
    for path in folder.iterdir():
        path.unlink()
    times = {path: path.stat().st_mtime_ns for path in download.out.rglob("*.jpg")}
    assert download.prepare() == 0
    assert "1 video extracted, 4 were" in capsys.readouterr().out
    assert len(list(folder.iterdir())) == 8
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())


def test_an_interrupted_video_is_extracted_again(
    download: Download, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = extract_frames._write_jpeg

    def stop_at_three(path: Path, frame: object) -> None:
        if path.name == "img_00003.jpg":
            raise KeyboardInterrupt
        write(path, frame)

    video = download.videos / "Archery/v_Archery_g01_c01.avi"
    with monkeypatch.context() as patch:
        patch.setattr(extract_frames, "_write_jpeg", stop_at_three)
        with pytest.raises(KeyboardInterrupt):
            extract_frames.extract_frames(video, download.out / "frames")
    assert list(download.out.iterdir()) == []
    assert download.prepare() == 0


def test_missing_videos_are_named_and_counted(
    download: Download, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("v_Archery_g01_c01", "v_Archery_g08_c01"):
        (download.videos / f"Archery/{name}.avi").unlink()
    assert download.prepare() == 1
    err = capsys.readouterr().err
    assert "missing: Archery/v_Archery_g01_c01" in err
    assert "2 videos missing" in err
    assert not download.out.exists()


def test_broken_videos_are_named_and_the_others_kept(
    download: Download, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = download.videos / "Archery/v_Archery_g01_c01.avi"
    broken.write_bytes(b"RIFF, but no video")
    assert download.prepare() == 1
    err = capsys.readouterr().err
    assert f"unreadable: {broken}" in err
    assert "1 video unreadable; no lists are written" in err
    assert len(list(download.out.rglob("img_00001.jpg"))) == 4
    assert not list(download.out.glob("*.txt"))


def test_truncated_video(download: Download) -> None:
    video = download.videos / "long.avi"
    write_video(video, random_frames(40, 24, 32))
    whole = video.read_bytes()
    video.write_bytes(whole[: len(whole) // 2])
    outcome = extract_frames.extract_all([(video, download.out / "frames")])[0]
    assert outcome.reason.startswith(f"{video}: ")
    assert not (download.out / "frames").exists()


@pytest.mark.parametrize(
    "options", [[], ["--videos", "."], ["--videos", "no", "--annotations", "."]]
)
def test_without_the_data_it_says_where_to_get_it(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ucf101", *options]) == 2
    err = capsys.readouterr().err
    assert "https://www.crcv.ucf.edu/data/UCF101.php" in err
    assert "terms of use" in err


@pytest.mark.parametrize(("name", "text", "message"), [
    ("classInd.txt", "1 A\n3 B\n", "classInd.txt:2: class number 3 where 2 is due"),
    ("classInd.txt", "1 A\n2 A\n", "classInd.txt:2: class 'A' is there twice"),
    ("classInd.txt", "ApplyLipstick\n", "classInd.txt:1: 'ApplyLipstick' is not 'number class'"),
    ("classInd.txt", "\n", "classInd.txt: the file is empty"),
    ("trainlist01.txt", "\nArchry/v.avi 1\n", "trainlist01.txt:2: 'Archry' is no class"),
    ("trainlist01.txt", "Archery/v.avi 1\n", "trainlist01.txt:1: number 1, but Archery is number"),
])  # fmt: skip
def test_malformed_official_lists(
    download: Download,
    capsys: pytest.CaptureFixture[str],
    name: str,
    text: str,
    message: str,
) -> None:
    (download.lists / name).write_text(text)
    assert download.prepare() == 2
    assert message in capsys.readouterr().err


def test_a_split_without_lists(download: Download, capsys: pytest.CaptureFixture[str]) -> None:
    assert download.prepare("--split", "2") == 2
    assert "trainlist02.txt: no such file; did you mean" in capsys.readouterr().err
