# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Resident memory of processes, where the system tells it (/proc)."""

from __future__ import annotations

import os
from pathlib import Path


def resident_mb(pid: int) -> float:
    """Resident memory of a process in megabytes; 0 where it is gone or not told."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0.0
    kilobytes = [line.split()[1] for line in text.splitlines() if line.startswith("VmRSS:")]
    return int(kilobytes[0]) / 1024 if kilobytes else 0.0


def resident_of_children_mb() -> float:
    """Sum of the resident memory of this process's children, which counts shared pages twice."""
    children = set()
    for task in Path("/proc/self/task").glob("*/children"):
        try:
            children |= set(map(int, task.read_text(encoding="ascii").split()))
        except OSError:  # the thread has ended
            continue
    return sum(resident_mb(pid) for pid in children - {os.getpid()})
