# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""A tiny network whose logits differ between clips, exported once, and a few tiny videos."""

from __future__ import annotations

import copy
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest

from paddletsm.deploy import Predictor, export_model
from paddletsm.deploy import formats as formats_module
from paddletsm.models import Recognizer2D, ResNetTSM, TSMHead
from tests.conftest import random_frames, write_video

NUM_SEG, SIZE = 4, 32
LABELS = ("run", "jump", "yes", "сидеть", "3")
CENTRE = {
    "decode": {"name": "VideoDecoder", "backend": "opencv"},
    "sample": {"name": "Sampler", "num_seg": NUM_SEG, "valid_mode": True},
    "transform": [
        {"Scale": {"short_size": 40}},
        {"CenterCrop": {"target_size": SIZE}},
        {"Normalization": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}},
    ],
}


def make_spec(crop: str = "CenterCrop", *, twice: bool = False) -> dict[str, Any]:
    spec = copy.deepcopy(CENTRE)
    spec["sample"]["twice"] = twice
    spec["transform"][1] = {crop: {"target_size": SIZE}}
    return spec


def make_model(num_classes: int = len(LABELS), **backbone: Any) -> Recognizer2D:
    """Width 1/8, statistics and classifier moved away from their flat initial values."""
    paddle.seed(0)
    rng = np.random.default_rng(0)
    network = ResNetTSM(18, 0.125, NUM_SEG, **backbone)
    model = Recognizer2D(network, TSMHead(num_classes, network.out_channels, std=0.3))
    for name, tensor in model.state_dict().items():
        if name.endswith("_mean"):
            tensor.set_value(rng.normal(0, 0.2, tensor.shape).astype(np.float32))
        if name.endswith("_variance"):
            tensor.set_value(rng.uniform(0.5, 2, tensor.shape).astype(np.float32))
    model.eval()
    return model


def export(model: Recognizer2D, folder: Path, **changed: Any) -> Path:
    arguments: dict[str, Any] = {
        "name": "tiny",
        "spec": make_spec(),
        "labels": LABELS,
        "target_size": SIZE,
    }
    return export_model(model, folder, **{**arguments, **changed})


def eager_logits(model: Recognizer2D, clips: np.ndarray) -> np.ndarray:
    with paddle.no_grad():
        return model(paddle.to_tensor(clips)).numpy()


def random_clips(count: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, NUM_SEG, 3, SIZE, SIZE), np.float32)


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """Commands configure the package's logger for the streams of their test; undo it."""
    logger = logging.getLogger("paddletsm")
    before = (list(logger.handlers), logger.level, logger.propagate)
    yield
    logger.handlers[:], level, logger.propagate = before
    logger.setLevel(level)


@pytest.fixture(scope="session")
def model() -> Recognizer2D:
    return make_model()


@pytest.fixture(scope="session")
def artefact_dir(model: Recognizer2D, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read only: copy it before breaking it."""
    return export(model, tmp_path_factory.mktemp("inference") / "tiny", weights_sha256="ab" * 32)


@pytest.fixture
def saved_before(artefact_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare tests of everything else the seconds that Paddle takes to save the same network."""

    def copy_network(layer: paddle.nn.Layer, stem: Path, spec: list[Any]) -> None:
        for suffix in (".pdmodel", ".pdiparams"):
            shutil.copy(artefact_dir / f"tiny{suffix}", f"{stem}{suffix}")

    monkeypatch.setattr(formats_module, "save_graph", copy_network)


@pytest.fixture(scope="session")
def predictor(artefact_dir: Path) -> Predictor:
    return Predictor(artefact_dir, threads=1)


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("videos")
    return [
        write_video(folder / f"clip {number}.avi", random_frames(9 + number, seed=number))
        for number in range(4)
    ]


@pytest.fixture
def broken_video(videos: list[Path], tmp_path: Path) -> Path:
    path = tmp_path / "broken.avi"
    path.write_bytes(b"this is no video" * 50)
    return path
