# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""OpenCV and decord, imported on first use: most of the package must not pay for them."""

from __future__ import annotations

import functools
import logging
import os
from types import ModuleType

from paddletsm.errors import DataError

logger = logging.getLogger(__name__)

_HEADLESS = (
    "install the build without windows: "
    "pip uninstall -y opencv-python opencv-python-headless && pip install opencv-python-headless"
)


@functools.cache
def opencv() -> ModuleType:
    """Return the module ``cv2``.

    Raises:
        DataError: it is not installed, or a system library is missing (libGL on servers).
    """
    # Damaged files are reported once, with their path, by the readers; FFmpeg's own lines on
    # stderr name neither. A value that the user has set wins.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    try:
        import cv2
    except ImportError as err:
        if "libGL" in str(err) or "libgthread" in str(err):
            raise DataError(
                f"OpenCV cannot be imported ({err}): opencv-python needs a desktop's libraries; "
                f"{_HEADLESS}"
            ) from err
        raise DataError(f"OpenCV cannot be imported ({err}): {_HEADLESS}") from err
    return cv2


@functools.cache
def decord() -> ModuleType | None:
    """Return the module ``decord``, or None (logged once) when it cannot be imported."""
    # decord polls for frames that a truncated file does not have, 10240 times by default, which
    # looks like a hang. It reads the variable once, hence before the import.
    os.environ.setdefault("DECORD_EOF_RETRY_MAX", "128")
    try:
        import decord as module
    except (ImportError, OSError, RuntimeError) as err:
        logger.warning("decord cannot be imported (%s): videos are read with OpenCV", err)
        return None
    module.logging.set_level(module.logging.QUIET)
    return module


@functools.cache
def _fallback_said() -> list[str]:
    return []


def say_fallback(path: str) -> None:
    """Log, once per process, that OpenCV reads what decord does not."""
    if not _fallback_said():
        _fallback_said().append(path)
        logger.warning("%s: decord fails on it; such files are read with OpenCV", path)


def decord_errors(module: ModuleType) -> tuple[type[Exception], ...]:
    """All that decord raises for a file it cannot read."""
    return (module.DECORDError, module.DECORDLimitReachedError, RuntimeError, AssertionError)
