# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The machine that a training is planned for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from paddletsm.utils.text import plural


@dataclass(frozen=True)
class Machine:
    """What the training will run on.

    Attributes:
        device: kind of device.
        count: GPUs, or processes on CPUs.
        memory_mb: memory of one GPU, or of one process; None: not known.
        cores: CPU cores of the machine.
    """

    device: Literal["cpu", "gpu"]
    count: int = 1
    memory_mb: int | None = None
    cores: int = 1

    def __str__(self) -> str:
        memory = f", {self.memory_mb / 1000:.0f} GB each" if self.memory_mb else ""
        if self.device == "gpu":
            return f"{plural(self.count, 'GPU')}{memory}"
        return f"the CPU, processes: {self.count}{memory}"
