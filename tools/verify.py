# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Compare an exported model with the trained one; the same as ``paddletsm verify``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from paddletsm.cli.verify import main

if __name__ == "__main__":
    sys.exit(main())
