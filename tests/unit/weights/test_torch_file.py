# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""PyTorch checkpoints, in both of PyTorch's formats. Needs PyTorch (extra ``convert``)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from paddletsm.errors import WeightsError
from paddletsm.utils.weight_files import read_state

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra 'convert')")

FORMATS = pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "legacy"])


def _save(path: Path, value: object, is_zip: bool) -> Path:
    torch.save(value, path, _use_new_zipfile_serialization=is_zip)
    return path


class _Evil:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (self.command,)


@FORMATS
def test_training_checkpoint(tmp_path: Path, is_zip: bool) -> None:
    tensors = {
        "module.conv1.weight": torch.arange(6.0).reshape(2, 3),
        "module.bn1.num_batches_tracked": torch.tensor(5),
        "module.half": torch.tensor([1.0, 2.0], dtype=torch.bfloat16),
        "module.transposed": torch.arange(6.0).reshape(2, 3).T,
        "module.parameter": torch.nn.Parameter(torch.ones(2)),
    }
    content = {
        "epoch": 3,
        "arch": "resnet50",
        "state_dict": tensors,
        "optimizer": torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], 0.1).state_dict(),
        "best_prec1": torch.tensor(71.2),
        "best_acc": np.float64(0.7),
    }
    state = read_state(_save(tmp_path / "ckpt.pth.tar", content, is_zip))
    assert state["conv1.weight"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert state["transposed"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert state["bn1.num_batches_tracked"] == 5
    assert state["half"].dtype == np.uint16
    assert state["half"].tolist() == [0x3F80, 0x4000]
    assert state["parameter"].tolist() == [1, 1]
    assert len(state) == 5


@FORMATS
@pytest.mark.parametrize("where", ["top", "beside", "inside"])
def test_malicious_checkpoint_is_refused(tmp_path: Path, is_zip: bool, where: str) -> None:
    marker = tmp_path / "marker"
    evil = _Evil(f"touch {marker}")
    content = {
        "top": evil,
        "beside": {"state_dict": {"a": torch.ones(2)}, "args": evil},
        "inside": {"state_dict": {"a": evil}},
    }[where]
    path = _save(tmp_path / "w.pth", content, is_zip)
    with pytest.raises(WeightsError, match=r"refused: .*posix.system") as caught:
        read_state(path)
    assert not marker.exists()
    assert "weights_only" not in str(caught.value)


@FORMATS
def test_whole_model_is_refused_with_a_remedy(tmp_path: Path, is_zip: bool) -> None:
    path = _save(tmp_path / "w.pt", torch.nn.Linear(2, 2), is_zip)
    with pytest.raises(WeightsError, match=r"state_dict\(\)"):
        read_state(path)


@FORMATS
def test_truncated_at_many_points(tmp_path: Path, is_zip: bool) -> None:
    content = {"a": torch.arange(100.0), "b": torch.ones(3, 3)}
    whole = _save(tmp_path / "w.pth", content, is_zip).read_bytes()
    path = tmp_path / "cut.pth"
    for length in range(1, len(whole), max(1, len(whole) // 150)):
        path.write_bytes(whole[:length])
        with pytest.raises(WeightsError):
            read_state(path)


@FORMATS
def test_flipped_bytes_never_escape_as_another_error(tmp_path: Path, is_zip: bool) -> None:
    content = {"a": torch.arange(10.0), "b": torch.ones(3, 3)}
    whole = _save(tmp_path / "w.pth", content, is_zip).read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "flipped.pth"
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.integers(len(damaged))] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            read_state(path)
        except WeightsError:
            pass


def test_expanded_tensor_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save({"a": torch.ones(1).expand(1 << 40)}, path)
    with pytest.raises(WeightsError, match="refused: a tensor of"):
        read_state(path)


def test_sparse_and_complex_tensors_hold_no_weights(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save({"a": torch.ones(2, dtype=torch.complex64), "b": torch.ones(2).to_sparse()}, path)
    with pytest.raises(WeightsError, match="no weights"):
        read_state(path)
