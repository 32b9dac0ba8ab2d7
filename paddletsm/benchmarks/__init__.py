# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Measurements that the command ``paddletsm benchmark`` prints."""
