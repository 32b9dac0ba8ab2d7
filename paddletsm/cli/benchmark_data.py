# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""``paddletsm benchmark data``: how fast clips are read, and where the time goes."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from paddletsm.cli.common import EXIT_OK, add_override_argument, whole
from paddletsm.data.backends import NO_PYAV, has_pyav
from paddletsm.errors import ConfigError
from paddletsm.utils.threads import most_threads

if TYPE_CHECKING:
    from paddletsm.benchmarks.data import LoaderSpeed, StageTimes
    from paddletsm.benchmarks.plain_loop import Comparison
    from paddletsm.data import ClipDataset

_SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class _Scaling:
    """Two workers beside one."""

    source: str
    one: float
    two: float
    ratio: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "files", nargs="*", metavar="FILE", help="videos, folders of them, or folders of frames"
    )
    parser.add_argument("--clips", nargs="+", default=[], metavar="PATH", help="the same as FILE")
    parser.add_argument("-c", "--config", metavar="CFG", help="read the clips of a configuration")
    add_override_argument(parser)
    parser.add_argument("--split", choices=_SPLITS, default="train", help="of the configuration")
    parser.add_argument(
        "--compare",
        action="store_true",
        help="against a plain OpenCV and NumPy loop, and two workers against one: JPEG frames of "
        "340x256, written to a temporary folder, and the videos among FILE",
    )
    parser.add_argument(
        "--soak", type=whole(1), metavar="N", help="read N clips in a loop and tell the memory"
    )
    parser.add_argument(
        "--backend",
        choices=("auto", "decord", "opencv", "pyav"),
        help="of videos; auto (the default without --config): PyAV, the fastest, where it is "
        "installed, else decord, else OpenCV",
    )
    parser.add_argument(
        "--workers",
        type=whole(0, most_threads()),
        nargs="+",
        default=[0, 1, 2],
        metavar="N",
        help="of the loaders",
    )
    for name, default, text in (
        ("--batch_size", 8, "of the loaders"),
        ("--num", 48, "clips of one measurement"),
        ("--rounds", 7, "medians are of these"),
    ):
        parser.add_argument(name, type=whole(1), default=default, metavar="N", help=text)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(args: argparse.Namespace) -> int:
    """Measure and print; returns the exit code."""
    _check(args)
    paths = [*args.files, *args.clips]
    if args.soak is not None:
        return _soak(_dataset(args, paths), args.soak, args.json)
    if args.compare:
        return _compare(args, paths)
    return _profile(args, _dataset(args, paths))


def _check(args: argparse.Namespace) -> None:
    if args.config and (args.files or args.clips):
        raise ConfigError("clips come from --config or from FILE, not from both")
    if args.compare and args.config:
        raise ConfigError("--compare makes clips of its own; name videos as FILE")
    if not (args.config or args.files or args.clips or args.compare):
        raise ConfigError("say what to read: -c CFG, or FILE (videos, folders), or --compare")
    if args.backend and args.config:
        raise ConfigError("--backend: the configuration says it (-o PIPELINE.train.decode.backend)")
    if args.backend == "pyav" and not has_pyav():
        raise ConfigError(f"--backend pyav: {NO_PYAV}")


def _dataset(args: argparse.Namespace, paths: Sequence[str]) -> ClipDataset:
    if args.config:
        from paddletsm.builders import build_dataset, load_config

        return build_dataset(load_config(args.config, args.override), args.split)
    from paddletsm.benchmarks.data import clip_dataset

    return clip_dataset(paths, backend=args.backend)


def _profile(args: argparse.Namespace, dataset: ClipDataset) -> int:
    from paddletsm.benchmarks.data import decoders_of, measure_loaders, measure_stages

    stages = measure_stages(dataset, args.num)
    decoders = decoders_of(dataset, dataset.samples[: args.num])
    speeds = measure_loaders(
        dataset,
        args.workers,
        batch_size=args.batch_size,
        clips=args.num,
        rounds=args.rounds,
    )
    if args.json:
        record = {
            "decoders": decoders,
            "stages_ms": asdict(stages),
            "loaders": [asdict(one) for one in speeds],
        }
        print(json.dumps(record, indent=2))
    else:
        print(_stage_table(stages, decoders))
        print()
        print(_speed_table(speeds))
    return EXIT_OK


