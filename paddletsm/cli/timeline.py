# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""``paddletsm predict --timeline``: what happens when in long videos."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from paddletsm.cli.common import EXIT_FAILED, EXIT_OK, check_apart, parse_seconds, whole
from paddletsm.cli.stream import StopFlag, add_event_arguments, event_rules, stop_on_signals
from paddletsm.errors import ConfigError, DataError
from paddletsm.utils.text import plural

if TYPE_CHECKING:
    from paddletsm.deploy import Artefact
    from paddletsm.deploy.predictor import Predictor
    from paddletsm.deploy.stream.run import Network
    from paddletsm.deploy.stream.sources import FileSource
    from paddletsm.deploy.timeline import Timeline

_EVENT_OPTIONS = (
    *("timeline_format", "clip_seconds", "timeline_stride"),
    *("fps", "smooth", "threshold", "release", "min_duration", "silent"),
)


def add_timeline_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--timeline`` and the options that turn scores into events."""
    group = parser.add_argument_group("timeline of long videos")
    group.add_argument(
        "--timeline",
        nargs="?",
        const="timeline",
        metavar="DIR",
        help="write the events of each video, and a picture of its scores over time, to DIR",
    )
    group.add_argument("--timeline_format", default="jsonl", choices=["jsonl", "csv", "srt"])
    group.add_argument(
        "--clip_seconds",
        type=parse_seconds,
        metavar="SEC",
        help="length of the clips that slide over the video: that of the training clips",
    )
    group.add_argument(
        "--timeline_stride",
        type=whole(1),
        metavar="FRAMES",
        help="sampled frames between two clips; default: a quarter of a clip",
    )
    add_event_arguments(parser)
    defaults = {option: parser.get_default(option) for option in _EVENT_OPTIONS}
    parser.set_defaults(event_defaults=defaults)


def check_timeline_arguments(args: argparse.Namespace) -> None:
    """Refuse options that have an effect only with ``--timeline``, or only without.

    Raises:
        ConfigError: see above.
    """
    if args.timeline is not None:
        for option in ("output", "resume"):
            if getattr(args, option):
                raise ConfigError(
                    f"--{option} is for results of whole clips; --timeline DIR writes its own files"
                )
        return
    for option in _EVENT_OPTIONS:
        if getattr(args, option) != args.event_defaults[option]:
            raise ConfigError(f"--{option} needs --timeline")


def run_timeline(
    args: argparse.Namespace,
    artefact: Artefact,
    paths: Sequence[str],
    make_predictor: Callable[[], Predictor],
    folder: Path,
    *,
    device: str,
) -> int:
    """Write the timelines of videos.

    Args:
        args: of the command.
        artefact: the model.
        paths: video files.
        make_predictor: opens an offline model.
        folder: of the model.
        device: of an online model.

    Returns:
        Exit code: 0; 1 where a video failed; 130 or 143 after a signal.

    Raises:
        ConfigError: options that cannot be, or a video or list that a file would overwrite.
    """
    taken: set[str] = set()
    stems = [_free_stem(Path(path).stem, taken) for path in paths]
    outputs = [
        Path(args.timeline) / f"{stem}{suffix}"
        for stem in stems
        for suffix in (f".{args.timeline_format}", ".png")
    ]
    check_apart("--timeline", outputs, [*args.input_file, *paths])
    if artefact.is_online:
        factory = _streams(args, folder, device)
    else:
        factory = _sliding_clips(args, artefact, make_predictor)
    failed = 0
    with stop_on_signals() as should_stop:
        for path, stem in zip(paths, stems, strict=True):
            try:
                failed += not _one(args, artefact, path, stem, factory, should_stop)
            except DataError as err:
                print(f"{path}\n  failed: {err}", file=sys.stderr)
                failed += 1
            if should_stop():
                return 128 + should_stop.signum
    return EXIT_FAILED if failed else EXIT_OK


def _streams(
    args: argparse.Namespace, folder: Path, device: str
) -> Callable[[FileSource], Network]:
    """The network of an online model, which takes each video's frames one by one."""
    from paddletsm.deploy.stream.clock import checked_fps
    from paddletsm.deploy.stream.predictor import StreamPredictor

    if args.fps is not None:
        checked_fps(args.fps)
    for option in ("clip_seconds", "timeline_stride"):
        if getattr(args, option) is not None:
            raise ConfigError(f"--{option}: this model takes single frames, not clips")
    if args.precision != "fp32":
        raise ConfigError(
            f"--precision {args.precision}: a model that takes single frames runs in fp32"
        )
    if args.use_tensorrt:
        raise ConfigError("--use_tensorrt: a model that takes single frames runs without it")
    stream = StreamPredictor(
        folder,
        device=device,
        threads=args.cpu_threads,
        mkldnn=args.enable_mkldnn,
        openvino=args.enable_openvino,
        engine=args.engine,
        average_frames=args.smooth,
    )
    return lambda source: stream


