# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What the system refuses while an artefact is written is told in words."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from paddletsm.deploy.staging import staging
from paddletsm.errors import ExportError


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    out = tmp_path / "file/sub/model"
    with pytest.raises(ExportError) as told, staging(out, "model"):
        pass
    assert str(told.value) == (
        f"{out}: cannot be written: a part of this path is a file, not a folder"
    )


def test_a_full_disk(tmp_path: Path) -> None:
    out = tmp_path / "model"
    with pytest.raises(ExportError) as told, staging(out, "model"):
        raise OSError(errno.ENOSPC, "No space left on device", "somewhere")
    assert str(told.value) == (
        f"{out}: cannot be written: No space left on device; make room, or choose another place"
    )
    assert not list(tmp_path.iterdir())
