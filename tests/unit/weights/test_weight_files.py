# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Weights files of every format: read, written, and refused with one clear message."""

from __future__ import annotations

import builtins
import io
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paddletsm.errors import WeightsError
from paddletsm.utils import torch_file
from paddletsm.utils.weight_files import read_state, write_state

STATE = {
    "backbone.conv1.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "head.fc.bias": np.ones(2, np.float32),
}


def _pickle(path: Path, value: object, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(value, protocol))
    return path


def _assert_state(state: dict[str, np.ndarray]) -> None:
    assert sorted(state) == sorted(STATE)
    for name, value in STATE.items():
        np.testing.assert_array_equal(state[name], value)


class TestContents:
    def test_paddle_save_of_a_state_dict(self, tmp_path: Path) -> None:
        content = {
            **{name: (f"conv_{i}.w_0", v) for i, (name, v) in enumerate(STATE.items())},
            "StructuredToParameterName@@": dict.fromkeys(STATE, "x"),
        }
        _assert_state(read_state(_pickle(tmp_path / "w.pdparams", content)))

    @pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict"])
    def test_wrapped_in_a_checkpoint(self, tmp_path: Path, key: str) -> None:
        content = {"epoch": 3, "best": np.float64(0.5), key: STATE, "optimizer": {"m": np.ones(3)}}
        _assert_state(read_state(_pickle(tmp_path / "w.pdparams", content)))

    @pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "_orig_mod.module.", "_layers."])
    def test_prefix_of_all_names_is_taken_off(self, tmp_path: Path, prefix: str) -> None:
        content = {prefix + name: value for name, value in STATE.items()}
        _assert_state(read_state(_pickle(tmp_path / "w.pdparams", content)))

    def test_prefix_of_some_names_stays(self, tmp_path: Path) -> None:
        content = {"module.a": np.ones(2), "b": np.ones(2)}
        assert set(read_state(_pickle(tmp_path / "w.pdparams", content))) == {"module.a", "b"}

    @pytest.mark.parametrize("extension", [".pdparams", ".safetensors"])
    def test_written_file_comes_back(self, tmp_path: Path, extension: str) -> None:
        path = tmp_path / f"w{extension}"
        if extension == ".safetensors":
            pytest.importorskip("safetensors")
        write_state(path, STATE)
        _assert_state(read_state(path))
        assert [item.name for item in tmp_path.iterdir()] == [path.name]

    def test_written_file_is_read_by_paddle(self, tmp_path: Path) -> None:
        paddle = pytest.importorskip("paddle")
        write_state(tmp_path / "w.pdparams", STATE)
        _assert_state(paddle.load(str(tmp_path / "w.pdparams"), return_numpy=True))

    def test_bfloat16_of_safetensors_is_uint16(self, tmp_path: Path) -> None:
        pytest.importorskip("safetensors")
        header = b'{"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}     '
        data = struct.pack("<Q", len(header)) + header + b"\x80\x3f\x00\x40"  # 1.0, 2.0
        (tmp_path / "w.safetensors").write_bytes(data)
        assert read_state(tmp_path / "w.safetensors")["a"].tolist() == [0x3F80, 0x4000]


def _make(tmp_path: Path, name: str, content: bytes) -> Path:
    (tmp_path / name).write_bytes(content)
    return tmp_path / name


def _zip(compression: int, **entries: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name.replace("__", "/").replace("_pkl", ".pkl"), content)
    return buffer.getvalue()


_REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (lambda p: p / "nothing.pdparams", "no such file"),
    "missing_near": (
        lambda p: _make(p, "best.pdparams", b"x").with_name("bets.pdparams"),
        "did you mean .*best.pdparams",
    ),
    "missing_folder": (lambda p: p / "no" / "w.pth", "no such file"),
    "folder": (lambda p: _make(p, "w.pdparams", b"x").parent, "a folder.*it holds w.pdparams"),
    "empty_folder": (lambda p: p, "there are no weights files in it"),
    "folder_named_like_a_file": (
        lambda p: (p / "w.pdparams").mkdir() or p / "w.pdparams",
        "a folder",
    ),
    "empty": (lambda p: _make(p, "w.pdparams", b""), "empty"),
    "empty_pth": (lambda p: _make(p, "w.pth", b""), "empty"),
    "text": (lambda p: _make(p, "w.pdparams", b"hello\n" * 99), "it is a text file"),
    "web_page": (lambda p: _make(p, "w.pth", b"<!DOCTYPE html>"), "a web page"),
    "lfs": (
        lambda p: _make(p, "w.pdparams", b"version https://git-lfs.github.com/spec/v1\n"),
        "git lfs pull",
    ),
    "gzip": (lambda p: _make(p, "w.pdparams", b"\x1f\x8b\x08rest"), "gzip"),
    "extension": (lambda p: _make(p, "w.txt", b"x"), "not a weights file by its extension"),
    "artefact": (lambda p: _make(p, "w.pdiparams", b"x"), "exported artefact"),
    "pth_named_pdparams": (
        lambda p: _make(p, "w.pdparams", _zip(0, a__data_pkl=b"x")),
        "rename it to .pth",
    ),
    "pdparams_named_pth": (
        lambda p: _pickle(p / "w.pth", STATE),
        "not a PyTorch checkpoint.*pdparams",
    ),
    "list": (lambda p: _pickle(p / "w.pdparams", [1, 2]), "holds a list"),
    "array": (lambda p: _pickle(p / "w.pdparams", np.ones(3)), "holds one array"),
    "empty_dict": (lambda p: _pickle(p / "w.pdparams", {}), "an empty dictionary"),
    "no_arrays": (lambda p: _pickle(p / "w.pdparams", {"epoch": 3}), "no weights.*epoch"),
    "text_safetensors": (lambda p: _make(p, "w.safetensors", b"hello there\n"), "safetensors"),
    "header_of_safetensors": (
        lambda p: _make(p, "w.safetensors", struct.pack("<Q", 1 << 50) + b"{}"),
        "safetensors",
    ),
    "cut_zip": (lambda p: _make(p, "w.pth", _zip(0, a__data_pkl=b"x" * 999)[:500]), "too early"),
    "other_zip": (lambda p: _make(p, "w.pth", _zip(0, readme=b"x")), "no PyTorch checkpoint"),
    "bomb": (
        lambda p: _make(p, "w.pth", _zip(8, a__data_pkl=b"x", a__data__0=bytes(50 << 20))),
        "refused.*unpacks",
    ),
    "cut_legacy": (lambda p: _make(p, "w.pth.tar", torch_file.LEGACY_MAGIC), "too early"),
    "cut_legacy_magic": (
        lambda p: _make(p, "w.pth.tar", torch_file.LEGACY_MAGIC[:9]),
        "not a PyTorch checkpoint",
    ),
    "legacy_bomb": (
        lambda p: _make(p, "w.pth.tar", torch_file.LEGACY_MAGIC + b"N0" * 600_000),
        "refused.*instructions",
    ),
    "tar": (lambda p: _make(p, "w.pth.tar", b"pickle\0" + bytes(600)), "not a PyTorch checkpoint"),
}


