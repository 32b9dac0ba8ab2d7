# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Average the scores of several tests of the same clips; the same as ``paddletsm fuse``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from paddletsm.cli.fuse import main

if __name__ == "__main__":
    sys.exit(main())
