# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""UCF101: frames and lists in the layout of PaddleVideo and MMAction2.

``<out>/rawframes/<Class>/<video>/img_00001.jpg``, ``<out>/class_names.txt`` and, per split,
``<out>/ucf101_{train,val}_split_1_{rawframes,videos}.txt``. Nothing is downloaded here.

Source: Soomro, Zamir, Shah: UCF101, CRCV-TR-12-01, arXiv:1212.0402.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from paddletsm.errors import DataError
from paddletsm.prepare.build_lists import read_class_index, read_split, write_list, write_text
from paddletsm.prepare.extract_frames import Extraction, extract_all
from paddletsm.utils.io import nearest_file

SPLITS = (1, 2, 3)
PARTS = {"train": "trainlist", "val": "testlist"}

INSTRUCTIONS = """\
UCF101 is not downloaded by this command. Its page, which states the terms of use:
  https://www.crcv.ucf.edu/data/UCF101.php
Read there what you may do with the clips, which come from videos on YouTube.
Whoever publishes results cites Soomro, Zamir, Shah, CRCV-TR-12-01 (arXiv:1212.0402).
Download and unpack two files from that page:
  UCF101.rar                                 13320 videos, 6.5 GB
  UCF101TrainTestSplits-RecognitionTask.zip  classInd.txt, trainlist01.txt, testlist01.txt, ...
then run, with about 60 GB of free disk for the frames:
  python tools/prepare_data.py ucf101 --videos DIR/UCF-101 --annotations DIR/ucfTrainTestlist"""


@dataclass(frozen=True)
class Ucf101Report:
    """Outcome of ``prepare_ucf101``.

    Attributes:
        missing: videos that the lists name and the folder lacks; if any, nothing else was done.
        failed: videos that cannot be decoded; if any, no lists were written.
        extracted: videos whose frames were written now.
        skipped: videos whose frames were there already.
        lists: the files written.
    """

    missing: tuple[str, ...] = ()
    failed: tuple[Extraction, ...] = ()
    extracted: int = 0
    skipped: int = 0
    lists: tuple[Path, ...] = ()


def prepare_ucf101(
    videos: str | Path,
    annotations: str | Path,
    out: str | Path,
    *,
    splits: Sequence[int] = (1,),
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Ucf101Report:
    """Extract the frames of the videos of the given splits and write their lists.

    Args:
        videos: folder with the videos, in class folders or not.
        annotations: folder with classInd.txt, trainlist01.txt, testlist01.txt.
        out: folder of the data set.
        splits: of the official three.
        workers: videos at a time; None: one per usable core.
        progress: called with (videos done, videos in all).

    Raises:
        DataError: missing folder, or a malformed list, with file and line.
    """
    videos, annotations, out = Path(videos), Path(annotations), Path(out)
    for folder in (videos, annotations):
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder{nearest_file(folder)}\n{INSTRUCTIONS}")
    annotations = _folder_of(annotations, "classInd.txt")
    class_names = read_class_index(annotations / "classInd.txt")
    entries = {
        (part, split): read_split(annotations / f"{prefix}{split:02d}.txt", class_names)
        for split in splits
        for part, prefix in PARTS.items()
    }
    names = sorted({name for rows in entries.values() for name, _ in rows})
    found = _find_videos(videos)
    missing = tuple(f"{name}.avi" for name in names if _key(name) not in found)
    if missing:
        return Ucf101Report(missing=missing)
    jobs = [(found[_key(name)], out / "rawframes" / name) for name in names]
    results = extract_all(jobs, workers=workers, progress=progress)
    is_new = sum(result.is_new for result in results)
    failed = tuple(result for result in results if result.reason)
    if failed:
        return Ucf101Report(failed=failed, extracted=is_new)
    counts = {name: result.num_frames for name, result in zip(names, results, strict=True)}
    lists = [write_text(out / "class_names.txt", class_names)]
    for (part, split), rows in entries.items():
        stem = f"ucf101_{part}_split_{split}"
        frames = [(name, counts[name], label) for name, label in rows]
        files = [(found[_key(name)].relative_to(videos).as_posix(), label) for name, label in rows]
        lists.append(write_list(out / f"{stem}_rawframes.txt", frames))
        lists.append(write_list(out / f"{stem}_videos.txt", files))
    return Ucf101Report(extracted=is_new, skipped=len(results) - is_new, lists=tuple(lists))


def _folder_of(folder: Path, name: str) -> Path:
    """The folder itself or the one sub-folder that holds ``name``: archives add a level."""
    if (folder / name).is_file():
        return folder
    inside = sorted(path.parent for path in folder.glob(f"*/{name}"))
    if not inside:
        raise DataError(f"{folder}: {name} is not in it\n{INSTRUCTIONS}")
    return inside[0]


def _find_videos(folder: Path) -> dict[str, Path]:
    """Videos below a folder by their key; class folders do not matter, file names are unique."""
    return {_key(path.stem): path for path in sorted(folder.rglob("*.avi"))}


def _key(name: str) -> str:
    # Copies of the data set disagree on HandstandPushups and HandStandPushups.
    return name.rpartition("/")[2].lower()
