# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Parts of names that several sources share."""

from __future__ import annotations

_BN_BUFFERS = {"running_mean": "_mean", "running_var": "_variance"}


def paddle_bn(name: str) -> str:
    """Name of a BN buffer in Paddle for that of PyTorch; other names stay."""
    prefix, _, last = name.rpartition(".")
    return f"{prefix}.{_BN_BUFFERS[last]}" if last in _BN_BUFFERS else name


def unwrapped(name: str) -> str:
    """Take off the modules that the authors' code wraps around blocks, convolutions, stages."""
    return ".".join(part for part in name.split(".") if part not in ("net", "block"))
