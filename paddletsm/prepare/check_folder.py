# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What only a look at the folders tells: clips that nobody reads, and how frames are named."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from paddletsm.data.index import VIDEO_SUFFIXES, visible_entries
from paddletsm.data.types import Sample
from paddletsm.errors import DataError
from paddletsm.prepare.check_findings import Finding
from paddletsm.prepare.folder import FolderContents
from paddletsm.prepare.frame_folders import find_pattern

_LOOKED_AT = 20  # folders of frames whose names are compared


def unread_entries(
    split: str, root: str, *, format: str, class_names: Sequence[str]
) -> list[Finding]:
    """Clips in a class folder that its data set leaves out without a word, and other files.

    Args:
        split: "train", "valid" or "test".
        root: the folder of the class folders.
        format: "VideoDataset" or "FrameDataset".
        class_names: its sub-folders; one that is missing holds nothing.
    """
    place = Path(root)
    found = [
        Finding("unread", split, str(entry), "", "a video beside the class folders")
        for entry in visible_entries(place)
        if entry.suffix.lower() in VIDEO_SUFFIXES and entry.is_file()
    ]
    for name in class_names:
        if not (place / name).is_dir():
            continue
        contents = FolderContents(place / name)
        if format == "FrameDataset":
            unread = dict.fromkeys(contents.videos, "a video among folders of frames")
            other = [item for item in contents.others if not (place / name / item).is_dir()]
        else:
            unread = dict.fromkeys(contents.nested, "a folder of videos, one level too deep")
            unread |= dict.fromkeys(contents.frame_folders, "a folder of frames among videos")
            gone = [item for item in contents.videos if not (place / name / item).is_file()]
            unread |= dict.fromkeys(gone, "no file: a link to nowhere, or a pipe")
            other = contents.others
        for kind, texts in (("unread", unread), ("no_clip", dict.fromkeys(other, "no clip"))):
            found += [
                Finding(kind, split, os.path.join(root, name, item), "", text)
                for item, text in texts.items()
            ]
    return found


def common_pattern(samples: Sequence[Sample]) -> str | None:
    """Return the pattern that most of the first folders of frames are named by.

    Args:
        samples: of a FrameDataset.

    Returns: such as "img_{:05}.jpg"; None where no folder tells.
    """
    patterns: Counter[str] = Counter()
    folders = (Path(sample.path) for sample in samples)
    for folder in [folder for folder in folders if folder.is_dir()][:_LOOKED_AT]:
        try:
            patterns[find_pattern(folder)] += 1
        except (DataError, OSError):  # the check itself reports the folder
            continue
    return patterns.most_common(1)[0][0] if patterns else None
