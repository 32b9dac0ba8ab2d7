# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Jester: lists of the frames of height 100, as published.

``<out>/rawframes/<id>/00001.jpg``, ``<out>/jester_{train,val}_list_rawframes.txt``; labels in the
order of the lines of the label file.

Source: Materzynska, Berger, Bax, Memisevic: The Jester Dataset, ICCV Workshops 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from paddletsm.prepare.official import Annotations, Source
from paddletsm.prepare.something import read_csv_files

_INSTRUCTIONS = """\
Jester is not downloaded by this command. Its page:
  https://www.qualcomm.com/developer/software/jester-dataset
It requires an account and the acceptance of its terms, a licence for research: check there what
you may do. Whoever publishes results cites Materzynska et al., ICCV Workshops 2019.
The frames come as JPEG files of height 100 in numbered folders, in parts of one archive
(20bn-jester-v1/1/00001.jpg), the labels as jester-v1-labels.csv, -train.csv, -validation.csv, or
without that prefix:
  python tools/prepare_data.py jester --frames DIR/20bn-jester-v1 --annotations DIR/labels"""


def _read(annotations: Path, splits: Sequence[int]) -> Annotations:
    return read_csv_files(annotations, "jester-v1-", "jester", _INSTRUCTIONS)


JESTER = Source(
    name="jester",
    title="Jester",
    out="data/jester",
    config="configs/tsm_jester.yaml",
    num_classes=27,
    instructions=_INSTRUCTIONS,
    read=_read,
    pattern="{:05}.jpg",
)
