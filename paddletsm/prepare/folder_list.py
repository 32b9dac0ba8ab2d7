# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Which clips of a class folder are in a list, such as one that ``check_data.py --fix`` wrote."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path

from paddletsm.data.index import load_index
from paddletsm.data.types import Sample
from paddletsm.errors import DataError
from paddletsm.utils.text import listing


def listed_clips(
    file: str | Path, root: Path, class_names: Sequence[str], *, is_frames: bool
) -> set[str]:
    """Return the clips that a list of a class folder names, "walk/a.mp4".

    Args:
        file: lines ``path label``, or ``path num_frames label`` for folders of frames.
        root: the folder.
        class_names: its classes in the order of their labels.
        is_frames: its clips are folders of frames.

    Raises:
        DataError: no such list, a malformed line, a clip that is not in the folder, a label that
            is not that of its class, or a class without a clip.
    """
    if Path(file).is_dir():
        raise DataError(f"--list {file}: is a folder; a list has one line for each clip")
    index = load_index(file, format="FrameDataset" if is_frames else "VideoDataset")
    real = functools.cache(os.path.realpath)
    names = {real(root / name): name for name in class_names}
    clips = set()
    for sample in index.samples:
        folder, clip = os.path.split(sample.path)
        name = names.get(real(folder))
        if name is None or not os.path.exists(sample.path):
            raise DataError(
                f"{sample.where}: {sample.path}: no clip of {root}; --list takes "
                "what check_data.py has written of this folder (--fix), in the same working folder"
            )
        _check_label(sample, name, class_names)
        clips.add(f"{name}/{clip}")
    empty = [name for name in class_names if not any(c.startswith(f"{name}/") for c in clips)]
    if empty:
        raise DataError(
            f"{file} leaves no clip of {listing(empty, 5)}; mend some of its clips, or move the "
            "folder of the class away, and check again"
        )
    return clips


def _check_label(sample: Sample, name: str, class_names: Sequence[str]) -> None:
    label = class_names.index(name)
    if sample.label != label:
        raise DataError(
            f"{sample.where}: label {sample.label}, but {name!r} is class {label} of the folder; "
            "has a class been added or renamed behind the check? check again"
        )
