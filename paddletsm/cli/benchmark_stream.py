# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""``paddletsm benchmark stream``: what a frame of a stream costs, and how long streams go."""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paddletsm.cli.common import EXIT_OK
from paddletsm.errors import ConfigError
from paddletsm.utils.text import plural

if TYPE_CHECKING:
    from paddletsm.benchmarks.stream import Cost, Soak
    from paddletsm.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``benchmark stream``."""
    parser.add_argument(
        "-c", "--config", nargs="+", required=True, metavar="CFG", help="one or more configurations"
    )
    parser.add_argument(
        "-o",
        "--override",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="replace a value of every configuration; repeatable",
    )
    parser.add_argument("--threads", type=int, help="default: the cores this process may use")
    parser.add_argument("--rounds", type=int, default=15, help="a frame and a clip in turn")
    parser.add_argument(
        "--soak", type=float, metavar="SEC", help="then push a generated stream of this length"
    )
    parser.add_argument("--fps", type=float, default=25.0, help="frames per second of that stream")
    parser.add_argument(
        "--fast", action="store_true", help="push it as fast as it goes instead of in real time"
    )
    parser.add_argument(
        "--evaluate",
        metavar="MODEL_DIR",
        help="instead: top-1 of this streaming model over the test clips of the configuration",
    )
    parser.add_argument("--json", metavar="FILE", help="also write the figures as JSON")


def run_stream(args: argparse.Namespace) -> int:
    """Measure.

    Raises:
        ConfigError: wrong configuration or options.
    """
    if args.rounds < 1 or (args.soak is not None and not args.soak > 0) or not args.fps > 0:
        raise ConfigError("--rounds, --soak and --fps must be above 0")
    from paddletsm.builders import load_config
    from paddletsm.utils.threads import import_paddle

    import_paddle(args.threads)
    configs = [load_config(path, args.override) for path in args.config]
    figures: list[dict[str, Any]] = []
    for config in configs:
        figures.append(_evaluate(args, config) if args.evaluate else _measure(args, config))
    if args.json:
        Path(args.json).write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return EXIT_OK


def _measure(args: argparse.Namespace, config: Config) -> dict[str, Any]:
    from paddletsm.benchmarks.stream import measure_cost, measure_soak
    from paddletsm.deploy.predictor import Predictor
    from paddletsm.deploy.stream.predictor import StreamPredictor

    print(f"{config.model_name}, random weights", flush=True)
    with tempfile.TemporaryDirectory(prefix="paddletsm-") as folder:
        online, offline = _export_both(config, Path(folder))
        stream = StreamPredictor(online, threads=args.threads)
        cost = measure_cost(stream, Predictor(offline, threads=args.threads), args.rounds)
        _say_cost(cost)
        soak = None
        if args.soak is not None:
            stream.reset()
            soak = measure_soak(stream, seconds=args.soak, fps=args.fps, paced=not args.fast)
            _say_soak(soak, args.fps, is_paced=not args.fast)
    return {
        "model_name": config.model_name,
        "cost": asdict(cost),
        "soak": None if soak is None else asdict(soak),
    }


def _export_both(config: Config, folder: Path) -> tuple[Path, Path]:
    """The same backbone twice: online, frame by frame; offline, clip by clip."""
    import paddle

    from paddletsm.builders import build_data_pipeline, build_model, pipeline_spec
    from paddletsm.config import with_value
    from paddletsm.deploy.export import export_model
    from paddletsm.deploy.online_export import export_online

    paddle.set_device("cpu")
    spec = pipeline_spec(config, "test")
    size = build_data_pipeline(config, "test").target_size or 0
    found = []
    for mode in ("online", "offline"):
        model = build_model(with_value(config, ("MODEL", "backbone", "shift_mode"), mode))
        model.eval()
        labels = [str(number) for number in range(model.head.num_classes)]
        if mode == "online":
            found.append(export_online(model, folder / mode, name=mode, spec=spec, labels=labels))
        else:
            found.append(
                export_model(
                    model, folder / mode, name=mode, spec=spec, labels=labels, target_size=size
                )
            )
    return found[0], found[1]


def _evaluate(args: argparse.Namespace, config: Config) -> dict[str, Any]:
    from paddletsm.benchmarks.stream import measure_agreement
    from paddletsm.builders import build_dataset
    from paddletsm.deploy.stream.predictor import StreamPredictor

    stream = StreamPredictor(args.evaluate, threads=args.threads)
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
    return {"model_name": config.model_name, "agreement": asdict(found)}


def _say_cost(cost: Cost) -> None:
    print(
        f"  a frame of a stream  {cost.frame_ms:8.2f} ms  ({cost.frame_cpu_ms:.2f} ms processor)\n"
        f"  a frame of a clip    {cost.clip_frame_ms:8.2f} ms  "
        f"({cost.clip_frame_cpu_ms:.2f} ms processor)\n"
        f"  ratio                {cost.ratio:8.2f}     ({cost.cpu_ratio:.2f} processor)\n"
        f"  from pixels          {cost.push_ms:8.2f} ms, {1e3 / cost.push_ms:.1f} per second",
        flush=True,
    )


def _say_soak(soak: Soak, fps: float, *, is_paced: bool) -> None:
    pace = "in real time" if is_paced else "as fast as it goes"
    print(
        f"  {soak.seconds:.0f} s at {fps:g} frames per second, {pace}: "
        f"{soak.wall_seconds:.1f} s, {plural(soak.late, 'frame')} late"
    )
    print("    until, s   frames   p50, ms   p95, ms   memory, MB")
    for line in soak.minutes:
        print(
            f"    {line.end_s:8.0f}  {line.frames:7}  {line.p50_ms:8.1f}  {line.p95_ms:8.1f}  "
            f"{line.resident_mb:11.0f}"
        )
