# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Predictions as text, JSON lines and CSV; the lines can be read back."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paddletsm.deploy.predictor import Prediction
from paddletsm.errors import ConfigError, DataError
from paddletsm.utils.text import nearest

_FORMATS = (".jsonl", ".csv")
STAGES = ("open", "decode", "transform", "infer")
# Path, error, number of classes, number of the best one, model.
_Record = tuple[str, str | None, int, int | None, str]


def as_record(prediction: Prediction, model: str = "") -> dict[str, Any]:
    """Plain data for JSON: path, error, top (label, id, score), milliseconds per stage, model."""
    top = zip(prediction.labels, prediction.label_ids, prediction.scores, strict=True)
    return {
        "path": prediction.path,
        "error": prediction.error,
        "top": [{"label": label, "id": number, "score": score} for label, number, score in top],
        "times_ms": {stage: round(value, 3) for stage, value in prediction.times_ms.items()},
        "model": model,
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


@dataclass(frozen=True)
class Entry:
    """What a written result says.

    Attributes:
        path: the clip.
        is_failed: whether it could not be predicted.
        best: number of the most probable class; None where it failed.
    """

    path: str
    is_failed: bool
    best: int | None = None


@dataclass(frozen=True)
class Layout:
    """How results stand in a file.

    Attributes:
        suffix: ".jsonl" or ".csv".
        top_k: classes of a result.
        model: name and fingerprint of the network; written with each result.
    """

    suffix: str
    top_k: int
    model: str

    @property
    def header(self) -> bytes:
        """First line, b"" where there is none."""
        if self.suffix == ".jsonl":
            return b""
        ranks = [
            f"{name}{k}" for k in range(1, self.top_k + 1) for name in ("label", "id", "score")
        ]
        times = (f"{stage}_ms" for stage in STAGES)
        return _csv_line(["path", "error", *ranks, *times, "model"])

    def line(self, prediction: Prediction) -> bytes:
        """One result with its line end."""
        record = as_record(prediction, self.model)
        if self.suffix == ".jsonl":
            return (json.dumps(record, ensure_ascii=False) + "\n").encode("utf-8", _ESCAPE)
        cells = [cell for row in record["top"] for cell in row.values()]
        cells += [""] * (3 * self.top_k - len(cells))
        times = [record["times_ms"].get(stage, "") for stage in STAGES]
        return _csv_line([record["path"], record["error"] or "", *cells, *times, self.model])

    def parse(self, line: bytes, where: str) -> Entry:
        """Read a result back.

        Args:
            line: as ``line`` made it.
            where: "file:12", for messages.

        Raises:
            DataError: it is no result.
            ConfigError: it is that of another network, or names another number of classes.
        """
        try:
            text = line.decode("utf-8")
            record = _from_json(text) if self.suffix == ".jsonl" else self._from_csv(text)
        except (ValueError, KeyError, TypeError, StopIteration, csv.Error) as err:
            raise DataError(
                f"{where}: not a result of this command ({err}); name another --output"
            ) from err
        path, error, top, best, model = record
        if model != self.model:
            raise ConfigError(
                f"{where}: a result of the model {model!r}, this is {self.model!r}; name another "
                "--output, or leave --resume out to begin anew"
            )
        if not error and top != self.top_k:
            raise ConfigError(
                f"{where}: names {top} classes, this command {self.top_k}; use the same --top_k, "
                "name another --output, or leave --resume out to begin anew"
            )
        return Entry(path, bool(error), None if error else best)

    def _from_csv(self, text: str) -> _Record:
        cells = next(csv.reader(io.StringIO(text, newline=""), strict=True))
        top, rest = divmod(len(cells) - len(STAGES) - 3, 3)
        if rest or top < 1:
            raise ValueError(f"{len(cells)} columns")
        return cells[0], cells[1], top, int(cells[3]) if cells[3] else None, cells[-1]

    def known_as(self, path: str) -> str:
        """Return a path as it is read back: CSV escapes what is no valid Unicode for good."""
        if self.suffix == ".jsonl":
            return path
        return path.encode("utf-8", _ESCAPE).decode("utf-8")


# File names need not be valid Unicode; what is not, is written as \udcXX.
_ESCAPE = "backslashreplace"


def _from_json(text: str) -> _Record:
    record = json.loads(text)
    top = record["top"]
    best = int(top[0]["id"]) if top else None
    return record["path"], record["error"], len(top), best, record["model"]


def _csv_line(cells: list[Any]) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue().encode("utf-8", _ESCAPE)


def layout_of(path: str | Path, top_k: int, model: str = "") -> Layout:
    """Layout that the name of a file asks for.

    Raises:
        ConfigError: another ending than .jsonl or .csv.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _FORMATS:
        raise ConfigError(
            f"--output {path}: the name must end in .jsonl or .csv{nearest(suffix, _FORMATS)}"
        )
    return Layout(suffix, top_k, model)
