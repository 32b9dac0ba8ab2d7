# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Named test protocols: which clips and crops of a video are tested, whatever the configuration.

A protocol replaces two things of PIPELINE.test: how frames are sampled and the crop. Decoding,
resizing and normalisation stay those of the configuration. An accuracy is stated with the name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from paddletsm.config import Config, with_value
from paddletsm.config.schema import PipelineMode
from paddletsm.errors import ConfigError
from paddletsm.utils.text import listing, nearest

CUSTOM = "custom"
# Below this side the last feature map has so few cells that one more changes its meaning:
# configs/tsm_motion.yaml falls from 100 % at 32 pixels to 34 % at 36.
_SMALL = 112
_CROPS = {"CenterCrop": 1, "ThreeCrop": 3, "TenCrop": 10}


@dataclass(frozen=True)
class Protocol:
    """One way to test.

    Attributes:
        name: what ``--protocol`` takes and metrics.json states.
        summary: in words.
        crop: the crop transform. "ThreeCrop" takes squares of the whole short side of the resized
            frames, the others squares of the size that the configuration tests with.
        clips: clips per video: 1 middle of each segment; 2 also the first frame of each segment
            ("twice"); more: dense sampling.
        num_seg: segments of a clip where they are not those of the training.
    """

    name: str
    summary: str
    crop: str
    clips: int = 1
    num_seg: int | None = None

    @property
    def crops(self) -> int:
        """Crops of each clip."""
        return _CROPS[self.crop]


# Source: the authors' test_models.py (--twice_sample, --full_res, --dense_sample,
# --test_crops=10), MMAction2's test pipelines, TSN (arXiv:1608.00859, 25 segments x 10 crops).
PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol("efficient", "1 clip, centre crop", "CenterCrop"),
        Protocol("accurate", "2 clips, three crops of the full short side", "ThreeCrop", clips=2),
        Protocol("ten-crop", "1 clip, ten crops", "TenCrop"),
        Protocol("dense", "10 dense clips, three crops of the short side", "ThreeCrop", clips=10),
        Protocol("25-segment", "TSN: 1 clip of 25 segments, ten crops", "TenCrop", num_seg=25),
    )
}


def find_protocol(name: str) -> Protocol:
    """Return a protocol by name; "ten_crop" is "ten-crop".

    Raises:
        ConfigError: there is none of that name.
    """
    known = PROTOCOLS.get(name.strip().lower().replace("_", "-"))
    if known is None:
        raise ConfigError(
            f"unknown protocol {name!r}{nearest(name, PROTOCOLS)} (known: {listing(PROTOCOLS)}); "
            "any other is written as PIPELINE.test of the configuration"
        )
    return known


def with_protocol(config: Config, name: str) -> Config:
    """Return the configuration with PIPELINE.test changed to a named protocol.

    Raises:
        ConfigError: no such protocol, the network cannot take its clips, or PIPELINE.test has not
            the one crop (and, for three crops, the Scale before it) that tells the sizes.
    """
    protocol = find_protocol(name)
    section, base = _test_section(config)
    sample = _sample(config, base.sample, protocol)
    index, crop, size = _the_crop(base, config.place("PIPELINE", section), protocol.name)
    if protocol.crop == "ThreeCrop":
        size = _short_side(base.transform[:index])
        if size is None:
            raise ConfigError(
                f"{config.place('PIPELINE', section, 'transform')}: the protocol {protocol.name} "
                "crops squares of the whole short side, which only a Scale before the crop tells; "
                "add Scale: {short_size: ...}"
            )
    elif crop == "ThreeCrop":
        size = _one_crop_size(config, size)
    transform = list(base.transform)
    transform[index] = {protocol.crop: {"target_size": size}}
    test = PipelineMode(sample=sample, transform=tuple(transform), decode=base.decode)
    return with_value(config, ("PIPELINE", "test"), test)


def protocol_name(config: Config) -> str:
    """Name of the protocol that PIPELINE.test equals, or "custom"."""
    _, base = _test_section(config)
    try:
        index, crop, size = _the_crop(base, "", "")
    except ConfigError:
        return CUSTOM
    if crop == "ThreeCrop" and size != _short_side(base.transform[:index]):
        return CUSTOM
    found = (crop, _clips(base.sample), base.sample.get("num_seg"))
    trained = config.MODEL.backbone.num_seg
    for protocol in PROTOCOLS.values():
        if found == (protocol.crop, protocol.clips, protocol.num_seg or trained):
            return protocol.name
    return CUSTOM


