# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Miniatures of the official layouts, prepared and then read by the configurations."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import pytest

from paddletsm.builders import build_dataset, class_names, load_config
from paddletsm.cli.prepare import main
from paddletsm.prepare.sources import SOURCES
from tests.conftest import REPO, random_frames, write_video


@dataclass
class Miniature:
    """What a user has downloaded, and what must come of it.

    Attributes:
        train, val: (path below the prefix of the lists, label) expected.
        size: (width, height) of the stored frames; None: videos.
    """

    folder: str
    names: list[str]
    train: list[tuple[str, int]]
    val: list[tuple[str, int]]
    size: tuple[int, int] | None = None
    options: list[str] = field(default_factory=list)


def video(path: Path, seed: int = 0, height: int = 24, width: int = 40) -> None:
    """An MJPG .avi under whatever name: decoders look at the content."""
    written = write_video(path.with_suffix(".avi"), random_frames(6, height, width, seed))
    written.rename(path)


def text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def hmdb51(root: Path) -> Miniature:
    """Lines end in a blank, as the official ones do; 0: neither training nor test."""
    clips = {
        "brush_hair": ["April_09_brush_hair_u_nm_np1_ba_goo_0", "April_09_brush_hair_u_nm_np1_1"],
        "clap": ["#20_Rhythm_clap_u_nm_np5_fr_goo_0", "a_clap_1", "b_clap_2"],
    }
    for name, of_class in clips.items():
        for k, clip in enumerate(of_class):
            video(root / "hmdb51_org" / name / f"{clip}.avi", k)
        lines = "".join(f"{clip}.avi {(1, 2, 0)[k]} \n" for k, clip in enumerate(of_class))
        for split in "123":
            text(root / f"annotations/splits/{name}_test_split{split}.txt", lines)
    (train_a, val_a), (train_b, val_b, _) = clips.values()
    return Miniature(
        "hmdb51_org", ["brush_hair", "clap"],
        [(f"brush_hair/{train_a}", 0), (f"clap/{train_b}", 1)],
        [(f"brush_hair/{val_a}", 0), (f"clap/{val_b}", 1)], (40, 24),
    )  # fmt: skip


def kinetics400(root: Path) -> Miniature:
    """Training videos in class folders (official crawler), validation in one (CVDF)."""
    header = "label,youtube_id,time_start,time_end,split,is_cc\n"
    train = 'zumba,zzzzzzzzzzz,0,10,train,0\n"air drumming",-3B32lodo2M,59,69,train,0\n'
    text(root / "annotations/train.csv", header + train)
    text(root / "annotations/validate.csv", header + "zumba,yyyyyyyyyyy,100,110,validate,0\n")
    video(root / "videos/train/zumba/zzzzzzzzzzz_000000_000010.mp4", 1)
    video(root / "videos/train/air drumming/-3B32lodo2M_000059_000069.mp4", 2, 40, 24)
    video(root / "videos/val/yyyyyyyyyyy_000100_000110.mp4", 3)
    return Miniature(
        "videos", ["air drumming", "zumba"],
        [("zumba/zzzzzzzzzzz_000000_000010", 1), ("air_drumming/-3B32lodo2M_000059_000069", 0)],
        [("zumba/yyyyyyyyyyy_000100_000110", 1)], (427, 256),
    )  # fmt: skip


def csv_files(root: Path, prefix: str, names: list[str], seps: tuple[str, str]) -> Miniature:
    text(root / f"annotations/{prefix}labels.csv", "\n".join(names) + "\n")
    text(root / f"annotations/{prefix}train.csv", f"100;{names[1]}{seps[0]}7;{names[0]}{seps[1]}")
    text(root / f"annotations/{prefix}validation.csv", f"23;{names[2]}\n")
    for number, count in (("100", 4), ("7", 5), ("23", 6)):
        for k, frame in enumerate(random_frames(count, 100, 176), 1):
            path = root / "frames" / number / f"{k:05d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), frame)
    return Miniature("frames", names, [("100", 1), ("7", 0)], [("23", 2)], (176, 100))


def sthv1(root: Path) -> Miniature:
    """Not sorted by name: labels are places in the file."""
    names = ["Holding something", "Turning something upside down", "Attaching a, b to something"]
    return csv_files(root, "something-something-v1-", names, ("\n", "\n"))


def jester(root: Path) -> Miniature:
    """The files of the present publisher have no prefix; the first of the 27 names."""
    names = ["Swiping Left", "Swiping Right", "Swiping Down", "Swiping Up", "Pushing Hand Away"]
    names += ["Pulling Hand In", "Sliding Two Fingers Left", "Sliding Two Fingers Right"]
    return csv_files(root, "", names, ("\r\n", ""))


