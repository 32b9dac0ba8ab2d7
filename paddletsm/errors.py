# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Errors that a user can cause. Entry points print their message alone and exit with code 2."""

from __future__ import annotations


class PaddleTSMError(Exception):
    """Base of every error that paddletsm raises for wrong input."""


class ConfigError(PaddleTSMError):
    """A configuration key, value or command line option is wrong."""


class DataError(PaddleTSMError):
    """A list file, a directory or a video is missing, malformed or cannot be decoded."""


class WeightsError(PaddleTSMError):
    """A weights file cannot be read safely or does not fit the model."""


class ExportError(PaddleTSMError):
    """A model cannot be exported, or an exported artefact is incomplete or inconsistent."""
