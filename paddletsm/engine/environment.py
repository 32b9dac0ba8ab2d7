# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What a run was started with and ran on, for environment.json of its folder."""

from __future__ import annotations

import contextlib
import json
import platform
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import paddle

from paddletsm.utils.io import write_atomic
from paddletsm.version import __version__


def describe_environment(*, device: str, processes: int) -> dict[str, Any]:
    """Command, device and versions.

    Args:
        device: "cpu", "gpu:0" and so on, as ``select_device`` gives it.
        processes: that share the work.
    """
    return {
        "command": shlex.join(["python", *sys.argv]),
        "started": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "device": f"{device} ({_device_name(device)})",
        "processes": processes,
        "system": platform.platform(),
        "versions": {
            "paddletsm": __version__,
            "paddle": paddle.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "opencv": cv2.__version__,
        },
    }


def _device_name(device: str) -> str:
    if device.startswith("gpu"):
        return paddle.device.cuda.get_device_name()
    with contextlib.suppress(OSError):  # Linux; elsewhere the name of the architecture must do
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine()


def write_environment(path: Path, facts: dict[str, Any]) -> None:
    """Write environment.json."""
    write_atomic(path, json.dumps(facts, indent=2).encode("utf-8", "backslashreplace"))
