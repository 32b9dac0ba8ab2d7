# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""YAML configurations: ``_base_`` inheritance, overrides, schema, frozen result."""

from __future__ import annotations

from paddletsm.config.load import OVERRIDE, config_hash, dump_config, load_config, with_value
from paddletsm.config.schema import Config

__all__ = ["OVERRIDE", "Config", "config_hash", "dump_config", "load_config", "with_value"]
