# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What a run leaves on disk: metrics.jsonl, curves.png, and the files of a test."""

from __future__ import annotations

import csv
import io
import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paddletsm.data import Failure, Sample
from paddletsm.engine.multi_label import multi_label_classes, multi_label_predictions
from paddletsm.engine.score_files import FILE_NAME, write_scores
from paddletsm.engine.scored import Scored
from paddletsm.engine.writers import ScalarWriter
from paddletsm.metrics import (
    confusion_matrix,
    per_class_hits,
    precision_and_recall,
    predicted_labels,
)
from paddletsm.utils.io import write_atomic
from paddletsm.utils.plots import draw_confusion_matrix, draw_curves

logger = logging.getLogger(__name__)


class MetricsLog:
    """metrics.jsonl: one JSON object per record, with split, epoch and step.

    Args:
        path: of the file.
        writers: other places that get every record, see ``engine/writers.py``.
    """

    def __init__(self, path: Path, writers: Sequence[ScalarWriter] = ()) -> None:
        self.path = path
        self.writers = tuple(writers)

    def append(self, record: dict[str, Any]) -> None:
        """Write one record; NaN becomes null, as JSON has no NaN."""
        line = json.dumps({key: _json_number(value) for key, value in record.items()})
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        for writer in self.writers:
            writer.write(json.loads(line))

    def read(self) -> list[dict[str, Any]]:
        """All records; a last line cut off by a crash is left out."""
        if not self.path.is_file():
            return []
        records = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                records.append(json.loads(line))
            except json.JSONDecodeError:
                continue
        return records

    def drop_after(self, step: int, *, is_validated: bool) -> None:
        """Remove the records that a run resumed at ``step`` is going to write again."""
        last = {"train": step, "valid": step if is_validated else step - 1}
        kept = [r for r in self.read() if r.get("step", 0) <= last.get(r.get("split"), step)]
        text = "".join(json.dumps(record) + "\n" for record in kept)
        write_atomic(self.path, text.encode())
        for writer in self.writers:
            writer.rewrite(kept)

    def close(self) -> None:
        """Write what the other places have buffered."""
        for writer in self.writers:
            writer.close()


def _json_number(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value


def write_curves(log: MetricsLog, path: Path, title: str) -> None:
    """Draw curves.png from metrics.jsonl."""
    draw_curves(log.read(), path, title)


def write_test_results(
    folder: Path,
    scored: Scored,
    samples: Sequence[Sample],
    names: Sequence[str],
    facts: dict[str, Any],
) -> dict[str, Any]:
    """Write predictions.csv, scores.npz, per_class.csv, confusion_matrix.{csv,png}, metrics.json.

    There is no confusion matrix of clips with several labels.

    Args:
        folder: created when absent.
        scored: the scores.
        samples: of the data set, by sample id.
        names: class names in label order.
        facts: what else metrics.json states: protocol, weights, versions.

    Returns:
        The content of metrics.json.
    """
    by_id = {sample.id: sample for sample in samples}
    metrics: dict[str, Any] = {key: _json_number(value) for key, value in scored.metrics().items()}
    if not scored.is_multi_label:
        metrics["top1_interval"] = [_json_number(value) for value in scored.top1_interval()]
    metrics.update(facts)
    metrics["failed"] = [
        {"path": f.path, "reason": f.reason, "id": f.sample_id, **_labels_of(by_id, f, scored)}
        for f in scored.failures
    ]
    write_scores(folder / FILE_NAME, scored, samples, names)
    if scored.is_multi_label:
        _write_csv(folder / "predictions.csv", multi_label_predictions(scored, by_id, names))
        _write_csv(folder / "per_class.csv", multi_label_classes(scored, names))
    else:
        _write_predictions(folder / "predictions.csv", scored, by_id, names)
        _write_per_class(folder / "per_class.csv", scored, names)
        _write_confusion(folder, scored, names, metrics)
    # Last: where it is, the files beside it are of the same test.
    write_atomic(folder / "metrics.json", json.dumps(metrics, indent=2).encode())
    return metrics


def _labels_of(by_id: Mapping[int, Sample], failure: Failure, scored: Scored) -> dict[str, Any]:
    sample = by_id[failure.sample_id]
    return {"labels": sample.labels} if scored.is_multi_label else {"label": sample.label}


def _write_predictions(
    path: Path, scored: Scored, by_id: Mapping[int, Sample], names: Sequence[str]
) -> None:
    rows: list[list[Any]] = [
        ["path", "label", "prediction", "score", "label_name", "prediction_name"]
    ]
    best = predicted_labels(scored.scores)
    for index, sample_id in enumerate(scored.ids):
        label, predicted = int(scored.labels[index]), int(best[index])
        clip = by_id[int(sample_id)].path
        if predicted < 0:
            rows.append([clip, label, "", "", names[label], "undefined scores"])
            continue
        score = f"{scored.scores[index, predicted]:.6f}"
        rows.append([clip, label, predicted, score, names[label], names[predicted]])
    for failure in scored.failures:
        label = by_id[failure.sample_id].label
        rows.append([failure.path, label, "", "", names[label], "failed"])
    _write_csv(path, rows)


def _write_confusion(
    folder: Path, scored: Scored, names: Sequence[str], metrics: Mapping[str, Any]
) -> None:
    matrix = confusion_matrix(scored.scores, scored.labels)
    header = [["label \\ prediction", *names]]
    counts = [[name, *map(int, row)] for name, row in zip(names, matrix, strict=True)]
    _write_csv(folder / "confusion_matrix.csv", header + counts)
    top1 = metrics["top1"]
    title = f"{metrics['model_name']}, top-1 {top1:.1f} %" if top1 is not None else ""
    draw_confusion_matrix(matrix, list(names), folder / "confusion_matrix.png", title)


def _write_per_class(path: Path, scored: Scored, names: Sequence[str]) -> None:
    all_clips, all_hits = per_class_hits(scored.scores, scored.labels)
    matrix = confusion_matrix(scored.scores, scored.labels)
    precision, recall, support = precision_and_recall(matrix)
    header = ["label", "name", "clips", "correct", "top1", "precision", "recall", "support"]
    rows: list[list[Any]] = [header]
    for label, name in enumerate(names):
        clips, correct = int(all_clips[label]), int(all_hits[label])
        shares = (100.0 * correct / clips if clips else math.nan, precision[label], recall[label])
        texts = ["" if math.isnan(share) else f"{share:.2f}" for share in shares]
        rows.append([label, name, clips, correct, *texts, int(support[label])])
    _write_csv(path, rows)


def _write_csv(path: Path, rows: list[list[Any]]) -> None:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    write_atomic(path, buffer.getvalue().encode(errors="backslashreplace"))
