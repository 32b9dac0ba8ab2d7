# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""An artefact folder appears whole or not at all; an earlier one stays until then."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from paddletsm.deploy.artefact import FILE_NAME
from paddletsm.errors import ExportError
from paddletsm.utils.disk import problem_of
from paddletsm.utils.text import listing

_KNOWN_SUFFIXES = (".pdmodel", ".pdiparams", ".info", ".json", ".onnx", ".yml", ".yaml")


@contextlib.contextmanager
def staging(out_dir: Path, name: str) -> Iterator[Path]:
    """Give a temporary folder beside ``out_dir``, so that a rename puts it in place."""
    if not name or Path(name).name != name or name.startswith("."):
        raise ExportError(f"model name {name!r} must be a plain file name")
    _check_destination(out_dir)
    try:
        out_dir.parent.mkdir(parents=True, exist_ok=True)
        _clear_leftovers(out_dir)
        folder = _folder_beside(out_dir, ".tmp")
    except OSError as err:
        raise ExportError(f"{out_dir}: cannot be written: {problem_of(err)}") from err
    try:
        umask = os.umask(0)
        os.umask(umask)
        folder.chmod(0o777 & ~umask)  # mkdtemp makes private folders
        yield folder
    except OSError as err:
        raise ExportError(f"{out_dir}: cannot be written: {problem_of(err)}") from err
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _folder_beside(path: Path, suffix: str) -> Path:
    return Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=suffix, dir=path.parent))


def _clear_leftovers(out_dir: Path) -> None:
    """Finish what an export to the same folder was killed in: its hidden folders beside it."""
    named = re.compile(rf"\.{re.escape(out_dir.name)}\.[a-z0-9_]{{8}}\.(tmp|old)")
    for folder in sorted(out_dir.parent.iterdir()):
        kind = named.fullmatch(folder.name)
        if kind is None or not folder.is_dir() or folder.is_symlink():
            continue
        if kind[1] == "tmp":
            shutil.rmtree(folder, ignore_errors=True)
        elif out_dir.exists():
            _drop_earlier(folder, out_dir)
        else:  # killed between the two renames of ``install``
            folder.rename(out_dir)


def _check_destination(out_dir: Path) -> None:
    """Refuse folders of other things, which replacing would move about."""
    if not out_dir.exists():
        return
    if not out_dir.is_dir():
        raise ExportError(f"{out_dir} is a file; name a folder for the artefact")
    if (out_dir / FILE_NAME).is_file():
        return
    foreign = [item.name for item in sorted(out_dir.iterdir()) if not _is_artefact_part(item)]
    if foreign:
        raise ExportError(
            f"{out_dir} holds other things ({listing(foreign, 4)}); name a new folder, such as "
            f"{out_dir / 'model'}"
        )


def _is_artefact_part(path: Path) -> bool:
    return path.is_file() and path.suffix in _KNOWN_SUFFIXES


def install(staged: Path, out_dir: Path) -> None:
    """Rename ``staged`` to ``out_dir``; an earlier artefact there goes once that has worked."""
    if not out_dir.exists():
        staged.rename(out_dir)
        return
    earlier = _folder_beside(out_dir, ".old")
    out_dir.rename(earlier)  # onto an empty folder
    try:
        staged.rename(out_dir)
    except OSError:
        earlier.rename(out_dir)
        raise
    _drop_earlier(earlier, out_dir)


def _drop_earlier(earlier: Path, out_dir: Path) -> None:
    """Remove a replaced artefact; the user's own notes in it move on."""
    for item in list(earlier.iterdir()):
        if not _is_artefact_part(item) and not (out_dir / item.name).exists():
            item.rename(out_dir / item.name)
    shutil.rmtree(earlier, ignore_errors=True)
