# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from paddletsm.cli.report import main
from paddletsm.errors import DataError
from paddletsm.report.charts import Series, line_chart, matrix_chart
from paddletsm.report.collect import Guess, Run, TestResult, collect_run
from paddletsm.report.page import report_page
from paddletsm.report.words import probe_verdict, sentence
from paddletsm.report.write import try_to_write_report, write_report
from tests.conftest import REPO
from tests.unit.report.conftest import write_test

_VOID = {"meta", "link", "img", "wbr", "br", "circle", "line", "rect", "polyline"}


class _Outline(HTMLParser):
    """Headings, addresses, ids, and whether the elements are nested properly."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[int] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.unnamed: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag not in _VOID:
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        self.addresses += [values[key] or "" for key in ("src", "href") if key in values]
        self.ids += [values["id"]] if "id" in values else []
        has_name = "aria-label" in values or "aria-labelledby" in values or "alt" in values
        if (tag in ("img", "svg", "canvas") or values.get("role") == "region") and not has_name:
            self.unnamed.append(tag)
        if tag == "th" and "scope" not in values:
            self.unnamed.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.open.pop() == tag, tag


def check_document(text: str) -> _Outline:
    """Well formed, one h1, no heading level skipped, nothing fetched, everything named."""
    outline = _Outline(text)
    assert outline.headings[0] == 1
    assert outline.headings.count(1) == 1
    steps = np.diff(outline.headings)
    assert steps.max() <= 1
    assert all(a.startswith(("data:", "#")) for a in outline.addresses), outline.addresses
    assert {a[1:] for a in outline.addresses if a.startswith("#")} <= set(outline.ids)
    assert outline.unnamed == []
    return outline


def test_the_page_of_a_run(run_folder: Path) -> None:
    path = write_report(run_folder, num_clips=0)
    text = path.read_text(encoding="utf-8")
    outline = check_document(text)
    assert outline.ids[:4] == ["training", "probe", "classes", "confusion"]
    plain = " ".join(re.sub(r"<[^>]+>", " ", text).replace("\u00a0", " ").split())
    assert (
        "TSM ResNet-18 with 8 frames per clip for 3 classes, trained for 2 epochs on 96 clips; "
        "the best validation was epoch 1." in plain
    )
    assert "96.39 %" in plain  # 80 of 83
    assert "8 frames × 1 clip × 3 crops" in plain
    assert "right &lt;&amp;&gt;" in text
    assert "<&>" not in text
    assert "cannot be opened" in plain
    assert "python main.py" in plain


def test_interval_matrix_and_hardest_clips(run_folder: Path) -> None:
    test = collect_run(run_folder).test
    assert test.interval == pytest.approx((89.9, 98.8), abs=0.1)  # Wilson, 80 of 83
    assert test.matrix().tolist() == [[40, 0, 0], [2, 40, 0], [0, 1, 0]]
    assert [guess.score for guess in test.hardest(12)] == [0.95, 0.7, 0.6]
    assert [guess.score for guess in test.hardest(2)] == [0.95, 0.7]


def test_a_stated_interval_and_scores_are_used(run_folder: Path) -> None:
    path = run_folder / "test" / "metrics.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "top1_interval": [1.0, 2.0]}))
    np.savez(
        run_folder / "test" / "scores.npz",
        paths=np.array(["clips/81.avi"]),
        scores=np.array([[0.95, 0.05, 0.0]], np.float32),
        labels=np.array([1]),
    )
    test = collect_run(run_folder).test
    assert test.interval == (1.0, 2.0)
    assert test.hardest(1)[0].own == pytest.approx(0.05)


def test_without_errors_the_least_certain_clips_are_chosen() -> None:
    guesses = tuple(Guess(f"{k}.avi", 0, 0, 1 - k / 10, float("nan")) for k in range(5))
    test = TestResult(Path("test"), {}, guesses, ("a",))
    assert [guess.path for guess in test.hardest(4)] == ["4.avi", "3.avi"]


def test_the_probe_compares_the_same_weights_only(run_folder: Path) -> None:
    run = collect_run(run_folder)
    assert list(run.probe) == ["ordered", "shuffled"]
    assert probe_verdict(run).startswith("Yes: top-1 falls from 96.39")
    write_test(run_folder / "test_reversed", "reversed", [(0, 0, 1.0)] * 83, weights_sha256="bb")
    assert "reversed" not in collect_run(run_folder).probe


def test_the_probe_outlives_a_test_with_another_protocol(run_folder: Path) -> None:
    (run_folder / "test").rename(run_folder / "test_efficient")
    write_test(run_folder / "test", "ordered", [(0, 0, 1.0)] * 83, pipeline_sha256="dense")
    run = collect_run(run_folder)
    assert run.test.folder.name == "test"
    assert run.probe["ordered"].folder.name == "test_efficient"
    assert probe_verdict(run).endswith("The frames in order are those of test_efficient.")


def test_a_probe_within_the_intervals_is_no_sign_of_motion(run_folder: Path) -> None:
    write_test(run_folder / "test_reversed", "reversed", [(0, 0, 1.0)] * 80 + [(0, 1, 1.0)] * 3)
    (run_folder / "test_shuffled" / "metrics.json").unlink()
    assert probe_verdict(collect_run(run_folder)).startswith("There is no sign")


def test_a_training_without_a_test_has_a_page(run_folder: Path) -> None:
    for name in ("test", "test_shuffled"):
        (run_folder / name / "metrics.json").unlink()
    text = write_report(run_folder).read_text(encoding="utf-8")
    check_document(text)
    assert "main.py --test" in text


def test_clips_that_are_gone_are_said_to_be(run_folder: Path) -> None:
    text = write_report(run_folder).read_text(encoding="utf-8")
    check_document(text)
    assert "The frames cannot be shown" in text


def test_many_classes(run_folder: Path) -> None:
    rng = np.random.default_rng(0)
    guesses = tuple(
        Guess(f"{k}.avi", k % 400, int(rng.integers(400)), 0.5, float("nan")) for k in range(1200)
    )
    test = TestResult(Path("test"), {}, guesses, tuple(f"class {k}" for k in range(400)))
    text = report_page(Run(Path("run"), "big", {}, tests=(test,)), [])
    check_document(text)
    assert "60 of 400 classes with the most errors" in text
    assert len(text) < 400_000


def test_charts_stay_inside_their_frame() -> None:
    for points in ([(1, 5.0)], [(1, 0.0), (2, 0.0)], [(1, 1e-7), (300, 3e4)]):
        text = line_chart("Loss", [Series("train", points, 1), Series("valid", [], 2)])
        assert "nan" not in text
        assert "valid" not in text
        for x, y in re.findall(r'cx="([-\d.]+)" cy="([-\d.]+)"', text):
            assert 40 <= float(x) <= 360
            assert 0 <= float(y) <= 200
    assert line_chart("Loss", [Series("train", [], 1)]) == ""


def test_matrix_says_each_count() -> None:
    text = matrix_chart(np.array([[3, 1], [0, 0]]), ["a", "b"], "two classes")
    assert "a → a: 3 (75 %)" in text
    assert "a → b: 1 (25 %)" in text
    assert "b →" not in text


def test_sentence_of_an_unknown_network() -> None:
    assert sentence(Run(Path("x"), "x", {})) == "A network, tested."


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("config.yaml", "a: [", "config.yaml"),
        ("test/metrics.json", "{", "metrics.json"),
        ("test/predictions.csv", "path,label\na,x\n", "predictions.csv"),
        ("test/scores.npz", "no archive", "scores.npz"),
    ],
)
def test_damaged_files_are_named(run_folder: Path, name: str, content: str, words: str) -> None:
    (run_folder / name).write_text(content)
    with pytest.raises(DataError, match=words):
        collect_run(run_folder)
    try_to_write_report(run_folder)  # a warning, never the end of a run
    assert not (run_folder / "report.html").exists()


def test_command(run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run_folder), "--num_clips", "0"]) == 0
    assert capsys.readouterr().out.strip() == str(run_folder / "report.html")
    assert main([str(tmp_path / "TSM_tinny")]) == 2
    assert "did you mean" in capsys.readouterr().err
    assert main([str(run_folder / "test")]) == 2
    assert "is no run folder" in capsys.readouterr().err


def test_without_clips_paddle_is_not_needed(run_folder: Path) -> None:
    code = (
        "import sys; sys.modules['paddle'] = None\n"
        "from paddletsm.cli.report import main\n"
        f"sys.exit(main([{str(run_folder)!r}, '--num_clips', '0']))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPO)
