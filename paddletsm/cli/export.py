# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""``paddletsm export``: from a configuration and its weights to a folder that predicts alone."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import json
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

from paddletsm.cli.common import (
    EXIT_OK,
    add_common_arguments,
    add_override_argument,
    make_parser,
    run_command,
)
from paddletsm.cli.export_formats import (
    add_format_arguments,
    check_format_arguments,
    int8_plan,
    say_networks,
)
from paddletsm.cli.export_online import (
    add_online_arguments,
    check_online_arguments,
    next_step,
    stream_facts,
)
from paddletsm.errors import ConfigError, PaddleTSMError, WeightsError
from paddletsm.utils.io import sha256_of
from paddletsm.utils.text import listing

if TYPE_CHECKING:
    from paddletsm.config import Config
    from paddletsm.config.schema import Backbone
    from paddletsm.models import Recognizer2D

logger = logging.getLogger(__name__)

# Arguments of a backbone that change what it computes, most of them none of its tensors.
_OF_NETWORK = (
    *("name", "depth", "shift_mode", "shift_div", "shift_place", "shift_padding"),
    *("temporal_pool", "num_seg"),
)

_RANDOM = """\
************************************************************************
* RANDOM WEIGHTS: this model was never trained, its predictions mean   *
* nothing. It is good for trying out the way from file to answer only. *
************************************************************************"""


