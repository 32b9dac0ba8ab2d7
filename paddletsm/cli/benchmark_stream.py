# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""``paddletsm benchmark stream``: what a frame of a stream costs, and how long streams go."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paddletsm.cli.common import (
    EXIT_OK,
    add_override_argument,
    add_threads_argument,
    check_target,
    parse_seconds,
    whole,
)
from paddletsm.errors import ConfigError
from paddletsm.utils.io import write_atomic
from paddletsm.utils.text import listing, nearest, plural

if TYPE_CHECKING:
    from paddletsm.benchmarks.stream import Cost, Soak
    from paddletsm.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``benchmark stream``."""
    parser.add_argument(
        "-c", "--config", nargs="+", required=True, metavar="CFG", help="one or more configurations"
    )
    add_override_argument(parser, of="every configuration")
    parser.add_argument(
        "--engine",
        "--engines",
        nargs="+",
        metavar="NAME",
        help="of paddle, onnxruntime, openvino; default: those that are installed",
    )
    add_threads_argument(parser, "--threads")
    parser.add_argument(
        "--rounds", type=whole(1), default=15, metavar="N", help="frames and a clip in turn"
    )
    parser.add_argument(
        "--soak",
        type=parse_seconds,
        metavar="SEC",
        help="then push a generated stream of this length, through the first engine",
    )
    parser.add_argument("--fps", type=float, default=25.0, help="frames per second of that stream")
    parser.add_argument(
        "--fast", action="store_true", help="push it as fast as it goes instead of in real time"
    )
    parser.add_argument(
        "--evaluate",
        metavar="MODEL_DIR",
        help="instead: top-1 of this streaming model, in the first engine, over the test clips of "
        "the configuration",
    )
    parser.add_argument("--json", metavar="FILE", help="also write the figures as JSON")


def run_stream(args: argparse.Namespace) -> int:
    """Measure.

    Raises:
        ConfigError: wrong configuration or options.
    """
    from paddletsm.deploy.stream.clock import checked_fps

    checked_fps(args.fps)
    if args.json:
        check_target("--json", args.json)
    engines = _engines(args.engine)
    from paddletsm.builders import load_config
    from paddletsm.utils.threads import import_paddle

    import_paddle(args.threads)
    figures: list[dict[str, Any]] = []
    for config in [load_config(path, args.override) for path in args.config]:
        run = _evaluate if args.evaluate else _measure
        figures.append({"model_name": config.model_name, **run(args, config, engines)})
    if args.json:
        write_atomic(args.json, (json.dumps(figures, indent=2) + "\n").encode())
    return EXIT_OK


def _engines(named: Sequence[str] | None) -> list[str]:
    """Engines to measure, paddle first unless they are named.

    Raises:
        ConfigError: one is unknown, or not installed.
    """
    from paddletsm.deploy.engines import ENGINES, is_installed

    for name in named or ():
        if name not in ENGINES:
            raise ConfigError(
                f"--engine: {name!r} is unknown{nearest(name, ENGINES)} (known: {listing(ENGINES)})"
            )
        if not is_installed(name):
            raise ConfigError(f"--engine: {name} is not installed")
    if named:
        return list(dict.fromkeys(named))
    writable = ENGINES if is_installed("onnx") else ["paddle"]
    return [name for name in reversed(ENGINES) if name in writable and is_installed(name)]


def _measure(args: argparse.Namespace, config: Config, engines: Sequence[str]) -> dict[str, Any]:
    from paddletsm.benchmarks.stream import measure_costs, measure_soak
    from paddletsm.deploy.stream.predictor import StreamPredictor

    print(f"{config.model_name}, random weights", flush=True)
    with tempfile.TemporaryDirectory(prefix="paddletsm-") as folder:
        online, offline = _export_both(config, Path(folder), engines)
        tasks = _tasks(args, online, offline, engines)
        costs = measure_costs(tasks, args.rounds)
        _say_costs(costs)
        soak = None
        if args.soak is not None:
            stream = StreamPredictor(online, threads=args.threads, engine=engines[0])
            soak = measure_soak(stream, seconds=args.soak, fps=args.fps, paced=not args.fast)
            _say_soak(soak, args.fps, engine=stream.engine.name, is_paced=not args.fast)
    return {
        "costs": [asdict(cost) for cost in costs],
        "soak": None if soak is None else {"engine": stream.engine.name, **asdict(soak)},
    }


def _tasks(
    args: argparse.Namespace, online: Path, offline: Path, engines: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Each engine once; Paddle with each of the kernels that it has."""
    from paddletsm.deploy.engine import has_openvino

    shared = {"online": str(online), "offline": str(offline), "threads": args.threads}
    tasks = {}
    for engine in engines:
        for openvino in (True, False) if engine == "paddle" and has_openvino() else (True,):
            task = {**shared, "engine": engine, "openvino": openvino}
            tasks[engine if openvino else f"{engine} without OpenVINO"] = task
    return tasks


