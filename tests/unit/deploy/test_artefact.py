# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Folders whose parts do not belong together are refused by name."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from paddletsm.deploy import Predictor, newest_artefact, read_artefact
from paddletsm.errors import ExportError

Damage = Callable[[Path], object]


def _edit(folder: Path, old: str, new: str) -> None:
    path = folder / "inference.yml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def _truncate(folder: Path) -> None:
    path = folder / "tiny.pdiparams"
    path.write_bytes(path.read_bytes()[:-100])


def _rename_to_other_yml(folder: Path) -> None:
    (folder / "inference.yml").write_text("Global: {model_name: PP-TSM}\n")


BROKEN: dict[str, tuple[Damage, str]] = {
    "no folder": (shutil.rmtree, r"tiny' does not exist; export a model first"),
    "no yml": (lambda f: (f / "inference.yml").unlink(), r"inference\.yml is missing"),
    "no network": (lambda f: (f / "tiny.pdmodel").unlink(), r"tiny\.pdmodel is missing"),
    "no weights": (lambda f: (f / "tiny.pdiparams").unlink(), r"tiny\.pdiparams is missing"),
    "truncated": (_truncate, r"tiny\.pdiparams is not the file that .*inference\.yml"),
    "foreign yml": (_rename_to_other_yml, r"was not written by python tools/export_model\.py"),
    "a list": (lambda f: (f / "inference.yml").write_text("- a\n"), "was not written by"),
    "empty yml": (lambda f: (f / "inference.yml").write_text(""), "was not written by"),
    "no YAML": (lambda f: (f / "inference.yml").write_text("a: 1\nb: [\n"), r"line \d: not valid"),
    "binary yml": (lambda f: (f / "inference.yml").write_bytes(b"\xff\xfe\x00"), "cannot be read"),
    "newer": (
        lambda f: _edit(f, "format_version: 1", "format_version: 2"),
        "format version 2, but this paddletsm reads 1",
    ),
    "edited": (lambda f: _edit(f, "jump", "fall"), "edited or damaged"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_folder_is_refused(artefact_dir: Path, tmp_path: Path, case: str) -> None:
    damage, words = BROKEN[case]
    folder = tmp_path / "tiny"
    shutil.copytree(artefact_dir, folder)
    read_artefact(folder)
    damage(folder)
    with pytest.raises(ExportError, match=words) as caught:
        Predictor(folder)
    assert "\n" not in str(caught.value)


def test_file_instead_of_folder(artefact_dir: Path) -> None:
    with pytest.raises(ExportError, match="is a file, not an artefact folder"):
        read_artefact(artefact_dir / "tiny.pdmodel")


def test_misspelt_folder_gets_a_suggestion(artefact_dir: Path) -> None:
    with pytest.raises(ExportError, match=r"did you mean '.*/tiny'"):
        read_artefact(artefact_dir.with_name("tinny"))


def test_newest_is_the_one_written_last(artefact_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no exported model under"):
        newest_artefact(tmp_path / "nowhere")
    for age, name in enumerate(("b", "c", "a")):
        shutil.copytree(artefact_dir, tmp_path / name)
        os.utime(tmp_path / name / "inference.yml", (1e9 - age, 1e9 - age))
    assert newest_artefact(tmp_path) == tmp_path / "b"


def test_half_written_folder_is_never_the_newest(artefact_dir: Path, tmp_path: Path) -> None:
    for age, name in enumerate((".b.k3x_19ab.tmp", ".b.abcdefgh.old", "b")):
        shutil.copytree(artefact_dir, tmp_path / name)
        os.utime(tmp_path / name / "inference.yml", (1e9 - age, 1e9 - age))
    assert newest_artefact(tmp_path) == tmp_path / "b"
    shutil.rmtree(tmp_path / "b")
    with pytest.raises(ExportError, match="no exported model under"):
        newest_artefact(tmp_path)
