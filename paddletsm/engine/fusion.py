# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Fuse the scores of several tests of the same clips; needs no Paddle and no videos.

RUN/test/scores.npz ... -> weighted mean of the scores -> the files of a test
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from paddletsm.data import Failure, Sample
from paddletsm.engine.results import write_test_results
from paddletsm.engine.score_files import FILE_NAME, StoredScores, read_scores
from paddletsm.engine.scored import Scored
from paddletsm.errors import ConfigError, DataError
from paddletsm.utils.text import listing
from paddletsm.version import __version__

logger = logging.getLogger(__name__)

_FACTS = ("model_name", "protocol", "weights_sha256", "pipeline_sha256", "top1", "top5")


@dataclass(frozen=True)
class _Test:
    """One of the tests that are fused: its scores in the order of (path, id)."""

    folder: Path
    stored: StoredScores
    metrics: dict[str, Any]
    order: np.ndarray


def fuse_tests(
    folders: Sequence[str | Path], out_dir: str | Path, *, weights: Sequence[float] | None = None
) -> dict[str, Any]:
    """Average the scores of tests and write the files of a test.

    Args:
        folders: of two or more tests of the same samples, each with scores.npz and metrics.json.
        out_dir: where the files go; not one of ``folders``.
        weights: one number above 0 for each test; equal when not given.

    Returns:
        The content of metrics.json.

    Raises:
        ConfigError: fewer than two tests, or weights that do not fit them.
        DataError: the tests differ in samples, labels or classes; the message names the first.
    """
    shares = _shares(folders, weights)
    tests = [_read(Path(folder)) for folder in folders]
    out_dir = Path(out_dir)
    if out_dir.resolve() in [test.folder.resolve() for test in tests]:
        raise ConfigError(f"{out_dir} holds one of the tests to fuse; name another folder")
    _check_different(tests)
    for other in tests[1:]:
        _check_same(tests[0], other)
    first = tests[0].stored
    undo = np.argsort(tests[0].order)  # the order of the first test
    fused = sum(
        share * test.stored.scores[test.order].astype(np.float64)
        for share, test in zip(shares, tests, strict=True)
    )
    failures = _failures(tests)
    scored = Scored(first.ids, fused[undo].astype(np.float32), first.labels, tuple(failures))
    samples = [
        Sample(path, int(label), int(sample_id))
        for path, label, sample_id in zip(first.paths, first.labels, first.ids, strict=True)
    ]
    samples += [
        Sample(failure.path, label, failure.sample_id) for failure, label in failures.items()
    ]
    facts = {
        "model_name": "fused",
        "protocol": {"name": "fused", "average": "scores", "frame_order": _orders(tests)},
        "fused": [
            {"folder": str(test.folder), "weight": share, **_facts(test)}
            for share, test in zip(shares, tests, strict=True)
        ],
        "versions": {"paddletsm": __version__, "numpy": np.__version__},
    }
    return write_test_results(out_dir, scored, samples, first.class_names, facts)


def _shares(folders: Sequence[str | Path], weights: Sequence[float] | None) -> list[float]:
    """Weights with sum 1."""
    if len(folders) < 2:
        raise ConfigError("fusion takes two or more tests; name their folders (RUN/test)")
    if weights is None:
        weights = [1.0] * len(folders)
    if len(weights) != len(folders):
        raise ConfigError(
            f"{len(weights)} weights for {len(folders)} tests; give one number for each"
        )
    if not all(math.isfinite(weight) and weight > 0 for weight in weights):
        raise ConfigError(f"weights must be numbers above 0, not {listing(weights)}")
    largest = max(weights)  # first, as the sum of huge weights is infinite
    total = sum(weight / largest for weight in weights)
    return [weight / largest / total for weight in weights]


def _read(folder: Path) -> _Test:
    """Read one test; RUN stands for RUN/test."""
    if not (folder / FILE_NAME).is_file() and (folder / "test" / FILE_NAME).is_file():
        folder = folder / "test"
    stored = read_scores(folder / FILE_NAME)
    path = folder / "metrics.json"
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise DataError(f"{path} cannot be read: {err}; test again") from err
    if not isinstance(metrics, dict) or not isinstance(metrics.get("failed"), list):
        raise DataError(f"{path} was not written by a test; test again")
    order = sorted(range(len(stored.ids)), key=lambda i: (stored.paths[i], int(stored.ids[i])))
    return _Test(folder, stored, metrics, np.array(order, np.int64))


