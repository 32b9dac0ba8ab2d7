# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Weights files in, named arrays out: .pdparams, .pdopt, .safetensors, .pth, .pth.tar, .pt.

Reading never runs code from a file, and time and memory stay in proportion to its size.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from paddletsm.errors import WeightsError
from paddletsm.utils.io import atomic_path, nearest_file, sealed_size
from paddletsm.utils.safe_pickle import load_plain
from paddletsm.utils.text import listing
from paddletsm.utils.torch_file import LEGACY_MAGIC, ZIP_MAGIC, load_torch

# Where trainers keep the weights in a larger checkpoint.
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
# What data-parallel and compiling wrappers put in front of every name.
_PREFIXES = ("module.", "_orig_mod.", "_layers.")
_SAFETENSORS_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "?",
}


def read_state(path: str | Path) -> dict[str, np.ndarray]:
    """Read the named arrays of a weights file.

    Wrappers ("state_dict", "model") and a prefix "module." of all names are taken off; values
    that are no arrays (epoch numbers, tables of names) are left out.

    Args:
        path: .pdparams, .pdopt, .safetensors, .pth, .pth.tar or .pt.

    Returns:
        Name -> array in the file's own layout and dtype; bfloat16 is uint16, as Paddle stores it.
        Arrays may be read-only.

    Raises:
        WeightsError: missing, unreadable, truncated or misnamed file, one that holds anything
            but arrays and plain containers, or no arrays at all.
    """
    path = Path(path)
    reader = _reader_of(path)
    _check_file(path)
    try:
        content = reader(path)
    except OSError as err:
        raise WeightsError(f"{path}: cannot be read: {err.strerror or err}") from err
    state = _arrays_of(_unwrap(content, path))
    if not state:
        raise WeightsError(f"{path}: holds no weights{_contents(content)}")
    return _without_prefix(state)


def check_weights_file(path: str | Path) -> None:
    """Refuse at once what ``read_state`` could never read.

    Raises:
        WeightsError: a folder, a missing or empty file, or one of another kind by its name.
    """
    path = Path(path)
    _reader_of(path)
    _check_file(path)


def write_state(path: str | Path, state: Mapping[str, np.ndarray]) -> None:
    """Write named arrays atomically.

    Args:
        path: .pdparams (a pickle of plain arrays, which ``paddle.load`` reads) or .safetensors.
        state: name -> array.

    Raises:
        WeightsError: another extension, a package is missing, or the disk refuses.
    """
    path = Path(path)
    arrays = {name: np.ascontiguousarray(value) for name, value in state.items()}
    try:
        if path.name.lower().endswith(".pdparams"):
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                pickle.dump(arrays, file, protocol=4)
        elif path.name.lower().endswith(".safetensors"):
            safetensors = _import_safetensors(path)
            with atomic_path(path) as temporary:
                safetensors.numpy.save_file(arrays, temporary)
        else:
            raise WeightsError(f"{path}: weights are written to .pdparams or .safetensors files")
    except OSError as err:
        raise WeightsError(f"{path}: cannot be written: {err.strerror or err}") from err


def _reader_of(path: Path) -> Callable[[Path], Any]:
    name = path.name.lower()
    for extension, reader in _READERS.items():
        if name.endswith(extension):
            return reader
    if path.is_dir():
        _refuse_directory(path)
    if not path.exists():
        raise WeightsError(f"{path}: no such file{nearest_file(path)}")
    hint = "; weights of an exported artefact cannot be loaded" if "pdiparams" in name else ""
    raise WeightsError(
        f"{path}: not a weights file by its extension{hint} (known: {listing(_READERS)})"
    )


def _check_file(path: Path) -> None:
    if path.is_dir():
        _refuse_directory(path)
    if not path.exists():
        raise WeightsError(f"{path}: no such file{nearest_file(path)}")
    if not path.is_file():
        raise WeightsError(f"{path}: not a regular file")
    if not path.stat().st_size:
        raise WeightsError(f"{path}: the file is empty; copy or download it again")


def _refuse_directory(path: Path) -> None:
    names = [
        item.name for item in sorted(path.iterdir()) if item.name.lower().endswith(tuple(_READERS))
    ]
    raise WeightsError(
        f"{path}: a folder, not a weights file"
        + (f"; it holds {listing(names, 6)}" if names else "; there are no weights files in it")
    )


