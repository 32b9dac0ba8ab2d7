# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""HMDB51: frames and lists in the layout of MMAction2.

``<out>/rawframes/<class>/<video>/img_00001.jpg`` and, per split,
``<out>/hmdb51_{train,val}_split_1_{rawframes,videos}.txt``.

Source: Kuehne, Jhuang, Garrote, Poggio, Serre: HMDB, ICCV 2011.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from paddletsm.errors import DataError
from paddletsm.prepare.build_lists import read_lines
from paddletsm.prepare.extract_frames import FrameSize
from paddletsm.prepare.official import Annotations, Part, Source

_FILE = re.compile(r"(.+)_test_split([123])\.txt")
_PARTS = {"1": "train", "2": "val", "0": ""}  # 0: in neither, as the official README says
_INSTRUCTIONS = """\
HMDB51 is not downloaded by this command. Its page:
  https://serre-lab.clps.brown.edu/resource/hmdb-a-large-human-motion-database/
The page states the Creative Commons Attribution 4.0 International licence (check it there); the
clips come mostly from films, some from public databases such as YouTube. Whoever publishes
results cites Kuehne, Jhuang, Garrote, Poggio, Serre, ICCV 2011.
Download and unpack two files from that page:
  hmdb51_org.rar         about 2 GB; it holds one .rar per class, unpack these too
  test_train_splits.rar  brush_hair_test_split1.txt, ...
then run:
  python tools/prepare_data.py hmdb51 --videos DIR/hmdb51_org \\
    --annotations DIR/testTrainMulti_7030_splits"""


def _read(annotations: Path, splits: Sequence[int]) -> Annotations:
    files = {
        (hit[1], int(hit[2])): path
        for path in sorted(annotations.rglob("*_test_split?.txt"))
        if (hit := _FILE.fullmatch(path.name))
    }
    class_names = sorted({name for name, _ in files})
    if not class_names:
        raise DataError(
            f"{annotations}: no file like brush_hair_test_split1.txt is in it\n{_INSTRUCTIONS}"
        )
    parts = []
    for split in splits:
        clips: dict[str, list[tuple[str, int]]] = {"train": [], "val": []}
        for label, name in enumerate(class_names):
            if (name, split) not in files:
                raise DataError(f"{annotations}: {name}_test_split{split}.txt is not in it")
            for part, clip in _read_class(files[name, split]):
                clips[part].append((f"{name}/{clip}", label))
        parts += [
            Part(f"hmdb51_{part}_split_{split}", tuple(rows), split=split)
            for part, rows in clips.items()
        ]
    return Annotations(tuple(class_names), tuple(parts))


def _read_class(path: Path) -> list[tuple[str, str]]:
    """Return (train or val, video without suffix) of lines ``video.avi 1``."""
    clips = []
    for where, text in read_lines(path):
        video, _, number = text.rpartition(" ")
        if number not in _PARTS or not video:
            raise DataError(
                f"{where}: {text!r} is not 'video.avi 1' (1: training, 2: test, 0: neither)"
            )
        if _PARTS[number]:
            clips.append((_PARTS[number], Path(video.strip()).stem))
    return clips


HMDB51 = Source(
    name="hmdb51",
    title="HMDB51",
    out="data/hmdb51",
    config="configs/tsm_hmdb51.yaml",
    num_classes=51,
    instructions=_INSTRUCTIONS,
    read=_read,
    sizes={"own": ("rawframes", FrameSize())},
    splits=(1, 2, 3),
    identity=str,  # the lists are of one class each: names could agree by chance
)
