# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The authors' online MobileNetV2, unrolled, equals their loop with buffers kept by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import paddle
import pytest

import paddletsm
from paddletsm.deploy.online_export import export_online
from paddletsm.models import MobileNetV2TSM, Recognizer2D, TSMHead
from paddletsm.models.weights import load_weights
from tests.parity.test_reference_names import online_frame

NAME, FRAMES, SIZE = "mit_online_mobilenetv2", 5, 224
SPEC = {
    "decode": {"name": "VideoDecoder"},
    "sample": {"name": "Sampler", "num_seg": 8, "valid_mode": True},
    "transform": [
        {"Scale": {"short_size": 256}},
        {"CenterCrop": {"target_size": SIZE}},
        {"Normalization": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}},
    ],
}


@pytest.fixture(scope="module")
def clip(fill: ModuleType) -> np.ndarray:
    """[T, 3, 224, 224] float32."""
    return fill.make_input("blocky", 1, FRAMES)[0].astype(np.float32)


@pytest.fixture(scope="module")
def theirs(fill: ModuleType, recipe: dict[str, Any], clip: np.ndarray) -> np.ndarray:
    """Logits [T, 27] of their loop: one frame and the buffers in, logits and buffers out."""
    facts = recipe["models"][NAME]
    weights = {
        name: paddle.to_tensor(value)
        for name, value in fill.state_dict(recipe, NAME, "mit_key").items()
    }
    buffers = [paddle.zeros(shape) for shape in facts["buffer_shapes"]]
    found = []
    with paddle.no_grad():
        for frame in clip:
            logits, buffers = online_frame(
                weights, paddle.to_tensor(frame[None]), buffers, facts["shifted_feature_indices"]
            )
            found.append(logits.numpy()[0])
    assert np.abs(np.diff(found, axis=0)).max() > 1e-3, "the frames are not told apart"
    return np.stack(found)


@pytest.fixture
def model(weights_file: Callable[[str, str], Path]) -> Recognizer2D:
    backbone = MobileNetV2TSM(shift_mode="online")
    model = Recognizer2D(backbone, TSMHead(27, backbone.out_channels))
    load_weights(model, weights_file(NAME, "mit_key"))
    model.eval()
    return model


def test_state_is_their_buffers(model: Recognizer2D, recipe: dict[str, Any]) -> None:
    shapes = paddletsm.to_streaming(model).state_shapes(SIZE, SIZE)
    assert [[1, *shape] for shape in shapes] == recipe["models"][NAME]["buffer_shapes"]


def test_frame_by_frame(model: Recognizer2D, clip: np.ndarray, theirs: np.ndarray) -> None:
    streaming = paddletsm.to_streaming(model)
    state = streaming.init_state()
    with paddle.no_grad():
        for frame, expected in zip(clip, theirs, strict=True):
            logits, state = streaming(paddle.to_tensor(frame[None]), state)
            np.testing.assert_allclose(logits.numpy()[0], expected, rtol=0, atol=2e-5)


def test_exported(
    model: Recognizer2D, clip: np.ndarray, theirs: np.ndarray, tmp_path: Path
) -> None:
    labels = [f"gesture {number}" for number in range(27)]
    folder = export_online(model, tmp_path / "online", name="online", spec=SPEC, labels=labels)
    found = paddletsm.StreamPredictor(folder, threads=1).logits(clip)
    np.testing.assert_allclose(found, theirs, rtol=0, atol=1e-4)
