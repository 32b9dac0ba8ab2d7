# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Why a name is no source, a file gives no frame or too few, a camera or an address none.

Decoders only say that they cannot; the file's own header, and the network, tell more.
"""

from __future__ import annotations

import os
import re
import socket
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import unquote, urlsplit

from paddletsm.errors import DataError
from paddletsm.utils.io import nearest_file
from paddletsm.utils.text import listing

URL = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
ALWAYS_LIVE = ("rtsp", "rtsps", "rtmp", "rtmps", "udp", "rtp", "srt", "tcp")
_SCHEMES = (*ALWAYS_LIVE, "http", "https")
# Where a server that is there answers.
_PORTS = {"rtsp": 554, "rtsps": 322, "rtmp": 1935, "rtmps": 443, "http": 80, "https": 443}
_ANSWER_S = 3.0


class DamagedVideoError(DataError):
    """A file that is a video, but empty, cut off or damaged, so that no frame can be read."""


def check_source(name: str) -> str:
    """Refuse what is neither a file nor a camera number nor a URL that can be read.

    Returns:
        ``name``; the path of a file:// URL.

    Raises:
        DataError: see above.
    """
    if name.isdecimal():
        return name
    match = URL.match(name)
    if match and match[1].lower() == "file":
        name, match = unquote(urlsplit(name).path), None
    if match is None:
        if problem := _no_file(name):
            raise DataError(
                f"{problem}; name a video file, a camera (0, 1, ...) or a URL (rtsp://, http://)"
            )
        return name
    scheme = match[1].lower()
    if scheme not in _SCHEMES:
        raise DataError(
            f"{name}: {scheme}:// cannot be read (known: {listing(_SCHEMES)}); download the file, "
            "or name a URL of these"
        )
    if not urlsplit(name).netloc:
        raise DataError(f"{name}: names no host; a URL reads {scheme}://HOST/...")
    return name


def _no_file(name: str) -> str:
    """Why there is no file to read; "" where there is one."""
    path = Path(name)
    if not name.strip():
        return "the name is empty"
    if re.fullmatch(r"-\d+", name) and not path.exists():
        return f"{name}: camera numbers begin at 0"
    if path.is_dir():
        return f"{name} is a folder"
    if path.is_file():
        return ""
    return f"{name} is no file" if path.exists() else f"{name} does not exist{nearest_file(name)}"


def why_unreadable(name: str) -> DataError:
    """The error of a file or URL that a decoder gives no frame of, as ``predict`` words it."""
    from paddletsm.data import open_video
    from paddletsm.data.container import inspect_container

    plain = DataError(f"{name}: no frame could be read; it is damaged, or not a video")
    if URL.match(name):
        return plain
    try:
        is_cut = bool(inspect_container(name).flaw)
    except DataError as err:
        return DamagedVideoError(str(err))  # empty, or it cannot be read
    try:
        open_video(name, "opencv").close()
    except DataError as err:
        return DamagedVideoError(str(err)) if is_cut else err
    return plain


def why_fewer(name: str, declared: int, decoded: int, fps: float) -> str:
    """What is wrong with a file or URL of which fewer frames could be decoded than it states.

    Args:
        name: of it.
        declared: frames that its header says.
        decoded: frames that could be decoded, above 0.
        fps: frames per second; 0: unknown.
    """
    from paddletsm.data.container import Container, inspect_container
    from paddletsm.data.video_files import truncated

    try:
        container = Container("unknown") if URL.match(name) else inspect_container(name)
    except DataError:  # it has gone meanwhile
        container = Container("unknown")
    problem = str(truncated(name, declared, decoded, container.flaw))
    if container.kind != "avi" or container.flaw or not fps:
        return problem
    # The times of an AVI are counted from its frames, so that what is lost is not seen in them.
    return (
        f"{problem}. AVI stores no times: those of what follows the damage may be early, by up to "
        f"{(declared - decoded) / fps:.1f} s"
    )


def why_no_answer(name: str) -> str:
    """Why a camera or a URL gives no frame, in a few words; "" where nothing tells it."""
    if name.isdecimal():
        device = f"/dev/video{name}"
        if not os.path.exists(device):
            return f"there is no {device}" if os.path.isdir("/dev") else ""
        return "" if os.access(device, os.R_OK) else f"{device} may not be read"
    try:
        return _why_no_connection(name)
    except (OSError, ValueError) as err:
        reason = getattr(err, "reason", err)
        return (getattr(reason, "strerror", None) or str(reason)).lower()


def _why_no_connection(url: str) -> str:
    """Ask the host itself.

    Raises:
        OSError: it does not answer.
        ValueError: the URL is none.
    """
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    port = parts.port or _PORTS.get(scheme)
    if not parts.hostname or port is None or scheme in ("udp", "rtp", "srt"):
        return ""
    if scheme not in ("http", "https"):
        socket.create_connection((parts.hostname, port), _ANSWER_S).close()
        return "the host answers, but sends no video"
    try:
        urllib.request.urlopen(url, timeout=_ANSWER_S).close()
    except urllib.error.HTTPError as err:
        return f"the host answers {err.code} {err.reason}"
    return "the host answers, but sends no video"
