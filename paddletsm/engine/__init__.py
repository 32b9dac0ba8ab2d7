# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Training and testing: loop, evaluation, optimiser, checkpoints, processes."""

from __future__ import annotations
