# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Entries: each defect is named for what it is. All of them together: tests/e2e."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from paddletsm.errors import ConfigError, DataError
from paddletsm.prepare import check_scan
from paddletsm.prepare.check import CheckReport, CheckSettings, Source, as_json, check_data
from paddletsm.prepare.check import load_source as load
from paddletsm.prepare.check_fix import write_clean
from paddletsm.prepare.check_page import make_page
from tests.conftest import random_frames, write_video

FRAMES = 8


@pytest.fixture(autouse=True)
def _no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decode in this process: starting workers takes longer than all else here."""
    make = check_scan.ClipLoader
    monkeypatch.setattr(
        check_scan, "ClipLoader", lambda data, *, num_workers, timeout_s: make(data)
    )


def video(name: str, seed: int = 0, count: int = FRAMES) -> str:
    write_video(Path(name), random_frames(count, seed=seed))
    return name


def folder(name: str, seed: int = 0, count: int = FRAMES) -> str:
    Path(name).mkdir(parents=True)
    for number, frame in enumerate(random_frames(count, seed=seed), 1):
        cv2.imwrite(f"{name}/img_{number:05}.jpg", frame)
    return name


def write_list(name: str, *lines: str) -> str:
    Path(name).write_text("".join(f"{line}\n" for line in lines))
    return name


def kinds(report: CheckReport) -> list[tuple[str, str]]:
    return [(finding.kind, Path(finding.path).name) for finding in report.findings]


def check(
    *sources: Source, group: str = "none", names: tuple[str, ...] | None = None
) -> CheckReport:
    return check_data(sources, CheckSettings(group=group, class_names=names))


# --- entries ------------------------------------------------------------------------------------


def test_sound_videos_give_no_finding() -> None:
    lines = [f"{video(f'{i}.avi', i)} {i % 2}" for i in range(4)]
    report = check(load("train", write_list("a.txt", *lines)))
    assert report.findings == ()
    assert [entry.frames for entry in report.entries["train"]] == [FRAMES] * 4
    assert report.entries["train"][0].size == (64, 48)
    assert json.loads(as_json(report))["ok"] is True


def _cut_avi(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _damage_the_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = bytes(2000)
    path.write_bytes(bytes(data))


def _no_video(path: Path) -> None:
    path.write_text("404 Not Found")


def _empty(path: Path) -> None:
    os.truncate(path, 0)


def _no_frame(path: Path) -> None:
    codec = cv2.VideoWriter.fourcc(*"MJPG")
    cv2.VideoWriter(str(path), cv2.CAP_OPENCV_MJPEG, codec, 8.0, (64, 48)).release()


def _folder_in_its_place(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (Path.unlink, "missing"),
        (_no_video, "corrupt"),
        (_folder_in_its_place, "corrupt"),
        (_cut_avi, "truncated"),
        (_damage_the_middle, "truncated"),
        (_no_frame, "zero_frames"),
        (_empty, "zero_frames"),
    ],
)
def test_broken_videos(damage: Callable[[Path], None], kind: str) -> None:
    lines = [f"{video(f'{i}.avi', i)} {i % 2}" for i in range(3)]
    damage(Path("1.avi"))
    report = check(load("train", write_list("a.txt", *lines), format="VideoDataset"))
    assert kinds(report) == [(kind, "1.avi")]
    assert report.findings[0].where == "a.txt:2"
    assert report.findings[0].text
    assert not report.findings[0].text.startswith("1.avi")


def test_a_cut_matroska_file_opens_and_is_found() -> None:
    """Its header has no frame count, so decoders take what is left for the whole video."""
    for name in ("a.mkv", "b.mkv"):
        writer = cv2.VideoWriter(name, cv2.VideoWriter.fourcc(*"MJPG"), 8.0, (64, 48))
        for frame in random_frames(30, seed=len(name) + ord(name[0])):
            writer.write(frame)
        writer.release()
    data = Path("b.mkv").read_bytes()
    Path("b.mkv").write_bytes(data[: len(data) * 6 // 10])
    report = check(load("train", write_list("a.txt", "a.mkv 0", "b.mkv 1")))
    assert kinds(report) == [("truncated", "b.mkv")]


def test_too_short_for_the_segments() -> None:
    path = write_list("a.txt", f"{video('a.avi', 1, 7)} 0", f"{video('b.avi', 2, 8)} 0")
    assert kinds(check(load("train", path))) == [("too_short", "a.avi")]
    assert kinds(check(load("train", path, num_seg=7))) == []
    assert kinds(check(load("train", path, num_seg=16))) == [
        ("too_short", "a.avi"),
        ("too_short", "b.avi"),
    ]


@pytest.mark.parametrize("format", [None, "FrameDataset"])
def test_frame_folders(format: str | None) -> None:
    names = ("fine", "gap", "fewer", "more", "other", "grey")
    for seed, name in enumerate(names):
        folder(name, seed)
    Path("gap/img_00003.jpg").unlink()
    Path("gap/img_00005.jpg").unlink()
    for path in Path("other").iterdir():
        path.rename(path.with_name(path.name.replace("img_", "frame")))
    cut = Path("grey/img_00004.jpg")
    cut.write_bytes(cut.read_bytes()[:200])
    counts = {"fewer": 10, "more": 6}
    lines = [f"{name} {counts.get(name, 8)} {i % 2}" for i, name in enumerate(names)]
    report = check(load("train", write_list("a.txt", *lines, "nowhere 8 0"), format=format))
    assert kinds(report) == [
        ("frame_missing", "gap"),
        ("num_frames", "fewer"),
        ("num_frames", "more"),
        ("zero_frames", "other"),
        ("corrupt", "grey"),
        ("missing", "nowhere"),
    ]
    texts = [finding.text for finding in report.findings]
    assert texts[0] == "missing of 8 frames: 3, 5"
    assert texts[1] == "the list says 10 frames, the folder has 8"
    assert "frame 4 is damaged" in texts[4]


def test_the_pattern_of_frames() -> None:
    Path("a").mkdir()
    for number, frame in enumerate(random_frames(8), 1):
        cv2.imwrite(f"a/{number:05}.jpg", frame)
    path = write_list("a.txt", "a 8 0")
    assert kinds(check(load("train", path, suffix="img_{:05}.jpg"))) == [("zero_frames", "a")]
    assert kinds(check(load("train", path))) == []  # the folder tells
    assert kinds(check(load("train", path, suffix="{:05}.jpg"))) == []


def test_quick_decodes_the_first_and_the_last_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    get = check_scan.Reader.get
    monkeypatch.setattr(
        check_scan.Reader, "get", lambda self, n: asked.extend(map(int, n)) or get(self, n)
    )
    source = load("train", write_list("a.txt", f"{video('a.avi', 1, 40)} 0"), num_seg=4)
    report = check_data([source], CheckSettings(quick=True))
    assert asked == [0, 13, 26, 39]
    assert report.entries["train"][0].frames == 40


# --- comparisons --------------------------------------------------------------------------------


def test_duplicates() -> None:
    for seed, name in enumerate(("a.avi", "b.avi", "c.avi")):
        video(name, seed)
    Path("same_bytes.avi").write_bytes(Path("a.avi").read_bytes())
    write_video(Path("same_frames.avi"), random_frames(FRAMES, seed=1), fps=25.0)
    names = ("a.avi", "b.avi", "same_bytes.avi", "same_frames.avi", "c.avi", "b.avi")
    lines = [f"{name} {i % 2}" for i, name in enumerate(names)]
    report = check(load("train", write_list("a.txt", *lines)))
    assert kinds(report) == [
        ("duplicate", "same_bytes.avi"),
        ("duplicate", "same_frames.avi"),
        ("duplicate", "b.avi"),
    ]
    texts = [finding.text for finding in report.findings]
    assert texts[0] == "the same bytes as a.avi (a.txt:1)"
    assert texts[1] == "the same frames, in another file, as b.avi (a.txt:2)"
    assert texts[2] == "the same file as b.avi (a.txt:2)"


def test_clips_that_differ_in_one_frame_are_no_duplicates() -> None:
    frames = random_frames(FRAMES, seed=0)
    write_video(Path("a.avi"), frames)
    for number in (0, 1, FRAMES - 1):
        other = frames.copy()
        other[number] = 255 - other[number]
        write_video(Path(f"{number}.avi"), other)
    write_video(Path("turned.avi"), frames[::-1])
    names = ("a.avi", "0.avi", "1.avi", f"{FRAMES - 1}.avi", "turned.avi")
    report = check(load("train", write_list("a.txt", *(f"{name} 0" for name in names))))
    assert kinds(report) == []


def test_a_duplicate_of_another_label_says_so() -> None:
    video("a.avi")
    Path("b.avi").write_bytes(Path("a.avi").read_bytes())
    report = check(load("train", write_list("a.txt", "a.avi 0", "b.avi 1")))
    assert report.findings[0].text.endswith("and the labels differ: 0 and 1")


def test_two_unreadable_files_are_no_duplicates() -> None:
    for name in ("a.avi", "b.avi"):
        Path(name).write_text("404 Not Found")
    video("c.avi")
    report = check(load("train", write_list("a.txt", "a.avi 0", "b.avi 0", "c.avi 0")))
    assert kinds(report) == [("corrupt", "a.avi"), ("corrupt", "b.avi")]


def test_leaks_are_found_in_training() -> None:
    train = [video(f"v_A_g0{g}_c0{c}.avi", 10 * g + c) for g in (1, 2, 3) for c in (1, 2)]
    val = [video("v_A_g03_c03.avi", 40), video("v_A_g04_c01.avi", 41)]
    Path("v_A_g05_c01.avi").write_bytes(Path(train[0]).read_bytes())
    val.append("v_A_g05_c01.avi")
    sources = [
        load("valid", write_list("val.txt", *(f"{name} 0" for name in val))),
        load("train", write_list("train.txt", *(f"{name} 0" for name in train))),
    ]
    report = check(*sources, group="auto")
    assert kinds(report) == [
        ("same_content", "v_A_g01_c01.avi"),
        ("same_recording", "v_A_g03_c01.avi"),
        ("same_recording", "v_A_g03_c02.avi"),
    ]
    assert {finding.split for finding in report.findings} == {"train"}
    assert kinds(check(*sources, group="none")) == [("same_content", "v_A_g01_c01.avi")]
    by_name = kinds(check(*sources, group="(v_A)"))
    assert len(by_name) == 6, "a regular expression may take all clips for one recording"


# --- lists --------------------------------------------------------------------------------------


def test_malformed_lines_are_all_reported() -> None:
    path = write_list(
        "a.txt", f"{video('a.avi')} 0", "", "b.avi", f"{video('c.avi', 1)} 1", "d 8 1"
    )
    report = check(load("train", path))
    assert [(f.kind, f.where) for f in report.findings] == [
        ("malformed", "a.txt:2"),
        ("malformed", "a.txt:3"),
        ("malformed", "a.txt:5"),
    ]
    assert report.findings[0].text == "blank line; delete it"
    with pytest.raises(DataError, match=r"a.txt:1: no label"):
        load("train", write_list("a.txt", "nothing"))


def test_clean_list_keeps_its_lines() -> None:
    video("my clip.avi")
    video("b.avi", 1)
    lines = ['"my clip.avi"\t0', "gone.avi 1", "", "b.avi, 1"]
    report = check(load("train", write_list("a.txt", *lines)))
    (written,) = write_clean(report, "clean.txt")
    assert Path("clean.txt").read_text() == '"my clip.avi"\t0\nb.avi, 1\n'
    assert str(written) == "clean.txt: 2 entries, 2 left out"
    assert kinds(check(load("train", "clean.txt"))) == []


def test_clean_list_of_a_folder() -> None:
    for name in ("walk/a b.avi", "walk/c.avi", "run/d.avi", "sit/e.avi"):
        video(f"data/{name}", ord(name[-5]))
    Path("data/sit/e.avi").write_text("no video")
    report = check(load("train", "data"), names=("run", "sit", "walk"))
    (written,) = write_clean(report, "out/clean.txt")
    assert Path("out/clean.txt").read_text() == (
        'data/run/d.avi 0\n"data/walk/a b.avi" 2\ndata/walk/c.avi 2\n'
    )
    assert Path("out/clean_classes.txt").read_text() == "run\nsit\nwalk\n"
    assert "no clip is left of label 1" in str(written)


def test_clean_list_of_frame_folders() -> None:
    for name in ("a/x", "b/y"):
        folder(f"data/{name}", ord(name[0]))
    report = check(load("train", "data"))
    assert report.sources[0].format == "FrameDataset"
    write_clean(report, "clean.txt")
    assert Path("clean.txt").read_text() == "data/a/x 8 0\ndata/b/y 8 1\n"


def test_clean_lists_of_two_splits() -> None:
    a, b = video("a.avi", 1), video("b.avi", 2)
    train, val = write_list("t.txt", f"{a} 0", f"{b} 0"), write_list("v.txt", f"{a} 0")
    report = check(load("train", train), load("valid", val))
    written = write_clean(report, "clean.txt")
    assert [str(item.path) for item in written] == ["clean_train.txt", "clean_valid.txt"]
    assert Path("clean_train.txt").read_text() == "b.avi 0\n"
    assert Path("clean_valid.txt").read_text() == "a.avi 0\n"


def test_a_list_is_never_overwritten_or_emptied() -> None:
    path = write_list("a.txt", f"{video('a.avi')} 0")
    with pytest.raises(ConfigError, match="would overwrite"):
        write_clean(check(load("train", path)), "./a.txt")
    Path("a.avi").unlink()
    with pytest.raises(DataError, match="no entry is sound"):
        write_clean(check(load("train", path)), "clean.txt")
    assert not Path("clean.txt").exists()


# --- page ---------------------------------------------------------------------------------------


def test_the_page_holds_all_it_shows() -> None:
    for name in ("<b>walk/a.avi", "<b>walk/c.avi", "run/d.avi"):
        video(f"data/{name}", ord(name[-5]))
    _cut_avi(Path("data/run/d.avi"))
    report = check(load("train", "data"), names=("<b>walk", "run"))
    text = make_page(report)
    assert not re.search(r"https?://|<link(?![^>]*data:)|src=\"(?!data:)", text)
    assert "<b>walk" not in text
    assert text.count("data:image/jpeg;base64,") == 3  # two sound clips, one truncated
    assert "truncated video" in text