def sthv2(root: Path, prefix: str = "") -> Miniature:
    names = ["Approaching something with your camera", "Holding something next to something"]
    names.append("Something falling like a feather or paper")
    labels = {name: str(k) for k, name in enumerate(names)}
    shuffled = dict(reversed(labels.items()))  # the numbers count, not the order
    train = [
        {"id": "78687", "label": "holding potato next to bottle", "placeholders": ["potato"],
         "template": "Holding [something] next to [something]"},
        {"id": "5", "label": "approaching a cup", "placeholders": [],
         "template": "Approaching [something] with your camera"},
    ]  # fmt: skip
    val = [{"id": "36585", "template": "[Something] falling like a feather or paper"}]
    for name, table in (("labels", shuffled), ("train", train), ("validation", val)):
        text(root / f"annotations/{prefix}{name}.json", json.dumps(table))
    for k, number in enumerate(("78687", "5", "36585")):
        video(root / f"videos/{number}.webm", k)
    return Miniature("videos", names, [("78687", 1), ("5", 0)], [("36585", 2)], (400, 240))


def diving48(root: Path) -> Miniature:
    vocabulary = [["Back", "15som", "05Twis", "FREE"], ["Inward", "Dive", "NoTwis", "PIKE"]]
    entry = {"start_frame": 0, "end_frame": 5}
    train = [{"vid_name": "-mmq0PT-u8k_00155", "label": 1, **entry}]
    test = [{"vid_name": "_8Vy3dlHg2w_00000", "label": 0, **entry}]
    text(root / "annotations/Diving48_vocab.json", json.dumps(vocabulary))
    text(root / "annotations/Diving48_V2_train.json", json.dumps(train))
    text(root / "annotations/Diving48_V2_test.json", json.dumps(test))
    for name in ("-mmq0PT-u8k_00155", "_8Vy3dlHg2w_00000"):
        video(root / f"rgb/{name}.mp4")
    names = ["Back+15som+05Twis+FREE", "Inward+Dive+NoTwis+PIKE"]
    return Miniature("rgb", names, [("-mmq0PT-u8k_00155.mp4", 1)], [("_8Vy3dlHg2w_00000.mp4", 0)])


MINIATURES = {f.__name__: f for f in (hmdb51, kinetics400, sthv1, sthv2, jester, diving48)}
CONFIGS = {source.name: source.config for source in SOURCES}


def command(name: str, root: Path, mini: Miniature, *options: str) -> list[str]:
    flag = "--frames" if mini.folder == "frames" else "--videos"
    folders = [flag, str(root / mini.folder), "--annotations", str(root / "annotations")]
    return [name, *folders, *mini.options, *options]


def check_split(config_file: str, mini: Miniature) -> None:
    """The configuration, as it is but for the number of classes, reads what was prepared."""
    config = load_config(REPO / config_file, [f"MODEL.head.num_classes={len(mini.names)}"])
    assert class_names(config) == mini.names
    for mode, expected in (("train", mini.train), ("valid", mini.val)):
        dataset = build_dataset(config, mode)
        prefix = Path(getattr(config.DATASET, mode).data_prefix)
        found = [(str(Path(s.path).relative_to(prefix)), s.label) for s in dataset.samples]
        assert found == expected
        for i, sample in enumerate(dataset.samples):
            assert dataset.load(i).frames.shape[1] == 8
            if mini.size and i == 0:
                stored = next(Path(sample.path).glob("*00001.jpg"))
                height, width = cv2.imread(str(stored)).shape[:2]
                assert (width, height) == mini.size
                assert sample.num_frames == len(list(Path(sample.path).iterdir()))


