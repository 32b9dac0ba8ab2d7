# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Predictions as text, JSON lines and CSV."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import TracebackType
from typing import Any

from paddletsm.deploy.predictor import Prediction
from paddletsm.errors import ConfigError
from paddletsm.utils.text import nearest

_FORMATS = (".jsonl", ".csv")
STAGES = ("open", "decode", "transform", "infer")


def as_record(prediction: Prediction) -> dict[str, Any]:
    """Plain data for JSON: path, error, top (label, id, score) and milliseconds per stage."""
    top = zip(prediction.labels, prediction.label_ids, prediction.scores, strict=True)
    return {
        "path": prediction.path,
        "error": prediction.error,
        "top": [{"label": label, "id": number, "score": score} for label, number, score in top],
        "times_ms": {stage: round(value, 3) for stage, value in prediction.times_ms.items()},
    }


def as_text(prediction: Prediction) -> str:
    """Readable block: the file, one line per class with its score, milliseconds per stage."""
    if prediction.error is not None:
        return f"{prediction.path}\n  failed: {prediction.error}"
    width = max(len(label) for label in prediction.labels)
    lines = [
        f"  {100 * score:6.2f} %  {label:<{width}}  (class {number})"
        for label, number, score in zip(
            prediction.labels, prediction.label_ids, prediction.scores, strict=True
        )
    ]
    stages = ", ".join(f"{stage} {value:.1f}" for stage, value in prediction.times_ms.items())
    return "\n".join([prediction.path, *lines, f"  ms: {stages}"])


class ResultWriter:
    """Writes each prediction as it comes, so that an interrupted run keeps what it has.

    Args:
        path: a .jsonl or .csv file; an existing one is replaced.
        top_k: classes per line of CSV.

    Raises:
        ConfigError: another format, or a file that cannot be written.
    """

    def __init__(self, path: str | Path, top_k: int) -> None:
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix not in _FORMATS:
            raise ConfigError(
                f"--output {path}: the name must end in .jsonl or .csv{nearest(suffix, _FORMATS)}"
            )
        self._top_k = top_k
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # File names need not be valid Unicode; what is not, is written as \\udcXX.
            self._file = path.open("w", encoding="utf-8", errors="backslashreplace", newline="")
        except OSError as err:
            raise ConfigError(f"--output {path}: cannot be written: {err}") from err
        self._csv = csv.writer(self._file) if suffix == ".csv" else None
        if self._csv is not None:
            ranks = [f"{name}{k}" for k in range(1, top_k + 1) for name in ("label", "id", "score")]
            self._csv.writerow(["path", "error", *ranks, *(f"{stage}_ms" for stage in STAGES)])

    def write(self, prediction: Prediction) -> None:
        """Append one line and hand it to the system."""
        record = as_record(prediction)
        if self._csv is None:
            self._file.write(json.dumps(record, ensure_ascii=False) + "\n")
        else:
            cells = [cell for row in record["top"] for cell in row.values()]
            cells += [""] * (3 * self._top_k - len(cells))
            times = [record["times_ms"].get(stage, "") for stage in STAGES]
            self._csv.writerow([record["path"], record["error"] or "", *cells, *times])
        self._file.flush()

    def __enter__(self) -> ResultWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        err: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
