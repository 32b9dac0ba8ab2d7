# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The version of the package, also read by setup.py."""

from __future__ import annotations

__version__ = "0.1.0"
