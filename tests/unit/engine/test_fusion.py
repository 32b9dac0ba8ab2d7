# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paddletsm.cli import fuse
from paddletsm.data import Failure, Sample
from paddletsm.engine.fusion import fuse_tests
from paddletsm.engine.results import write_test_results
from paddletsm.engine.score_files import read_scores
from paddletsm.engine.scored import Scored
from paddletsm.errors import ConfigError, DataError

NAMES = ("walk", "run", "jump")
LABELS = np.array([0, 1, 2, 0])


def write(folder: Path, scores: Any, **changed: Any) -> Path:
    """The files of a test of four clips (and one that cannot be read)."""
    labels = np.array(changed.get("labels", LABELS))
    ids = np.array(changed.get("ids", range(len(labels))))
    paths = changed.get("paths", [f"clips/{i}.avi" for i in ids])
    samples = [Sample(p, int(y), int(i)) for p, y, i in zip(paths, labels, ids, strict=True)]
    failures = tuple(Failure(s.id, s.path, "damaged") for s in changed.get("failed", ()))
    scored = Scored(ids, np.array(scores, np.float32), labels, failures)
    facts = {
        "model_name": folder.name,
        "protocol": {"name": "efficient", "frame_order": "ordered"},
        "weights_sha256": "ab",
    }
    samples += changed.get("failed", [])
    write_test_results(folder, scored, samples, changed.get("names", NAMES), facts)
    return folder


A = [[0.9, 0.05, 0.05], [0.5, 0.4, 0.1], [0.2, 0.2, 0.6], [0.3, 0.6, 0.1]]
B = [[0.2, 0.7, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4], [0.9, 0.05, 0.05]]


def test_weighted_mean_and_the_files_of_a_test(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", A), write(tmp_path / "b", B)
    metrics = fuse_tests([a, b], tmp_path / "fused", weights=[1, 3])
    stored = read_scores(tmp_path / "fused/scores.npz")
    expected = (np.array(A) + 3 * np.array(B)) / 4
    np.testing.assert_allclose(stored.scores, expected, atol=1e-6)
    assert metrics["top1"] == pytest.approx(100 * (expected.argmax(1) == LABELS).mean())
    assert [item["weight"] for item in metrics["fused"]] == [0.25, 0.75]
    assert [item["top1"] for item in metrics["fused"]] == [50.0, 75.0]
    assert metrics["protocol"]["name"] == "fused"
    assert sorted(p.name for p in (tmp_path / "fused").iterdir()) == sorted(
        p.name for p in a.iterdir()
    )
    assert json.loads((tmp_path / "fused/metrics.json").read_text()) == metrics
    # A fusion can be fused again.
    fuse_tests([tmp_path / "fused", a], tmp_path / "again")


def test_the_order_of_the_lists_does_not_matter(tmp_path: Path) -> None:
    a = write(tmp_path / "a", A)
    order = [2, 0, 3, 1]
    shuffled = {
        "labels": LABELS[order], "paths": [f"clips/{i}.avi" for i in order], "ids": range(4),
    }  # fmt: skip
    b = write(tmp_path / "b", np.array(B)[order], **shuffled)
    fuse_tests([a, b], tmp_path / "fused")
    stored = read_scores(tmp_path / "fused/scores.npz")
    assert stored.paths == tuple(f"clips/{i}.avi" for i in range(4))
    np.testing.assert_allclose(stored.scores, (np.array(A) + np.array(B)) / 2, atol=1e-6)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"names": ("walk", "fly", "jump")}, "tests of other classes.*'run' is 'fly'"),
        ({"labels": [0, 1, 2, 1]}, "1 clips have other labels, clips/3.avi for one: 0 and 1"),
        (
            {"paths": ["clips/0.avi", "clips/1.avi", "clips/2.avi", "x.avi"]},
            "not tests of the same",
        ),
        ({"paths": ["clips/0.avi"] * 4}, "not tests of the same"),
    ],
)
def test_other_sets_labels_and_classes_are_refused(
    changed: dict[str, Any], message: str, tmp_path: Path
) -> None:
    a, b = write(tmp_path / "a", A), write(tmp_path / "b", B, **changed)
    with pytest.raises(DataError, match=message):
        fuse_tests([a, b], tmp_path / "fused")
    assert not (tmp_path / "fused").exists()


def test_a_clip_that_one_test_could_not_read_is_refused(tmp_path: Path) -> None:
    broken = Sample("clips/3.avi", 0, 3)
    a = write(tmp_path / "a", A)
    b = write(tmp_path / "b", B[:3], labels=[0, 1, 2], failed=[broken])
    with pytest.raises(DataError, match=r"clips/3\.avi \(a clip that could not be read"):
        fuse_tests([a, b], tmp_path / "fused")
    a = write(tmp_path / "a2", A[:3], labels=[0, 1, 2], failed=[broken])
    metrics = fuse_tests([a, b], tmp_path / "fused")
    assert metrics["num_failed"] == 1
    assert metrics["failed"][0]["path"] == "clips/3.avi"


@pytest.mark.parametrize(
    ("count", "weights", "message"),
    [
        (1, None, "two or more"),
        (2, [1.0], "1 weights for 2 tests"),
        (2, [1.0, 0.0], "above 0"),
        (2, [1.0, float("nan")], "above 0"),
    ],
)
def test_wrong_weights(count: int, weights: Any, message: str, tmp_path: Path) -> None:
    folders = [write(tmp_path / f"t{i}", A) for i in range(count)]
    with pytest.raises(ConfigError, match=message):
        fuse_tests(folders, tmp_path / "fused", weights=weights)


def test_huge_weights_do_not_overflow(tmp_path: Path) -> None:
    folders = [write(tmp_path / "a", A), write(tmp_path / "b", B)]
    fuse_tests(folders, tmp_path / "fused", weights=[1, 1])
    fuse_tests(folders, tmp_path / "huge", weights=[1e308, 1e308])
    fused, huge = (np.load(tmp_path / name / "scores.npz")["scores"] for name in ("fused", "huge"))
    np.testing.assert_array_equal(huge, fused)


def test_a_test_named_twice_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "run/test", A)
    with pytest.raises(ConfigError, match="twice"):
        fuse_tests([folder, tmp_path / "run"], tmp_path / "fused")


def test_inputs_are_never_overwritten_and_damage_is_told(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", A), write(tmp_path / "b", B)
    with pytest.raises(ConfigError, match="holds one of the tests"):
        fuse_tests([a, b], a)
    with pytest.raises(DataError, match=r"does not exist.*RUN|does not exist"):
        fuse_tests([a, tmp_path / "c"], tmp_path / "fused")
    content = (b / "scores.npz").read_bytes()
    (b / "scores.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="damaged or was not written by a test"):
        fuse_tests([a, b], tmp_path / "fused")


def test_the_command_says_when_nothing_is_won(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = write(tmp_path / "run_a/test", A), write(tmp_path / "b", B)
    words = [str(tmp_path / "run_a"), str(b), "--output", str(tmp_path / "fused")]
    assert fuse.main(words) == 0
    out = capsys.readouterr().out
    assert "100.00  fused" in out
    assert "not better than the best" not in out
    assert fuse.main([*words, "--weights", "1", "0.001"]) == 0
    assert "not better than the best" in capsys.readouterr().out
    assert fuse.main([*words, "--weights", "1"]) == 2
    assert "1 weights for 2 tests" in capsys.readouterr().err
    assert a.is_dir()


def test_fusion_needs_no_paddle() -> None:
    code = "import sys, paddletsm.engine.fusion; assert 'paddle' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])
