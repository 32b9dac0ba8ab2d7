# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from paddletsm.builders import build_data_pipeline, load_config, pipeline_hash, pipeline_spec
from paddletsm.errors import ConfigError
from paddletsm.protocols import PROTOCOLS, cautions, find_protocol, protocol_name, with_protocol
from tests.conftest import REPO, own_configs

UCF101 = REPO / "configs/tsm_ucf101.yaml"
TSN = REPO / "configs/tsn/tsn_r50_3f_k400.yaml"

# name: segments, clips, crops, size of tsm_ucf101.yaml (TSN: of tsn_r50_3f_k400.yaml)
EXPECTED = {
    "efficient": (8, 1, 1, 224),
    "accurate": (8, 2, 3, 256),
    "ten-crop": (8, 1, 10, 224),
    "dense": (8, 10, 3, 256),
    "25-segment": (25, 1, 10, 224),
}


def views(config: Any) -> tuple[int, ...]:
    pipeline = build_data_pipeline(config, "test")
    return pipeline.num_seg, pipeline.num_clips, pipeline.num_crops, pipeline.target_size


@pytest.mark.parametrize("name", PROTOCOLS)
def test_views_of_each_protocol(name: str) -> None:
    config = with_protocol(load_config(TSN if name == "25-segment" else UCF101), name)
    assert views(config) == EXPECTED[name]
    assert protocol_name(config) == name
    protocol = PROTOCOLS[name]
    assert (protocol.clips, protocol.crops) == EXPECTED[name][1:3]


def test_everything_but_sampling_and_crop_stays() -> None:
    overrides = [
        "PIPELINE.valid.transform.0.Scale.short_size=300",
        "PIPELINE.valid.decode={name: FrameDecoder, suffix: 'img_{:05}.jpg'}",
    ]
    config = load_config(UCF101, overrides)
    before, spec = (
        pipeline_spec(config, "test"),
        pipeline_spec(with_protocol(config, "dense"), "test"),
    )
    assert spec["decode"] == before["decode"]
    assert [spec["transform"][i] for i in (0, 2)] == [before["transform"][i] for i in (0, 2)]
    assert spec["transform"][1] == {"ThreeCrop": {"target_size": 300}}
    assert spec["sample"] == {
        "name": "DenseSampler", "valid_mode": True, "num_seg": 8, "num_clips": 10,
    }  # fmt: skip
    assert config.PIPELINE.test is None, "the configuration itself is unchanged"


@pytest.mark.parametrize("path", own_configs(), ids=lambda path: path.stem)
def test_every_config_of_the_zoo_takes_every_protocol_it_can(path: Any) -> None:
    config = load_config(path)
    for name, protocol in PROTOCOLS.items():
        if protocol.num_seg and "TSM" in config.MODEL.backbone.name:
            with pytest.raises(ConfigError, match="meant for TSN"):
                with_protocol(config, name)
            continue
        changed = with_protocol(config, name)
        assert protocol_name(changed) == name
        assert protocol_name(with_protocol(with_protocol(changed, "accurate"), name)) == name


@pytest.mark.parametrize(
    ("path", "overrides", "name"),
    [
        (UCF101, [], "efficient"),
        (UCF101, ["PIPELINE.valid.sample.twice=true"], "custom"),
        (UCF101, ["PIPELINE.valid.transform.1={ThreeCrop: {target_size: 256}}"], "custom"),
        (
            UCF101,
            [
                "PIPELINE.valid.sample.twice=true",
                "PIPELINE.valid.transform.1={ThreeCrop: {target_size: 256}}",
            ],
            "accurate",
        ),
        (
            UCF101,
            [
                "PIPELINE.valid.sample.twice=true",
                "PIPELINE.valid.transform.1={ThreeCrop: {target_size: 224}}",
            ],
            "custom",
        ),
        (UCF101, ["PIPELINE.valid.transform.1={TenCrop: {target_size: 224}}"], "ten-crop"),
        (TSN, [], "25-segment"),
        (TSN, ["PIPELINE.test.sample.num_seg=7"], "custom"),
        (TSN, ["PIPELINE.test.sample.num_seg=3"], "ten-crop"),
    ],
)
def test_names_are_recognised(path: Any, overrides: list[str], name: str) -> None:
    assert protocol_name(load_config(path, overrides)) == name


def test_the_same_views_have_the_same_hash_however_they_are_asked_for() -> None:
    stated = load_config(
        UCF101,
        [
            "PIPELINE.valid.sample.twice=true",
            "PIPELINE.valid.transform.1={ThreeCrop: {target_size: 256}}",
        ],
    )
    named = with_protocol(load_config(UCF101), "accurate")
    assert pipeline_hash(stated, "test") == pipeline_hash(named, "test")
    assert pipeline_hash(stated, "test") != pipeline_hash(load_config(UCF101), "test")


def test_dense_keeps_the_range_of_the_training() -> None:
    sample = "PIPELINE.train.sample={name: DenseSampler, num_seg: 8, sample_range: 48}"
    config = with_protocol(load_config(UCF101, [sample]), "dense")
    assert pipeline_spec(config, "test")["sample"]["sample_range"] == 48


def test_wrong_names_and_pipelines_are_refused() -> None:
    assert find_protocol(" Ten_Crop ").name == "ten-crop"
    with pytest.raises(ConfigError, match="did you mean 'accurate'"):
        find_protocol("acurate")
    no_scale = load_config(
        UCF101, ["PIPELINE.valid.transform=[{CenterCrop: {target_size: 64}}, {Normalization: {}}]"]
    )
    with pytest.raises(ConfigError, match=r"Scale before the crop"):
        with_protocol(no_scale, "accurate")
    assert views(with_protocol(no_scale, "ten-crop")) == (8, 1, 10, 64)
    no_crop = load_config(UCF101, ["PIPELINE.valid.transform=[{Normalization: {}}]"])
    with pytest.raises(ConfigError, match="there are 0 crops"):
        with_protocol(no_crop, "ten-crop")
    assert protocol_name(no_crop) == "custom"


def test_what_training_never_showed_is_said() -> None:
    motion = load_config(REPO / "configs/tsm_motion.yaml")
    assert cautions(with_protocol(motion, "efficient")) == []
    assert "36 x 36" in cautions(with_protocol(motion, "accurate"))[0]
    assert "mirrored" in cautions(with_protocol(motion, "ten-crop"))[0]
    assert cautions(with_protocol(load_config(UCF101), "accurate")) == []
    assert cautions(with_protocol(load_config(TSN), "ten-crop")) == []  # it trains with flips
