# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Something-Something v1 (frames of height 100 as published) and v2 (videos).

v1: ``<out>/rawframes/<id>/00001.jpg``, ``<out>/sthv1_{train,val}_list_rawframes.txt``.
v2: ``<out>/rawframes_h240/<id>/img_00001.jpg``, ``<out>/sthv2_{train,val}_list_rawframes.txt``.

Labels follow the official files, as in MMAction2: in v1 the order of the lines of the label file,
in v2 the numbers of the label file. (The authors of TSM sort the names of v1: weights of theirs
have another order of classes.)

Source: Goyal et al.: The "something something" video database, ICCV 2017, arXiv:1706.04261.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from paddletsm.errors import DataError
from paddletsm.prepare.build_lists import find_file, read_json, read_named_clips, read_names
from paddletsm.prepare.extract_frames import FrameSize
from paddletsm.prepare.official import Annotations, Part, Source
from paddletsm.utils.text import nearest

_PARTS = {"train": "train", "val": "validation"}
_TERMS = """\
It requires an account and the acceptance of its terms, a licence for research: check there what
you may do. Whoever publishes results cites Goyal et al., ICCV 2017 (arXiv:1706.04261)."""
_V1 = f"""\
Something-Something v1 is not downloaded by this command. Its first page, 20bn.com, is gone;
Qualcomm has published the data sets of 20BN since:
  https://www.qualcomm.com/developer/software/something-something-v-2-dataset   (v2)
Check there whether v1 is still given out. {_TERMS}
The frames come as JPEG files of height 100 in numbered folders (20bn-something-something-v1/1/
00001.jpg), the annotations as something-something-v1-labels.csv, -train.csv, -validation.csv:
  python tools/prepare_data.py sthv1 --frames DIR/20bn-something-something-v1 --annotations DIR"""
_V2 = f"""\
Something-Something v2 is not downloaded by this command. Its page:
  https://www.qualcomm.com/developer/software/something-something-v-2-dataset
{_TERMS}
Unpack the parts of the videos, which form one archive (1.webm, 2.webm, ...), and the labels
(labels.json, train.json, validation.json), then run
  python tools/prepare_data.py sthv2 --videos DIR/20bn-something-something-v2 \\
    --annotations DIR/labels
--size h256 extracts frames of height 256 instead of 240: configs/tsm/tsm_r50_8f_sthv2_h256.yaml."""


def _read_v1(annotations: Path, splits: Sequence[int]) -> Annotations:
    return read_csv_files(annotations, "something-something-v1-", "sthv1", _V1)


def read_csv_files(annotations: Path, prefix: str, name: str, hint: str) -> Annotations:
    """Read ``labels.csv`` (a class per line), ``train.csv``, ``validation.csv`` (``id;class``).

    Args:
        annotations: their folder, or one above it.
        prefix: that the file names may have.
        name: of the data set, in the names of the lists.
        hint: what to say in addition when a file is missing.

    Raises:
        DataError: missing or malformed, with file and line.
    """

    def find(file: str) -> Path:
        return find_file(annotations, f"{prefix}{file}.csv", f"{file}.csv", hint=f"\n{hint}")

    class_names = read_names(find("labels"))
    parts = [
        Part(f"{name}_{part}_list", tuple(read_named_clips(find(file), class_names)))
        for part, file in _PARTS.items()
    ]
    return Annotations(tuple(class_names), tuple(parts))


def _read_v2(annotations: Path, splits: Sequence[int]) -> Annotations:
    def find(file: str) -> Path:
        names = (f"something-something-v2-{file}.json", f"{file}.json")
        return find_file(annotations, *names, hint=f"\n{_V2}")

    labels = _read_labels(find("labels"))
    parts = [
        Part(f"sthv2_{part}_list", tuple(_read_clips(find(file), labels)))
        for part, file in _PARTS.items()
    ]
    return Annotations(tuple(labels), tuple(parts))


def _read_labels(path: Path) -> dict[str, int]:
    """Read ``{"Closing something": "5", ...}`` into names in the order of their labels."""
    table = read_json(path)
    try:
        labels = sorted(((name, int(number)) for name, number in table.items()), key=lambda x: x[1])
    except (AttributeError, TypeError, ValueError) as err:
        raise DataError(f'{path}: expected {{"Closing something": "5", ...}}') from err
    for place, (name, number) in enumerate(labels):
        if number != place:
            raise DataError(f"{path}: {name!r} has label {number} where {place} is due")
    return dict(labels)


def _read_clips(path: Path, labels: dict[str, int]) -> list[tuple[str, int]]:
    """Read ``[{"id": "1", "template": "Closing [something]", ...}, ...]``."""
    table = read_json(path)
    clips = []
    for place, entry in enumerate(table if isinstance(table, list) else [table], 1):
        try:
            clip, name = str(entry["id"]), entry["template"].replace("[", "").replace("]", "")
        except (AttributeError, KeyError, TypeError) as err:
            raise DataError(f"{path}: entry {place} has no 'id' and 'template'") from err
        if name not in labels:
            raise DataError(
                f"{path}: entry {place} ({clip}): {name!r} is no class{nearest(name, labels)}"
            )
        clips.append((clip, labels[name]))
    return clips


STHV1 = Source(
    name="sthv1",
    title="Something-Something v1",
    out="data/sthv1",
    config="configs/tsm_sthv1.yaml",
    num_classes=174,
    instructions=_V1,
    read=_read_v1,
    pattern="{:05}.jpg",
)
STHV2 = Source(
    name="sthv2",
    title="Something-Something v2",
    out="data/sthv2",
    config="configs/tsm_sthv2.yaml",
    num_classes=174,
    instructions=_V2,
    read=_read_v2,
    sizes={
        "h240": ("rawframes_h240", FrameSize(height=240)),
        "h256": ("rawframes_h256", FrameSize(height=256)),
    },
    configs={"h256": "configs/tsm/tsm_r50_8f_sthv2_h256.yaml"},
)
