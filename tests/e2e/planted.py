# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""200 clips in the names of UCF101, 15 of them defective."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from tests.conftest import random_frames, write_video

CLASSES = ("Archery", "Bowling", "Diving", "Fencing")
FRAMES = 9
Plant = Callable[[Path, Path], None]


def clip_name(name: str, group: int, clip: int) -> str:
    return f"{name}/v_{name}_g{group:02d}_c{clip:02d}.avi"


def make_planted(root: Path) -> dict[str, str]:
    """Fill a folder with clips/, classes.txt, train.txt, val.txt; return path: kind of defect."""
    lists: dict[str, list[list[object]]] = {"train": [], "val": []}
    number = 0
    for label, name in enumerate(CLASSES):
        for group in range(1, 26):
            for clip in (1, 2):
                number += 1
                path = clip_name(name, group, clip)
                write_video(root / "clips" / path, random_frames(FRAMES, seed=number))
                lists["train" if group <= 20 else "val"].append([path, label])
    planted = _plant(root / "clips", lists["train"])
    (root / "classes.txt").write_text("\n".join(CLASSES))
    for split, rows in lists.items():
        text = "".join(f"{path} {label}\n" for path, label in rows)
        (root / f"{split}.txt").write_text(text)
    return {f"{root}/clips/{path}": kind for path, kind in planted.items()}


def _plant(clips: Path, rows: list[list[object]]) -> dict[str, str]:
    """Damage fifteen clips of the training list: every tenth one, from the third on."""
    victims = rows[2:152:10]
    planted = {}
    for row, (kind, damage) in zip(victims, _DEFECTS, strict=True):
        path = clips / str(row[0])
        other = clips / str(rows[rows.index(row) - 1][0])  # a sound clip, earlier in the list
        if kind == "same_recording":
            renamed = clip_name(path.parent.name, 21, rows.index(row))
            path.rename(clips / renamed)
            row[0] = renamed
        elif kind == "label_range":
            row[1] = len(CLASSES)
        elif kind == "same_content":
            shutil.copy(clips / clip_name(CLASSES[0], 23, 1), path)
        else:
            damage(path, other)
        planted[str(row[0])] = kind
    return planted


def _remove(path: Path, other: Path) -> None:
    path.unlink()


def _noise(path: Path, other: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(4000))


def _text(path: Path, other: Path) -> None:
    path.write_text("<html>404 Not Found</html>")


def _cut(path: Path, other: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])


def _shorten(path: Path, other: Path) -> None:
    write_video(path, random_frames(5, seed=1000))


def _no_frames(path: Path, other: Path) -> None:
    codec = cv2.VideoWriter.fourcc(*"MJPG")
    cv2.VideoWriter(str(path), cv2.CAP_OPENCV_MJPEG, codec, 8.0, (64, 48)).release()


def _empty(path: Path, other: Path) -> None:
    os.truncate(path, 0)


def _copy(path: Path, other: Path) -> None:
    shutil.copy(other, path)


def _other_file_same_frames(path: Path, other: Path) -> None:
    data = other.read_bytes()
    path.write_bytes(data + b"JUNK" + (8).to_bytes(4, "little") + bytes(8))


_DEFECTS: list[tuple[str, Plant]] = [
    ("missing", _remove),
    ("missing", _remove),
    ("corrupt", _noise),
    ("corrupt", _text),
    ("truncated", _cut),
    ("truncated", _cut),
    ("too_short", _shorten),
    ("zero_frames", _no_frames),
    ("zero_frames", _empty),
    ("duplicate", _copy),
    ("duplicate", _other_file_same_frames),
    ("same_content", _copy),
    ("same_recording", _copy),
    ("same_recording", _copy),
    ("label_range", _copy),
]
