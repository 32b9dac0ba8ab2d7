# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What is told past the launcher reaches its standard error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPO

CODE = "from paddletsm.utils.logging import tell_terminal; tell_terminal('how to resume')"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has /proc")
def test_a_log_of_the_launcher_is_kept(tmp_path: Path) -> None:
    """Standard error may be a file in which much stands already."""
    log = tmp_path / "log.txt"
    log.write_text("before\n")
    launcher = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    with log.open("a") as stderr:
        subprocess.run(
            [sys.executable, "-c", launcher, CODE],
            stderr=stderr,
            check=True,
            cwd=REPO,
            env={**os.environ, "PADDLE_TRAINER_ID": "1"},
        )
    assert log.read_text() == "before\nhow to resume\n"
