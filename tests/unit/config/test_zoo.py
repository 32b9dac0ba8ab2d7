# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The zoo: every file loads, is short, says how to run it, and agrees with the table of figures."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from paddletsm.builders import build_data_pipeline, build_model, load_config, pipeline_spec
from paddletsm.cli import benchmark
from paddletsm.cli.train import build_parser
from paddletsm.data.transforms import RandomFlip
from tests.conftest import own_configs

REPO = Path(__file__).resolve().parents[3]
CONFIGS = REPO / "configs"
FILES = own_configs()
ZOO = [path for path in FILES if path.parent != CONFIGS]
NAME = re.compile(r"(tsm|tsn)_(r\d+|mobilenetv2)_\d+f_[a-z0-9]+(_[a-z0-9_]+)?")
FIGURE = r"(?:\d+\.\d+|-)(?: / \d+\.\d+)*"
# Protocol in the table: clips, crops and size of what --test does.
PROTOCOLS = {
    "efficient": (1, 1, 224),
    "efficient / accurate": (1, 1, 224),
    "efficient, crop 256": (1, 1, 256),
    "efficient, crop 256 / accurate": (1, 1, 256),
    "dense": (10, 1, 224),
    "dense, three-crop 256": (10, 3, 256),
    "ten-crop, 25 segments": (1, 10, 224),
}
# Classes that a mirror exchanges, numbered from 0.
LEFT_RIGHT = {"sthv1": {2: 4, 30: 41, 52: 66}, "jester": {0: 1, 6: 7}}


def show(path: Path) -> str:
    return path.relative_to(CONFIGS).as_posix()


each_zoo_file = pytest.mark.parametrize("path", ZOO, ids=show)


def head(path: Path) -> dict[str, str]:
    """Labelled comment lines in front of the first key: Source, Run, Expect, Authors, Accurate."""
    comments = path.read_text(encoding="utf-8").split("\n_base_", 1)[0]
    return dict(re.findall(r"^# (\w+): +(.*)$", comments, re.MULTILINE))


def figures(text: str) -> tuple[str, str]:
    """Top-1 and top-5 of a line, "-" where it has none."""
    found = [re.search(rf"{key} ({FIGURE})", text) for key in ("top-1", "top-5")]
    return tuple(match.group(1) if match else "-" for match in found)


def tables(path: Path) -> list[dict[str, str]]:
    """Rows of all tables of a Markdown page, by the titles of their columns."""
    rows, titles = [], None
    for line in path.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            titles = None
        elif titles is None:
            titles = cells
        elif not set(line) <= set("|-"):
            rows.append(dict(zip(titles, cells, strict=True)))
    return rows


def table() -> dict[str, dict[str, str]]:
    """Rows of the zoo table by file."""
    rows = [
        row for row in tables(CONFIGS / "README.md") if "published top-1" in row and "config" in row
    ]
    return {row["config"].split("](")[1].rstrip(")"): row for row in rows}


@pytest.mark.parametrize("path", FILES, ids=show)
def test_loads_and_is_short(path: Path) -> None:
    load_config(path)
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 25


@each_zoo_file
def test_name_and_head(path: Path) -> None:
    assert NAME.fullmatch(path.stem)
    lines = head(path)
    assert {"Source", "Run", "Expect"} <= set(lines)
    words = shlex.split(lines["Run"])
    args = build_parser().parse_args(words[words.index("main.py") + 1 :])
    assert args.config == path.relative_to(REPO).as_posix()
    config = load_config(REPO / args.config, args.override)
    assert config.MODEL.backbone.pretrained, "the published figures start from some weights"
    assert config.model_name.casefold() == path.stem  # so no two runs share a folder
    assert lines["Expect"].endswith("not verified here")
    assert figures(lines["Expect"])[0] != "-" or "no published figure" in lines["Expect"]


@each_zoo_file
def test_learning_rate_belongs_to_the_stated_batch(path: Path) -> None:
    config = load_config(path)
    gpus, clips = map(int, re.search(r"(\d+) GPUs x (\d+) clips", head(path)["Source"]).groups())
    assert config.DATASET.batch_size == clips
    rate = config.OPTIMIZER.learning_rate
    assert rate.total_batch_size == gpus * clips
    for before, after in zip(rate.values, rate.values[1:], strict=False):
        assert after == pytest.approx(before / 10)
    assert rate.boundaries[-1] < config.epochs


def authors_cell(top1: str, top5: str) -> str:
    return "-" if top1 == top5 == "-" else f"{top1}; {top5}"


@each_zoo_file
def test_table_and_head_agree(path: Path) -> None:
    row, lines = table()[show(path)], head(path)
    assert (row["published top-1"], row["published top-5"]) == figures(lines["Expect"])
    authors = row["authors' code, top-1; top-5"]
    assert authors == authors_cell(*figures(lines.get("Authors", "")))
    assert row["here"] == "not verified here"
    source = re.search(r"`(\w+)`", row["source"])
    assert source is None or source.group(1) in lines["Source"]
    tested = build_data_pipeline(load_config(path), "test")
    crops = (tested.num_clips, tested.num_crops, tested.target_size)
    assert crops == PROTOCOLS[row["protocol"]]


def test_every_config_has_one_row() -> None:
    rows = [row["config"] for row in tables(CONFIGS / "README.md") if "config" in row]
    assert sorted(row.split("](")[1].rstrip(")") for row in rows) == sorted(map(show, FILES))
    # The default of the data set states its top-1 alone.
    expected = figures(head(CONFIGS / "tsm_ucf101.yaml")["Expect"])[0]
    assert table()["tsm_ucf101.yaml"]["published top-1"] == expected


