# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""``paddletsm verify``: is the exported model the trained one, and if not, where do they part."""

from __future__ import annotations

import argparse
import inspect
import json
import math
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paddletsm.cli.common import (
    EXIT_FAILED,
    EXIT_OK,
    add_common_arguments,
    add_override_argument,
    add_threads_argument,
    make_parser,
    run_command,
    whole,
)
from paddletsm.errors import ConfigError, DataError
from paddletsm.utils.text import listing, plural

if TYPE_CHECKING:
    from paddletsm.config import Config
    from paddletsm.deploy import Artefact
    from paddletsm.deploy.verify import Eager, Verification
    from paddletsm.models import Recognizer2D

_DEFAULT_CLIPS = 8
_PARTS = ("backbone", "head")
# What changes nothing about the logits of a trained network.
_OF_TRAINING = ("partial_bn", "norm_eval", "frozen_stages", "data_format", "drop_ratio", "std")


def build_parser() -> argparse.ArgumentParser:
    """Options of the command."""
    parser = make_parser(
        "verify",
        "Send the same clips through the trained and the exported model and compare every stage.",
    )
    parser.add_argument(
        "--model_dir", help="folder of an exported model; default: the newest one under inference/"
    )
    parser.add_argument(
        "-w", "--weights", required=True, metavar="WEIGHTS", help="of the trained network"
    )
    parser.add_argument(
        "-c",
        "--config",
        metavar="CFG",
        help="of the trained network; default: config.yaml beside the weights, and without it the "
        "network that inference.yml describes",
    )
    add_override_argument(parser)
    parser.add_argument("--protocol", help="that the model was exported with, if any")
    parser.add_argument(
        "-i",
        "--input_file",
        nargs="+",
        metavar="INPUT",
        help="clips, as for predict; default: the first of DATASET.test, else drawn ones",
    )
    parser.add_argument(
        "--num_clips",
        type=whole(1),
        metavar="N",
        help=f"compare the first N clips; default: all of INPUT, else {_DEFAULT_CLIPS}",
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        help="of normalised pixels, logits and scores; default: 1e-5 for pixels, else 1e-4, or "
        "1e-5 of the largest logit",
    )
    parser.add_argument("--min_cosine", type=float, default=0.98, help="of int8 logits, mean")
    parser.add_argument(
        "--min_agreement",
        type=float,
        default=90.0,
        metavar="PERCENT",
        help="of clips to which int8 gives the same class",
    )
    add_threads_argument(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    add_common_arguments(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; the exit code says whether everything is the same."""
    return run_command(build_parser(), _verify, argv)


def _verify(args: argparse.Namespace) -> int:
    # Imported here so that --help answers without Paddle.
    from paddletsm.deploy.artefact import newest_artefact, read_artefact
    from paddletsm.deploy.verify import Limits, verify_artefact
    from paddletsm.utils.threads import import_paddle

    _check(args)
    folder = Path(args.model_dir) if args.model_dir else newest_artefact()
    artefact = read_artefact(folder)
    config = _config(args)
    import_paddle(args.cpu_threads)
    import paddle

    paddle.set_device("cpu")
    if config is not None:
        _check_same_network(config, artefact)
    is_other = _is_other_weights(args.weights, artefact)
    eager = _eager(args, artefact, config)
    limits = Limits(args.tolerance, args.min_cosine, args.min_agreement)
    with _clips(args, artefact, config) as (paths, origin):
        found = verify_artefact(folder, eager, paths, limits=limits, threads=args.cpu_threads)
    hints = _hints(args, artefact, config, found, is_other=is_other)
    if args.json:
        print(json.dumps(_as_record(found, hints), indent=2))
    else:
        print(f"model: {artefact.model_name} ({folder})")
        print(f"weights: {args.weights}{'; NOT the file it was exported from' if is_other else ''}")
        print(f"clips: {found.clips} {origin}")
        print("\n".join([*_table(found), *_verdict(found, hints)]))
    return EXIT_OK if found.first is None and not found.unread else EXIT_FAILED


def _check(args: argparse.Namespace) -> None:
    from paddletsm.utils.weight_files import check_weights_file

    if args.tolerance is not None and not 0 <= args.tolerance < math.inf:
        raise ConfigError(f"--tolerance must be finite and not negative, not {args.tolerance}")
    for option, least, most in (("min_cosine", -1, 1), ("min_agreement", 0, 100)):
        if not least <= getattr(args, option) <= most:
            raise ConfigError(
                f"--{option} must lie in [{least}, {most}], not {getattr(args, option)}"
            )
    check_weights_file(args.weights)


def _config(args: argparse.Namespace) -> Config | None:
    """Configuration of the trained network, where there is one."""
    from paddletsm.builders import load_config
    from paddletsm.protocols import with_protocol

    beside = Path(args.weights).with_name("config.yaml")
    path = args.config or (beside if beside.is_file() else None)
    if path is None:
        if args.override or args.protocol:
            raise ConfigError("--override and --protocol change a configuration; name it with -c")
        return None
    config = load_config(path, args.override)
    return with_protocol(config, args.protocol) if args.protocol else config


def _check_same_network(config: Config, artefact: Artefact) -> None:
    """Refuse a configuration of another network, whose logits would tell nothing.

    Raises:
        ConfigError: with the first key of MODEL that differs.
    """
    from paddletsm.builders import model_arguments

    if artefact.model is None:
        return
    ours, theirs = model_arguments(config), {part: dict(artefact.model[part]) for part in _PARTS}
    theirs["head"]["num_classes"] = len(artefact.labels)
    ours["head"].setdefault("num_classes", len(artefact.labels))  # else told by the data
    for part in _PARTS:
        one, other = (_with_defaults(part, stated[part]) for stated in (ours, theirs))
        for key in dict.fromkeys([*one, *other]):
            if key not in _OF_TRAINING and one.get(key) != other.get(key):
                raise ConfigError(
                    f"{config.place('MODEL', part, key)}: {one.get(key)}, but the exported model "
                    f"has {other.get(key)} (inference.yml); name the configuration that it was "
                    "exported with, or export again with this one"
                )


def _with_defaults(part: str, stated: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a component, its name first, and the values of those that are not stated."""
    from paddletsm.models import BACKBONES, HEADS

    registry = BACKBONES if part == "backbone" else HEADS
    component = registry.get(stated["name"], where=f"inference.yml: model.{part}")
    defaults = {
        key: parameter.default
        for key, parameter in inspect.signature(component).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }
    return {"name": stated["name"], **defaults, **stated}


def _is_other_weights(weights: str, artefact: Artefact) -> bool:
    from paddletsm.utils.io import sha256_of

    stated = artefact.weights_sha256
    return stated is not None and sha256_of(weights) != stated


def _eager(args: argparse.Namespace, artefact: Artefact, config: Config | None) -> Eager:
    from paddletsm.builders import build_data_pipeline
    from paddletsm.deploy.verify import Eager
    from paddletsm.models.weights import load_weights

    model = _network(args, artefact, config)
    load_weights(model, args.weights)
    model.eval()
    if config is None:
        return Eager(model)
    return Eager(model, build_data_pipeline(config, "test"), config.METRIC.average)


def _network(args: argparse.Namespace, artefact: Artefact, config: Config | None) -> Recognizer2D:
    """The network of -c; else that of the artefact; else that of config.yaml."""
    from paddletsm.builders import build_model
    from paddletsm.config import with_value
    from paddletsm.deploy.verify_ways import network_of

    if artefact.model is not None and not args.config:
        return network_of(artefact.model, len(artefact.labels))
    if config is None:
        raise ConfigError("inference.yml does not describe its network; name it with -c CONFIG")
    config = with_value(config, ("MODEL", "backbone", "data_format"), "NCHW")
    if config.MODEL.head.num_classes is None:
        config = with_value(config, ("MODEL", "head", "num_classes"), len(artefact.labels))
    return build_model(config)


@contextmanager
def _clips(
    args: argparse.Namespace, artefact: Artefact, config: Config | None
) -> Iterator[tuple[list[str], str]]:
    """Give the clips to compare, and where they come from."""
    from paddletsm.deploy.inputs import collect_inputs

    if args.input_file:
        takes_frames = artefact.pipeline.get("decode", {}).get("name") == "FrameDecoder"
        paths = collect_inputs(args.input_file, takes_frames=takes_frames)
        yield paths[: args.num_clips], f"of {listing(args.input_file, 3)}"
        return
    count = args.num_clips or _DEFAULT_CLIPS
    samples = _tested(config)
    if samples:
        # Spread over the list, which often has one class after the other.
        step = max(1, len(samples) // count)
        yield samples[::step][:count], "of DATASET.test"
        return
    with tempfile.TemporaryDirectory(prefix="paddletsm-verify-") as folder:
        yield _drawn(Path(folder), count), "drawn: name others with --input_file"


def _tested(config: Config | None) -> list[str]:
    from paddletsm.builders import index_of

    if config is None:
        return []
    try:
        return [sample.path for sample in index_of(config, "test").samples]
    except DataError:  # its data are not on this machine
        return []


def _drawn(folder: Path, count: int) -> list[str]:
    """Draw clips of different length."""
    import numpy as np

    from paddletsm.prepare.motion import write_mjpg
    from paddletsm.prepare.motion_scene import CLASS_NAMES, render_clip

    paths = []
    for number in range(count):
        path = folder / f"drawn_{number:02}.avi"
        rng = np.random.default_rng(number)
        name = CLASS_NAMES[number % len(CLASS_NAMES)]
        write_mjpg(path, render_clip(name, rng, num_frames=20 + 7 * number, size=128), fps=25.0)
        paths.append(str(path))
    return paths


def _hints(
    args: argparse.Namespace,
    artefact: Artefact,
    config: Config | None,
    found: Verification,
    *,
    is_other: bool,
) -> list[str]:
    """What may be the reason of the first difference."""
    from paddletsm.deploy.verify import PIPELINE, spec_differences

    if found.first is None:
        return []
    stage, way, _ = found.first
    if way == PIPELINE and config is not None:
        from paddletsm.builders import pipeline_spec

        names = ("configuration", "inference.yml")
        hints = spec_differences(pipeline_spec(config, "test"), artefact.pipeline, names)
        named = artefact.protocol.get("name")
        if named and not args.protocol:
            hints.append(f"the model was exported with the protocol {named!r}: see --protocol")
        return hints
    if is_other:
        return [
            f"{args.weights} is not the file that the model was exported from (SHA-256 differs)"
        ]
    if stage == "scores" and config is not None and config.METRIC.average != artefact.average:
        return [f"METRIC.average is {config.METRIC.average}, inference.yml: {artefact.average}"]
    return []


def _table(found: Verification) -> list[str]:
    """One line per way; the largest difference at each stage, * where it is too large."""
    from paddletsm.deploy.verify import STAGES

    width = max(len(name) for name in ("largest difference", *found.table, *found.absent))
    lines = [f"{'largest difference':<{width}}" + "".join(f"  {s:>{len(s)}}" for s in STAGES)]
    for way, findings in found.table.items():
        texts = [finding.text for finding in findings.values() if finding.text]
        cells = [
            _words(findings[stage].difference) + ("" if findings[stage].is_fine else " *")
            if stage in findings
            else ""
            for stage in STAGES
        ]
        if texts:
            is_fine = all(finding.is_fine for finding in findings.values())
            lines.append(f"{way:<{width}}  {texts[0]}{'' if is_fine else ' *'}")
        else:
            row = "".join(
                f"  {cell:>{len(stage)}}" for cell, stage in zip(cells, STAGES, strict=True)
            )
            lines.append(f"{way:<{width}}{row}".rstrip())
    return lines + [f"{way:<{width}}  not tried: {why}" for way, why in found.absent.items()]


def _verdict(found: Verification, hints: list[str]) -> list[str]:
    lines = [f"not compared: {reason}" for reason in found.unread]
    if found.first is None:
        same = "nothing differs" if found.unread else "the exported model is the trained one"
        return [*lines, f"{same}: {plural(found.clips, 'clip')}, every stage within tolerance"]
    stage, way, finding = found.first
    if finding.text:
        return [*lines, f"first difference: {stage}, {way}: {finding.text}"]
    return [
        *lines,
        f"first difference: {stage}, {way}: {_words(finding.difference)} (allowed: "
        f"{finding.allowed:.2g}), in {finding.clip}",
        *(f"  {hint}" for hint in hints),
    ]


def _words(difference: float) -> str:
    """A number, or what it means that there is none."""
    return f"{difference:.2g}" if math.isfinite(difference) else "other shape"


def _finite(difference: float) -> float | None:
    """JSON knows no infinity."""
    return difference if math.isfinite(difference) else None


def _as_record(found: Verification, hints: list[str]) -> dict[str, object]:
    first = found.first
    return {
        "clips": found.clips,
        "unread": found.unread,
        "first": None if first is None else {"stage": first[0], "way": first[1]},
        "hints": hints,
        "table": {
            way: {
                stage: {**asdict(finding), "difference": _finite(finding.difference)}
                for stage, finding in findings.items()
            }
            for way, findings in found.table.items()
        },
        "absent": found.absent,
    }
