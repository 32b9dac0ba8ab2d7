# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The part of ``paddletsm export`` that is about streams: ``--online``."""

from __future__ import annotations

import argparse
import statistics
from typing import TYPE_CHECKING

from paddletsm.cli.common import parse_seconds, whole
from paddletsm.cli.export_formats import engine_options
from paddletsm.errors import ConfigError, DataError

if TYPE_CHECKING:
    from paddletsm.config import Config
    from paddletsm.deploy.artefact import Artefact
    from paddletsm.deploy.online_export import StreamFacts

_CLIPS = 25  # training clips whose length is looked at


def add_online_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--online`` and what a stream has to know."""
    group = parser.add_argument_group("online networks")
    group.add_argument(
        "--online",
        action="store_true",
        help="one frame in, one answer out, for tools/predict_stream.py; needs shift_mode: online",
    )
    group.add_argument(
        "--clip_seconds",
        type=parse_seconds,
        metavar="SEC",
        help="length of a training clip, whose num_seg frames give the rate of the stream; "
        f"default: the median of up to {_CLIPS} training videos, where they are at hand",
    )
    group.add_argument(
        "--average_frames",
        type=whole(1),
        metavar="K",
        help="predictions average the logits of the last K frames; default: num_seg",
    )


def check_online_arguments(args: argparse.Namespace) -> None:
    """Refuse options that only have an effect with ``--online``, or none with it.

    Raises:
        ConfigError: see above.
    """
    if args.online:
        from paddletsm.deploy.online_export import check_online_formats

        check_online_formats(args.format)
        return
    for option in ("clip_seconds", "average_frames"):
        if getattr(args, option) is not None:
            raise ConfigError(f"--{option} needs --online; without it whole clips are exported")


def stream_facts(args: argparse.Namespace, config: Config) -> StreamFacts:
    """What the command line says about the stream, else what the training clips tell.

    Where they do not tell the length of a clip, a line says why, and what to pass.
    """
    from paddletsm.deploy.online_export import StreamFacts

    seconds = args.clip_seconds
    if seconds is None:
        try:
            seconds = clip_seconds(config)
        except DataError as err:
            print(
                f"unknown rate of frames: {err}; export with --clip_seconds SEC, the length of a "
                "training clip, or give --fps to predict_stream"
            )
    return StreamFacts(seconds, args.average_frames)


def clip_seconds(config: Config) -> float:
    """Median length of training clips, in seconds.

    It is the whole video where one frame is drawn from each part, and ``sample_range`` frames where
    a window is sampled densely.

    Raises:
        DataError: no training video tells it.
    """
    from paddletsm.builders import build_data_pipeline, index_of

    samples = index_of(config, "train").samples
    decoder = build_data_pipeline(config, "train").decoder
    window = config.PIPELINE.train.sample.get("sample_range")
    if config.PIPELINE.train.sample.get("name", "Sampler") == "DenseSampler" and window is None:
        window = 64  # the sampler's own default
    lengths, reason = [], "the training clips are frames, which do not tell their time"
    for sample in samples[:: max(1, len(samples) // _CLIPS)][:_CLIPS]:
        try:
            reader = decoder.open(sample)
        except DataError as err:
            reason = str(err)
            continue
        if reader.fps > 0:
            frames = len(reader) if window is None else min(len(reader), window)
            lengths.append(frames / reader.fps)
        reader.close()
    if not lengths:
        raise DataError(reason)
    return statistics.median(lengths)


def next_step(artefact: Artefact, shown: object) -> str:
    """The lines behind an export that say how to go on."""
    stream = artefact.stream
    engine = engine_options(artefact)
    if stream is None:
        return f"next: python tools/predict.py --model_dir {shown} --input_file CLIP.avi{engine}"
    rate = ""
    if stream["fps"] is None:
        engine += " --fps FPS"
    else:
        rate = (
            f"expects {stream['fps']:.3g} frames per second: {artefact.num_seg} frames of clips of "
            f"{stream['clip_seconds']:.3g} s\n"
        )
    command = f"python tools/predict_stream.py --model_dir {shown} --input CLIP.avi{engine}"
    return f"{rate}next: {command}"
