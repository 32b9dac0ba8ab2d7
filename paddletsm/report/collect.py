# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Read a run folder: configuration, curves, tests. Files that are absent are left out."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from paddletsm.errors import DataError
from paddletsm.metrics import wilson_interval
from paddletsm.utils.io import nearest_file

ORDERS = ("ordered", "shuffled", "reversed")


@dataclass(frozen=True)
class Guess:
    """One tested clip.

    Attributes:
        path: as in predictions.csv.
        label: the right class.
        predicted: the class with the best score.
        score: of ``predicted``, 0..1; NaN when unknown.
        own: score of ``label``, 0..1; NaN when the test has left no scores.npz.
    """

    path: str
    label: int
    predicted: int
    score: float
    own: float

    @property
    def is_right(self) -> bool:
        """Whether the prediction is the label."""
        return self.label == self.predicted


@dataclass(frozen=True)
class TestResult:
    """One test of a run: a folder with metrics.json, predictions.csv and per_class.csv.

    ``classes`` are the rows of per_class.csv.
    """

    __test__ = False  # not a test case of pytest

    folder: Path
    metrics: Mapping[str, Any]
    guesses: tuple[Guess, ...]
    names: tuple[str, ...]
    classes: tuple[Mapping[str, str], ...] = ()

    @property
    def is_multi_label(self) -> bool:
        """Whether clips have several labels; then ``guesses`` is empty."""
        return "mAP" in self.metrics

    @property
    def protocol(self) -> Mapping[str, Any]:
        """The protocol as metrics.json states it."""
        value = self.metrics.get("protocol")
        return value if isinstance(value, dict) else {}

    @property
    def order(self) -> str:
        """Order of the frames: ordered, shuffled or reversed."""
        return str(self.protocol.get("frame_order", "ordered"))

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval of top-1 in percent; Wilson's when metrics.json states none."""
        stated = self.metrics.get("top1_interval")
        if isinstance(stated, list) and len(stated) == 2 and None not in stated:
            return float(stated[0]), float(stated[1])
        top1, count = self.metrics.get("top1"), self.metrics.get("num_samples")
        if top1 is None or not count:
            return None
        return wilson_interval(round(top1 / 100 * count), count)

    def matrix(self) -> np.ndarray:
        """Counts [K, K]: rows are labels, columns are predictions."""
        size = len(self.names)
        counts = np.zeros((size, size), np.int64)
        for guess in self.guesses:
            counts[guess.label, guess.predicted] += 1
        return counts

    def hardest(self, limit: int) -> list[Guess]:
        """Wrong clips, the surest first; without any, half as many right ones.

        The least sure of those come first. Equal scores keep the order of the list.
        """
        wrong = sorted((g for g in self.guesses if not g.is_right), key=_surest_first)
        right = sorted((g for g in self.guesses if g.is_right), key=lambda g: _known(g.score, 1.0))
        return wrong[:limit] or right[: (limit + 1) // 2]


@dataclass(frozen=True)
class Run:
    """A run folder as the report needs it."""

    folder: Path
    name: str
    config: Mapping[str, Any]
    records: tuple[Mapping[str, Any], ...] = ()
    tests: tuple[TestResult, ...] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)
    config_text: str = ""

    @property
    def test(self) -> TestResult | None:
        """The test that the page is about: ``test/``, else the first with ordered frames."""
        ordered = [test for test in self.tests if test.order == "ordered"]
        return next(
            (test for test in ordered if test.folder.name == "test"), (ordered or [None])[0]
        )

    @property
    def probe(self) -> dict[str, TestResult]:
        """A test and those of the same weights and samples with the frames reordered.

        It is the main test, or an earlier one where only that was repeated in another order.
        """
        ordered = [test for test in self.tests if test.order == "ordered"]
        for first in sorted(ordered, key=lambda test: test is not self.test):
            found = {"ordered": first}
            for test in self.tests:
                if test.order != "ordered" and _is_same_test(test, first):
                    found.setdefault(test.order, test)
            if len(found) > 1:
                return {order: found[order] for order in ORDERS if order in found}
        return {} if self.test is None else {"ordered": self.test}

    def of_split(self, split: str) -> list[Mapping[str, Any]]:
        """Records of metrics.jsonl of one split."""
        return [record for record in self.records if record.get("split") == split]


