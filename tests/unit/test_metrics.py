# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paddletsm.metrics import (
    METRICS,
    MeanClassAccuracy,
    TopK,
    average_precision,
    average_views,
    confusion_matrix,
    multi_label_metrics,
    precision_and_recall,
    predicted_labels,
    top_k_hits,
    wilson_interval,
)


@given(st.integers(1, 9), st.integers(1, 30), st.integers(0, 99))
def test_top_k_equals_sorting(classes: int, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal((count, classes))
    labels = rng.integers(0, classes, count)
    for k in (1, 5, classes):
        best = np.argsort(-scores, 1)[:, :k]
        np.testing.assert_array_equal(
            top_k_hits(scores, labels, k), (best == labels[:, None]).any(1)
        )


def test_top5_of_three_classes_is_three() -> None:
    metric = TopK()
    metric.update(np.arange(4), np.eye(3)[[0, 1, 2, 0]], np.array([0, 1, 2, 1]))
    assert metric.compute() == {"top1": 75.0, "top5": 100.0}


def test_constant_and_undefined_scores_have_no_luck() -> None:
    labels = np.array([0, 1])
    assert not top_k_hits(np.zeros((2, 4)), labels, 1).any()
    assert not top_k_hits(np.full((2, 4), np.nan), labels, 4).any()


@pytest.mark.parametrize("name", METRICS.names())
def test_batches_order_and_repeats_do_not_matter(name: str) -> None:
    rng = np.random.default_rng(0)
    scores, labels, ids = rng.random((17, 4)), rng.integers(0, 4, 17), np.arange(17)
    whole, parts = METRICS.get(name)(), METRICS.get(name)()
    whole.update(ids, scores, labels)
    for part in np.array_split(rng.permutation(17), 5):
        parts.update(ids[part], scores[part], labels[part])
    parts.update(ids[:3], scores[:3], labels[:3])
    assert whole.compute() == parts.compute()
    whole.reset()
    assert all(np.isnan(value) for value in whole.compute().values())


def test_short_last_batch_weighs_what_it_holds() -> None:
    metric = TopK((1,))
    metric.update(np.array([0, 1]), np.array([[1.0, 0], [1, 0]]), np.array([0, 1]))
    metric.update(np.array([2]), np.array([[1.0, 0]]), np.array([1]))
    assert metric.compute()["top1"] == pytest.approx(100 / 3)


def test_mean_class_and_confusion() -> None:
    scores, labels = np.eye(3)[[0, 0, 0, 1]], np.array([0, 0, 1, 1])
    metric = MeanClassAccuracy()
    metric.update(np.arange(4), scores, labels)
    assert metric.compute()["mean_class"] == 75.0
    assert confusion_matrix(scores, labels).tolist() == [[2, 0, 0], [1, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize("scores", [np.zeros((2, 2)), np.full((2, 2), np.nan)])
def test_all_metrics_agree_on_scores_that_say_nothing(scores: np.ndarray) -> None:
    labels = np.array([0, 1])
    for name, metric in (("top1", TopK()), ("mean_class", MeanClassAccuracy())):
        metric.update(np.arange(2), scores, labels)
        assert metric.compute()[name] == 0.0


def test_undefined_scores_predict_nothing() -> None:
    scores = np.array([[0.2, 0.8], [np.nan, 1.0]])
    assert predicted_labels(scores).tolist() == [1, -1]
    assert confusion_matrix(scores, np.array([1, 1])).tolist() == [[0, 0], [0, 1]]


@pytest.mark.parametrize(
    ("hits", "count", "expected"),
    [
        # Closed form with z = 1.96: at the ends one bound is z^2 / (n + z^2) away.
        (0, 10, (0.0, 27.753)),
        (10, 10, (72.247, 100.0)),
        (50, 100, (40.383, 59.617)),
        (945, 1000, (92.909, 95.751)),
    ],
)
def test_wilson_interval(hits: int, count: int, expected: tuple[float, float]) -> None:
    assert wilson_interval(hits, count) == pytest.approx(expected, abs=2e-3)


def test_wilson_interval_of_nothing() -> None:
    assert np.isnan(wilson_interval(0, 0)).all()


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    drawn = np.random.default_rng(0).binomial(200, 0.9, 2000)
    covered = [low <= 90 <= high for low, high in (wilson_interval(int(k), 200) for k in drawn)]
    assert 0.935 < np.mean(covered) < 0.97


def test_precision_and_recall_of_a_worked_example() -> None:
    matrix = np.array([[3, 1, 0], [2, 2, 0], [0, 0, 0]])
    precision, recall, support = precision_and_recall(matrix)
    np.testing.assert_allclose(precision, [60, 200 / 3, np.nan])
    np.testing.assert_allclose(recall, [75, 50, np.nan])
    assert support.tolist() == [4, 4, 0]


def test_average_views_of_a_worked_example() -> None:
    logits = np.log(np.array([[0.8, 0.1, 0.1], [0.2, 0.5, 0.3]], np.float32)) + 500
    np.testing.assert_allclose(average_views(logits), [0.5, 0.3, 0.2], atol=1e-6)
    means = np.sqrt([0.8 * 0.2, 0.1 * 0.5, 0.1 * 0.3])
    expected = means / means.sum()
    np.testing.assert_allclose(average_views(logits, "logits"), expected, atol=1e-5)
    several = np.stack([logits, logits[::-1]])
    np.testing.assert_allclose(average_views(several), [[0.5, 0.3, 0.2]] * 2, atol=1e-6)
    one = logits[:1]
    np.testing.assert_allclose(average_views(one, "logits"), average_views(one), rtol=1e-12)
    with pytest.raises(ValueError, match="known: scores, logits"):
        average_views(logits, "prob")


def test_undefined_logits_stay_undefined() -> None:
    logits = np.array([[[0.0, np.nan]], [[np.inf, 0.0]], [[0.0, 0.0]]])
    for average in ("scores", "logits"):
        assert np.isnan(average_views(logits, average)).any(1).tolist() == [True, True, False]


# -- several labels per clip ---------------------------------------------------------------------


def precision_by_thresholds(scores: np.ndarray, is_own: np.ndarray) -> float:
    """Average precision from its definition: at every distinct score, recall won x precision."""
    total, recall_before = 0.0, 0.0
    for threshold in sorted(set(scores.tolist()), reverse=True):
        chosen = [own for own, score in zip(is_own, scores, strict=True) if score >= threshold]
        recall = sum(chosen) / sum(is_own)
        total += (recall - recall_before) * sum(chosen) / len(chosen)
        recall_before = recall
    return 100.0 * total


@given(st.integers(1, 5), st.integers(1, 25), st.integers(2, 60), st.integers(0, 999))
def test_average_precision_equals_its_definition(
    classes: int, count: int, levels: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, levels, (count, classes)) / levels  # few levels: many are equal
    labels = rng.integers(0, 2, (count, classes))
    found = average_precision(scores, labels)
    for k in range(classes):
        if labels[:, k].any():
            expected = precision_by_thresholds(scores[:, k], labels[:, k].astype(bool))
            assert found[k] == pytest.approx(expected, abs=1e-9)
        else:
            assert np.isnan(found[k])


def test_multi_label_metrics_of_a_known_case() -> None:
    scores = np.array([[0.9, 0.8, 0.1], [0.6, 0.2, 0.3], [0.1, 0.7, 0.2], [0.2, 0.4, 0.3]])
    labels = np.array([[1, 1, 0], [0, 1, 0], [0, 1, 0], [1, 0, 0]], np.float32)
    # Class 0: hits at ranks 1 and 3 of 4. Class 1: ranks 1, 2, 4. Class 2 has no clip.
    values = multi_label_metrics(scores, labels)
    first, second = (1 + 2 / 3) / 2, (1 + 1 + 3 / 4) / 3
    assert values["mAP"] == pytest.approx(100 * (first + second) / 2)
    assert values["hit1"] == 50.0  # clips 0 and 2
    assert values["exact"] == 50.0


def test_constant_and_undefined_multi_label_scores_have_no_luck() -> None:
    labels = np.array([[1], [0], [0], [0]])
    assert average_precision(np.full((4, 1), 0.3), labels)[0] == pytest.approx(25.0)
    scores = np.array([[0.9], [np.nan], [0.1], [0.2]])
    assert average_precision(scores, labels)[0] == pytest.approx(50.0)  # the undefined one is above
    scores = np.array([[np.nan], [0.3], [0.1], [0.2]])
    assert average_precision(scores, labels)[0] == pytest.approx(25.0)
    nothing = multi_label_metrics(np.zeros((0, 3)), np.zeros((0, 3)))
    assert all(np.isnan(value) for value in nothing.values())


def test_sigmoid_views() -> None:
    logits = np.random.default_rng(0).standard_normal((2, 3, 4)) * 5
    sigmoid = 1 / (1 + np.exp(-logits))
    found = average_views(logits, "scores", "sigmoid")
    np.testing.assert_allclose(found, sigmoid.mean(1), atol=1e-12)
    expected = 1 / (1 + np.exp(-logits.mean(1)))
    np.testing.assert_allclose(average_views(logits, "logits", "sigmoid"), expected, atol=1e-12)
    huge = average_views(np.array([[1e4, -1e4, np.inf]]), "scores", "sigmoid")
    np.testing.assert_array_equal(huge[:2], [1.0, 0.0])
    assert np.isnan(huge[2])
    with pytest.raises(ValueError, match="activation 'relu'"):
        average_views(logits, "scores", "relu")
