# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Tables that a test of clips with several labels leaves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from paddletsm.data import Sample
from paddletsm.engine.scored import Scored
from paddletsm.metrics import THRESHOLD, average_precision


def multi_label_predictions(
    scored: Scored, by_id: Mapping[int, Sample], names: Sequence[str]
) -> list[list[Any]]:
    """Rows of predictions.csv: labels, and the classes whose scores lie above 0.5, best first.

    Class numbers are joined by commas, as in a list; scores likewise; names by "; ".
    """
    header = ["path", "labels", "predictions", "scores", "label_names", "prediction_names"]
    rows: list[list[Any]] = [header]
    for sample_id, scores in zip(scored.ids, scored.scores, strict=True):
        sample = by_id[int(sample_id)]
        start = [sample.path, _numbers(sample.labels)]
        if not np.isfinite(scores).all():
            rows.append([*start, "", "", _names(sample.labels, names), "undefined scores"])
            continue
        above = [int(k) for k in np.argsort(-scores, kind="stable") if scores[k] > THRESHOLD]
        texts = ",".join(f"{scores[k]:.6f}" for k in above)
        ends = [_names(classes, names) for classes in (sample.labels, above)]
        rows.append([*start, _numbers(above), texts, *ends])
    for failure in scored.failures:
        labels = by_id[failure.sample_id].labels
        rows.append([failure.path, _numbers(labels), "", "", _names(labels, names), "failed"])
    return rows


def multi_label_classes(scored: Scored, names: Sequence[str]) -> list[list[Any]]:
    """Rows of per_class.csv: average precision; precision and recall of the scores above 0.5."""
    rows: list[list[Any]] = [
        ["label", "name", "clips", "average_precision", "predicted", "precision", "recall"]
    ]
    all_ap = average_precision(scored.scores, scored.labels)
    is_predicted, is_own = scored.scores > THRESHOLD, scored.labels > 0
    hits = (is_predicted & is_own).sum(0)
    for label, name in enumerate(names):
        clips, predicted = int(is_own[:, label].sum()), int(is_predicted[:, label].sum())
        precision, recall = (
            100.0 * hits[label] / count if count else math.nan for count in (predicted, clips)
        )
        texts = ["" if math.isnan(x) else f"{x:.2f}" for x in (all_ap[label], precision, recall)]
        rows.append([label, name, clips, texts[0], predicted, *texts[1:]])
    return rows


def _numbers(labels: Iterable[int]) -> str:
    return ",".join(map(str, labels))


def _names(labels: Iterable[int], names: Sequence[str]) -> str:
    return "; ".join(names[label] for label in labels)
