# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What a first look takes for something else: each thing is called by its name."""

from __future__ import annotations

import json
import os
import shlex
import struct
from pathlib import Path

import cv2
import pytest

from paddletsm.builders import build_dataset, load_config, resolve_classes
from paddletsm.cli.check import main
from paddletsm.data import open_video
from paddletsm.data.container import NEEDS_PYAV, NO_PICTURE, why_undecodable
from paddletsm.errors import DataError
from tests.conftest import REPO, random_frames, write_video


def videos(*names: str, count: int = 8) -> None:
    for name in names:
        write_video(Path(name), random_frames(count, seed=sum(map(ord, name))))


def frames(folder: str, pattern: str = "img_{:05}.jpg", first: int = 1) -> None:
    Path(folder).mkdir(parents=True)
    for number, frame in enumerate(random_frames(8, seed=sum(map(ord, folder))), first):
        cv2.imwrite(f"{folder}/{pattern.format(number)}", frame)


def write(name: str, *lines: str) -> str:
    Path(name).write_text("".join(f"{line}\n" for line in lines))
    return name


def check(*words: str) -> dict:
    main([*words, "--workers", "1", "--json", "r.json"])
    return json.loads(Path("r.json").read_text())


def findings(*words: str) -> list[tuple[str, str]]:
    return [(found["kind"], found["path"]) for found in check(*words)["findings"]]


# --- frames -------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["{}.jpg", "img_{:05}.jpg"])
def test_frames_from_zero(pattern: str) -> None:
    frames("data/run/a", pattern, first=0)
    frames("data/walk/b", pattern)
    assert findings("data", "--fix", "clean.txt") == [("from_zero", "data/run/a")]
    assert Path("clean.txt").read_text() == "data/walk/b 8 1\n"
    write("list.txt", "data/run/a 8 0", "data/walk/b 8 1")
    assert findings("list.txt") == [("from_zero", "data/run/a")]


def test_what_trains_on_a_clean_list(capsys: pytest.CaptureFixture[str]) -> None:
    """The words that are printed are those that a configuration needs."""
    for split in ("train", "val"):
        frames(f"{split}/run/a", "{:04}.png")
        frames(f"{split}/walk/b", "{:04}.png")
    main(["train", "--val", "val", "--group", "none", "--fix", "out/c.txt", "--workers", "1"])
    printed = capsys.readouterr().out
    words = shlex.split(printed.rpartition("to train on it: ")[2])
    model = "MODEL: {backbone: {name: ResNetTSM, depth: 18, num_seg: 4}, head: {name: TSMHead}}"
    base = f"_base_: {REPO}/configs/_base_/data/clips.yaml"
    write("own.yaml", base, "model_name: own", model)
    config = resolve_classes(load_config("own.yaml", words[1::2]))
    assert config.DATASET.class_names == ("run", "walk")
    for mode in ("train", "valid"):
        dataset = build_dataset(config, mode)
        assert [sample.num_frames for sample in dataset.samples] == [8, 8]
        assert len(dataset.pipeline.decoder.open(dataset.samples[0])) == 8


def test_what_trains_on_a_clean_list_of_videos(capsys: pytest.CaptureFixture[str]) -> None:
    videos("clips/a.avi", "clips/b.avi")
    write("list.txt", "a 0", "b 1")
    main(["list.txt", "--data_prefix", "clips", "--suffix", ".avi", "--fix", "my clean.txt"])
    assert (
        "to train on it: -o 'DATASET.train.file_path=my clean.txt' "
        "-o DATASET.train.data_prefix=clips -o DATASET.train.suffix=.avi\n"
    ) in capsys.readouterr().out


def test_a_stray_video_among_folders_of_frames() -> None:
    for name in ("run/a", "run/b", "walk/c"):
        frames(f"data/{name}")
    videos("data/run/0.avi")
    assert findings("data") == [("unread", "data/run/0.avi")]
    videos("more/run/a.avi", "more/run/b.avi")
    frames("more/run/0")
    Path("more/walk/notes").mkdir(parents=True)  # neither frames nor videos: speaks for nothing
    assert findings("more")[:2] == [("unread", "more/run/0"), ("no_clip", "more/walk/notes")]


