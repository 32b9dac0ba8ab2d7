# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Data sets on disk: rendering, frame extraction, list building. Never imports Paddle."""