def _export_both(config: Config, folder: Path, engines: Sequence[str]) -> tuple[Path, Path]:
    """The same backbone twice: online, frame by frame; offline, clip by clip."""
    import paddle

    from paddletsm.builders import build_data_pipeline, build_model, pipeline_spec
    from paddletsm.config import with_value
    from paddletsm.deploy.export import export_model
    from paddletsm.deploy.online_export import export_online

    paddle.set_device("cpu")
    spec = pipeline_spec(config, "test")
    size = build_data_pipeline(config, "test").target_size or 0
    formats = ["pdmodel", "onnx"] if set(engines) - {"paddle"} else ["pdmodel"]
    found = []
    for mode in ("online", "offline"):
        model = build_model(with_value(config, ("MODEL", "backbone", "shift_mode"), mode))
        model.eval()
        facts = {
            "name": mode,
            "spec": spec,
            "labels": [str(number) for number in range(model.head.num_classes)],
            "formats": formats,
        }
        if mode == "online":
            found.append(export_online(model, folder / mode, **facts))
        else:
            found.append(export_model(model, folder / mode, target_size=size, **facts))
    return found[0], found[1]


def _evaluate(args: argparse.Namespace, config: Config, engines: Sequence[str]) -> dict[str, Any]:
    from paddletsm.benchmarks.stream import measure_agreement
    from paddletsm.builders import build_dataset
    from paddletsm.deploy.stream.predictor import StreamPredictor

    stream = StreamPredictor(args.evaluate, threads=args.threads, engine=engines[0])
    if stream.fps is None:
        raise ConfigError(
            f"{args.evaluate} does not say at which rate of frames it was trained; export it "
            "again with --clip_seconds"
        )
    data = build_dataset(config, "test")
    samples = [
        (sample.path, sample.label, lambda number=number: data.load(number).frames[0])
        for number, sample in enumerate(data.samples)
    ]
    found = measure_agreement(stream, samples)
    print(
        f"{config.model_name}: top-1 over {plural(found.clips, 'clip')} as streams: "
        f"{found.same_frames:.2f} % with the frames of the offline test, {found.by_time:.2f} % "
        f"with the whole videos resampled by time; they agree on {found.agree:.2f} %"
        + (f"; {plural(found.failed, 'clip')} failed" if found.failed else "")
    )
    return {"engine": stream.engine.name, "agreement": asdict(found)}


def _say_costs(costs: Sequence[Cost]) -> None:
    width = max(len("ms per frame"), *(len(cost.engine) for cost in costs))
    heads = ("clip", "stream", "ratio", "clip cpu", "stream cpu", "from pixels", "frames/s")
    print("  ".join([f"  {'ms per frame':<{width}}", *(f"{head:>8}" for head in heads)]))
    for one in costs:
        figures = (one.clip_frame_ms, one.frame_ms, one.ratio, one.clip_frame_cpu_ms)
        figures += (one.frame_cpu_ms, one.push_ms, 1e3 / one.push_ms)
        cells = [
            f"{figure:>{max(8, len(head))}.2f}" for head, figure in zip(heads, figures, strict=True)
        ]
        print("  ".join([f"  {one.engine:<{width}}", *cells]), flush=True)


def _say_soak(soak: Soak, fps: float, *, engine: str, is_paced: bool) -> None:
    pace = "in real time" if is_paced else "as fast as it goes"
    print(
        f"  {engine}, {soak.seconds:.0f} s at {fps:g} frames per second, {pace}: "
        f"{soak.wall_seconds:.1f} s, {plural(soak.late, 'frame')} late"
    )
    print("    until, s   frames   p50, ms   p95, ms   memory, MB")
    for line in soak.minutes:
        print(
            f"    {line.end_s:8.0f}  {line.frames:7}  {line.p50_ms:8.1f}  {line.p95_ms:8.1f}  "
            f"{line.resident_mb:11.0f}"
        )
