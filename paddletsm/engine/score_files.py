# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""scores.npz: the scores of every clip and class that a test leaves, for fusion and analysis."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from paddletsm.data import Sample
from paddletsm.engine.scored import Scored
from paddletsm.errors import DataError
from paddletsm.utils.io import atomic_path, nearest_file

FILE_NAME = "scores.npz"
_KEYS = ("ids", "paths", "labels", "scores", "class_names")


@dataclass(frozen=True)
class StoredScores:
    """What scores.npz holds.

    Attributes:
        ids: int64 [N], positions in the list of the data set.
        paths: N paths.
        labels: int64 [N].
        scores: float32 [N, K], softmax, views averaged.
        class_names: K names.
    """

    ids: np.ndarray
    paths: tuple[str, ...]
    labels: np.ndarray
    scores: np.ndarray
    class_names: tuple[str, ...]


def write_scores(
    path: Path, scored: Scored, samples: Sequence[Sample], names: Sequence[str]
) -> None:
    """Write ids, paths, labels, scores, class_names, and logits where those were averaged.

    Args:
        path: scores.npz.
        scored: the scores.
        samples: of the data set.
        names: class names in label order.
    """
    by_id = {sample.id: sample.path for sample in samples}
    arrays = {
        "ids": scored.ids,
        "paths": np.array([by_id[int(sample_id)] for sample_id in scored.ids], np.str_),
        "labels": scored.labels.astype(np.int64),
        "scores": scored.scores.astype(np.float32),
        "class_names": np.array(list(names), np.str_),
    }
    if scored.logits is not None:
        arrays["logits"] = scored.logits.astype(np.float32)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_scores(path: Path) -> StoredScores:
    """Read scores.npz of clips with one label each; nothing in it is run.

    Raises:
        DataError: missing, damaged, not written by a test, or of clips with several labels.
    """
    if not path.is_file():
        raise DataError(
            f"{path} does not exist{nearest_file(path)}; name the folder of a test, such as "
            "output/TSM_motion/test (python main.py --test writes it)"
        )
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in _KEYS}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as err:
        raise DataError(
            f"{path} is damaged or was not written by a test: {err}; test again"
        ) from err
    count, classes = len(arrays["ids"]), len(arrays["class_names"])
    if arrays["labels"].ndim == 2:
        raise DataError(
            f"{path} is of a test of clips with several labels (MODEL.loss: bce); only tests of "
            "one label per clip can be fused"
        )
    shapes = [arrays[key].shape for key in ("paths", "labels", "scores")]
    if shapes != [(count,), (count,), (count, classes)]:
        raise DataError(f"{path}: its arrays do not belong together ({shapes}); test again")
    return StoredScores(
        ids=arrays["ids"],
        paths=tuple(map(str, arrays["paths"])),
        labels=arrays["labels"],
        scores=arrays["scores"],
        class_names=tuple(map(str, arrays["class_names"])),
    )
