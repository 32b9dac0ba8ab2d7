# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Folders of images, read as a video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from paddletsm.data import backends, frame_files, open_frames
from paddletsm.errors import DataError
from tests.conftest import random_frames


def test_frame_folder(frame_folder: Path) -> None:
    reader = open_frames(frame_folder)
    assert len(reader) == 5
    frames = reader.get([4, 0, 0])
    assert np.abs(frames.astype(int) - random_frames(5)[[4, 0, 0]]).mean() < 10
    assert len(open_frames(frame_folder, num_frames=3)) == 3
    for path in frame_folder.iterdir():
        path.rename(path.with_name(f"f{int(path.stem[4:])}.jpg"))
    assert np.array_equal(open_frames(frame_folder, "f{}.jpg").get([4, 0, 0]), frames)


@pytest.mark.parametrize(
    "pattern", ["{:06}.png", "image_{:05d}.jpg", "frame-{}.jpg", "a b_{:03}_rgb.bmp"]
)
def test_frame_patterns(tmp_path: Path, pattern: str) -> None:
    cv2 = backends.opencv()
    frames = random_frames(12)
    for i, frame in enumerate(frames, 1):
        image = frame[..., ::-1] if i != 4 else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        cv2.imwrite(str(tmp_path / pattern.format(i)), image)
    (tmp_path / "thumbs.db").touch()
    reader = open_frames(tmp_path, pattern)
    assert len(reader) == 12
    found = reader.get([11, 3, 0]).astype(int)
    assert np.ptp(found[1], axis=-1).max() == 0  # the grey one, as three equal channels
    assert np.abs(found[[0, 2]] - frames[[11, 0]]).mean() < 10
    (tmp_path / pattern.format(7)).unlink()
    with pytest.raises(DataError, match="frame 7 of 12 is missing"):
        reader.get([6])


def test_frames_from_zero_are_said(frame_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for path in sorted(frame_folder.iterdir()):
        path.rename(path.with_name(f"f{int(path.stem[4:]) - 1}.jpg"))
    frame_files._from_zero_said.cache_clear()
    assert [len(open_frames(frame_folder, "f{}.jpg")) for _ in range(2)] == [4, 4]
    (said,) = caplog.messages
    assert said.startswith(f"{frame_folder}: f0.jpg is not read")
    with pytest.raises(DataError, match=r"frame 5 of 5 is missing .*from 1, these from 0: rename"):
        open_frames(frame_folder, "f{}.jpg", num_frames=5).get([4])


def test_frame_folder_problems(frame_folder: Path, tmp_path: Path) -> None:
    cv2 = backends.opencv()
    with pytest.raises(DataError, match=r"frame 6 of 9 is missing \(.*img_00006.jpg"):
        open_frames(frame_folder, num_frames=9).get([0, 5])
    (frame_folder / "img_00003.jpg").unlink()
    gap = open_frames(frame_folder)
    assert len(gap) == 5  # a gap does not shorten the video
    with pytest.raises(DataError, match="frame 3 of 5 is missing"):
        gap.get([2])
    whole = (frame_folder / "img_00002.jpg").read_bytes()
    for damaged in (b"", b"text", whole[: len(whole) * 2 // 3]):
        (frame_folder / "img_00002.jpg").write_bytes(damaged)
        with pytest.raises(DataError, match="frame 2 is damaged"):
            gap.get([1])
    cv2.imwrite(str(frame_folder / "img_00005.jpg"), np.zeros((40, 60, 3), np.uint8))
    with pytest.raises(DataError, match="different size: frame 5 is 60x40, frame 1 is 64x48"):
        gap.get([0, 4])
    with pytest.raises(DataError, match=r"no frame named like 'image_00001.jpg'.*img_00001.jpg"):
        open_frames(frame_folder, "image_{:05}.jpg")
    with pytest.raises(DataError, match=r"does not exist; did you mean '.*frames'"):
        open_frames(tmp_path / "framed")
    with pytest.raises(DataError, match="does not exist"):
        open_frames(tmp_path / "nix", num_frames=3).get([0])
