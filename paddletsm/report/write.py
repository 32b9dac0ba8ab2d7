# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Write report.html into a run folder."""

from __future__ import annotations

import logging
from pathlib import Path

from paddletsm.report.collect import collect_run
from paddletsm.report.page import report_page
from paddletsm.utils.io import write_atomic

logger = logging.getLogger(__name__)

NAME = "report.html"


def write_report(folder: str | Path, *, num_clips: int = 12) -> Path:
    """Read a run folder and write its report.html.

    Args:
        folder: output_dir/model_name.
        num_clips: playable clips at most; 0 leaves them out, and then Paddle is not needed.

    Returns:
        Path of the page.

    Raises:
        DataError: it is no run folder.
    """
    run = collect_run(folder)
    strips, note = [], ""
    if num_clips:
        from paddletsm.report.strips import make_strips

        strips, note = make_strips(run, limit=num_clips)
    path = run.folder / NAME
    write_atomic(path, report_page(run, strips, note).encode("utf-8", "backslashreplace"))
    return path


def try_to_write_report(folder: str | Path) -> None:
    """Write the report at the end of a command whose results must not be lost with it."""
    try:
        path = write_report(folder)
    except Exception as err:  # whatever it is: the run itself is done and saved
        logger.warning("report.html could not be written: %s: %s", type(err).__name__, err)
        logger.debug("the report failed", exc_info=True)
    else:
        logger.info("the report is %s", path)