def _compare(args: argparse.Namespace, videos: Sequence[str]) -> int:
    from paddletsm.benchmarks.data import clip_dataset, decoders_of, measure_loaders
    from paddletsm.benchmarks.plain_loop import compare, write_frames

    backend = args.backend or "auto"
    with tempfile.TemporaryDirectory(prefix="paddletsm-") as folder:
        frames = str(write_frames(Path(folder), videos[0] if videos else None))
        found = compare([frames], backend=backend, clips=args.num, rounds=args.rounds)
        scaling = []
        for source in [[frames], list(videos)] if videos else [[frames]]:
            dataset = clip_dataset(source, backend=backend)
            one, two = measure_loaders(
                dataset,
                (1, 2),
                batch_size=args.batch_size,
                clips=2 * args.num if source == [frames] else args.num // 2,
                rounds=args.rounds,
            )
            decoders = decoders_of(dataset, dataset.samples)
            name = "frames" if decoders == "-" else f"videos, {decoders}"
            ratio = two.clips_per_s / one.clips_per_s
            scaling.append(_Scaling(name, one.clips_per_s, two.clips_per_s, ratio))
        if videos:
            clips = max(1, args.num // 16)
            found += compare(videos, backend=backend, clips=clips, rounds=args.rounds)
    if args.json:
        record = {
            "plain_loop": [asdict(one) for one in found],
            "workers": [asdict(one) for one in scaling],
        }
        print(json.dumps(record, indent=2))
    else:
        print(_comparison_table(found))
        print()
        print(_scaling_table(scaling))
    return EXIT_OK


def _soak(dataset: ClipDataset, clips: int, is_json: bool) -> int:
    from paddletsm.benchmarks.data import soak

    marks = []
    for count, megabytes in soak(dataset, clips):
        marks.append({"clips": count, "resident_mb": megabytes})
        if not is_json:
            print(f"{count:>8} clips  {megabytes:>8.1f} MB", flush=True)
    if is_json:
        print(json.dumps(marks, indent=2))
    return EXIT_OK


def _stage_table(times: StageTimes, decoders: str) -> str:
    by = "" if decoders == "-" else f", videos read by {decoders}"
    lines = [f"milliseconds of a clip, one thread, median of {times.clips} clips{by}"]
    for name, text in (
        ("open", "open the file"),
        ("seek", "get to the frames: read files, decode what lies before"),
        ("decode", "pixels of the frames"),
        ("transform", "crop, resize, all but normalising"),
        ("normalize", "float32, channels first"),
        ("cpu", "processor time of all, mean"),
    ):
        lines.append(f"  {name:<9}  {getattr(times, name):>8.2f}  {text}")
    return "\n".join(lines)


def _speed_table(speeds: Sequence[LoaderSpeed]) -> str:
    lines = ["workers  clips/s  collate, ms CPU/clip  queue, ms wait/clip  memory of a worker, MB"]
    for one in speeds:
        memory = "-" if one.worker_mb is None else f"{one.worker_mb:.0f}"
        lines.append(
            f"{one.workers:>7}  {one.clips_per_s:>7.1f}  {one.collate_ms:>20.2f}  "
            f"{one.queue_ms:>19.2f}  {memory:>22}"
        )
    return "\n".join(lines)


def _comparison_table(found: Sequence[Comparison]) -> str:
    width = max(len("source"), *(len(one.source) for one in found))
    used = max(len("backend"), *(len(one.backend) for one in found))
    lines = [
        "clips per second of processor time (one core), the two ways in turn, medians",
        f"{'source':<{width}}  {'backend':<{used}}  plain loop  paddletsm  ratio",
    ]
    for one in found:
        lines.append(
            f"{one.source:<{width}}  {one.backend:<{used}}  {one.plain:>10.1f}  "
            f"{one.ours:>9.1f}  {one.ratio:>5.2f}"
        )
    return "\n".join(lines)


def _scaling_table(scaling: Sequence[_Scaling]) -> str:
    width = max(len("source"), *(len(one.source) for one in scaling))
    lines = [
        "clips per second of a loader, the two in turn, medians",
        f"{'source':<{width}}  1 worker  2 workers  ratio",
    ]
    for one in scaling:
        lines.append(f"{one.source:<{width}}  {one.one:>8.1f}  {one.two:>9.1f}  {one.ratio:>5.2f}")
    return "\n".join(lines)
