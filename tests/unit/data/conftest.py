# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Small videos and a folder of frames, and the decoder of the process that runs the tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from paddletsm.data import backends
from tests.conftest import random_frames, write_video

# While tests are collected, before one of them reads a video: backend "auto" would import PyAV, and
# decord could not be tested beside it. PyAV is tested in processes of its own.
backends.decord()


@pytest.fixture(scope="module")
def mjpg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("mjpg") / "clip.avi", random_frames(16, 64, 64))


@pytest.fixture(scope="module")
def mpeg4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Like ``mjpg``, but of a kind that decord reads itself."""
    path = tmp_path_factory.mktemp("mpeg4") / "clip.mp4"
    return write_video(path, random_frames(16, 64, 64), codec="mp4v")


@pytest.fixture
def frame_folder(tmp_path: Path) -> Path:
    cv2 = backends.opencv()
    folder = tmp_path / "frames"
    folder.mkdir()
    for i, frame in enumerate(random_frames(5), 1):
        cv2.imwrite(
            str(folder / f"img_{i:05}.jpg"), frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 98]
        )
    return folder