@pytest.mark.parametrize("name", MINIATURES)
def test_from_the_download_to_clips(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    root = tmp_path / "download"
    mini = MINIATURES[name](root)
    assert main(command(name, root, mini)) == 0
    printed = capsys.readouterr().out
    assert f"next: python main.py -c {CONFIGS[name]}" in printed
    check_split(CONFIGS[name], mini)
    label_map = next(Path("data").glob("*/label_map.txt")).read_text().splitlines()
    assert label_map == [f"{k} {n}" for k, n in enumerate(mini.names)]
    before = {path: path.stat().st_mtime_ns for path in Path("data").rglob("*.jpg")}
    assert main(command(name, root, mini)) == 0  # again: nothing to extract
    assert before == {path: path.stat().st_mtime_ns for path in Path("data").rglob("*.jpg")}


@pytest.mark.parametrize(
    ("name", "size", "config", "stored"),
    [
        ("kinetics400", "320p", "configs/tsm/tsm_r50_8f_k400_320p.yaml", (533, 320)),
        ("kinetics400", "340x256", "configs/tsm/tsm_r50_8f_k400_340x256.yaml", (340, 256)),
        ("kinetics400", "none", "configs/tsm/tsm_r50_8f_k400_video.yaml", None),
        ("sthv2", "h256", "configs/tsm/tsm_r50_8f_sthv2_h256.yaml", (427, 256)),
    ],
)
def test_other_sizes(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    size: str,
    config: str,
    stored: tuple[int, int] | None,
) -> None:
    mini = MINIATURES[name](tmp_path)
    mini.size = stored
    if stored is None:  # lists of the videos, where they lie
        mini.train = [
            ("zumba/zzzzzzzzzzz_000000_000010.mp4", 1),
            ("air drumming/-3B32lodo2M_000059_000069.mp4", 0),
        ]
        mini.val = [("yyyyyyyyyyy_000100_000110.mp4", 1)]
    prepare = load_config(REPO / config).DATASET.prepare
    assert prepare == f"python tools/prepare_data.py {name} --size {size}"
    assert main(command(name, tmp_path, mini, "--size", size)) == 0
    assert f"next: python main.py -c {config}" in capsys.readouterr().out
    check_split(config, mini)


def test_other_official_splits(tmp_path: Path) -> None:
    mini = hmdb51(tmp_path)
    path = tmp_path / "annotations/splits/clap_test_split2.txt"
    path.write_text("a_clap_1.avi 1 \nb_clap_2.avi 2 \n")
    assert main(command("hmdb51", tmp_path, mini, "--split", "2", "1")) == 0
    listed = Path("data/hmdb51/hmdb51_val_split_2_rawframes.txt").read_text().splitlines()
    assert listed == ["brush_hair/April_09_brush_hair_u_nm_np1_1 6 0", "clap/b_clap_2 6 1"]
    assert Path("data/hmdb51/hmdb51_train_split_1_videos.txt").exists()


def test_old_file_names_of_something_v2(tmp_path: Path) -> None:
    mini = sthv2(tmp_path, prefix="something-something-v2-")
    assert main(command("sthv2", tmp_path, mini)) == 0
    check_split("configs/tsm_sthv2.yaml", mini)


def break_video(root: Path) -> str:
    path = root / "videos/train/zumba/zzzzzzzzzzz_000000_000010.mp4"
    path.write_bytes(b"no video")
    return f"unreadable: {path}: no frame can be decoded"


def remove_video(root: Path) -> str:
    (root / "videos/train/zumba/zzzzzzzzzzz_000000_000010.mp4").unlink()
    return "missing: zzzzzzzzzzz_000000_000010 (zumba, train)\nsearched: "


@pytest.mark.parametrize("damage", [break_video, remove_video])
def test_what_is_missing_is_counted_and_left_out_when_allowed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], str]
) -> None:
    mini = kinetics400(tmp_path)
    message = damage(tmp_path)
    lists = Path("data/k400")
    assert main(command("kinetics400", tmp_path, mini)) == 1
    err = capsys.readouterr().err
    assert message in err
    assert "--allow_missing to list the others" in err
    assert not list(lists.glob("*.txt"))
    assert main(command("kinetics400", tmp_path, mini, "--allow_missing")) == 0
    printed = capsys.readouterr()
    missing = int(damage is remove_video)
    assert f"left out: {missing} missing, {1 - missing} unreadable clips" in printed.out
    assert "k400_train_list: 1 clip\n" in printed.out
    assert "warning: k400_train_list has no clip of zumba" in printed.err
    text = (lists / "k400_train_list_rawframes.txt").read_text()
    assert text == "air_drumming/-3B32lodo2M_000059_000069 6 0\n"


def test_frames_with_a_gap_and_missing_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mini = sthv1(tmp_path)
    (tmp_path / "frames/7/00002.jpg").unlink()
    assert main(command("sthv1", tmp_path, mini)) == 1
    err = capsys.readouterr().err
    assert f"unreadable: {tmp_path / 'frames/7'}: frame 2 of 5 is missing" in err
    assert "1 clip unreadable; no lists are written" in err
    assert main(command("sthv1", tmp_path, mini, "--allow_missing")) == 0
    listed = Path("data/sthv1/sthv1_train_list_rawframes.txt").read_text()
    assert listed == "100 4 1\n"


