# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""From demo.mp4 to scores, as ``main.py --test`` goes, against the reference.

Recorded are the scores of one clip with a centre crop, the boxes of the three crops and the frames.
The order of the views is that of the reference's code: MMAction2's ThreeCrop cuts the first square
out of all frames of both clips, then the second.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest

from paddletsm.builders import build_dataset, load_config
from paddletsm.config import Config
from paddletsm.data.readers import open_video
from paddletsm.engine.testing import run_test
from paddletsm.protocols import with_protocol
from tests.conftest import REPO
from tests.parity.test_reference_outputs import MEAN, STD, build, load_weights

FRAMES = (range(17, 280, 35), range(0, 280, 35))  # middles of 8 segments of 280 frames, then starts


def make_config(network: str, shared_dir: Path, tmp_path: Path) -> Config:
    """The published settings of a network, to test demo.mp4."""
    (tmp_path / "list.txt").write_text(f"{shared_dir / 'videos/demo.mp4'} 6\n")
    (tmp_path / "demo.yaml").write_text(
        f"""
_base_: {
            [
                str(REPO / "configs/_base_" / name)
                for name in (
                    f"models/{network}.yaml",
                    "pipelines/uniform_224.yaml",
                    "schedules/sgd_50e.yaml",
                )
            ]
        }
model_name: demo
MODEL: {{head: {{num_classes: 400}}}}
DATASET:
  train: {{file_path: {tmp_path / "list.txt"}}}
  valid: {{file_path: {tmp_path / "list.txt"}}}
output_dir: {tmp_path / "output"}
"""
    )
    return load_config(tmp_path / "demo.yaml")


def reference_views(shared_dir: Path) -> np.ndarray:
    """Views of twice x three-crop 256, [6,8,3,256,256]: crops outside, clips inside."""
    recorded = json.loads((shared_dir / "parity/pixels.json").read_text())["mmaction2"]
    boxes = recorded["resize_short256_three256"]["crop_bbox"]  # demo.mp4 has a short side of 256
    video = open_video(shared_dir / "videos/demo.mp4")
    clips = [video.get(np.array(frames)) for frames in FRAMES]
    views = [
        (clip[:, top:bottom, left:right].astype(np.float64) - MEAN) / STD
        for left, top, right, bottom in boxes
        for clip in clips
    ]
    return np.stack(views).transpose(0, 1, 4, 2, 3).astype(np.float32)


def softmax(logits: np.ndarray) -> np.ndarray:
    exponents = np.exp(logits.astype(np.float64))
    return exponents / exponents.sum(-1, keepdims=True)


@pytest.mark.parametrize(
    "network", ["tsm_mobilenetv2", pytest.param("tsm_r50", marks=pytest.mark.slow)]
)
def test_twice_and_three_crops(
    network: str, shared_dir: Path, weights_file: Callable[[str, str], Path], tmp_path: Path
) -> None:
    config = make_config(network, shared_dir, tmp_path)
    views = reference_views(shared_dir)
    loaded = build_dataset(with_protocol(config, "accurate"), "test").load(0).frames
    np.testing.assert_allclose(loaded, views, rtol=0, atol=1e-6)
    weights = weights_file(network, "key")
    model = build(network)
    load_weights(model, weights)
    with paddle.no_grad():
        logits = np.concatenate([model(paddle.to_tensor(v[None])).numpy() for v in views])
    metrics: dict[str, Any] = run_test(
        config, weights=str(weights), device="cpu", protocol="accurate"
    )
    protocol = {"name": "accurate", "segments": 8, "clips": 2, "crops": 3, "size": 256}
    assert protocol.items() <= metrics["protocol"].items()
    stored = np.load(tmp_path / "output/demo/test/scores.npz")
    # 2e-5 is allowed for logits; scores of about 1/400 differ by that part of themselves.
    np.testing.assert_allclose(stored["scores"][0], softmax(logits).mean(0), rtol=4e-5)
    if network == "tsm_r50":  # MobileNetV2's views differ too little to tell the rules apart
        assert np.abs(stored["scores"][0] / softmax(logits.mean(0)) - 1).max() > 4e-4


def test_one_clip_gives_the_recorded_scores(
    shared_dir: Path, weights_file: Callable[[str, str], Path], tmp_path: Path
) -> None:
    config = make_config("tsm_r50", shared_dir, tmp_path)
    weights = str(weights_file("tsm_r50", "key"))
    metrics = run_test(config, weights=weights, device="cpu")
    assert metrics["protocol"]["name"] == "efficient"
    recorded = np.load(shared_dir / "parity/e2e_demo.npz")["prob"]
    stored = np.load(tmp_path / "output/demo/test/scores.npz")
    np.testing.assert_allclose(stored["scores"], recorded, rtol=1e-4)
