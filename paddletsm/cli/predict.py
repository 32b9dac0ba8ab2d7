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
    make_parser,
    run_command,
    whole,
)
from paddletsm.cli.predict_run import add_run_arguments, choose_instances, run_predictions
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
    same.add_argument("--model_file", help=".pdmodel (or .json) file: names the model's folder")
    same.add_argument("--params_file", help=".pdiparams file of the same folder")
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
    folder, artefact = find_model(args)
    clips = collect_named(args.input_file, takes_frames=_takes_frames(artefact))
    print(f"model: {artefact.model_name} ({folder})")
    if args.timeline is not None:
        paths = [clip.path for clip in clips]
        return run_timeline(
            args, artefact, paths, lambda: _open(args, folder, 1), folder, device=_device(args)
        )
    return run_predictions(args, artefact, folder, clips, lambda count: _open(args, folder, count))


def _open(args: argparse.Namespace, folder: Path, clips: int) -> Predictor:
    """Open the model for a number of clips."""
    from paddletsm.deploy.predictor import Predictor

    device = _device(args)
    return Predictor(
        folder,
        device=device,
        threads=args.cpu_threads,
        mkldnn=args.enable_mkldnn,
        openvino=args.enable_openvino,
        batch_size=args.batch_size,
        use_tensorrt=args.use_tensorrt,
        engine=args.engine,
        precision=args.precision,
        num_workers=args.num_workers,
        instances=choose_instances(args, clips, device),
        timeout_s=args.timeout,
    )


def find_model(args: argparse.Namespace) -> tuple[Path, Artefact]:
    """Resolve --model_dir, --model_file, --params_file and --config to one artefact.

    Raises:
        ConfigError: they name different folders, or files that the artefact does not use.
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
    artefact = read_artefact(folder)
    for option, name in (("--model_file", args.model_file), ("--params_file", args.params_file)):
        if name and Path(name).name not in artefact.network_files:
            raise ConfigError(
                f"{option} {name}: the model in {folder} consists of "
                f"{' and '.join(artefact.network_files)}"
            )
    if args.config:
        _check_config(args.config, artefact.model_name, folder)
    return folder, artefact


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