def cautions(config: Config) -> list[str]:
    """What the views of PIPELINE.test show the network that its training never did."""
    _, base = _test_section(config)
    _, crop, size = _the_crop(base, "PIPELINE.test", protocol_name(config))
    found = []
    trained = _training_size(config)
    if trained is not None and size != trained and min(size, trained) < _SMALL:
        found.append(
            f"the test crops {size} x {size} pixels, training {trained} x {trained}: a network for "
            "frames that small may not bear the difference"
        )
    flips = [item["RandomFlip"] for item in config.PIPELINE.train.transform if "RandomFlip" in item]
    if crop == "TenCrop" and not any((args or {}).get("p", 0.5) for args in flips):
        found.append(
            "five of the ten crops are mirrored, which training never does: classes that tell left "
            "from right suffer"
        )
    return found


def _test_section(config: Config) -> tuple[str, PipelineMode]:
    """Name and content of the section that testing uses."""
    if config.PIPELINE.test is not None:
        return "test", config.PIPELINE.test
    return "valid", config.PIPELINE.valid


def _sample(config: Config, stated: Mapping[str, Any], protocol: Protocol) -> dict[str, Any]:
    """The sampler of a protocol."""
    backbone = config.MODEL.backbone
    trained = backbone.num_seg or stated.get("num_seg")
    num_seg = protocol.num_seg or trained
    relates_frames = "TSM" in backbone.name or backbone.non_local is not None
    if relates_frames and num_seg != trained:
        raise ConfigError(
            f"the protocol {protocol.name} tests clips of {num_seg} segments, but {backbone.name} "
            f"shifts between the {trained} segments it was trained with "
            f"({config.place('MODEL', 'backbone', 'num_seg')}); it is meant for TSN. For more "
            "views of a TSM network take accurate, ten-crop or dense"
        )
    if protocol.clips > 2:
        ranges = [
            mode.sample["sample_range"]
            for mode in (config.PIPELINE.test, config.PIPELINE.valid, config.PIPELINE.train)
            if mode is not None and "sample_range" in mode.sample
        ]
        dense = {"name": "DenseSampler", "num_seg": num_seg, "num_clips": protocol.clips}
        return {**dense, **({"sample_range": ranges[0]} if ranges else {})}
    return {
        "name": "Sampler",
        "num_seg": num_seg,
        **({"twice": True} if protocol.clips == 2 else {}),
    }


def _clips(sample: Mapping[str, Any]) -> int | None:
    """Clips per video of a stated sampler, as ``Protocol.clips`` counts them."""
    if sample.get("valid_mode", True) is not True:
        return None
    name = sample.get("name", "Sampler")
    if name == "Sampler":
        return 2 if sample.get("twice") else 1
    clips = sample.get("num_clips", 10) if name == "DenseSampler" else None
    return clips if clips is not None and clips > 2 else None  # 1 or 2 dense ones are no "twice"


def _the_crop(base: PipelineMode, place: str, name: str) -> tuple[int, str, int]:
    """Position, name and size of the one crop among the transforms.

    Raises:
        ConfigError: there is none, or more than one.
    """
    found = [
        (index, crop, (args or {}).get("target_size"))
        for index, item in enumerate(base.transform)
        for crop, args in item.items()
        if crop in _CROPS
    ]
    if len(found) != 1:
        raise ConfigError(
            f"{place}: the protocol {name} replaces the crop of PIPELINE.test, but there are "
            f"{len(found)} crops; write one of {listing(_CROPS)}"
        )
    return found[0]


def _short_side(transforms: Sequence[Mapping[str, Any]]) -> int | None:
    """Short side of the frames behind these transforms, where the last Scale tells it."""
    for item in reversed(transforms):
        if "Scale" in item:
            return (item["Scale"] or {}).get("short_size")
    return None


def _one_crop_size(config: Config, size: int) -> int:
    """Side of a centre crop where the test crops the whole short side: that of validation."""
    for item in config.PIPELINE.valid.transform:
        for crop, args in item.items():
            if crop in ("CenterCrop", "TenCrop"):
                return args["target_size"]
    return _training_size(config) or size


def _training_size(config: Config) -> int | None:
    """Side of the training crops, where a transform states it."""
    stated = [
        args["target_size"]
        for item in config.PIPELINE.train.transform
        for args in item.values()
        if args and "target_size" in args
    ]
    return stated[-1] if stated else None