def _sliding_clips(
    args: argparse.Namespace, artefact: Artefact, make_predictor: Callable[[], Predictor]
) -> Callable[[FileSource], Network]:
    """What lets the clips of an offline model slide over a video."""
    from paddletsm.deploy.timeline import SlidingPredictor, clip_seconds_of

    for option in ("fps", "smooth"):
        if getattr(args, option) is not None:
            raise ConfigError(
                f"--{option} is for models that take single frames, and this one takes clips: see "
                "--clip_seconds and --timeline_stride"
            )
    predictor = make_predictor()

    def sliding(source: FileSource) -> Network:
        seconds = args.clip_seconds
        if seconds is None:
            seconds = clip_seconds_of(artefact, source.fps)
        if seconds is None:
            raise ConfigError(
                "--timeline lets clips slide over the video, and the model does not say how long "
                "they are: give --clip_seconds, the length of a training clip"
            )
        return SlidingPredictor(predictor, clip_seconds=seconds, stride=args.timeline_stride)

    return sliding


def _one(
    args: argparse.Namespace,
    artefact: Artefact,
    path: str,
    stem: str,
    factory: Callable[[FileSource], Network],
    should_stop: StopFlag,
) -> bool:
    """Write one timeline; False where the video was cut off."""
    from paddletsm.deploy.stream.writers import EventWriter
    from paddletsm.deploy.timeline import make_timeline
    from paddletsm.utils.timeline_plot import draw_timeline

    out = Path(args.timeline)
    rules = event_rules(args, artefact.labels, shortest=_half_a_window(args, artefact))
    events = out / f"{stem}.{args.timeline_format}"
    writer = EventWriter(events)
    try:
        with writer:
            timeline = make_timeline(
                path,
                factory,
                artefact.labels,
                rules=rules,
                fps=args.fps,
                longest_hold=artefact.num_seg,
                on_event=writer.write,
                should_stop=should_stop,
            )
    except (ConfigError, DataError):  # before the first frame
        events.unlink()  # an empty file would say that nothing happens in the video
        raise
    written = [events.name]
    assert timeline.summary is not None
    if timeline.times:
        spans = [(event.start, event.end, event.label_id) for event in timeline.events]
        picture = out / f"{stem}.png"
        import numpy as np

        scores = np.stack(timeline.scores)
        draw_timeline(
            timeline.times,
            timeline.ends,
            scores,
            artefact.labels,
            spans,
            seconds=timeline.summary.seconds,
            path=picture,
            title=Path(path).name,
        )
        written.append(picture.name)
    _say(path, timeline, [str(out / name) for name in written])
    return timeline.summary.problem is None


def _half_a_window(args: argparse.Namespace, artefact: Artefact) -> float:
    """Seconds of half of the frames that a stream averages; 0 for clips, or where unknown."""
    stream = artefact.stream or {}
    fps = args.fps or stream.get("fps")
    return (args.smooth or stream["average_frames"]) / fps / 2 if fps else 0.0


def _say(path: str, timeline: Timeline, written: Sequence[str]) -> None:
    print(path)
    for event in timeline.events:
        print(f"  {event.start:8.2f} to {event.end:8.2f} s  {event.score:.2f}  {event.label}")
    summary = timeline.summary
    if summary is not None:
        if summary.problem:
            print(f"  failed: {summary.problem}", file=sys.stderr)
        print(f"  {plural(len(timeline.events), 'event')} in {summary.seconds:.1f} s of video")
    print(f"  written: {', '.join(written)}", flush=True)


def _free_stem(stem: str, taken: set[str]) -> str:
    """A name for the files of a video that no other video of this run has."""
    name, number = stem, 1
    while name in taken:
        number += 1
        name = f"{stem}_{number}"
    taken.add(name)
    return name
