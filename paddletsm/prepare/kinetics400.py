# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Kinetics-400: frames and lists of the official training and validation splits.

``<out>/rawframes_256p/{train,val}/<class>/<video>/img_00001.jpg`` and
``<out>/k400_{train,val}_list_{rawframes,videos}.txt``; a video is named
``<YouTube id>_<first second, six digits>_<last second>``, as the official tools name it.

Source: Kay et al.: The Kinetics Human Action Video Dataset, arXiv:1705.06950.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from paddletsm.errors import DataError
from paddletsm.prepare.build_lists import find_file, read_lines
from paddletsm.prepare.extract_frames import FrameSize
from paddletsm.prepare.official import Annotations, Part, Source
from paddletsm.utils.text import nearest

_COLUMNS = ("label", "youtube_id", "time_start", "time_end", "split")
_FILES = {  # names that the publishers have used, with the names of the split in the last column
    "train": (("train",), ("train",)),
    "val": (("val", "validate"), ("val", "validate", "validation")),
}
_INSTRUCTIONS = """\
Kinetics-400 is not downloaded by this command. Addresses:
  https://github.com/cvdfoundation/kinetics-dataset   videos and annotations, hosted by CVDF
  https://arxiv.org/abs/1705.06950                    the paper
DeepMind published the annotations under the Creative Commons Attribution 4.0 International
licence; the videos are YouTube's users' and remain under their terms: check both.
Put the videos into DIR/train and DIR/val, in class folders or not, named as the official tools
name them (abcdefghijk_000010_000020.mp4), train.csv and val.csv into ANNOTATIONS, then run
  python tools/prepare_data.py kinetics400 --videos DIR --annotations ANNOTATIONS --allow_missing
Videos vanish from YouTube: without --allow_missing the command stops and names them.
--size 256p, 320p and 340x256 extract frames of that size (for the configs that name it); none
lists the videos alone, for configs/tsm/tsm_r50_8f_k400_video.yaml."""


def _read(annotations: Path, splits: Sequence[int]) -> Annotations:
    rows = {}
    for part, (files, _) in _FILES.items():
        prefixes = ("", "kinetics_", "kinetics400_", "kinetics-400_", "kinetics_400_")
        names = [f"{prefix}{file}.csv" for file in files for prefix in prefixes]
        rows[part] = _read_csv(find_file(annotations, *names), part)
    labels = {name: label for label, name in enumerate(sorted({row[1] for row in rows["train"]}))}
    parts = []
    for part, clips in rows.items():
        known = []
        for where, name, clip in clips:
            if name not in labels:
                raise DataError(
                    f"{where}: {name!r} is no class of the training file{nearest(name, labels)}"
                )
            known.append((f"{name.replace(' ', '_')}/{clip}", labels[name]))
        parts.append(Part(f"k400_{part}_list", tuple(known), folder=part))
    return Annotations(tuple(labels), tuple(parts))


def _read_csv(path: Path, part: str) -> list[tuple[str, str, str]]:
    """Return (place, class, video) of every row."""
    lines = read_lines(path)
    if tuple(lines[0][1].replace('"', "").split(",")[: len(_COLUMNS)]) != _COLUMNS:
        raise DataError(f"{lines[0][0]}: the first line is not {','.join(_COLUMNS)}")
    clips = []
    for where, text in lines[1:]:
        try:
            name, video, start, end, split = next(csv.reader([text]))[: len(_COLUMNS)]
            clip = f"{video}_{int(float(start)):06d}_{int(float(end)):06d}"
        except ValueError as err:
            raise DataError(f"{where}: {text!r} is not {','.join(_COLUMNS)}") from err
        if split not in _FILES[part][1]:
            raise DataError(f"{where}: split {split!r} in the file of {part!r}")
        clips.append((where, name.strip(), clip))
    return clips


KINETICS400 = Source(
    name="kinetics400",
    title="Kinetics-400",
    out="data/k400",
    config="configs/tsm_k400.yaml",
    num_classes=400,
    instructions=_INSTRUCTIONS,
    read=_read,
    sizes={
        "256p": ("rawframes_256p", FrameSize(short_side=256)),
        "320p": ("rawframes_320p", FrameSize(short_side=320)),
        "340x256": ("rawframes_340x256", FrameSize(width=340, height=256)),
        "none": ("", None),
    },
    configs={
        "320p": "configs/tsm/tsm_r50_8f_k400_320p.yaml",
        "340x256": "configs/tsm/tsm_r50_8f_k400_340x256.yaml",
        "none": "configs/tsm/tsm_r50_8f_k400_video.yaml",
    },
)
