# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Weights and resume states on disk: written atomically, sealed, read without running code.

A resume state is one .npz: arrays "model/<name>", "optimizer/<name>|<slot>", "ema/<name>", and
"meta", a JSON text. Where processes differ, "process<rank>/..." holds what the others have. Names
are those of the network, not the numbered names that Paddle gives parameters in the order of their
creation. Behind the content stands its SHA-256.
"""

from __future__ import annotations

import json
import logging
import math
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle import nn

from paddletsm.engine.ema import Ema
from paddletsm.engine.nonfinite import first_broken
from paddletsm.errors import ConfigError, PaddleTSMError, WeightsError
from paddletsm.utils.io import atomic_path, nearest_file, seal, sealed_size

logger = logging.getLogger(__name__)

STATISTICS = ("._mean", "._variance")

_KEEP_STATES = 2
_MASTER = "master"
_MAX_MEMBERS = 100_000
# All that NumPy, zipfile and json raise for a file that is none of ours, or a part of one.
_DAMAGED = (
    OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, MemoryError, OverflowError,
    zipfile.BadZipFile,
)  # fmt: skip


def save_weights(model: nn.Layer, path: Path) -> None:
    """Write the network's tensors as .pdparams, with a checksum behind them.

    Raises:
        PaddleTSMError: a value is not finite; nothing is written.
    """
    _refuse_broken(model, path)
    with atomic_path(path) as temporary:
        paddle.save(model.state_dict(), str(temporary))
        seal(temporary)


def _refuse_broken(model: nn.Layer, path: Path) -> None:
    name = first_broken(model.state_dict().items())
    if name is not None:
        raise PaddleTSMError(
            f"{name} holds values that are not finite since the latest step, so {path.name} is not "
            "written; lower OPTIMIZER.learning_rate, add warmup_epochs or grad_clip, and start "
            "anew or --resume from what was saved before"
        )


def remove_old_weights(folder: Path, pattern: str, keep: int) -> None:
    """Remove all but the newest files of epoch weights."""
    for old in sorted(folder.glob(pattern))[:-keep]:
        old.unlink(missing_ok=True)


def own_statistics(model: nn.Layer, ema: Ema | None) -> dict[str, np.ndarray]:
    """What differs between processes in the middle of an epoch: statistics of own clips."""
    sources = {"model": model.state_dict(), "ema": ema.tensors if ema is not None else {}}
    return {
        f"{source}/{name}": tensor.numpy()
        for source, tensors in sources.items()
        for name, tensor in tensors.items()
        if name.endswith(STATISTICS)
    }


def save_state(
    folder: Path,
    model: nn.Layer,
    optimizer: paddle.optimizer.Optimizer,
    meta: dict[str, Any],
    *,
    ema: Ema | None = None,
    others: Sequence[dict[str, np.ndarray]] = (),
) -> Path:
    """Write a resume state, then remove all but the newest ones.

    Args:
        folder: the run folder.
        model: the network, not its distributed wrapper.
        optimizer: its optimiser.
        meta: JSON-able facts; ``meta["global_step"]`` numbers the state.
        ema: the averaged weights, if any.
        others: ``own_statistics`` of the processes 1, 2, ... where they differ.

    Raises:
        PaddleTSMError: a value is not finite; nothing is written.
    """
    path = folder / f"resume_step_{meta['global_step']:08d}.npz"
    _refuse_broken(model, path)
    arrays = {f"model/{name}": tensor.numpy() for name, tensor in model.state_dict().items()}
    for name, tensor in _named_optimizer_state(model, optimizer).items():
        arrays[f"optimizer/{name}"] = tensor.numpy()
    for name, tensor in (ema.tensors if ema is not None else {}).items():
        arrays[f"ema/{name}"] = tensor.numpy()
    for rank, statistics in enumerate(others, 1):
        arrays.update({f"process{rank}/{name}": array for name, array in statistics.items()})
    arrays["meta"] = np.array(json.dumps(meta))
    with atomic_path(path) as temporary:
        _write_archive(temporary, arrays)
        seal(temporary)
    for old in _states(folder)[:-_KEEP_STATES]:
        old.unlink(missing_ok=True)
    return path


def _write_archive(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write an .npz; np.savez leaves the archive open when the disk is full, and it complains."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


def read_resume_state(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read the arrays and the meta of a resume state.

    Raises:
        WeightsError: missing, incomplete, damaged, or no resume state.
    """
    if not path.is_file():
        raise WeightsError(f"--resume: file not found: {path}{nearest_file(path)}")
    try:
        if sealed_size(path) is None:
            raise ValueError("its checksum is missing")
        _check_archive(path)
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        meta = json.loads(str(arrays.pop("meta")))
        kinds = {"global_step": int, "state": dict, "run": dict}
        if not all(isinstance(meta[key], kind) for key, kind in kinds.items()):
            raise ValueError("its facts are of other kinds")
    except _DAMAGED as err:
        reason = "" if isinstance(err, MemoryError) or "pickle" in str(err) else f" ({err})"
        raise WeightsError(f"{path} is incomplete or no resume state{reason}") from err
    return arrays, meta