def _is_same_test(one: TestResult, other: TestResult) -> bool:
    keys = ("weights_sha256", "pipeline_sha256", "num_samples")
    return all(one.metrics.get(key) == other.metrics.get(key) for key in keys)


def _surest_first(guess: Guess) -> tuple[float, float]:
    return -_known(guess.score, 0.0), _known(guess.own, 0.0)


def _known(value: float, otherwise: float) -> float:
    return otherwise if math.isnan(value) else value


def collect_run(folder: str | Path) -> Run:
    """Read a run folder.

    Raises:
        DataError: it is no run folder, or one of its files cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        problem = "is a file, no run folder" if folder.exists() else "there is no such folder"
        raise DataError(f"{folder}: {problem}{nearest_file(folder)}")
    tests = tuple(_read_test(path.parent) for path in sorted(folder.glob("test*/metrics.json")))
    if not (folder / "config.yaml").is_file() and not tests:
        raise DataError(
            f"{folder} is no run folder: it holds neither config.yaml nor test/metrics.json; give "
            "the folder that training or --test has written, output_dir/model_name"
        )
    text = _config_text(folder, tests)
    config = _parsed(yaml.safe_load, text, folder / "config.yaml") or {}
    return Run(
        folder=folder,
        name=str(config.get("model_name") or folder.name),
        config=config,
        records=tuple(_read_lines(folder / "metrics.jsonl")),
        tests=tests,
        environment=_read_json(folder / "environment.json"),
        config_text=text,
    )


def _config_text(folder: Path, tests: Sequence[TestResult]) -> str:
    """Of the training, else of a test."""
    for path in (folder / "config.yaml", *(test.folder / "config.yaml" for test in tests)):
        if path.is_file():
            return path.read_text(encoding="utf-8", errors="replace")
    return ""


def _parsed(parse: Any, text: str, path: Path) -> Any:
    try:
        return parse(text)
    except (json.JSONDecodeError, yaml.YAMLError) as err:
        raise DataError(f"{path}: cannot be read ({' '.join(str(err).split())})") from err


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    value = _parsed(json.loads, path.read_text(encoding="utf-8"), path)
    if not isinstance(value, dict):
        raise DataError(f"{path}: must hold one JSON object")
    return value


def _read_lines(path: Path) -> list[dict[str, Any]]:
    """Records of metrics.jsonl; a line cut off by a crash is left out."""
    records = []
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    for line in lines:
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(record, dict):
            records.append(record)
    return records


def _read_test(folder: Path) -> TestResult:
    classes = tuple(_rows(folder / "per_class.csv"))
    names = tuple(row.get("name") or "" for row in classes)
    metrics = _read_json(folder / "metrics.json")
    if "mAP" in metrics:
        return TestResult(folder, metrics, (), names, classes)
    path = folder / "predictions.csv"
    own = _own_scores(folder / "scores.npz")
    guesses = []
    for row in _rows(path):
        try:
            label = int(row["label"])
            predicted = int(row["prediction"]) if row.get("prediction") else -1
            score = float(row.get("score") or "nan")
        except (KeyError, ValueError, TypeError) as err:
            raise DataError(f"{path}: a row has no label, prediction or score: {row}") from err
        if not (0 <= label < len(names) and predicted < len(names)):
            raise DataError(f"{path}: label {label} or {predicted} is not in per_class.csv")
        if predicted >= 0:  # a failed clip has none; metrics.json lists it
            guesses.append(
                Guess(row["path"], label, predicted, score, own.get(row["path"], math.nan))
            )
    return TestResult(folder, metrics, tuple(guesses), names, classes)


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        return list(csv.DictReader(file))


def _own_scores(path: Path) -> dict[str, float]:
    """Score of the label of every path; none without scores.npz or in another layout."""
    if not path.is_file():
        return {}
    try:
        with np.load(path, allow_pickle=False) as file:
            paths, scores, labels = file["paths"], file["scores"], file["labels"]
        own = np.take_along_axis(scores, labels[:, None].astype(np.int64), axis=1)[:, 0]
        return {str(name): float(value) for name, value in zip(paths, own, strict=True)}
    except (OSError, KeyError, ValueError, IndexError) as err:
        raise DataError(f"{path}: cannot be read ({err})") from err
