# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Results survive a kill, and processes share the work without losing or inventing any."""

from __future__ import annotations

import csv
import json
import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from paddletsm.deploy import Prediction
from paddletsm.deploy.result_files import Outcome, ResultFile
from paddletsm.deploy.results import layout_of
from paddletsm.errors import ConfigError, DataError

# Twice the same clip, a line end and quotes in a name, a name that is no Unicode.
PATHS = ["b.avi", "a.avi", 'line\nend "x".avi', "b.avi", os.fsdecode(b"odd \xff.avi"), "f,.avi"]
MODEL = "tiny@0123"


def predicted(path: str) -> Prediction:
    if path == "a.avi":
        return Prediction(path, error="a.avi: truncated,\nit is")
    return Prediction(path, ("jump", "run"), (1, 0), (0.75, 0.25), times_ms={"open": 1.0})


def results(
    path: Path, paths: Sequence[str] = PATHS, *, top_k: int = 2, model: str = MODEL, **place: Any
) -> ResultFile:
    return ResultFile(path, layout_of(path, top_k, model), paths, **place)


def write(file: ResultFile, paths: Sequence[str] = PATHS, count: int | None = None) -> None:
    for number in file.todo[:count]:
        file.write(predicted(paths[number]))


def whole(path: Path, paths: Sequence[str] = PATHS) -> bytes:
    """What one process writes that is never disturbed."""
    other = path.with_name(f"whole{path.suffix}")
    with results(other, paths) as file:
        write(file, paths)
        assert file.finish() == Outcome(0, paths.count("a.avi"), is_merged=True)
    content = other.read_bytes()
    other.unlink()
    return content


