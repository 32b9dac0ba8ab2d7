# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Outputs of the reference implementations, from weights under their own names.

The recorded arrays are MMAction2's, which equal those of mit-han-lab/temporal-shift-module. The
reference differs from its own float64 run by less than 1e-6; 2e-5 (logits) and 5e-5 (features)
leave room for another library's order of summation; a wrong shift order moves features by 1.4, in
MobileNetV2 by 0.11 (its logits by no more than 4e-4).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import paddle
import pytest

from paddletsm.models import (
    MobileNetV2TSM,
    Recognizer2D,
    ResNet,
    ResNetTSM,
    TSMHead,
    TSNHead,
)
from paddletsm.models.weights import load_weights

LOGITS, FEATURES = 2e-5, 5e-5
# Per channel RGB, as the reference normalises.
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def build(network: str) -> Recognizer2D:
    """The network of a reference file, in evaluation mode."""
    networks = {
        "tsm_r50": (ResNetTSM, TSMHead),
        "tsn_r50": (ResNet, TSNHead),
        "tsm_mobilenetv2": (MobileNetV2TSM, TSMHead),
    }
    backbone_class, head_class = networks[network]
    backbone = backbone_class()
    model = Recognizer2D(backbone, head_class(400, backbone.out_channels))
    model.eval()
    return model


def outputs(model: Recognizer2D, clips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logits and pooled features of clips [N,T,3,H,W] from one pass through the backbone."""
    with paddle.no_grad():
        pooled, segments = model._pooled(paddle.to_tensor(clips))
        feature = model.backbone.in_source_order(pooled)  # what extract_feature returns
        return model.head.classify(pooled, segments).numpy(), feature.numpy()


CASES = [
    ("tsm_r50", "tsm_r50", "key"),
    ("tsm_r50", "mit_tsm_r50", "mit_key"),
    ("tsn_r50", "tsn_r50", "key"),
    ("tsn_r50", "mit_tsn_r50", "mit_key"),
    ("tsm_mobilenetv2", "tsm_mobilenetv2", "key"),
    ("tsm_mobilenetv2", "mit_tsm_mobilenetv2", "mit_key"),
]


def check(
    network: str,
    path: Path,
    fill: ModuleType,
    reference: Path,
    *,
    kinds: tuple[str, ...],
    clips: int,
) -> None:
    model = build(network)
    report = load_weights(model, path)
    assert report.loaded == report.total == (262 if "mobilenet" in network else 267)
    assert report.kept == ()
    assert all(name.endswith("num_batches_tracked") for name in report.left_out)
    recorded = np.load(reference)
    for kind in kinds:
        logits, features = outputs(model, fill.make_input(kind, 2, 8)[:clips])
        expected = recorded[f"feat_{kind}"][: len(features)]
        np.testing.assert_allclose(features, expected, rtol=0, atol=FEATURES)
        expected = recorded[f"logits_{kind}"][:clips]
        np.testing.assert_allclose(logits, expected, rtol=0, atol=LOGITS)


@pytest.mark.parametrize(("network", "model", "naming"), CASES)
def test_one_clip(
    network: str,
    model: str,
    naming: str,
    weights_file: Callable[[str, str], Path],
    fill: ModuleType,
    parity_dir: Path,
) -> None:
    kind = "noise" if naming == "key" else "blocky"
    reference = parity_dir / f"logits_{network}.npz"
    check(network, weights_file(model, naming), fill, reference, kinds=(kind,), clips=1)


@pytest.mark.slow
@pytest.mark.parametrize(("network", "model", "naming"), CASES)
def test_all_clips(
    network: str,
    model: str,
    naming: str,
    weights_file: Callable[[str, str], Path],
    fill: ModuleType,
    parity_dir: Path,
) -> None:
    reference = parity_dir / f"logits_{network}.npz"
    check(network, weights_file(model, naming), fill, reference, kinds=("noise", "blocky"), clips=2)


def test_real_frames(weights_file: Callable[[str, str], Path], parity_dir: Path) -> None:
    """Frames of demo.mp4, cropped to 224: logits, features, scores, and reversed in time."""
    recorded = np.load(parity_dir / "e2e_demo.npz")
    model = build("tsm_r50")
    load_weights(model, weights_file("tsm_r50", "key"))
    mean = np.array(MEAN, np.float32).reshape(3, 1, 1)
    std = np.array(STD, np.float32).reshape(3, 1, 1)
    clip = ((recorded["imgs_uint8"].astype(np.float32) - mean) / std)[None]
    logits, features = outputs(model, clip)
    np.testing.assert_allclose(logits, recorded["logits"], rtol=0, atol=LOGITS)
    np.testing.assert_allclose(features, recorded["feat"], rtol=0, atol=FEATURES)
    scores = np.exp(logits - logits.max())
    np.testing.assert_allclose(scores / scores.sum(), recorded["prob"], rtol=1e-4)
    backwards, _ = outputs(model, clip[:, ::-1].copy())
    np.testing.assert_allclose(backwards, recorded["logits_time_reversed"], rtol=0, atol=LOGITS)
    assert np.abs(backwards - logits).max() > 100 * LOGITS