def test_the_published_zoo_is_here(shared_dir: Path) -> None:
    """Every row of MMAction2's tables has a file with its figures."""
    published = []
    for row in tables(shared_dir / "docs" / "ZOO.md"):
        name = row.get("config", "").removesuffix(".py")
        if name:
            keys = ("top-1", "top-5", "ref top-1", "ref top-5")
            cells = [re.sub(r"\bxx?\b", "-", row.get(key, "-")) for key in keys]
            cells = ["-" if cell == "- / -" else cell for cell in cells]
            published.append((name, *cells[:2], authors_cell(*cells[2:])))
    ours = [
        (name.group(1), row["published top-1"], row["published top-5"], authors)
        for row in table().values()
        if (name := re.search(r"MMAction2 0\.x, `(\w+)`", row["source"]))
        and (authors := row["authors' code, top-1; top-5"])
    ]
    assert sorted(ours) == sorted(published)


def flip_of(path: Path) -> RandomFlip | None:
    pipeline = build_data_pipeline(load_config(path), "train")
    flips = [transform for transform in pipeline.transforms if isinstance(transform, RandomFlip)]
    return flips[0] if flips else None


@pytest.mark.parametrize(
    "path", [path for path in ZOO if re.search("sth|jester", path.stem)], ids=show
)
def test_where_left_and_right_are_labels_a_flip_exchanges_them(path: Path) -> None:
    flip = flip_of(path)
    if "jester" in path.stem or "flip" in path.stem:
        pairs = LEFT_RIGHT["jester" if "jester" in path.stem else "sthv1"]
        assert flip is not None
        assert flip.p == 0.5
        assert flip.label_map == {**pairs, **{right: left for left, right in pairs.items()}}
    else:
        assert flip is None


def test_mixed_and_device_normalised_configs() -> None:
    found = {path.stem: load_config(path) for path in ZOO}
    mixes = {stem: config.MIX for stem, config in found.items() if config.MIX is not None}
    assert {stem: (mix.name, mix.alpha) for stem, mix in mixes.items()} == {
        "tsm_r50_8f_sthv1_mixup": ("Mixup", 0.2),
        "tsm_r50_8f_sthv1_cutmix": ("Cutmix", 0.2),
    }
    config = found["tsm_r50_8f_k400_gpu_normalize"]
    plain = found["tsm_r50_8f_k400"]
    for mode in ("train", "valid", "test"):
        assert "on_device" not in str(pipeline_spec(config, mode))  # what an export carries
        assert pipeline_spec(config, mode) == pipeline_spec(plain, mode)
    for section in (config.PIPELINE.train, config.PIPELINE.valid):
        assert section.transform[-1]["Normalization"]["on_device"] is True


@pytest.mark.parametrize("path", [path for path in ZOO if "Accurate" in head(path)], ids=show)
def test_accurate_protocol(path: Path) -> None:
    words = shlex.split(head(path)["Accurate"])
    args = build_parser().parse_args(["-c", str(path), *words])
    assert args.test
    pipeline = build_data_pipeline(load_config(path, args.override), "test")
    assert (pipeline.num_clips, pipeline.num_crops, pipeline.target_size) == (2, 3, 256)


def test_two_figures_come_with_the_accurate_protocol() -> None:
    for path in ZOO:
        if table()[show(path)]["protocol"].endswith("accurate"):
            assert "Accurate" in head(path), path


def test_small_network_costs_what_the_table_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(REPO)
    name = "tsm/tsm_mobilenetv2_8f_k400_dense_100e.yaml"
    assert benchmark.main(["--flops", "--json", "-c", f"configs/{name}"]) == 0
    (measured,) = json.loads(capsys.readouterr().out)
    row = table()[name]
    assert f"{measured['parameters_m']:.2f}" == row["parameters, M"]
    assert f"{measured['gmacs']:.2f}" == row["GMACs"]
    assert (measured["clip"], measured["views"]) == ([8, 3, 256, 256], 30)
    assert benchmark.main(["--flops", "-c", f"configs/{name}"]) == 0
    assert re.search(r"2\.74 +3\.13 +8 x 3 x 256 x 256 +30$", capsys.readouterr().out.strip())


def test_parameters_of_resnet_50() -> None:
    """One network tells those of all: only the classifier differs."""
    model = build_model(load_config(CONFIGS / "tsm/tsm_r50_8f_k400.yaml"))
    backbone = model.num_parameters() - 400 * (2048 + 1)
    for name, row in table().items():
        if "_r50_" in name and "_nl_" not in name:
            classes = load_config(CONFIGS / name).MODEL.head.num_classes
            expected = (backbone + classes * (2048 + 1)) / 1e6
            assert row["parameters, M"] == f"{expected:.2f}", name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-c", "configs/tsm_ucf101.yaml"], "--flops"),
        (["--flops", "-c", "configs/tsm_ucf.yaml"], "did you mean"),
        (
            ["--flops", "-c", "configs/tsm_ucf101.yaml", "-o", "PIPELINE.valid.transform.1=Scale"],
            "PIPELINE.valid.transform",
        ),
        (
            [
                *("--flops", "-c", "configs/tsm_ucf101.yaml", "-o"),
                "PIPELINE.valid.transform.1={Scale: {short_size: 224}}",
            ],
            "depends on the video",
        ),
    ],
)
def test_benchmark_refuses(
    options: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(REPO)
    assert benchmark.main(options) == 2
    assert message in capsys.readouterr().err
