# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The machine that a training is planned for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


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
        """What there is, not what a training needs."""
        is_gpu = self.device == "gpu"
        noun = "GPU" if is_gpu else "process"
        several = self.count > 1
        units = f"{self.count} {noun}{('s' if is_gpu else 'es') if several else ''}"
        if self.memory_mb:
            size = f"{self.memory_mb / 1000:.0f} GB of memory"
            units += f" that have {size} each" if several else f" that has {size}"
        return units if is_gpu else f"the CPU, in {units}"
