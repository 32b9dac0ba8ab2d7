# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""report.html: what a run folder holds, on one page that opens anywhere."""

from paddletsm.report.collect import Run, TestResult, collect_run
from paddletsm.report.write import write_report

__all__ = ["Run", "TestResult", "collect_run", "write_report"]
