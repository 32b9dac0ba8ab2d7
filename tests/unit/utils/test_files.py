# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Files: hints for mistyped paths, atomic writes, names of runs."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from paddletsm.utils.io import check_name, nearest_file, write_atomic


def test_a_hint_is_for_paths_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "weights.pth").touch()
    assert nearest_file(tmp_path / "weihgts.pth") == f"; did you mean '{tmp_path}/weights.pth'?"
    assert nearest_file(tmp_path / "weights.pth") == ""
    assert nearest_file(tmp_path / "no/such/folder") == ""
    (tmp_path / "it's.mp4").touch()
    assert nearest_file(tmp_path / "its.mp4") == f'; did you mean "{tmp_path}/it\'s.mp4"?'


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_to_nowhere_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").symlink_to("gone.mp4")
    assert nearest_file(tmp_path / "clip.mp4") == "; it is a link to nowhere ('gone.mp4')"


def test_a_folder_that_refuses_is_told_by_the_name_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**arguments: object) -> None:
        raise PermissionError(13, "Permission denied", "/somewhere/.a.txt.x7.tmp")

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    with pytest.raises(PermissionError) as caught:
        write_atomic(tmp_path / "a.txt", b"text")
    assert caught.value.filename == str(tmp_path / "a.txt")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", ".hidden", "a\nb", "a" * 101])
def test_names_that_no_run_can_have(name: str) -> None:
    with pytest.raises(ValueError, match=r"^must "):
        check_name(name)


def test_names_of_all_languages_are_taken() -> None:
    for name in ("TSM_motion", "动作 1", "ünï-cødé.v2"):
        check_name(name)
