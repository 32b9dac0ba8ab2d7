# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import cv2
import numpy as np
import paddle
import pytest

from paddletsm.data import ClipDataset, Sample
from paddletsm.data.pipeline import build_pipeline
from paddletsm.models import HEADS, Recognizer2D
from paddletsm.models.resnet import ResNetTSM
from paddletsm.report.collect import Guess
from paddletsm.report.strip_page import clips_section
from paddletsm.report.strips import _strip, frame_logits
from tests.conftest import write_video


def network(head: str, **options: object) -> Recognizer2D:
    paddle.seed(1)
    backbone = ResNetTSM(depth=18, width=0.125, num_seg=4, shift_div=4, **options)
    model = Recognizer2D(backbone, HEADS.get(head)(num_classes=3, in_channels=64, std=0.5))
    model.eval()
    return model


@pytest.mark.parametrize("head", ["TSMHead", "TSNHead"])
@pytest.mark.parametrize("temporal_pool", [False, True])
def test_frame_logits_average_to_those_of_the_clip(head: str, temporal_pool: bool) -> None:
    model = network(head, temporal_pool=temporal_pool)
    frames = np.random.default_rng(0).normal(size=(4, 3, 32, 32)).astype("float32")
    parts = frame_logits(model, frames)
    assert parts.shape == (2 if temporal_pool else 4, 3)
    with paddle.no_grad():
        whole = model(paddle.to_tensor(frames[None])).numpy()[0]
    np.testing.assert_allclose(parts.mean(0), whole, atol=1e-5)  # float32 sums in another order
    assert np.abs(parts - whole).max() > 1e-3  # frames differ


def test_a_strip_shows_the_frames_that_the_network_saw(tmp_path) -> None:
    frames = np.zeros((8, 40, 48, 3), np.uint8)
    frames[:4, ..., 0] = 200  # first half red, second half green
    frames[4:, ..., 1] = 200
    path = write_video(tmp_path / "clip <1>.avi", frames)
    spec = {
        "decode": {"name": "VideoDecoder", "backend": "opencv"},
        "sample": {"name": "Sampler", "num_seg": 4, "valid_mode": True},
        "transform": [
            {"CenterCrop": {"target_size": 32}},
            {"Normalization": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}},
        ],
    }
    sample = Sample(str(path), 1, 0)
    dataset = ClipDataset([sample], build_pipeline(spec))
    guess = Guess(str(path), 1, 2, 0.75, float("nan"))
    strip = _strip(network("TSMHead"), dataset, sample, guess)
    picture = cv2.imdecode(np.frombuffer(strip.jpeg, np.uint8), cv2.IMREAD_COLOR)
    width, height = strip.size
    assert picture.shape[:2] == (height, 4 * width)
    for frame, channel in enumerate((2, 2, 1, 1)):  # BGR
        middle = picture[height // 2, frame * width + width // 2]
        assert middle.argmax() == channel
        assert 170 <= middle.max() <= 230
    assert strip.indices == tuple(sorted(strip.indices))
    assert len(strip.own) == len(strip.other) == 4
    text = clips_section([strip], ["a", "b", "c"])
    assert "&lt;1&gt;.avi" in text
    assert "75.00" in text
