# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Command line: one module per command, each with ``build_parser()`` and ``main(argv)``."""

from __future__ import annotations
