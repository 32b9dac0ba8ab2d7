# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""An override replaces a value with everything below it, and is named when it is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from paddletsm.builders import load_config, pipeline_spec
from paddletsm.config import Config, dump_config
from paddletsm.errors import ConfigError
from tests.unit.config import paddlevideo_files

HALVES = [0.5, 0.5, 0.5]
UCF = Path(__file__).resolve().parents[3] / "configs" / "tsm_ucf101.yaml"


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A file of PaddleVideo: Image2Array in front of Normalization, mean stated in every mode."""
    file = tmp_path / "foreign.yaml"
    file.write_text(yaml.safe_dump(paddlevideo_files.make("tsm_k400_videos")))
    return file


def means(config: Config) -> list[Any]:
    return [
        pipeline_spec(config, mode)["transform"][-1]["Normalization"]["mean"]
        for mode in ("train", "valid", "test")
    ]


@pytest.mark.parametrize(
    "override",
    [
        "train.transform.3.Normalization.mean=[0.5, 0.5, 0.5]",
        "train.transform.3.Normalization={mean: [0.5, 0.5, 0.5]}",
        "train.transform.3={Normalization: {mean: [0.5, 0.5, 0.5]}}",
        "train.transform=[MultiScaleCrop: {target_size: 224}, "
        "Normalization: {mean: [0.5, 0.5, 0.5]}]",
        "train={sample: {name: Sampler}, transform: [MultiScaleCrop: {target_size: 224}, "
        "Normalization: {mean: [0.5, 0.5, 0.5]}]}",
    ],
)
def test_override_replaces_the_fact_everywhere(foreign: Path, override: str) -> None:
    config = load_config(foreign, ["PIPELINE." + override])
    assert means(config) == [HALVES] * 3


def test_replaced_list_leaves_no_origin_behind(foreign: Path) -> None:
    """The list states no mean any more, so that of the other modes is the only one."""
    first = "PIPELINE.valid.transform.3.Normalization.mean=[0.5, 0.5, 0.5]"
    second = (
        "PIPELINE.valid.transform=[Scale: {short_size: 256}, CenterCrop: {target_size: 224}, "
        "Normalization: {mean: [0.485, 0.456, 0.406]}]"
    )
    assert means(load_config(foreign, [first, second])) == [[0.485, 0.456, 0.406]] * 3


def test_child_file_replaces_a_list_of_its_base(foreign: Path) -> None:
    child = foreign.with_name("child.yaml")
    child.write_text(
        "_base_: foreign.yaml\nPIPELINE:\n  train:\n    transform:\n"
        "      - RandomCrop: {target_size: 224}\n      - Normalization: {mean: [0.4, 0.4, 0.4]}\n"
    )
    with pytest.raises(ConfigError) as info:
        load_config(child)
    # The list of the child states it in its item 1, line 6; nothing of the base's list is left.
    assert "child.yaml:6)" in str(info.value)
    assert "PIPELINE.train.transform.1.Normalization.mean" in str(info.value)


def test_messages_count_items_as_the_file_does(foreign: Path) -> None:
    with pytest.raises(ConfigError) as info:
        load_config(foreign, ["PIPELINE.train.transform.3.Normalization.maen=[0.5, 0.5, 0.5]"])
    message = str(info.value)
    assert message.startswith("-o PIPELINE.train.transform.3.Normalization.maen=[0.5, 0.5, 0.5]: ")
    assert message.count("PIPELINE.train.transform.3.Normalization.maen") == 2
    assert "did you mean 'mean'" in message


@pytest.mark.parametrize("value", [".mean=[0.5, 0.5, 0.5]", "={mean: [0.5, 0.5, 0.5]}"])
def test_two_transforms_in_one_item_are_refused(foreign: Path, value: str) -> None:
    override = f"PIPELINE.train.transform.2.Normalization{value}"
    with pytest.raises(ConfigError) as info:
        load_config(foreign, [override])
    message = str(info.value)
    assert message.startswith(f"-o {override}: PIPELINE.train.transform.2.Normalization: ")
    assert "Image2Array already" in message
    assert "PIPELINE.train.transform.2 the value '{Normalization: {...}}'" in message


def test_item_may_be_replaced_by_another_transform() -> None:
    config = load_config(UCF, ["PIPELINE.valid.transform.1={ThreeCrop: {target_size: 256}}"])
    assert pipeline_spec(config, "test")["transform"][1] == {"ThreeCrop": {"target_size": 256}}


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("PIPELINE.train.transform.²=3", ["list of", "0 to ", "'²'"]),
        ("PIPELINE.train.transform.01={Scale: {short_size: 3}}", ["'01'"]),
        ("PIPELINE.train.transform.-1.Scale.short_size=3", ["'-1'"]),
        (f"PIPELINE.train.transform.{'9' * 5000}=3", ["list of"]),
        ("epochs.many=3", ["epochs is a single value (25)"]),
        ("MODEL.backbone.depth.x.y=3", ["MODEL.backbone.depth is a single value"]),
        ("MODEL={1: 2}", ["MODEL.1", "unknown key"]),
        ("MODEL={? [1] : 2}", ["a key is a plain word"]),
        ("MODEL={a: 1, a: 2}", ["'MODEL.a' is stated twice"]),
        ("seed=&a [*a]", ["alias of itself"]),
        ("seed=2026-13-45", ["'2026-13-45' is no timestamp"]),
        ("seed=" + "[" * 3000, ["not valid YAML"]),
        ("seed=" + "9" * 5000, ["seed"]),
        ("seed=!!set {a}", ["seed", "an integer"]),
        ("model_name=a\x01b", ["#x01 is not allowed"]),
        ("model_name=a\udcffb", ["not valid YAML"]),
        ("epochs\nx=3", ["epochs\\nx"]),
        ("PIPELINE.train.transform.0={}", ["PIPELINE.train.transform.0: is empty"]),
        ("PIPELINE.train.transform.0.Scale=3", ["transform.0.Scale", "section with keys"]),
        ("PIPELINE.train.transform.0=Scale", ["transform.0", "section with keys"]),
    ],
)
def test_wrong_override_is_one_line(override: str, parts: list[str]) -> None:
    with pytest.raises(ConfigError) as info:
        load_config(UCF, [override])
    message = str(info.value)
    assert "\n" not in message
    assert message.startswith("-o ")
    for part in parts:
        assert part in message


def test_closed_section_may_be_opened() -> None:
    overrides = ["OPTIMIZER.grad_clip=null", "OPTIMIZER.grad_clip.value=3.5"]
    assert load_config(UCF, overrides).OPTIMIZER.grad_clip.value == 3.5
    with pytest.raises(ConfigError, match=r"^-o OPTIMIZER\.grad_clip\.name=\S+: OPTIMIZER"):
        load_config(UCF, [overrides[0], "OPTIMIZER.grad_clip.name=ClipGradByGlobalNorm"])


def test_places_are_no_part_of_a_configuration(tmp_path: Path) -> None:
    config = load_config(UCF, ["epochs=7"])
    assert config.place("epochs") == "-o epochs=7: epochs"
    assert "checker" not in config.to_dict()
    dump_config(config, tmp_path / "config.yaml")
    copy = load_config(tmp_path / "config.yaml")
    assert copy == config
    assert copy.place("epochs").startswith(f"{tmp_path}/config.yaml:")
    with pytest.raises(ConfigError, match="checker: unknown key"):
        load_config(UCF, ["checker=3"])
