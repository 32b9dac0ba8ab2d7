# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Small helpers by topic: text, logging, files, threads, plots."""