def _check_archive(path: Path) -> None:
    """Refuse what is no archive of plain arrays before anything of it is unpacked.

    Members are stored uncompressed, so together they are no larger than the file, and the header of
    each array says no more than its member holds.

    Raises:
        ValueError, zipfile.BadZipFile: it is not.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        total = sum(member.file_size for member in members)
        is_stored = all(member.compress_type == zipfile.ZIP_STORED for member in members)
        if not is_stored or total > path.stat().st_size or len(members) > _MAX_MEMBERS:
            raise ValueError("its members are not plainly stored")
        for member in members:
            with archive.open(member) as file:
                version = np.lib.format.read_magic(file)
                read = np.lib.format.read_array_header_1_0
                shape, _, kind = (
                    read if version == (1, 0) else np.lib.format.read_array_header_2_0
                )(file)
                if math.prod(shape) * kind.itemsize > member.file_size or kind.hasobject:
                    raise ValueError(f"{member.filename} is no plain array")


def apply_state(
    path: Path,
    arrays: dict[str, np.ndarray],
    model: nn.Layer,
    optimizer: paddle.optimizer.Optimizer,
    *,
    ema: Ema | None = None,
) -> None:
    """Put the arrays of a resume state into a network, its optimiser and its averages.

    Raises:
        WeightsError: they are of another network.
        ConfigError: EMA was added or taken away.
    """
    tensors = _below(arrays, "model/")
    own = model.state_dict()
    averages = {} if ema is None else ema.tensors
    stated = _below(arrays, "ema/")
    if bool(averages) != bool(stated):
        raise ConfigError(
            f"--resume: {path} was saved {'with' if stated else 'without'} EMA; resuming continues "
            "the same run, so keep it, or start anew with -w"
        )
    differing = sorted(
        (set(own) ^ set(tensors))
        | {name for name in set(own) & set(tensors) if not _fits(tensors[name], own[name])}
        | {
            key
            for key, value in arrays.items()
            if key.startswith("optimizer/") and not _fits(value, own.get(_parameter_of(key)))
        }
        | {name for name in averages if not _fits(stated.get(name), averages[name])}
    )
    if differing:
        raise WeightsError(
            f"{path} is the state of another network: {len(differing)} tensors differ, "
            f"for example {differing[0]!r}; resume with the configuration of that run"
        )
    for name, tensor in own.items():
        tensor.set_value(tensors[name].reshape(tensor.shape))
    for name, tensor in averages.items():
        tensor.set_value(stated[name].reshape(tensor.shape).astype("float32"))
    parameter_names = {name: p.name for name, p in model.named_parameters()}
    state = {}
    for key, value in arrays.items():
        if key.startswith("optimizer/"):
            name, _, slot = key.removeprefix("optimizer/").partition("|")
            target = state.setdefault("master_weights", {}) if slot == _MASTER else state
            key = parameter_names[name] + ("" if slot == _MASTER else slot)
            target[key] = paddle.to_tensor(value)
    optimizer.set_state_dict(state)


def _below(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def of_process(
    arrays: dict[str, np.ndarray], *, rank: int, size: int
) -> tuple[dict[str, np.ndarray], bool]:
    """Arrays of a resume state as one process is to have them.

    Returns:
        The arrays without those of other processes, and whether they are exactly those that the
        process had. Another number of processes than the state's continues with the means.
    """
    parts = [arrays] + [_below(arrays, f"process{n}/") for n in range(1, _count_processes(arrays))]
    common = {k: v for k, v in arrays.items() if not k.startswith("process")}
    if len(parts) == 1:
        return common, True
    if len(parts) == size:
        return {**common, **parts[rank]} if rank else common, True
    means = {k: np.mean([part[k] for part in parts], 0, dtype=np.float32) for k in parts[1]}
    return {**common, **means}, False


def _count_processes(arrays: dict[str, np.ndarray]) -> int:
    ranks = [int(m[1]) for m in (re.match(r"process(\d{1,6})/", key) for key in arrays) if m]
    return 1 + max(ranks, default=0)


def _parameter_of(key: str) -> str:
    """Name of the parameter of an "optimizer/<parameter>|<slot>" array."""
    return key.removeprefix("optimizer/").partition("|")[0]


def _fits(array: np.ndarray | None, tensor: paddle.Tensor | None) -> bool:
    return (
        tensor is not None
        and array is not None
        and list(array.shape) == list(tensor.shape)
        and np.issubdtype(array.dtype, np.number)
    )


def find_state(folder: Path) -> Path:
    """Return the newest complete resume state of a run folder.

    Raises:
        WeightsError: there is none.
    """
    for path in reversed(_states(folder)):
        try:
            read_resume_state(path)
        except WeightsError as err:
            logger.warning("%s; trying the one before", err)
            continue
        return path
    raise WeightsError(
        f"--resume: no complete resume state (resume_step_*.npz) in {folder}; "
        "start without --resume, or name the file"
    )


def _states(folder: Path) -> list[Path]:
    return sorted(folder.glob("resume_step_*.npz"))


def _named_optimizer_state(
    model: nn.Layer, optimizer: paddle.optimizer.Optimizer
) -> dict[str, paddle.Tensor]:
    """Optimiser tensors by "<parameter name>|<slot>"."""
    # Longest first: conv2d_1 is a prefix of conv2d_10.
    by_length = sorted(
        ((p.name, name) for name, p in model.named_parameters()), key=lambda x: -len(x[0])
    )
    result = {}
    state = optimizer.state_dict()
    names = dict(by_length)
    for paddle_name, value in state.pop("master_weights", {}).items():  # float32, of AMP O2
        result[f"{names[paddle_name]}|{_MASTER}"] = value
    for key, value in state.items():
        if not isinstance(value, paddle.Tensor):
            continue
        for paddle_name, name in by_length:
            if key.startswith(paddle_name):
                result[f"{name}|{key.removeprefix(paddle_name)}"] = value
                break
    return result
