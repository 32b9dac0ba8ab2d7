# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Files: atomic writes, hashes, seals, and a hint for a mistyped path."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from paddletsm.utils.text import closest

# Behind the content of a sealed file: pickles and zip archives are read up to their own end.
_SEAL = b"\npaddletsm-sha256:"
_SEAL_BYTES = len(_SEAL) + 64
_LONGEST_NAME = 100


def nearest_file(path: str | Path) -> str:
    """Return "; did you mean 'x'?" for a missing path, from the names beside it, or "".

    Of a link it tells where that leads: "; it is a link to nowhere ('x')".
    """
    path = Path(path)
    try:
        if path.exists():
            return ""
        if path.is_symlink():
            return f"; it is a link to nowhere ({os.readlink(path)!r})"
        names = sorted(item.name for item in path.parent.iterdir())
    except OSError:
        return ""
    name = closest(path.name, names)
    return "" if name is None else f"; did you mean {str(path.parent / name)!r}?"


def check_name(name: str) -> None:
    """Refuse what cannot name a run: its folder and files carry the name, with suffixes.

    Raises:
        ValueError: "must be ...", to be put behind the name of the option or key.
    """
    if not name or not name.isprintable() or name.startswith(".") or set(name) & set("/\\"):
        raise ValueError(f"must be a plain file name, not {name!r}")
    if len(name.encode()) > _LONGEST_NAME:
        raise ValueError(f"must not be longer than {_LONGEST_NAME} bytes")


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it is flushed and renamed onto it.

    A reader sees the old file or the new one, never a part, also when the process is killed or the
    machine goes down.

    Raises:
        OSError: naming ``path``: the disk is full, or the folder cannot be written; the old file
            is as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    except OSError as err:
        raise OSError(err.errno, err.strerror, str(path)) from err
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes private files
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as err:
        if err.filename is None and err.errno is not None:  # a write does not know its file
            raise OSError(err.errno, err.strerror, str(path)) from err
        raise
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power failure, where the system can."""
    with contextlib.suppress(OSError, AttributeError):  # Windows opens no folders
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that killed writers of this folder have left."""
    for path in folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)


def write_atomic(path: str | Path, content: bytes) -> None:
    """Write a whole file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def seal(path: str | Path) -> None:
    """Append the SHA-256 of a file's content to it, for pickles and zip archives."""
    digest = sha256_of(path)
    with Path(path).open("ab") as file:
        file.write(_SEAL + digest.encode())


def sealed_size(path: str | Path) -> int | None:
    """Size of the content in front of a seal; None for a file without one.

    Raises:
        ValueError: the content is not what was sealed.
    """
    path = Path(path)
    size = path.stat().st_size - _SEAL_BYTES
    if size < 0:
        return None
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(size)
        mark = file.read(_SEAL_BYTES)
        if not mark.startswith(_SEAL):
            return None
        file.seek(0)
        while left := size - file.tell():
            digest.update(file.read(min(left, 1 << 20)))
    if mark[len(_SEAL) :] != digest.hexdigest().encode():
        raise ValueError("its checksum is wrong: the file was damaged after it was written")
    return size
