# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Find events in a video, a camera or a stream; the same as ``paddletsm stream``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from paddletsm.cli.stream import main

if __name__ == "__main__":
    sys.exit(main())
