# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import pytest
import yaml

from paddletsm.builders import load_config, pipeline_spec
from paddletsm.config import dump_config
from paddletsm.config import load_config as read_config
from paddletsm.errors import ConfigError
from tests.conftest import own_configs
from tests.unit.config import paddlevideo_files

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
UCF = CONFIGS / "tsm_ucf101.yaml"
ZOO = own_configs()


@pytest.mark.parametrize("path", ZOO, ids=lambda p: p.stem)
def test_every_config_loads_and_is_short(path: Path) -> None:
    config = load_config(path)
    assert config.model_name
    assert len(path.read_text().splitlines()) <= 25


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("MODEL.backbone.detph=50", ["MODEL.backbone.detph", "unknown key", "'depth'"]),
        ("MODEL.bakbone.depth=50", ["MODEL.bakbone", "'backbone'"]),
        ("MODEL.backbone.depth=fifty", ["MODEL.backbone.depth", "an integer", "'fifty'"]),
        ("MODEL.backbone.depth=true", ["MODEL.backbone.depth", "an integer"]),
        ("MODEL.backbone=3", ["MODEL.backbone", "section"]),
        ("MODEL.backbone.shift_mode=onlin", ["shift_mode", "offline, online", "'online'"]),
        ("OPTIMIZER.learning_rate.values=[0.1]", ["values", "2 boundaries", "3 values"]),
        ("OPTIMIZER.learning_rate.name=CosineDecay", ["learning_rate", "'base'"]),
        ("epochs=0", ["epochs", "at least 1"]),
        ("epochs", ["epochs", "KEY.SUB=VALUE"]),
        ("epochs=[", ["epochs", "not valid YAML"]),
        ("model_name=a/b", ["model_name", "file name"]),
        ("PIPELINE.train.transform.9.Scale=1", ["transform", "3 items", "'9'"]),
        ("PIPELINE.train.sample.num_segs=8", ["PIPELINE.train.sample", "num_segs", "'num_seg'"]),
        ("PIPELINE.valid.transform.0={Scal: {short_size: 1}}", ["transform", "Scal", "'Scale'"]),
        ("PIPELINE.valid.transform.0.Scale.short_sise=1", ["short_sise", "'short_size'"]),
        ("MODEL.head.num_classes=-1", ["MODEL.head.num_classes", "at least 1"]),
    ],
)
def test_wrong_override_names_key_and_nearest_choice(override: str, parts: list[str]) -> None:
    with pytest.raises(ConfigError) as info:
        load_config(UCF, [override])
    for part in parts:
        assert part in str(info.value), str(info.value)


def test_wrong_key_in_file_names_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(f"_base_: {UCF}\nmodel_name: x\nMODEL:\n  head:\n    drop_rate: 0.5\n")
    with pytest.raises(
        ConfigError, match=r"own\.yaml:5: MODEL\.head\.drop_rate: unknown key.*'drop_ratio'"
    ):
        load_config(file)


