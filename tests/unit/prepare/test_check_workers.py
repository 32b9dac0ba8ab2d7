# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Worker processes of a check: what they survive, and what they must not hide."""

from __future__ import annotations

import pytest

from paddletsm.data.types import Sample
from paddletsm.prepare import check_scan
from tests.unit.data.fakes import FakeDecoder


def scan(*paths: str, timeout_s: float) -> list[check_scan.Entry]:
    samples = [Sample(path, 0, i, where=f"a.txt:{i + 1}") for i, path in enumerate(paths)]
    return check_scan.scan(samples, FakeDecoder(), split="train", workers=1, timeout_s=timeout_s)


def test_what_hangs_or_kills_its_reader_is_named() -> None:
    entries = scan("ok/0", "stuck/1", "killed/2", "ok/3", timeout_s=2.0)
    assert [entry.kind for entry in entries] == ["", "stuck", "crash", ""]
    assert entries[1].text == "not read within 2 s; its worker process was stopped"
    assert "SIGKILL" in entries[2].text
    assert [entry.frames for entry in entries] == [12, 0, 0, 12]


def test_a_bug_of_ours_is_not_blamed_on_a_file() -> None:
    with pytest.raises(RuntimeError, match="a bug"):
        scan("ok/0", "bug/1", timeout_s=60.0)
