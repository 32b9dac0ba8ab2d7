# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""``paddletsm predict``: class names and scores of video files, from an exported model."""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from paddletsm.cli.common import (
    add_common_arguments,
    add_switch,
    add_threads_argument,
    check_apart,
    make_parser,
    run_command,
    whole,
)
from paddletsm.cli.predict_run import (
    add_run_arguments,
    choose_instances,
    process_count,
    run_predictions,
)
from paddletsm.cli.timeline import (
    add_timeline_arguments,
    check_timeline_arguments,
    run_timeline,
)
from paddletsm.errors import ConfigError

if TYPE_CHECKING:
    from paddletsm.deploy import Artefact, Predictor

_DEFAULT_ROOT = "inference"


def build_parser() -> argparse.ArgumentParser:
    """Options of the command, PaddleVideo's among them."""
    parser = make_parser("predict", "Predict the classes of video files.")
    parser.add_argument(
        "-i",
        "--input_file",
        nargs="+",
        required=True,
        metavar="INPUT",
        help="video files, folders, patterns such as 'clips/*.avi', or lists (.txt, .list, .csv)",
    )
    parser.add_argument(
        "--model_dir",
        help=f"folder of an exported model; default: the newest one under {_DEFAULT_ROOT}/",
    )
    parser.add_argument("--top_k", type=whole(1), default=5, help="number of classes to name")
    parser.add_argument("--device", help="cpu, gpu or gpu:N; default: cpu")
    parser.add_argument(
        "--engine",
        default="paddle",
        help="paddle, openvino, onnxruntime, or auto: the fastest that has a file of this model",
    )
    parser.add_argument("--precision", default="fp32", help="fp32 or int8")
    parser.add_argument("--batch_size", type=whole(1), default=1, help="views per forward pass")
    add_threads_argument(parser)
    add_switch(
        parser,
        "--enable_openvino",
        default=True,
        help="with the engine paddle: the OpenVINO that Paddle 3 brings, faster than oneDNN",
    )
    add_switch(
        parser,
        "--enable_mkldnn",
        default=True,
        help="oneDNN kernels on the CPU; False: Paddle's own, without OpenVINO too",
    )
    same = parser.add_argument_group("the same in PaddleVideo's words")
    same.add_argument(
        "--config",
        help="the model's training configuration, or its inference.yml: names its folder",
    )
    same.add_argument(
        "--model_file",
        help=".pdmodel, .json or .onnx file: names the model's folder, and which of its formats",
    )
    same.add_argument("--params_file", help=".pdiparams file that belongs to it")
    add_switch(same, "--use_gpu", default=None, help="the same as --device gpu, or cpu")
    add_switch(same, "--use_tensorrt", default=False, help="TensorRT on a GPU")
    add_run_arguments(parser)
    add_timeline_arguments(parser)
    add_common_arguments(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; the exit code says whether every clip was predicted."""
    return run_command(build_parser(), _predict, argv)


def _predict(args: argparse.Namespace) -> int:
    # Imported here so that --help answers without NumPy.
    from paddletsm.deploy.inputs import collect_named

    if isinstance(sys.stdout, io.TextIOWrapper):  # names that the terminal cannot show
        sys.stdout.reconfigure(errors="backslashreplace")
    check_timeline_arguments(args)
    if args.timeline is not None and process_count() > 1:
        raise ConfigError(
            f"--timeline runs in one process, not in {process_count()}; start it without "
            "paddle.distributed.launch"
        )
    folder, artefact = find_model(args)
    clips = collect_named(args.input_file, takes_frames=_takes_frames(artefact))
    targets = [args.output] if args.output else []
    check_apart("--output", targets, [*args.input_file, *(clip.path for clip in clips)])
    print(f"model: {artefact.model_name} ({folder})")
    if args.timeline is not None:
        paths = [clip.path for clip in clips]
        return run_timeline(
            args,
            artefact,
            paths,
            lambda: _open(args, folder, artefact, 1),
            folder,
            device=_device(args),
        )
    _engine(args, folder, artefact)  # refused before an old file of results is replaced
    return run_predictions(
        args, artefact, folder, clips, lambda count: _open(args, folder, artefact, count)
    )


def _engine(args: argparse.Namespace, folder: Path, artefact: Artefact) -> tuple[str, str]:
    """Names of the engine and of the format that it runs.

    Raises:
        ConfigError: the options name none that is there, or contradict each other.
        ExportError: the model takes single frames.
    """
    from paddletsm.deploy.engines import choose_engine
    from paddletsm.deploy.predictor_checks import check_takes_clips

    check_takes_clips(artefact, folder)
    name, form = choose_engine(artefact, args.engine, args.precision, device=_device(args))
    if name == "openvino" and not args.enable_openvino:
        chosen = "" if args.engine == name else ", which chooses openvino here,"
        raise ConfigError(
            f"--engine {args.engine}{chosen} contradicts --enable_openvino False (which is about "
            "the engine paddle); leave one of them out"
        )
    return name, form


def _open(args: argparse.Namespace, folder: Path, artefact: Artefact, clips: int) -> Predictor:
    """Open the model for a number of clips."""
    from paddletsm.deploy.predictor import Predictor

    device = _device(args)
    name, form = _engine(args, folder, artefact)
    print(f"engine: {name}, {form}", file=sys.stderr, flush=True)
    return Predictor(
        folder,
        device=device,
        threads=args.cpu_threads,
        mkldnn=args.enable_mkldnn,
        openvino=args.enable_openvino,
        batch_size=args.batch_size,
        use_tensorrt=args.use_tensorrt,
        engine=name,
        precision=args.precision,
        format=form,
        num_workers=args.num_workers,
        instances=choose_instances(args, clips, device),
        timeout_s=args.timeout,
    )


def find_model(args: argparse.Namespace) -> tuple[Path, Artefact]:
    """Resolve --model_dir, --model_file, --params_file and --config to one artefact.

    Returns:
        Its folder and itself; of the format alone whose files are named.

    Raises:
        ConfigError: they name different folders, or files that the artefact does not use together,
            or that the engine does not run.
        ExportError: there is no complete artefact.
    """
    from paddletsm.deploy.artefact import newest_artefact, read_artefact

    named = {
        "--model_dir": args.model_dir and Path(args.model_dir),
        "--model_file": args.model_file and Path(args.model_file).parent,
        "--params_file": args.params_file and Path(args.params_file).parent,
    }
    named = {option: folder for option, folder in named.items() if folder}
    if not named:
        folder = _folder_of_config(args.config) if args.config else newest_artefact(_DEFAULT_ROOT)
        return folder, read_artefact(folder)
    (first, folder), *others = named.items()
    for option, other in others:
        if other.resolve() != folder.resolve():
            raise ConfigError(f"{first} and {option} name different folders: {folder}, {other}")
    artefact = _with_files(args, folder, read_artefact(folder))
    if args.config:
        _check_config(args.config, artefact.model_name, folder)
    return folder, artefact


def _with_files(args: argparse.Namespace, folder: Path, artefact: Artefact) -> Artefact:
    """The artefact with the format alone that --model_file and --params_file name, if they do."""
    options = (("--model_file", args.model_file), ("--params_file", args.params_file))
    named = {option: Path(name).name for option, name in options if name}
    if not named:
        return artefact
    for option, name in named.items():
        if name not in artefact.network_files:
            raise ConfigError(
                f"{option} {getattr(args, option[2:])}: the model in {folder} consists of "
                f"{' and '.join(artefact.network_files)}"
            )
    files = {form: artefact.files_of(form) for form in artefact.formats}
    for form, (structure, *params) in files.items():
        fits = {"--model_file": (structure,), "--params_file": params}
        if all(name in fits[option] for option, name in named.items()):
            _check_runs(args, form, named)
            if artefact.is_online:
                _check_streams(args, artefact, form, named)
            return artefact.only(form)
    together = " and ".join(f"{option} {name}" for option, name in named.items())
    known = "; ".join(f"{form}: {', '.join(names)}" for form, names in files.items())
    raise ConfigError(f"{together}: not the structure and weights of one format ({known})")


def _check_runs(args: argparse.Namespace, form: str, named: dict[str, str]) -> None:
    """Refuse a format that the engine, or the precision, that is asked for does not go with."""
    from paddletsm.deploy.engines import ENGINES

    option, name = next(iter(named.items()))
    if (form == "int8") != (args.precision == "int8"):
        precision = "int8" if form == "int8" else "fp32"
        raise ConfigError(f"{option} {name} is the {form} network; use --precision {precision}")
    engines = [engine for engine, forms in ENGINES.items() if form in forms]
    if args.engine in ENGINES and args.engine not in engines:
        raise ConfigError(
            f"{option} {name} is a network for {' and '.join(engines)}, not for {args.engine}; add "
            f"--engine {engines[0]}"
        )


def _check_streams(
    args: argparse.Namespace, artefact: Artefact, form: str, named: dict[str, str]
) -> None:
    """Refuse a file that a streaming network is not run from, instead of running another."""
    from paddletsm.deploy.online_engine import choose_online_engine

    _, runs = choose_online_engine(artefact, args.engine, device=_device(args))
    if runs != form:
        option, name = next(iter(named.items()))
        raise ConfigError(
            f"{option} {name}: a model that takes single frames runs from "
            f"{' and '.join(artefact.files_of(runs))} here; name its folder with --model_dir"
        )


def _folder_of_config(path: str) -> Path:
    if Path(path).name == "inference.yml":
        return Path(path).parent
    from paddletsm.builders import load_config

    return Path(_DEFAULT_ROOT) / load_config(path).model_name


def _check_config(path: str, model_name: str, folder: Path) -> None:
    """Refuse the configuration of another model; preprocessing comes from the artefact."""
    if Path(path).name == "inference.yml":
        return
    from paddletsm.builders import load_config

    stated = load_config(path).model_name
    if stated != model_name:
        raise ConfigError(
            f"--config {path} is that of {stated!r}, but {folder} holds {model_name!r}; leave "
            "--config out (preprocessing comes from the exported model), or name the right one"
        )


def _device(args: argparse.Namespace) -> str:
    if args.use_gpu is None:
        return args.device or ("gpu" if args.use_tensorrt else "cpu")
    wanted = "gpu" if args.use_gpu else "cpu"
    if args.device and args.device.split(":")[0] != wanted:
        raise ConfigError(f"--device {args.device} contradicts --use_gpu {args.use_gpu}")
    return args.device or wanted


def _takes_frames(artefact: Artefact) -> bool:
    return artefact.pipeline.get("decode", {}).get("name") == "FrameDecoder"