def test_the_number_of_frames_of_a_video_is_compared() -> None:
    videos("a.avi", "b.avi")
    write("list.txt", "a.avi 99 0", "b.avi 8 1")
    (found,) = check("list.txt")["findings"]
    assert (found["kind"], found["path"]) == ("num_frames", "a.avi")
    assert found["text"] == "the list says 99 frames, the video has 8"


@pytest.mark.parametrize(("count", "lost"), [(8, 0), (9, 0), (10, 0), (11, 3), (15, 7), (16, 0),
                                             (22, 6), (31, 0)])  # fmt: skip
def test_frames_that_training_never_draws(count: int, lost: int) -> None:
    videos("a.avi", count=count)
    found = check(write("a.txt", "a.avi 0"))["findings"]
    assert [item["kind"] for item in found] == ["short"] * bool(lost)
    assert not found or f"the last {lost} of its {count} frames" in found[0]["text"]
    videos("b.avi", count=8)
    assert findings(write("b.txt", "b.avi 0"), "--val", "a.txt") == []  # all of it is tested


# --- containers ---------------------------------------------------------------------------------


def box(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), kind) + content


def mp4(handler: bytes, codec: bytes) -> bytes:
    hdlr = box(b"hdlr", bytes(8), handler, bytes(13))
    stsd = box(b"stsd", bytes(7), b"\1", box(codec, bytes(28)))
    trak = box(b"trak", box(b"mdia", hdlr, box(b"minf", box(b"stbl", stsd))))
    return box(b"ftyp", b"isom", bytes(4)) + box(b"moov", trak)


def mkv(*codecs: bytes) -> bytes:
    tracks = b"".join(b"\x86" + bytes([0x80 + len(codec)]) + codec for codec in codecs)
    return b"\x1a\x45\xdf\xa3" + bytes(40) + tracks


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.mp4", mp4(b"soun", b"mp4a"), "no_picture"),
        ("a.mkv", mkv(b"A_OPUS"), "no_picture"),
        ("a.mp4", mp4(b"vide", b"av01"), "no_decoder"),
        ("a.webm", mkv(b"A_OPUS", b"V_AV1"), "no_decoder"),
        ("a.mp4", mp4(b"vide", b"avc1"), "zero_frames"),
        ("a.mp4", mp4(b"text", b"tx3g"), "zero_frames"),
        ("a.mkv", mkv(b"V_VP9"), "zero_frames"),
    ],
    ids=range(7),
)
def test_why_no_frame_can_be_had(name: str, content: bytes, kind: str) -> None:
    """A sound file is not called corrupt because it is of a kind that is not read here."""
    videos("b.avi")
    Path(name).write_bytes(content)
    why = {"no_picture": NO_PICTURE, "no_decoder": NEEDS_PYAV}.get(kind, "")
    assert why_undecodable(name) == why
    with pytest.raises(DataError) as error:
        open_video(name, "opencv")
    assert not why or str(error.value) == f"{name}: {why}"
    found = check(write("list.txt", "b.avi 0", f"{name} 1"))["findings"]
    assert [item["kind"] for item in found] == [kind]
    assert ("pip install 'paddletsm[av]'" in found[0]["remedy"]) == (kind == "no_decoder")


def test_the_page_says_missing() -> None:
    videos("b.avi")
    check(write("list.txt", "b.avi 0", "gone/a.avi 1"), "--html", "r.html")
    text = Path("r.html").read_text()
    assert "<p>missing</p>" in text
    assert "no frame can be decoded" not in text


def test_suffixes() -> None:
    videos("data/run/a.avi", "data/walk/b.avi")
    Path("data/walk/b.avi").rename("data/walk/b.3GP")  # the content tells how it is read
    for name in ("c.gif", "plain"):
        Path(f"data/run/{name}").write_text("x")
    found = check("data")["findings"]
    assert [item["path"] for item in found] == ["data/run/c.gif", "data/run/plain"]
    assert "the suffix '.gif' is not read; videos end in .avi, .mp4," in found[0]["text"]


