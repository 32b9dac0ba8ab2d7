# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What only a look at the folders tells: clips that nobody reads, and how frames are named."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from paddletsm.data.class_folders import (
    Format,
    is_sample,
    unread_beside,
    visible_entries,
    why_unread,
)
from paddletsm.data.types import Sample
from paddletsm.errors import DataError
from paddletsm.prepare.check_findings import Finding
from paddletsm.prepare.frame_folders import find_pattern

_LOOKED_AT = 20  # folders of frames whose names are compared


def unread_entries(
    split: str, root: str, *, format: Format, class_names: Sequence[str]
) -> list[Finding]:
    """Clips in a class folder that its data set leaves out, and other files.

    Args:
        split: "train", "valid" or "test".
        root: the folder of the class folders.
        format: "VideoDataset" or "FrameDataset".
        class_names: its sub-folders; one that is missing holds nothing.
    """
    place = Path(root)
    found = [Finding("unread", split, str(u.path), "", u.reason) for u in unread_beside(place)]
    for name in class_names:
        folder = place / name
        for entry in visible_entries(folder) if folder.is_dir() else ():
            if is_sample(entry, format):
                continue
            reason = why_unread(entry, format)
            kind = "unread" if reason else "no_clip"
            path = os.path.join(root, name, entry.name)
            found.append(Finding(kind, split, path, "", reason or "no clip"))
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