def test_the_wrong_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All missing is a mistake of another kind, allowed or not."""
    mini = diving48(tmp_path)
    mini.folder = "annotations"
    assert main(command("diving48", tmp_path, mini, "--allow_missing")) == 2
    err = capsys.readouterr().err
    assert "none of the 2 clips of Diving48 is in it, not -mmq0PT-u8k_00155, say" in err
    assert "http://www.svcl.ucsd.edu/projects/resound/dataset.html" in err


def test_two_videos_of_one_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mini = diving48(tmp_path)
    for name in ("a", "b"):
        video(tmp_path / "rgb" / name / "_8Vy3dlHg2w_00000.mp4")
    assert main(command("diving48", tmp_path, mini)) == 0  # the one that lies where it should
    check_split("configs/tsm_diving48.yaml", mini)
    (tmp_path / "rgb/_8Vy3dlHg2w_00000.mp4").unlink()
    assert main(command("diving48", tmp_path, mini)) == 2
    assert "are both _8Vy3dlHg2w_00000; remove one" in capsys.readouterr().err


def test_links_to_the_clips(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mini = diving48(tmp_path)
    link = Path("data/diving48/videos")
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "gone")  # of an earlier place
    assert main(command("diving48", tmp_path, mini)) == 0
    assert link.resolve() == tmp_path / "rgb"
    # The linked name may be given as well.
    mini.folder = str(link.absolute())
    assert main(command("diving48", tmp_path, mini)) == 0
    link.unlink()
    link.mkdir()
    mini.folder = "rgb"
    assert main(command("diving48", tmp_path, mini)) == 2
    assert "is a folder, and not" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "file", "content", "message"),
    [
        ("hmdb51", "splits/clap_test_split1.txt", "a.avi 3\n", "clap_test_split1.txt:1: 'a.avi 3'"),
        ("hmdb51", "splits/clap_test_split1.txt", "", "the file is empty"),
        ("kinetics400", "train.csv", "a,b\n", "train.csv:1: the first line is not label,youtube_"),
        ("kinetics400", "train.csv", "label,youtube_id,time_start,time_end,split\na,b,x,10,train\n",
         "train.csv:2: 'a,b,x,10,train' is not"),
        ("kinetics400", "train.csv", "label,youtube_id,time_start,time_end,split\na,b,0,10,val\n",
         "train.csv:2: split 'val' in the file of 'train'"),
        ("kinetics400", "validate.csv",
         "label,youtube_id,time_start,time_end,split\nzumbo,b,0,10,val\n",
         "validate.csv:2: 'zumbo' is no class of the training file; did you mean 'zumba'?"),
        ("sthv1", "something-something-v1-train.csv", "1,Holding something\n", "is not 'id;class"),
        ("sthv1", "something-something-v1-train.csv", "1;Holding somethin\n",
         "train.csv:1: 'Holding somethin' is no class; did you mean 'Holding something'?"),
        ("jester", "labels.csv", "Stop\nStop\n", "labels.csv:2: class 'Stop' is there twice"),
        ("sthv2", "labels.json", '{"a": "0", "b": "2"}', "'b' has label 2 where 1 is due"),
        ("sthv2", "labels.json", '["a"]', "labels.json: expected"),
        ("sthv2", "train.json", '[{"id": "1"', "train.json:1: no valid JSON"),
        ("sthv2", "train.json", '[{"id": "1"}]', "entry 1 has no 'id' and 'template'"),
        ("sthv2", "train.json", '[{"id": "1", "template": "Nothing"}]', "(1): 'Nothing' is no cla"),
        ("diving48", "Diving48_vocab.json", '["Back"]', "Diving48_vocab.json: expected [["),
        ("diving48", "Diving48_V2_train.json", '[{"vid_name": "a", "label": 2}]',
         "entry 1 (a): label 2; Diving48_vocab.json has classes 0 to 1"),
        ("diving48", "Diving48_V2_train.json", '[{"label": 2}]', "entry 1 has no 'vid_name'"),
    ],
)  # fmt: skip
def test_malformed_annotations(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    file: str,
    content: str,
    message: str,
) -> None:
    mini = MINIATURES[name](tmp_path)
    (tmp_path / "annotations" / file).write_text(content)
    assert main(command(name, tmp_path, mini)) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", MINIATURES)
def test_missing_annotations(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    mini = MINIATURES[name](tmp_path)
    for path in (tmp_path / "annotations").rglob("*.*"):
        path.unlink()
    assert main(command(name, tmp_path, mini)) == 2
    assert "is in it" in (err := capsys.readouterr().err) or "is not in it" in err


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_without_the_data_it_says_where_to_get_it(
    source: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([source.name]) == 2
    err = capsys.readouterr().err
    assert "is not downloaded by this command" in err
    assert "http" in err
    assert f"python tools/prepare_data.py {source.name} --" in err
    config = load_config(REPO / source.config)
    assert config.DATASET.prepare.startswith(f"python tools/prepare_data.py {source.name}")
    assert Path(config.DATASET.train.file_path).parent == Path(source.out)
