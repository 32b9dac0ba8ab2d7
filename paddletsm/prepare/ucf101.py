# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""UCF101: frames and lists in the layout of PaddleVideo and MMAction2.

``<out>/rawframes/<Class>/<video>/img_00001.jpg`` and, per split,
``<out>/ucf101_{train,val}_split_1_{rawframes,videos}.txt``.

Source: Soomro, Zamir, Shah: UCF101, CRCV-TR-12-01, arXiv:1212.0402.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from paddletsm.prepare.build_lists import find_file, read_class_index, read_split
from paddletsm.prepare.extract_frames import FrameSize
from paddletsm.prepare.official import Annotations, Part, Source

_PARTS = {"train": "trainlist", "val": "testlist"}
_INSTRUCTIONS = """\
UCF101 is not downloaded by this command. Its page, which states the terms of use:
  https://www.crcv.ucf.edu/data/UCF101.php
Read there what you may do with the clips, which come from videos on YouTube.
Whoever publishes results cites Soomro, Zamir, Shah, CRCV-TR-12-01 (arXiv:1212.0402).
Download and unpack two files from that page:
  UCF101.rar                                 13320 videos, 6.5 GB
  UCF101TrainTestSplits-RecognitionTask.zip  classInd.txt, trainlist01.txt, testlist01.txt, ...
then run, with about 60 GB of free disk for the frames:
  python tools/prepare_data.py ucf101 --videos DIR/UCF-101 --annotations DIR/ucfTrainTestlist"""


def _read(annotations: Path, splits: Sequence[int]) -> Annotations:
    index = find_file(annotations, "classInd.txt", hint=f"\n{_INSTRUCTIONS}")
    class_names = read_class_index(index)
    parts = []
    for split in splits:
        for part, prefix in _PARTS.items():
            clips = read_split(index.parent / f"{prefix}{split:02d}.txt", class_names)
            parts.append(Part(f"ucf101_{part}_split_{split}", tuple(clips), split=split))
    return Annotations(tuple(class_names), tuple(parts))


def _key(name: str) -> str:
    # Copies of the data set disagree on HandstandPushups and HandStandPushups; file names are
    # unique without their class folder.
    return name.rpartition("/")[2].lower()


UCF101 = Source(
    name="ucf101",
    title="UCF101",
    out="data/ucf101",
    config="configs/tsm_ucf101.yaml",
    num_classes=101,
    instructions=_INSTRUCTIONS,
    read=_read,
    sizes={"own": ("rawframes", FrameSize())},
    splits=(1, 2, 3),
    key=_key,
)
