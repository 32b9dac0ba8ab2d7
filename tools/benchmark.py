# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Measure what networks cost; the same as ``paddletsm benchmark``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from paddletsm.cli.benchmark import main

if __name__ == "__main__":
    sys.exit(main())