# --- lists --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["a.avi;0", "b.avi;1"], "list.txt:2: a semicolon"),
        (["a.avi;0"], "list.txt:1: a semicolon"),
        (["path label", "b.avi walk"], "list.txt:2: the label 'walk' is not a whole number"),
        (["a.avi 0.0", "b.avi 1.0"], "'1.0' is not a whole number (write 1)"),
        (["a.avi 0 1 2", "b.avi 0 1 2"], "list.txt:2: 4 columns in"),
        ([], "the list is empty"),
    ],
)
def test_a_list_without_a_valid_line(
    lines: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([write("list.txt", *lines)]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert ("is empty" in err) == (not lines)


def test_an_ending_says_that_paths_are_videos(capsys: pytest.CaptureFixture[str]) -> None:
    videos("x/clip 12.avi")
    assert main([write("list.txt", "x/clip 12 0"), "--suffix", ".avi"]) == 2
    assert 'a path that ends in a number: "x/clip 12" 0' in capsys.readouterr().err
    assert findings(write("list.txt", '"x/clip 12" 0'), "--suffix", ".avi") == []


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_to_nowhere_in_a_list() -> None:
    videos("it's.avi")
    Path("a.avi").symlink_to("gone.avi")
    found = check(write("list.txt", "a.avi 0", "its.avi 1"))["findings"]
    assert [item["kind"] for item in found] == ["missing", "missing"]
    assert found[0]["text"].endswith("it is a link to nowhere ('gone.avi')")
    assert found[1]["text"].endswith('did you mean "it\'s.avi"?')


def test_a_folder_of_splits(capsys: pytest.CaptureFixture[str]) -> None:
    videos("my sp/train/run/a.avi", "my sp/train/walk/b.avi")
    videos("my sp/val/run/c.avi", "my sp/val/walk/d.avi")
    assert main(["my sp"]) == 2
    err = capsys.readouterr().err
    assert "my sp: holds train, val: it is split already" in err
    command = shlex.split(err.rpartition("check_data.py ")[2])
    assert command == ["my sp/train", "--val", "my sp/val"]
    assert findings(*command) == []
    videos("sp/train/a.avi", "sp/test/b.avi")  # classes of such names
    assert findings("sp") == []


# --- recordings ---------------------------------------------------------------------------------


def compare(train: list[str], val: list[str], *words: str) -> dict:
    for folder, names in (("train", train), ("val", val)):
        videos(*(f"{folder}/Walk/{name}.avi" for name in names))
    return check("train", "--val", "val", *words)


def leaking(report: dict) -> list[str]:
    return [f["path"] for f in report["findings"] if f["kind"] == "same_recording"]


def test_one_pair_of_a_recording_is_found() -> None:
    report = compare(["v_Walk_g01_c01"], ["v_Walk_g01_c02"])
    assert leaking(report) == ["train/Walk/v_Walk_g01_c01.avi"]
    assert report["notes"] == []


def test_odd_names_do_not_hide_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    odd = [f"{a}{b}" for a in "abcd" for b in "wxyz"]
    report = compare(
        [*(f"rec{k:02}_1" for k in range(6)), *odd], [f"rec{k:02}_2" for k in range(6)]
    )
    assert len(leaking(report)) == 6
    note = "recordings not compared: the names do not tell that of 16 of 28 clips, such as train/Wa"
    assert report["notes"][0].startswith(note)
    assert note in capsys.readouterr().out


def test_what_no_name_tells_is_said() -> None:
    report = compare(["walk_1", "walk_2"], ["walk_3"], "--html", "r.html")
    assert leaking(report) == []
    assert "do not tell that of any clip" in report["notes"][0]
    assert "recordings not compared" in Path("r.html").read_text()
    assert check("train", "--val", "val", "--group", "none")["notes"] == []
    assert check("train", "--val", "val", "--group", r"(walk)")["notes"] == []
    assert check("train")["notes"] == []
