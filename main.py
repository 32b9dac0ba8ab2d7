# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Train or test: python main.py -c configs/tsm_ucf101.yaml [--test -w WEIGHTS]."""

import sys

from paddletsm.cli.train import main

if __name__ == "__main__":
    sys.exit(main())