@pytest.fixture(params=[".jsonl", ".csv"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / "new" / f"out{request.param}"


def test_lines_are_on_disk_before_the_next_clip(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with results(path, ["x.avi", "a.avi"]) as file:
        file.write(predicted("x.avi"))
        first = json.loads(path.read_text())
        file.write(predicted("a.avi"))
    assert first["top"][0] == {"label": "jump", "id": 1, "score": 0.75}
    assert (first["times_ms"], first["model"]) == ({"open": 1.0}, MODEL)
    second = json.loads(path.read_text().splitlines()[1])
    assert (second["error"], second["top"]) == ("a.avi: truncated,\nit is", [])


def test_csv_has_one_row_per_clip(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    with results(path, ["a, b.avi", "a.avi"], top_k=3) as file:
        write(file, ["a, b.avi", "a.avi"])
    with path.open(newline="") as rows:
        good, bad = csv.DictReader(rows)
    assert (good["path"], good["label1"], good["id1"], good["score1"], good["label3"]) == (
        "a, b.avi",
        "jump",
        "1",
        "0.75",
        "",
    )
    assert (good["open_ms"], good["decode_ms"], good["error"], good["model"]) == (
        "1.0",
        "",
        "",
        MODEL,
    )
    assert (bad["path"], bad["error"], bad["label1"]) == ("a.avi", "a.avi: truncated,\nit is", "")


@pytest.mark.parametrize(
    ("name", "words"), [("out.cvs", "did you mean '.csv'"), ("file/out.csv", "cannot be written")]
)
def test_output_that_cannot_be_written_is_refused(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=words):
        results(tmp_path / name)


def test_a_kill_at_any_byte_is_made_good(path: Path) -> None:
    expected = whole(path)
    for length in {*range(0, len(expected), 5), *range(len(expected) - 9, len(expected) + 1)}:
        path.write_bytes(expected[:length])
        with results(path, resume=True) as file:
            assert file.kept + len(file.todo) == len(PATHS)
            write(file)
            assert file.finish() == Outcome(0, 1, is_merged=True)
        assert path.read_bytes() == expected, length


def test_without_resume_an_old_file_is_replaced(path: Path) -> None:
    expected = whole(path)
    path.write_bytes(expected + b"x")
    with results(path) as file:
        assert file.todo == list(range(len(PATHS)))
        write(file)
    assert path.read_bytes() == expected


def test_resume_puts_new_clips_in_their_place_and_keeps_old_ones(path: Path) -> None:
    with results(path, ["c.avi", "gone.avi"]) as file:
        write(file, ["c.avi", "gone.avi"])
    now = ["a.avi", "b.avi", "c.avi", "d.avi"]
    with results(path, now, resume=True) as file:
        assert file.todo == [0, 1, 3]
        write(file, now)
        assert file.finish() == Outcome(0, 1, is_merged=True, others=1)
    assert path.read_bytes() == whole(path, [*now, "gone.avi"])


@pytest.mark.parametrize(
    ("changed", "words"),
    [({"model": "tiny@4567"}, "a result of the model 'tiny@0123'"), ({"top_k": 3}, "--top_k")],
)
def test_results_of_another_kind_are_not_mixed(
    path: Path, changed: dict[str, Any], words: str
) -> None:
    path.parent.mkdir()
    path.write_bytes(before := whole(path))
    with pytest.raises(ConfigError, match=words):
        results(path, resume=True, **changed)
    assert path.read_bytes() == before


def test_other_files_are_not_written_to(tmp_path: Path) -> None:
    for name, text in (("out.jsonl", '{"path": 3}\n'), ("bad.jsonl", "a,b\n")):
        (tmp_path / name).write_text(text)
        with pytest.raises(DataError, match=rf"{name}:1: not a result of this command"):
            results(tmp_path / name, resume=True)
        assert (tmp_path / name).read_text() == text
    (tmp_path / "out.csv").write_text("my,table\n")
    with pytest.raises(ConfigError, match="its columns are not those"):
        results(tmp_path / "out.csv", resume=True)


@pytest.mark.parametrize("world", [2, 3, 9])
def test_shares_are_put_together_by_whoever_comes_last(path: Path, world: int) -> None:
    expected = whole(path)
    path.write_bytes(b"of an earlier run")
    files = [results(path, rank=rank, world=world) for rank in range(world)]
    assert sorted(n for file in files for n in file.todo) == list(range(len(PATHS)))
    for file in files:
        write(file)
    for file in files:
        file.close()
    assert not path.exists(), "nothing looks complete that is not"
    outcomes = [file.finish() for file in files]
    assert set(outcomes) == {Outcome(0, 1, is_merged=True)}
    assert path.read_bytes() == expected
    assert [item.name for item in path.parent.iterdir()] == [path.name], "no part is left"


def test_a_killed_process_is_missed_and_made_good_by_any_number(path: Path) -> None:
    expected = whole(path)
    first, second = (results(path, rank=rank, world=2) for rank in range(2))
    write(first)
    assert first.finish() == Outcome(3, 0, is_merged=False)
    write(second, count=1)
    second.close()  # killed
    part = path.with_name(f"out.part-1-of-2{path.suffix}")
    part.write_bytes(part.read_bytes() + b'"half')
    assert not path.exists()
    for place in ({}, {"world": 2, "rank": 1}, {"world": 3, "rank": 0}):
        with pytest.raises(ConfigError, match="add --resume"):
            results(path, **place)
    with results(path, rank=2, world=3, resume=True) as third:
        assert third.todo == [5]
        write(third)
        assert third.finish() == Outcome(1, 1, is_merged=False)
    with results(path, resume=True) as alone:
        assert alone.todo == [3]
        write(alone)
        assert alone.finish() == Outcome(0, 1, is_merged=True)
    assert path.read_bytes() == expected
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_failed_clips_of_earlier_runs_count(path: Path) -> None:
    with results(path) as file:
        write(file)
    with results(path, resume=True) as file:
        assert (file.todo, file.kept) == ([], len(PATHS))
        assert file.finish().failed == 1


def test_the_best_class_of_every_clip_is_read_back(path: Path) -> None:
    first, second = (results(path, rank=rank, world=2) for rank in range(2))
    write(first)
    assert first.finish().best == (1, None, 1, None, 1, None), "of the other process none"
    write(second)
    for file in (second, first):
        assert file.finish().best == (1, None, 1, 1, 1, 1), "a.avi has failed"


def test_failed_clips_that_are_no_longer_asked_for_do_not_count(path: Path) -> None:
    with results(path, ["a.avi", "b.avi"]) as file:
        write(file, ["a.avi", "b.avi"])
    with results(path, ["b.avi"], resume=True) as file:
        assert file.finish() == Outcome(0, 0, is_merged=True, others=1)


def test_process_0_waits_while_the_others_get_on(path: Path) -> None:
    expected = whole(path)
    first, second = (results(path, rank=rank, world=2) for rank in range(2))
    write(first)
    seen: list[Outcome] = []
    others = threading.Thread(target=lambda: (write(second), second.finish()))

    def on_wait(outcome: Outcome) -> None:
        seen.append(outcome)
        others.start()

    outcome = first.finish_together(patience_s=60, on_wait=on_wait)
    others.join()
    assert (seen, outcome.is_merged) == ([Outcome(3, 0, is_merged=False)], True)
    assert path.read_bytes() == expected


def test_a_killed_process_does_not_keep_process_0_waiting(path: Path) -> None:
    first, second = (results(path, rank=rank, world=2) for rank in range(2))
    write(first)
    write(second, count=1)
    second.close()  # killed
    waited: list[Outcome] = []
    outcome = first.finish_together(patience_s=0.5, on_wait=waited.append)
    assert (outcome.is_merged, outcome.missing, len(waited)) == (False, 2, 1)
    second = results(path, rank=1, world=2, resume=True)
    outcome = second.finish_together(patience_s=1e9, on_wait=waited.append)
    assert (outcome.missing, len(waited)) == (2, 1), "only process 0 waits"


def test_the_others_know_whether_process_0_reports(path: Path) -> None:
    first, second = (results(path, rank=rank, world=2) for rank in range(2))
    assert not second.is_reported()
    with first.reporting(), second.reporting():
        assert second.is_reported()
        again = results(path, resume=True, world=2)
        with pytest.raises(ConfigError, match=r"another run, process [0-9]+, is writing it"):
            again.reporting().__enter__()
    assert not second.is_reported()
    second._beside("reporter").touch()  # left by a kill
    assert not second.is_reported()
    assert not second._beside("reporter").exists()


def test_layout_tells_failures_from_answers(path: Path) -> None:
    layout = layout_of(path, 2, MODEL)
    good = layout.parse(layout.line(predicted("b.avi")), "x:1")
    assert (good.path, good.is_failed) == ("b.avi", False)
    assert layout.parse(layout.line(predicted("a.avi")), "x:1").is_failed
    with pytest.raises(ConfigError, match="x:1"):
        replace(layout, model="other").parse(layout.line(predicted("b.avi")), "x:1")
