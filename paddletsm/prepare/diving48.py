# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Diving48: lists of the videos, with the corrected labels (V2).

``<out>/videos/<video>.mp4``, ``<out>/diving48_{train,val}_list_videos.txt``; the official test
split validates. A class is named by its take-off, somersaults, twists and position.

Source: Li, Li, Vasconcelos: RESOUND, ECCV 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from paddletsm.errors import DataError
from paddletsm.prepare.build_lists import find_file, read_json
from paddletsm.prepare.official import Annotations, Part, Source

_FILES = {"train": "Diving48_V2_train.json", "val": "Diving48_V2_test.json"}
_INSTRUCTIONS = """\
Diving48 is not downloaded by this command. Its page:
  http://www.svcl.ucsd.edu/projects/resound/dataset.html
Check there what you may do with the clips. Whoever publishes results cites Li, Li, Vasconcelos,
ECCV 2018.
Download from that page Diving48_rgb.tar.gz (unpack it: rgb/*.mp4), Diving48_vocab.json,
Diving48_V2_train.json and Diving48_V2_test.json, then run
  python tools/prepare_data.py diving48 --videos DIR/rgb --annotations DIR"""


def _read(annotations: Path, splits: Sequence[int]) -> Annotations:
    def find(file: str) -> Path:
        return find_file(annotations, file, hint=f"\n{_INSTRUCTIONS}")

    path = find("Diving48_vocab.json")
    vocabulary = read_json(path)
    if not isinstance(vocabulary, list) or not all(isinstance(w, list) for w in vocabulary):
        raise DataError(f'{path}: expected [["Back", "15som", "05Twis", "FREE"], ...]')
    class_names = ["+".join(map(str, words)) for words in vocabulary]
    parts = [
        Part(f"diving48_{part}_list", tuple(_read_clips(find(file), len(class_names))))
        for part, file in _FILES.items()
    ]
    return Annotations(tuple(class_names), tuple(parts))


def _read_clips(path: Path, num_classes: int) -> list[tuple[str, int]]:
    """Read ``[{"vid_name": "...", "label": 0, ...}, ...]``."""
    table = read_json(path)
    clips = []
    for place, entry in enumerate(table if isinstance(table, list) else [table], 1):
        try:
            clip, label = str(entry["vid_name"]), int(entry["label"])
        except (KeyError, TypeError, ValueError) as err:
            raise DataError(f"{path}: entry {place} has no 'vid_name' and 'label'") from err
        if not 0 <= label < num_classes:
            raise DataError(
                f"{path}: entry {place} ({clip}): label {label}; "
                f"Diving48_vocab.json has classes 0 to {num_classes - 1}"
            )
        clips.append((clip, label))
    return clips


DIVING48 = Source(
    name="diving48",
    title="Diving48",
    out="data/diving48",
    config="configs/tsm_diving48.yaml",
    num_classes=48,
    instructions=_INSTRUCTIONS,
    read=_read,
    sizes={"none": ("", None)},
)