def test_missing_file_suggests_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"tsm_ucf11\.yaml.*did you mean .*tsm_ucf101\.yaml"):
        load_config(CONFIGS / "tsm_ucf11.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("- a\n", "mapping"),
        ("a: [1\n", "not valid YAML"),
        ("a: 1\na: 2\n", "stated twice"),
        ("_base_: nowhere.yaml\n", "_base_ file not found"),
        ("_base_: {a: 1}\n", "_base_ is a file name"),
    ],
)
def test_malformed_file(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_config(file)


def test_cycle_of_bases(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("_base_: b.yaml\n")
    (tmp_path / "b.yaml").write_text("_base_: a.yaml\n")
    with pytest.raises(ConfigError, match=r"cycle: a\.yaml -> b\.yaml -> a\.yaml"):
        read_config(tmp_path / "a.yaml")


def test_same_leaf_in_two_bases(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("epochs: 3\n")
    (tmp_path / "b.yaml").write_text("log_interval: 1\nepochs: 4\n")
    (tmp_path / "c.yaml").write_text("_base_: [a.yaml, b.yaml]\n")
    with pytest.raises(ConfigError, match=r"b\.yaml:2: epochs is also stated .*a\.yaml:1"):
        read_config(tmp_path / "c.yaml")


def test_another_component_name_drops_inherited_arguments(tmp_path: Path) -> None:
    file = tmp_path / "tsn.yaml"
    text = "MODEL: {backbone: {name: ResNet, depth: 18, num_seg: 3}, head: {name: TSNHead}}\n"
    file.write_text(f"_base_: {UCF}\n" + text)
    config = load_config(file, ["MODEL.head.num_classes=3"])
    assert config.MODEL.backbone.shift_div is None
    assert config.MODEL.head.drop_ratio is None
    assert pipeline_spec(config, "test")["sample"]["num_seg"] == 3


def test_facts_are_handed_on() -> None:
    config = load_config(UCF, ["MODEL.backbone.num_seg=16"])
    for mode in ("train", "valid", "test"):
        spec = pipeline_spec(config, mode)
        assert spec["sample"]["num_seg"] == 16
        assert spec["transform"][-1]["Normalization"]["mean"] == [0.485, 0.456, 0.406]


def test_contradicting_facts_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(f"_base_: {UCF}\nPIPELINE: {{valid: {{sample: {{num_seg: 16}}}}}}\n")
    with pytest.raises(ConfigError, match=r"own\.yaml:2: .*16 contradicts .*num_seg = 8"):
        load_config(file)


def test_numbers_as_people_write_them(tmp_path: Path) -> None:
    config = load_config(UCF, ["OPTIMIZER.weight_decay.value=1e-4"])
    assert config.OPTIMIZER.weight_decay.value == 1e-4


def test_override_is_never_evaluated() -> None:
    with pytest.raises(ConfigError, match="an integer"):
        load_config(UCF, ["epochs=__import__('os').getpid()"])
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_config(UCF, ["epochs=!!python/object/apply:os.getpid []"])


def test_frozen() -> None:
    config = load_config(UCF)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.epochs = 3


def test_resolved_copy_loads_to_the_same(tmp_path: Path) -> None:
    config = load_config(UCF, ["epochs=7"])
    dump_config(config, tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml") == config


@pytest.mark.parametrize("name", paddlevideo_files.NAMES)
def test_paddlevideo_files_load_unchanged(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = paddlevideo_files.make(name)
    file = tmp_path / f"{name}.yaml"
    file.write_text(yaml.safe_dump(values))
    lines: list[str] = []
    monkeypatch.setattr(
        logging.getLogger("paddletsm.config.paddlevideo"),
        "info",
        lambda text, *args: lines.append(text % args),
    )
    config = load_config(file)
    load_config(file)
    assert [line.count("docs/migration.md") for line in lines] == [1]
    assert config.MODEL.backbone.pretrained == values["MODEL"]["backbone"]["pretrained"]
    assert config.OPTIMIZER.learning_rate.values == tuple(
        values["OPTIMIZER"]["learning_rate"]["values"]
    )
    spec = pipeline_spec(config, "test")
    assert spec["sample"]["num_seg"] == values["PIPELINE"]["test"]["sample"]["num_seg"]


def test_paddlevideo_inference_section_must_agree(tmp_path: Path) -> None:
    values = paddlevideo_files.make("tsm_k400_frames")
    values["INFERENCE"]["num_seg"] = 16
    file = tmp_path / "a.yaml"
    file.write_text(yaml.safe_dump(values))
    with pytest.raises(ConfigError, match=r"INFERENCE\.num_seg: 16 contradicts"):
        load_config(file)


def test_decoder_follows_the_data_set() -> None:
    config = load_config(UCF, ["DATASET.valid.suffix=frame_{:06}.png"])
    assert pipeline_spec(config, "train")["decode"]["suffix"] == "img_{:05}.jpg"
    expected = {"name": "FrameDecoder", "suffix": "frame_{:06}.png"}
    assert pipeline_spec(config, "valid")["decode"] == expected
    assert pipeline_spec(config, "test")["decode"] == expected
    with pytest.raises(ConfigError, match=r"VideoDecoder contradicts DATASET\.train\.format"):
        load_config(UCF, ["PIPELINE.train.decode.name=VideoDecoder"])
