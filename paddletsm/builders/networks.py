# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""A configuration's network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from paddletsm.builders.pipelines import build_data_pipeline, component_place
from paddletsm.config import Config
from paddletsm.data.transforms.functional import normalization_terms
from paddletsm.errors import ConfigError
from paddletsm.utils.threads import import_paddle

if TYPE_CHECKING:
    from paddletsm.models import Recognizer2D


def model_arguments(config: Config) -> dict[str, dict[str, Any]]:
    """MODEL.backbone and MODEL.head as plain arguments, only what is stated."""
    model = config.to_dict()["MODEL"]
    backbone = {key: value for key, value in model["backbone"].items() if key != "pretrained"}
    head = {k: v for k, v in model["head"].items() if k not in ("in_channels", "data_format")}
    return {"backbone": backbone, "head": head}


def check_model(config: Config) -> None:
    """Check the components that MODEL names and their arguments; needs Paddle, builds nothing.

    Raises:
        ConfigError: unknown component or argument, or a value that cannot work.
    """
    import_paddle()
    from paddletsm.models import BACKBONES, FRAMEWORKS, HEADS, mobilenet_v2, resnet

    FRAMEWORKS.get(config.MODEL.framework, where=config.place("MODEL", "framework"))
    arguments = model_arguments(config)
    arguments["head"].update(num_classes=1, in_channels=1)  # these follow from data and backbone
    for part, registry in (("backbone", BACKBONES), ("head", HEADS)):
        args = arguments[part]
        registry.check(args.pop("name"), args, where=component_place(config, "MODEL", part))
    backbone = config.MODEL.backbone
    width = 1.0 if backbone.width is None else backbone.width
    fewest = {
        "ResNetTSM": resnet.scaled_channels(64, width),
        "MobileNetV2TSM": mobilenet_v2.scaled_channels(24, width),
    }.get(backbone.name)
    if fewest is not None and backbone.shift_div is not None and backbone.shift_div > fewest:
        raise ConfigError(
            f"{config.place('MODEL', 'backbone', 'shift_div')}: {backbone.shift_div} leaves no "
            f"channel to shift where there are {fewest}"
        )


def build_model(config: Config) -> Recognizer2D:
    """Build the network of a configuration; ``pretrained`` weights are loaded by the trainer.

    Raises:
        ConfigError: unknown component, wrong argument, or in_channels that does not fit.
    """
    from paddletsm.builders.classes import resolve_classes  # which checks the network
    from paddletsm.models import BACKBONES, FRAMEWORKS, HEADS

    config = resolve_classes(config)
    framework = FRAMEWORKS.get(config.MODEL.framework)
    arguments = model_arguments(config)
    backbone_args, head_args = arguments["backbone"], arguments["head"]
    place = component_place(config, "MODEL", "backbone")
    backbone = BACKBONES.build(backbone_args.pop("name"), backbone_args, where=place)
    stated = config.MODEL.head.in_channels
    if stated is not None and stated != backbone.out_channels:
        raise ConfigError(
            f"{config.place('MODEL', 'head', 'in_channels')}: {stated} contradicts the backbone, "
            f"which has {backbone.out_channels} channels; leave in_channels out"
        )
    head_args["in_channels"] = backbone.out_channels
    place = component_place(config, "MODEL", "head")
    head = HEADS.build(head_args.pop("name"), head_args, where=place)
    model = framework(backbone, head)
    normalization = build_data_pipeline(config, "train").normalization
    model.accept_pixels(*normalization_terms(normalization.mean, normalization.std))
    return model
