# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""OpenCV, decord and PyAV, imported on first use: most of the package must not pay for them."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import logging
import os
import re
import sys
from types import ModuleType

import numpy as np

from paddletsm.errors import DataError

logger = logging.getLogger(__name__)

# Set to 1, decord and PyAV may be imported by one process.
MIX_VARIABLE = "PADDLETSM_MIX_DECODERS"
NO_PYAV = "PyAV is not installed; install it with pip install 'paddletsm[av]'"
# Versions of PyAV that are used unasked, from and below: what the extra "av" in setup.py installs,
# without those before 17, which turn video tagged BT.709 (HD) into other colours than decord does.
PYAV_VERSIONS = ((17, 0), (20, 0))

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


def decode_image(data: np.ndarray) -> np.ndarray | None:
    """Decode the bytes of an image file, uint8 [B]; uint8 [H,W,3] RGB, or None when it is none."""
    cv2 = opencv()
    if hasattr(cv2, "IMREAD_COLOR_RGB"):  # OpenCV 4.11 and newer: the decoder orders the channels
        return cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return None if image is None else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def automatic() -> str:
    """Return what backend "auto" means in this process: "pyav", "decord" or "opencv".

    The fastest that is installed, never a second FFmpeg beside that of an imported decoder.
    Nothing is said of the choice: all give the same frames. "pyav" is imported and works.
    """
    is_free = not _is_imported("decord") or (_is_imported("av") and _may_mix())
    if is_free and _suits_auto() and _pyav_or_none() is not None:
        return "pyav"
    has_decord = importlib.util.find_spec("decord") is not None
    return "decord" if has_decord and not _is_risky_beside("av") else "opencv"


def _suits_auto() -> bool:
    """Whether PyAV is there, of a version that reads as decord does, and can be imported."""
    start, end = PYAV_VERSIONS
    if not has_pyav() or not start <= _pyav_version() < end:
        return False
    # Behind Paddle 2.6.2 the import of PyAV 16 and newer fails in zlib, or crashes the process;
    # before it, and beside Paddle 3, it does not.
    return _is_imported("av") or not _has_old_paddle()


@functools.cache
def _pyav_version() -> tuple[int, int]:
    """Version of the installed PyAV, without importing it; (0, 0): a folder that is called av."""
    from importlib import metadata  # slow to import

    try:
        found = re.match(r"(\d+)\.(\d+)", metadata.version("av"))
    except metadata.PackageNotFoundError:
        found = None
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _has_old_paddle() -> bool:
    """Whether this process has imported Paddle 2, or is just importing some version."""
    version = getattr(sys.modules.get("paddle"), "__version__", "2.")
    return _is_imported("paddle") and version.startswith("2.")


@functools.cache
def _pyav_or_none() -> ModuleType | None:
    """Return the module ``av`` for who has not asked for it by name, None where it is broken."""
    try:
        return _pyav()
    except Exception as err:  # noqa: BLE001 - the start of a library may raise anything
        logger.warning("PyAV is installed, but cannot be imported (%s): it is not used", err)
        return None


def decord() -> ModuleType | None:
    """Return the module ``decord``, or None (logged once) when it cannot be used here."""
    if _is_risky_beside("av"):
        _warn_beside_pyav()
        return None
    return _decord()


@functools.cache
def _warn_beside_pyav() -> None:
    logger.warning(
        "this process has imported PyAV, and decord beside it can crash it: videos are read with "
        "OpenCV (%s=1 tries decord all the same)",
        MIX_VARIABLE,
    )


@functools.cache
def _decord() -> ModuleType | None:
    with contextlib.suppress(DataError):
        opencv()  # first: behind decord, whose zlib it would take, it cannot read PNG files
    try:
        import decord as module
    except (ImportError, OSError, RuntimeError) as err:
        logger.warning("decord cannot be imported (%s): videos are read with OpenCV", err)
        return None
    module.logging.set_level(module.logging.QUIET)
    return module


def has_pyav() -> bool:
    """Whether PyAV is installed; imports nothing."""
    return importlib.util.find_spec("av") is not None


def pyav() -> ModuleType:
    """Return the module ``av``.

    Raises:
        DataError: it cannot be imported, or decord is imported already.
    """
    if _is_risky_beside("decord"):
        raise DataError(
            "backend pyav: this process has imported decord already, and both in one process can "
            "crash it; use one backend for all videos, or read in worker processes (num_workers: "
            f"1 or more), or set {MIX_VARIABLE}=1 to try"
        )
    return _pyav()


@functools.cache
def _pyav() -> ModuleType:
    try:
        import av as module
    except ImportError as err:
        raise DataError(f"backend pyav: {NO_PYAV} ({err})") from err
    module.logging.set_level(module.logging.PANIC)
    return module


def _is_risky_beside(other: str) -> bool:
    """Whether a decoder is imported that has brought its own FFmpeg, as decord and PyAV do.

    The two in one process have crashed Paddle 2.6.2 (double free); OpenCV's has not.
    """
    return _is_imported(other) and not _may_mix()


def _is_imported(name: str) -> bool:
    return sys.modules.get(name) is not None


def _may_mix() -> bool:
    return os.environ.get(MIX_VARIABLE) == "1"


@functools.cache
def _fallback_said() -> set[str]:
    return set()


def say_fallback(path: str, backend: str) -> None:
    """Log, once per process and backend, that OpenCV reads what the backend does not."""
    if backend not in _fallback_said():
        _fallback_said().add(backend)
        logger.warning("%s: %s fails on it; such files are read with OpenCV", path, backend)


def decoder_errors(module: ModuleType) -> tuple[type[Exception], ...]:
    """All that decord, or PyAV, raises for a file it cannot read."""
    if module.__name__ == "av":
        return (module.error.FFmpegError, EOFError, ValueError)
    return (module.DECORDError, module.DECORDLimitReachedError, RuntimeError, AssertionError)
