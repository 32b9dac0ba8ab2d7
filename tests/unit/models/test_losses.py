# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Cross-entropy with soft labels of mixed clips, smoothing and class weights."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from paddletsm.models.losses import MixedLabels, classification_loss, multi_label_loss

LOGITS = np.random.default_rng(0).standard_normal((5, 7)).astype(np.float32)
OWN, OTHERS = np.array([0, 1, 2, 3, 6]), np.array([1, 1, 5, 0, 4])


def by_hand(target: np.ndarray) -> float:
    """Mean over clips of -sum(target * log softmax), float64."""
    logits = LOGITS.astype(np.float64)
    log_probabilities = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    return float(-(target * log_probabilities).sum(1).mean())


def soft(share: float, smoothing: float, weights: np.ndarray) -> np.ndarray:
    """Targets [N, K]: both classes in their shares, smoothed, each class's part weighted."""
    eye = np.eye(7)
    targets = (1.0 - smoothing) * eye + smoothing / 7
    own, others = (targets[labels] * weights[labels, None] for labels in (OWN, OTHERS))
    return share * own + (1.0 - share) * others


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_mixed_labels(share: float, smoothing: float, is_weighted: bool) -> None:
    weights = np.linspace(0.5, 2.0, 7) if is_weighted else np.ones(7)
    mixed = MixedLabels(paddle.to_tensor(OWN), paddle.to_tensor(OTHERS), share)
    given = paddle.to_tensor(weights.astype(np.float32)) if is_weighted else None
    loss = float(classification_loss(paddle.to_tensor(LOGITS), mixed, smoothing, given))
    assert loss == pytest.approx(by_hand(soft(share, smoothing, weights)), abs=1e-5)


def test_all_of_one_class_is_the_plain_loss() -> None:
    logits, own = paddle.to_tensor(LOGITS), paddle.to_tensor(OWN)
    plain = float(classification_loss(logits, own, 0.1))
    same = MixedLabels(own, own, 0.3)
    assert float(classification_loss(logits, same, 0.1)) == pytest.approx(plain, abs=1e-6)


def test_gradient_is_that_of_the_soft_label() -> None:
    logits = paddle.to_tensor(LOGITS, stop_gradient=False)
    mixed = MixedLabels(paddle.to_tensor(OWN), paddle.to_tensor(OTHERS), 0.7)
    classification_loss(logits, mixed, 0.1).backward()
    powers = np.exp(LOGITS.astype(np.float64))
    probabilities = powers / powers.sum(1, keepdims=True)
    expected = (probabilities - soft(0.7, 0.1, np.ones(7))) / len(OWN)
    np.testing.assert_allclose(logits.grad.numpy(), expected, atol=1e-6)


def test_dominant_class() -> None:
    own, others = paddle.to_tensor(OWN), paddle.to_tensor(OTHERS)
    assert MixedLabels(own, others, 0.5).dominant is own
    assert MixedLabels(own, others, 0.4).dominant is others


@pytest.mark.parametrize("share", [None, 0.25])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_several_labels(share: float | None, is_weighted: bool) -> None:
    """Mean over clips and classes of -(y log p + (1 - y) log(1 - p)), p the sigmoid, float64."""
    rng = np.random.default_rng(1)
    own, others = (rng.integers(0, 2, LOGITS.shape).astype(np.float32) for _ in range(2))
    weights = np.linspace(0.5, 2.0, 7) if is_weighted else np.ones(7)
    target = own if share is None else share * own + (1.0 - share) * others
    p = 1.0 / (1.0 + np.exp(-LOGITS.astype(np.float64)))
    expected = -(weights * (target * np.log(p) + (1.0 - target) * np.log(1.0 - p))).mean()
    labels = paddle.to_tensor(own)
    if share is not None:
        labels = MixedLabels(labels, paddle.to_tensor(others), share)
    given = paddle.to_tensor(weights.astype(np.float32)) if is_weighted else None
    logits = paddle.to_tensor(LOGITS, stop_gradient=False)
    loss = multi_label_loss(logits, labels, given)
    assert float(loss) == pytest.approx(expected, abs=1e-6)
    loss.backward()
    np.testing.assert_allclose(logits.grad.numpy(), weights * (p - target) / p.size, atol=1e-7)


def test_several_labels_of_large_logits_stay_finite() -> None:
    logits = paddle.to_tensor([[200.0, -200.0]])
    assert float(multi_label_loss(logits, paddle.to_tensor([[1.0, 0.0]]))) == 0.0
    assert float(multi_label_loss(logits, paddle.to_tensor([[0.0, 1.0]]))) == 200.0