# -- formats -------------------------------------------------------------------------------------


def _read_paddle(path: Path) -> Any:
    with path.open("rb") as file:
        start = file.read(512)
    if start.startswith((ZIP_MAGIC, LEGACY_MAGIC)):
        raise WeightsError(f"{path}: this is a PyTorch checkpoint; rename it to .pth")
    if not start.startswith(b"\x80"):
        raise WeightsError(f"{path}: not a Paddle weights file{_looks_like(start)}")
    try:
        size = sealed_size(path)
    except ValueError as err:
        raise WeightsError(f"{path}: {err}; take another copy or an earlier epoch") from err
    return load_plain(path, size)


def _read_torch(path: Path) -> Any:
    with path.open("rb") as file:
        start = file.read(512)
    if not start.startswith((ZIP_MAGIC, LEGACY_MAGIC)):
        raise WeightsError(f"{path}: not a PyTorch checkpoint{_looks_like(start)}")
    return load_torch(path)


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    safetensors = _import_safetensors(path)
    try:
        entries = safetensors.deserialize(path.read_bytes())
    except safetensors.SafetensorError as err:
        raise WeightsError(
            f"{path}: not a readable .safetensors file ({str(err)[:120]}); it is incomplete, "
            "damaged or misnamed"
        ) from err
    state = {}
    for name, entry in entries:
        dtype = _SAFETENSORS_DTYPES.get(entry["dtype"])
        if dtype is None:
            raise WeightsError(
                f"{path}: {name}: numbers of type {entry['dtype']} are not supported"
            )
        data = entry["data"]
        values = np.frombuffer(data, dtype) if data else np.zeros(0, dtype)
        state[name] = values.reshape(entry["shape"])
    return state


def _import_safetensors(path: Path) -> Any:
    try:
        import safetensors
        import safetensors.numpy
    except ImportError as err:
        raise WeightsError(
            f"{path}: .safetensors files need a package that is not installed: "
            "pip install safetensors"
        ) from err
    return safetensors


_READERS: dict[str, Callable[[Path], Any]] = {
    ".pdparams": _read_paddle,
    ".pdopt": _read_paddle,
    ".safetensors": _read_safetensors,
    ".pth": _read_torch,
    ".pth.tar": _read_torch,
    ".pt": _read_torch,
}


def _looks_like(start: bytes) -> str:
    """What a file of the wrong kind seems to be, from its first bytes."""
    text = start.lstrip().lower()
    for mark, kind in (
        (
            b"version https://git-lfs",
            "a Git LFS pointer; fetch the file itself with `git lfs pull`",
        ),
        (b"<", "a web page; the download went wrong"),
        (b"pk", "a zip archive"),
        (b"\x1f\x8b", "a gzip archive; unpack it first"),
        (b"\x80", "a pickle, perhaps of Paddle; then its extension is .pdparams"),
    ):
        if text.startswith(mark):
            return f": it looks like {kind}"
    if start[8:9] == b"{":
        return ": it looks like .safetensors; rename it"
    if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in start):
        return ": it is a text file"
    return "; it is incomplete, damaged or misnamed"


# -- contents ------------------------------------------------------------------------------------


def _unwrap(content: Any, path: Path) -> Mapping[str, Any]:
    for _ in range(3):
        if not isinstance(content, Mapping):
            kind = "one array" if isinstance(content, np.ndarray) else f"a {type(content).__name__}"
            raise WeightsError(f"{path}: holds {kind}, not a dictionary of named weights")
        inner = next((content[key] for key in _WRAPPERS if _is_mapping(content.get(key))), None)
        if inner is None:
            break
        content = inner
    return content


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping)


def _arrays_of(content: Mapping[str, Any]) -> dict[str, np.ndarray]:
    state = {}
    for name, value in content.items():
        if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str):
            value = value[1]  # paddle.save writes a tensor as (its own name, array)
        if isinstance(value, np.ndarray) and isinstance(name, str):
            state[name] = value
    return state


def _contents(content: Any) -> str:
    names = [str(key)[:40] for key in list(content)[:8]] if isinstance(content, Mapping) else []
    return f" (it has the entries {listing(names, 7)})" if names else " (it is an empty dictionary)"


def _without_prefix(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    for prefix in _PREFIXES * 2:
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state
