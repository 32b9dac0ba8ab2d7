# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Shared fixtures: tiny synthetic videos, and the reference data when it lies beside the repo."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

# Before any test imports Paddle or NumPy: the suite runs on two cores, often in two processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest

REPO = Path(__file__).resolve().parents[1]
SHARED = REPO.parent / "shared"


def own_configs() -> list[Path]:
    """The configurations of the repository; those that a user has put beside them are not ours."""
    root = REPO / "configs"
    top = [p for p in root.glob("*.yaml") if p.stem.startswith(("tsm_", "tsn_"))]
    return sorted([*top, *root.glob("ts[mn]/*.yaml")])


@pytest.fixture(scope="session")
def repo_dir() -> Path:
    return REPO


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder with parity/ and videos/; tests that need it skip when it is absent."""
    if not (SHARED / "parity").is_dir():
        pytest.skip("reference data folder '../shared' is not beside this checkout")
    return SHARED


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Folder that ``make`` fills once per test run, also when several pytest workers ask for it."""
    is_shared = "PYTEST_XDIST_WORKER" in os.environ
    root = factory.getbasetemp().parent if is_shared else factory.getbasetemp()
    folder, done = root / name, root / f"{name}.done"
    try:
        folder.mkdir()
    except FileExistsError:
        end = time.monotonic() + 300
        while not done.exists():
            assert time.monotonic() < end, f"{name}: another worker has not finished it"
            time.sleep(0.2)
    else:
        make(folder)
        done.touch()
    return folder


def write_video(path: Path, frames: np.ndarray, fps: float = 8.0, *, codec: str = "MJPG") -> Path:
    """Write RGB uint8 frames [F,H,W,3], as an MJPG .avi or, with "mp4v", an .mp4."""
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = frames.shape[1:3]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), fps, (width, height))
    assert writer.isOpened(), path
    for frame in frames:
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()
    return path


def random_frames(count: int, height: int = 48, width: int = 64, seed: int = 0) -> np.ndarray:
    """Smooth random RGB frames [count,H,W,3] uint8 that survive JPEG well."""
    import cv2

    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (count, 6, 8, 3), dtype=np.uint8)
    return np.stack([cv2.resize(f, (width, height), interpolation=cv2.INTER_CUBIC) for f in small])