def _check_different(tests: Sequence[_Test]) -> None:
    """Refuse a test that was named twice: fusing it with itself only looks like a result.

    Raises:
        ConfigError: with its folder.
    """
    seen: set[Path] = set()
    for test in tests:
        folder = test.folder.resolve()
        if folder in seen:
            raise ConfigError(f"{test.folder} is named twice; to count it more, use weights")
        seen.add(folder)


def _check_same(first: _Test, other: _Test) -> None:
    """Refuse tests of different classes, samples or labels.

    Raises:
        DataError: with the first difference.
    """
    pair = f"{first.folder} and {other.folder}"
    if first.stored.class_names != other.stored.class_names:
        names = (first.stored.class_names, other.stored.class_names)
        differing = [(a, b) for a, b in zip(*names, strict=False) if a != b]
        example = f"; {differing[0][0]!r} is {differing[0][1]!r} there" if differing else ""
        raise DataError(
            f"{pair} are tests of other classes ({len(names[0])} and {len(names[1])}{example}); "
            "only scores of the same classes in the same order can be averaged"
        )
    paths = [[test.stored.paths[i] for i in test.order] for test in (first, other)]
    if paths[0] != paths[1]:
        lacking = sorted(set(paths[0]) ^ set(paths[1])) or ["a clip that one has more often"]
        raise DataError(
            f"{pair} are not tests of the same clips: {len(paths[0])} and {len(paths[1])}, "
            f"{len(lacking)} of them in one alone, such as {lacking[0]} (a clip that could not be "
            "read is missing: see 'failed' of metrics.json)"
        )
    labels = [test.stored.labels[test.order] for test in (first, other)]
    differing = np.nonzero(labels[0] != labels[1])[0]
    if len(differing):
        i = int(differing[0])
        raise DataError(
            f"{pair}: {len(differing)} clips have other labels, {paths[0][i]} for one: "
            f"{labels[0][i]} and {labels[1][i]}; test both with the same list"
        )


def _failures(tests: Sequence[_Test]) -> dict[Failure, int]:
    """What no test could read, with its label; what only some could is refused before."""
    found: dict[str, tuple[Failure, int]] = {}
    for test in tests:
        for item in test.metrics["failed"]:
            try:
                failure = Failure(int(item["id"]), str(item["path"]), str(item["reason"]))
                found.setdefault(failure.path, (failure, int(item["label"])))
            except (KeyError, TypeError, ValueError) as err:
                raise DataError(
                    f"{test.folder / 'metrics.json'}: 'failed' lacks {err}; test again"
                ) from err
    return dict(sorted(found.values(), key=lambda pair: pair[0].sample_id))


def _facts(test: _Test) -> dict[str, Any]:
    return {key: test.metrics[key] for key in _FACTS if key in test.metrics}


def _orders(tests: Sequence[_Test]) -> str:
    """Order of the frames, where it was the same in all tests."""
    orders = {str((test.metrics.get("protocol") or {}).get("frame_order")) for test in tests}
    return orders.pop() if len(orders) == 1 else "mixed"


def describe_fusion(metrics: dict[str, Any]) -> str:
    """What was fused with what result, and a warning where it is no better than one of them."""
    lines = []
    for item in metrics["fused"]:
        name = (item.get("protocol") or {}).get("name", "unknown")
        lines.append(
            f"{_percent(item.get('top1'))}  {item['folder']} (protocol {name}, "
            f"weight {item['weight']:.3f})"
        )
    low, high = metrics["top1_interval"]
    lines.append(
        f"{_percent(metrics['top1'])}  fused, top-1 of {metrics['num_samples']} clips "
        f"(95 % interval {_percent(low).strip()} to {_percent(high).strip()})"
    )
    singles = [item["top1"] for item in metrics["fused"] if item.get("top1") is not None]
    if singles and metrics["top1"] is not None and metrics["top1"] <= max(singles):
        lines.append("note: the fused scores are not better than the best of the tests alone")
    return "\n".join(lines)


def _percent(value: float | None) -> str:
    return "     -" if value is None else f"{value:6.2f}"