def build_parser() -> argparse.ArgumentParser:
    """Options of the command; here -o is the output folder, as in PaddleVideo."""
    parser = make_parser("export", "Export a trained model: network, weights and preprocessing.")
    parser.add_argument(
        "-c", "--config", default="configs/tsm_ucf101.yaml", help="configuration of the model"
    )
    parser.add_argument(
        "-p",
        "--pretrained_params",
        metavar="WEIGHTS",
        help="weights file; default: the best of this configuration's training run",
    )
    parser.add_argument(
        "-o", "--output_path", metavar="DIR", help="default: inference/<model_name>"
    )
    add_override_argument(parser, "--override")
    parser.add_argument(
        "--protocol",
        help="predict with this protocol instead of PIPELINE.test: efficient, accurate, ...",
    )
    add_format_arguments(parser)
    parser.add_argument(
        "--random_weights", action="store_true", help="export an untrained model, for trials only"
    )
    add_online_arguments(parser)
    add_common_arguments(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command."""
    return run_command(build_parser(), _export, argv)


def _export(args: argparse.Namespace) -> int:
    # Imported here so that --help answers without Paddle.
    from paddletsm.builders import (
        build_data_pipeline,
        build_model,
        class_names,
        load_config,
        model_arguments,
        pipeline_hash,
        pipeline_spec,
    )
    from paddletsm.config import with_value
    from paddletsm.deploy.export import export_model
    from paddletsm.protocols import protocol_name, with_protocol
    from paddletsm.utils.threads import import_paddle

    _check_folder_name(args.output_path)
    check_online_arguments(args)
    check_format_arguments(args)
    config = load_config(args.config, args.override)
    if config.MODEL.backbone.data_format == "NHWC":  # only fast in training; same weights
        config = with_value(config, ("MODEL", "backbone", "data_format"), "NCHW")
    if args.protocol:
        config = with_protocol(config, args.protocol)
    weights = _weights_path(args, config)
    out_dir = Path(args.output_path or Path("inference") / config.model_name)
    earlier = _files(out_dir)
    labels, pipeline = class_names(config), build_data_pipeline(config, "test")
    import_paddle()
    import paddle

    paddle.set_device("cpu")  # the comparison with the exported copy runs on the CPU
    paddle.seed(config.seed)
    model = build_model(config)
    _check_training(weights, config)
    digest = _load(model, weights)
    if args.online:
        folder = _export_online(args, config, model, digest, out_dir)
        _report(folder, earlier, is_random=weights is None)
        return EXIT_OK
    folder = export_model(
        model,
        out_dir,
        name=config.model_name,
        spec=pipeline_spec(config, "test"),
        labels=labels,
        target_size=pipeline.target_size or 0,
        weights_sha256=_origin(digest),
        metrics=_measured(config, digest, pipeline_hash(config, "test")),
        protocol={
            "name": protocol_name(config),
            "average": config.METRIC.average,
            "activation": config.MODEL.activation,
        },
        meta=model_arguments(config),
        formats=args.format,
        int8=int8_plan(args, config, labels),
    )
    _report(folder, earlier, is_random=weights is None)
    return EXIT_OK


def _origin(digest: str | None) -> str:
    """What inference.yml says of the weights."""
    from paddletsm.deploy.artefact import RANDOM_WEIGHTS

    return digest or RANDOM_WEIGHTS


def _export_online(
    args: argparse.Namespace,
    config: Config,
    model: Recognizer2D,
    digest: str | None,
    out_dir: Path,
) -> Path:
    from paddletsm.builders import class_names, model_arguments, pipeline_hash, pipeline_spec
    from paddletsm.deploy.online_export import export_online

    if config.MODEL.is_multi_label:
        raise ConfigError(
            f"{config.place('MODEL', 'loss')}: --online is for networks that give a clip one "
            "label, not for bce; leave it out"
        )
    return export_online(
        model,
        out_dir,
        name=config.model_name,
        spec=pipeline_spec(config, "test"),
        labels=class_names(config),
        facts=stream_facts(args, config),
        weights_sha256=_origin(digest),
        metrics=_measured(config, digest, pipeline_hash(config, "test")),
        meta=model_arguments(config),
        formats=args.format,
    )


def _weights_path(args: argparse.Namespace, config: Config) -> Path | None:
    """Find the weights; None stands for random ones.

    Raises:
        WeightsError: there are none, or both weights and random weights are asked for.
    """
    if args.random_weights:
        if args.pretrained_params:
            raise WeightsError("-p and --random_weights exclude each other; leave one out")
        return None
    if args.pretrained_params:
        return Path(args.pretrained_params)
    name = config.model_name
    path = Path(config.output_dir) / name / f"{name}_best.pdparams"
    if not path.is_file():
        raise WeightsError(
            f"{path} does not exist: {args.config} has not been trained here yet. Train it with "
            f"'python main.py -c {args.config}', or name other weights with -p "
            "(for a trial without weights: --random_weights)"
        )
    return path


def _check_folder_name(name: str | None) -> None:
    """Refuse what -o means in the other commands; ./a.b=c is a folder all the same.

    Raises:
        ConfigError: KEY.SUB=VALUE, or KEY=VALUE of a key that configurations have.
    """
    if name is None:
        return
    from paddletsm.config import Config

    key = name.partition("=")[0]
    keys = {field.name for field in dataclasses.fields(Config)}
    if "=" in name and re.fullmatch(r"[A-Za-z_]\w*(\.\w+)*", key):
        if "." in key or key in keys:
            raise ConfigError(
                f"-o {name}: here -o is the output folder; to replace a value: --override {name} "
                f"(a folder of that name: -o ./{name})"
            )


def _check_training(weights: Path | None, config: Config) -> None:
    """Compare the network with that of the training which has left the weights, where it tells.

    All of these networks have the same tensors; the weights would load without a word.

    Raises:
        ConfigError: ``config.yaml`` beside the weights describes another one. Another number of
            frames, which weights may be meant to be tried with, is warned of.
    """
    from paddletsm.builders import load_config

    beside = weights.with_name("config.yaml") if weights is not None else None
    if beside is None or not beside.is_file():
        return
    try:
        trained = load_config(beside).MODEL.backbone
    except PaddleTSMError:  # of another program, or of an older version
        return
    for key in _OF_NETWORK:
        ours, theirs = (_stated(each, key) for each in (config.MODEL.backbone, trained))
        if ours == theirs:
            continue
        problem = (
            f"{config.place('MODEL', 'backbone', key)}: {ours}, but the weights were trained with "
            f"{theirs} ({beside})"
        )
        if key != "num_seg":
            raise ConfigError(
                f"{problem}; export with -c {beside}, or set --override MODEL.backbone.{key}="
                f"{theirs}"
            )
        logger.warning("%s", problem)


def _stated(backbone: Backbone, key: str) -> object:
    """An argument of a backbone, or the value that it has where it is not stated."""
    from paddletsm.models import BACKBONES

    value = getattr(backbone, key)
    if value is not None:
        return value
    parameter = inspect.signature(BACKBONES.get(backbone.name)).parameters.get(key)
    is_optional = parameter is not None and parameter.default is not inspect.Parameter.empty
    return parameter.default if is_optional else None


def _load(model: Recognizer2D, weights: Path | None) -> str | None:
    """Load the weights and return their hash."""
    if weights is None:
        print(_RANDOM)
        return None
    from paddletsm.models.weights import load_weights

    print(load_weights(model, weights))
    return sha256_of(weights)


def _measured(config: Config, digest: str | None, pipeline: str) -> dict[str, float] | None:
    """Take the figures that a test of these very weights has left, if any.

    Args:
        config: names the run folder.
        digest: SHA-256 of the weights.
        pipeline: ``pipeline_hash`` of the test; figures of other preprocessing are not these.
    """
    from paddletsm.protocols import PROTOCOLS

    run = Path(config.output_dir) / config.model_name
    for folder in ("test", *(f"test_{name}" for name in PROTOCOLS)):
        try:
            metrics = json.loads((run / folder / "metrics.json").read_text(encoding="utf-8"))
            average = metrics.get("protocol", {}).get("average", "scores")
            tested = (metrics["weights_sha256"], metrics["pipeline_sha256"], average)
        except (OSError, ValueError, KeyError, AttributeError):
            continue
        if tested == (digest, pipeline, config.METRIC.average):
            return {key: value for key, value in metrics.items() if isinstance(value, (int, float))}
    return None


def _files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def _report(folder: Path, earlier: set[str], *, is_random: bool) -> None:
    from paddletsm.deploy.artefact import FILE_NAME, read_artefact

    artefact = read_artefact(folder)
    shown = _short_path(folder)
    for name in (*artefact.network_files, FILE_NAME):
        print(f"{shown / name}  {_size(folder / name)}")
    if gone := sorted(earlier - _files(folder)):
        print(
            f"replaced; no longer there: {listing(gone)} (an export writes all formats of a "
            "folder: name them together with --format)"
        )
    say_networks(artefact)
    for key, name in (("top1", "top-1"), ("mAP", "mAP")):
        if artefact.metrics and key in artefact.metrics:
            print(f"measured {name} of these weights: {artefact.metrics[key]:.2f} %")
    print(next_step(artefact, shown))
    if is_random:
        print("note: RANDOM WEIGHTS, see above")


def _size(path: Path) -> str:
    count = path.stat().st_size
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"


def _short_path(folder: Path) -> Path:
    """Relative to the working folder where it lies below it."""
    try:
        return folder.relative_to(Path.cwd())
    except ValueError:
        return folder
