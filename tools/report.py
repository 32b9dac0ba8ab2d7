# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Write the report of a run anew; the same as ``paddletsm report``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from paddletsm.cli.report import main

if __name__ == "__main__":
    sys.exit(main())