@pytest.mark.parametrize("name", _REFUSED)
def test_refused_with_path_and_reason(tmp_path: Path, name: str) -> None:
    make, reason = _REFUSED[name]
    if "safetensors" in name:
        pytest.importorskip("safetensors")
    path = make(tmp_path)
    with pytest.raises(WeightsError, match=f"(?s){reason}") as caught:
        read_state(path)
    assert str(path) in str(caught.value)


def test_special_file_is_refused(tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes on this system")
    os.mkfifo(tmp_path / "w.pdparams")
    with pytest.raises(WeightsError, match="not a regular file"):
        read_state(tmp_path / "w.pdparams")


def test_unreadable_file_is_refused(tmp_path: Path) -> None:
    path = _pickle(tmp_path / "w.pdparams", STATE)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(WeightsError, match="cannot be read"):
        read_state(path)


def test_real_case_cut_at_a_mebibyte(tmp_path: Path) -> None:
    whole = pickle.dumps({"a": np.zeros((1024, 1024), np.float32)}, 4)
    path = _make(tmp_path, "w.pdparams", whole[: 1 << 20])
    with pytest.raises(WeightsError, match=r"1,048,576 bytes and is incomplete"):
        read_state(path)


class TestWithoutPackages:
    """What a user without the optional packages sees."""

    def _hide(self, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
        real = builtins.__import__

        def hidden(name: str, *args: Any, **kwargs: Any) -> Any:
            if name.split(".")[0] == package:
                raise ImportError(f"No module named {name!r}")
            return real(name, *args, **kwargs)

        monkeypatch.setattr(builtins, "__import__", hidden)

    def test_pth_names_the_extra(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = _make(tmp_path, "w.pth", _zip(0, a__data_pkl=pickle.dumps({}, 2)))
        self._hide(monkeypatch, "torch")
        with pytest.raises(WeightsError, match=r"pip install 'torch>=2\.6' \(the extra 'convert'"):
            read_state(path)

    def test_bomb_is_refused_before_the_package_is_needed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = _make(tmp_path, "w.pth", _zip(8, a__data_pkl=b"x", a__data__0=bytes(1 << 20)))
        self._hide(monkeypatch, "torch")
        with pytest.raises(WeightsError, match="not compressed"):
            read_state(path)

    def test_safetensors_names_the_package(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = _make(tmp_path, "w.safetensors", b"12345678{}")
        self._hide(monkeypatch, "safetensors")
        with pytest.raises(WeightsError, match="pip install safetensors"):
            read_state(path)

    def test_old_torch_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import sys
        import types

        old = types.ModuleType("torch")
        old.__version__ = "2.5.1+cpu"
        monkeypatch.setitem(sys.modules, "torch", old)
        path = _make(tmp_path, "w.pth", _zip(0, a__data_pkl=pickle.dumps({}, 2)))
        with pytest.raises(WeightsError, match=r"2\.5\.1.*2\.6 or newer"):
            read_state(path)


def test_overlapping_zip_entries_are_refused(tmp_path: Path) -> None:
    """Two directory entries that point at the same bytes unpack to more than the file holds."""
    content = bytearray(_zip(0, a__data_pkl=b"x", a__data__0=bytes(10_000)))
    end = content.rindex(b"PK\x05\x06")
    count, _, size, start = struct.unpack("<HHLL", content[end + 8 : end + 20])
    directory = bytes(content[start : start + size])
    doubled = directory * 5
    tail = content[end:]
    tail[8:20] = struct.pack("<HHLL", count * 5, count * 5, size * 5, start)
    path = _make(tmp_path, "w.pth", bytes(content[:start]) + doubled + bytes(tail))
    with pytest.raises(WeightsError, match="refused"):
        read_state(path)


@pytest.mark.parametrize("name", ["w.pdopt", "w.npz", "w"])
def test_other_targets_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(WeightsError, match=r"\.pdparams or \.safetensors"):
        write_state(tmp_path / name, STATE)


def test_unwritable_target_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(WeightsError, match="cannot be written"):
        write_state(tmp_path / "file" / "w.pdparams", STATE)
