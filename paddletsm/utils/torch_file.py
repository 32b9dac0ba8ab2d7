# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Read PyTorch checkpoints (.pth, .pth.tar, .pt) through ``torch.load(weights_only=True)``.

The file's frame is checked before PyTorch sees it: PyTorch stores its archives uncompressed, so a
compressed or overlapping archive (a zip bomb) or a huge pickle is refused without unpacking it.
"""

from __future__ import annotations

import pickle
import pickletools
import re
import struct
import types
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from paddletsm.errors import WeightsError
from paddletsm.utils.safe_pickle import MAX_INSTRUCTIONS, BoundedReader

ZIP_MAGIC = b"PK\x03\x04"
# A pickled integer, the first of the five pickles of PyTorch's format before 1.6.
LEGACY_MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
# Magic number, version, machine, contents, storage keys; raw numbers follow.
_LEGACY_PICKLES = 5
_MAX_PICKLE_BYTES = 8 << 20
_MAX_ENTRIES = 20_000
# Older versions could be made to run code in spite of weights_only (CVE-2025-32434).
_OLDEST_TORCH = (2, 6)
_INSTALL = "pip install 'torch>=2.6' (the extra 'convert' of this package)"
# What torch.load is known to raise for a damaged file.
_TORCH_ERRORS = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    AssertionError,
    OverflowError,
    MemoryError,
    ImportError,
    OSError,
    struct.error,
)


def load_torch(path: Path) -> Any:
    """Read a checkpoint with all tensors turned into NumPy arrays (bfloat16 into uint16).

    Raises:
        WeightsError: PyTorch is missing or too old; the file is damaged, a bomb, or holds more
            than tensors and plain containers.
    """
    with path.open("rb") as file:
        start = file.read(len(LEGACY_MAGIC))
    if start.startswith(ZIP_MAGIC):
        _check_archive(path)
    elif start == LEGACY_MAGIC:
        _check_legacy(path)
    else:
        raise WeightsError(
            f"{path}: not a PyTorch checkpoint; it is incomplete, damaged or misnamed"
        )
    torch = _import_torch(path)
    try:
        with _numpy_scalars_allowed(torch), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = torch.load(path, map_location="cpu", weights_only=True)
    except _TORCH_ERRORS as err:
        raise WeightsError(_explain(path, err)) from err
    return _arrays(torch, value, path)


def _check_archive(path: Path) -> None:
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, struct.error, NotImplementedError) as err:
        raise WeightsError(
            f"{path}: the archive ends too early or is damaged ({size:,} bytes); "
            "copy or download it again"
        ) from err
    stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
    total = sum(entry.file_size for entry in entries)
    if not stored or total > size or len(entries) > _MAX_ENTRIES:
        raise WeightsError(
            f"{path}: refused: a zip archive of {len(entries):,} entries that unpacks "
            f"{size:,} bytes to {total:,}; PyTorch's checkpoints are not compressed"
        )
    pickles = [entry for entry in entries if entry.filename.endswith(".pkl")]
    if not pickles:
        raise WeightsError(f"{path}: a zip archive, but no PyTorch checkpoint (no data.pkl in it)")
    if any(entry.file_size > _MAX_PICKLE_BYTES for entry in pickles):
        raise WeightsError(
            f"{path}: refused: its index is larger than {_MAX_PICKLE_BYTES >> 20} MiB; "
            "a checkpoint of a network has a few hundred tensors"
        )


def _check_legacy(path: Path) -> None:
    """Walk over the instructions of the leading pickles; nothing is built."""
    size = path.stat().st_size
    with path.open("rb") as file:
        reader = BoundedReader(file, size)
        count = 0
        try:
            for _ in range(_LEGACY_PICKLES):
                for _ in pickletools.genops(reader):
                    count += 1
                    if count > MAX_INSTRUCTIONS:
                        raise WeightsError(
                            f"{path}: refused: more than {MAX_INSTRUCTIONS:,} pickle instructions"
                        )
        except (EOFError, ValueError, OverflowError) as err:
            raise WeightsError(
                f"{path}: the checkpoint ends too early or is damaged ({size:,} bytes); "
                "copy or download it again"
            ) from err


def _import_torch(path: Path) -> types.ModuleType:
    try:
        import torch
    except (ImportError, OSError) as err:
        raise WeightsError(
            f"{path}: reading PyTorch files needs PyTorch, which is not installed: {_INSTALL} "
            "(or convert the file to .pdparams or .safetensors on a machine that has it)"
        ) from err
    version = tuple(int(part) for part in re.findall(r"\d+", torch.__version__)[:2])
    if version < _OLDEST_TORCH:
        raise WeightsError(
            f"{path}: PyTorch {torch.__version__} cannot read files safely (CVE-2025-32434); "
            f"2.6 or newer is needed: {_INSTALL}"
        )
    return torch


@contextmanager
def _numpy_scalars_allowed(torch: types.ModuleType) -> Iterator[None]:
    """Let NumPy numbers pass: trainers store their best accuracy beside the weights."""
    scalar = np.float64(0).__reduce__()[0]
    allowed: list[Any] = [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]
    allowed += [np.dtype, *{type(np.dtype(code)) for code in ("f4", "f8", "i4", "i8", "b1")}]
    with torch.serialization.safe_globals(allowed):
        yield


def _explain(path: Path, err: BaseException) -> str:
    """Say what is wrong; PyTorch's own text advises to switch the protection off."""
    unsafe = re.search(
        r"GLOBAL ([\w.]+)|Unsupported (?:class|operand|global)[: ]+([\w.]+)", str(err)
    )
    if isinstance(err, pickle.UnpicklingError) and unsafe:
        return (
            f"{path}: refused: it holds more than tensors and plain containers (it names "
            f"{unsafe.group(1) or unsafe.group(2)}), and opening it fully could run code. If you "
            "trust it, save the tensors alone where it was made: "
            "torch.save(model.state_dict(), 'weights.pth')"
        )
    return (
        f"{path}: PyTorch cannot read it ({type(err).__name__}); it is incomplete or damaged, "
        "or holds more than tensors: copy or download it again"
    )


def _arrays(torch: types.ModuleType, value: Any, path: Path, depth: int = 0) -> Any:
    """Turn the tensors of nested dictionaries into arrays; other containers hold no weights."""
    if torch.is_tensor(value):
        return _array(torch, value, path)
    if isinstance(value, Mapping) and depth < 4:
        return {key: _arrays(torch, item, path, depth + 1) for key, item in value.items()}
    return value


def _array(torch: types.ModuleType, tensor: Any, path: Path) -> np.ndarray | None:
    is_plain = (
        tensor.layout is torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized
    )
    if not is_plain or tensor.is_complex():
        return None
    if tensor.numel() * tensor.element_size() > path.stat().st_size:
        # Strides of 0 make a few bytes look like any number of them.
        raise WeightsError(f"{path}: refused: a tensor of {tensor.numel():,} numbers in that file")
    tensor = tensor.detach()
    if tensor.dtype is torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(np.uint16)
    return tensor.numpy()
