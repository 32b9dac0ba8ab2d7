# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The pickle reader: what Paddle writes comes back bit for bit, anything else is refused."""

from __future__ import annotations

import builtins
import collections
import os
import pickle
import struct
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from paddletsm.errors import WeightsError
from paddletsm.utils.safe_pickle import load_plain

RNG = np.random.default_rng(0)


def _write(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "file.pdparams"
    path.write_bytes(content)
    return path


def _same(left: object, right: object) -> bool:
    if isinstance(left, np.ndarray):
        return (
            isinstance(right, np.ndarray)
            and left.dtype == right.dtype
            and left.shape == right.shape
            and left.tobytes() == right.tobytes()
        )
    if isinstance(left, dict):
        return (
            isinstance(right, dict)
            and list(left) == list(right)
            and all(_same(left[key], right[key]) for key in left)
        )
    if isinstance(left, (list, tuple)):
        return (
            type(left) is type(right) and len(left) == len(right) and all(map(_same, left, right))
        )
    return type(left) is type(right) and left == right


STATE = {
    "weight": RNG.standard_normal((3, 4, 2)).astype(np.float32),
    "fortran": np.asfortranarray(RNG.standard_normal((3, 4))),
    "half": RNG.standard_normal(5).astype(np.float16),
    "bfloat16": np.arange(6, dtype=np.uint16).reshape(2, 3),
    "big_endian": np.arange(3, dtype=">i4"),
    "flags": np.array([True, False]),
    "scalar_array": np.array(3, np.int64),
    "empty": np.zeros((0, 4), np.float32),
    "paddle_tensor": ("linear_0.w_0", np.arange(4, dtype=np.float32)),
    "LR_Scheduler": {
        "last_epoch": 3,
        "last_lr": 0.01,
        "values": [0.1, 0.01],
        "on": True,
        "x": None,
    },
    "number": np.float64(2.5),
    "ordered": collections.OrderedDict(a=1, b=(2, 3)),
    "StructuredToParameterName@@": {"weight": "conv2d_0.w_0"},
    "large": 1 << 80,
    7: "integer key",
}


class TestPlainContent:
    @pytest.mark.parametrize("protocol", [2, 3, 4, 5])
    def test_round_trip(self, tmp_path: Path, protocol: int) -> None:
        content = pickle.dumps(STATE, protocol)
        assert _same(pickle.loads(content), load_plain(_write(tmp_path, content)))

    @pytest.mark.parametrize(
        ("old", "new"),
        [(b"numpy._core", b"numpy.core"), (b"numpy.core", b"numpy._core")],
        ids=["numpy1", "numpy2"],
    )
    def test_module_names_of_both_numpy_generations(
        self, tmp_path: Path, old: bytes, new: bytes
    ) -> None:
        content = pickle.dumps({"a": np.arange(3)}, 2).replace(old, new)
        assert _same({"a": np.arange(3)}, load_plain(_write(tmp_path, content)))

    def test_array_bytes_written_by_python_2(self, tmp_path: Path) -> None:
        data = np.array([1.5, -2.0], "<f4").tobytes()
        content = (
            b"\x80\x02}U\x01acnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b"
            b"\x87R(K\x01K\x02\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff"
            b"\xffJ\xff\xff\xff\xffK\x00tb\x89U" + bytes([len(data)]) + data + b"tbs."
        )
        assert load_plain(_write(tmp_path, content))["a"].tolist() == [1.5, -2.0]

    def test_shared_array_stays_shared(self, tmp_path: Path) -> None:
        array = np.arange(4.0)
        state = load_plain(_write(tmp_path, pickle.dumps({"a": array, "b": array}, 4)))
        assert state["a"] is state["b"]


class _Evil:
    """Pickles into a call of any function."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[object, ...]:
        return self.call


class _Stateful:
    def __init__(self) -> None:
        self.value = 1

    def __setstate__(self, state: dict[str, object]) -> None:
        Path(str(state["path"])).touch()


def _attacks(marker: str) -> dict[str, bytes]:
    command = f"touch {marker}"
    stateful = _Stateful()
    stateful.__dict__["path"] = marker
    opener = _Evil(open, marker, "w")
    return {
        "os.system": pickle.dumps({"w": _Evil(os.system, command)}, 4),
        "os.system_protocol_2": pickle.dumps({"w": _Evil(os.system, command)}, 2),
        "eval": pickle.dumps(_Evil(builtins.eval, f"open({marker!r}, 'w')"), 4),
        "exec": pickle.dumps(_Evil(builtins.exec, f"open({marker!r}, 'w')"), 4),
        "paddle_eval": pickle.dumps(_Evil(builtins.eval, "data", {"data": np.zeros(2)}), 4),
        "open": pickle.dumps(opener, 4),
        "nested": pickle.dumps(_Evil(builtins.list, ([opener], {"a": _Evil(dict, [opener])})), 4),
        "in_array_shape": pickle.dumps(_Evil(np.zeros, _Evil(os.system, command)), 4),
        "in_tuple": pickle.dumps(_Evil(tuple, [_Evil(os.system, command)]), 4),
        "object_array": pickle.dumps(np.array([opener], dtype=object), 4),
        "setstate": pickle.dumps({"w": stateful}, 4),
        "inst": b"\x80\x02(S'touch " + marker.encode() + b"'\nios\nsystem\n.",
        "obj": b"\x80\x02(cos\nsystem\nS'touch " + marker.encode() + b"'\no.",
        "newobj": b"\x80\x02cos\nsystem\nX\x01\x00\x00\x00a\x85\x81.",
        "persid": b"\x80\x02Pfile\n.",
        "extension": b"\x80\x02\x82\x01.",
        "build_on_dict": b"\x80\x02}}X\x01\x00\x00\x00a}sb.",
        "build_on_module": b"\x80\x02cos\nenviron\n}X\x01\x00\x00\x00aX\x01\x00\x00\x00bsb.",
        "codec": b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x05\x00\x00\x00rot13\x86R.",
        "codec_decode": b"\x80\x02c_codecs\ndecode\nC\x01aX\x03\x00\x00\x00zip\x86R.",
        "bytes_call": b"\x80\x02c__builtin__\nbytes\nJ\x00\x00\x00\x40\x85R.",
        "getattr": b"\x80\x02c__builtin__\ngetattr\ncos\nsystem\nX\x01\x00\x00\x00a\x86R.",
        "dotted": b"\x80\x04\x8c\x02os\x8c\x0bpath.exists\x93\x8c\x01a\x85R.",
        "numpy_load": b"\x80\x02cnumpy\nload\nX\x01\x00\x00\x00a\x85R.",
        "array_subclass": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncos\nsystem\n"
        b"K\x00\x85U\x01b\x87R.",
        "object_dtype": b"\x80\x02cnumpy\ndtype\nX\x01\x00\x00\x00O\x89\x88\x87R.",
        "word_as_result": b"\x80\x02cnumpy\nndarray\n.",
    }


@pytest.mark.parametrize("name", _attacks("x"))
def test_attack_is_refused_and_nothing_runs(tmp_path: Path, name: str) -> None:
    marker = tmp_path / "marker"
    path = _write(tmp_path, _attacks(str(marker))[name])
    with pytest.raises(WeightsError, match=r"refused|not a readable"):
        load_plain(path)
    assert not marker.exists()


def test_the_attacks_are_real(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    pickle.loads(_attacks(str(marker))["open"])
    assert marker.exists()


def test_message_names_what_the_file_would_call(tmp_path: Path) -> None:
    path = _write(tmp_path, pickle.dumps(_Evil(os.system, "true"), 4))
    with pytest.raises(WeightsError, match=r"names posix.system.*Nothing was executed"):
        load_plain(path)


def _text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def _bombs() -> dict[str, bytes]:
    big = _text("a" * 1_000_000) + b"q\x01"
    encode = b"c_codecs\nencode\nh\x01" + _text("latin1") + b"\x86R"
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
        b"(K\x01J\x40\x42\x0f\x00\x85cnumpy\ndtype\n" + _text("u1") + b"\x89\x88\x87R\x89h\x01tb"
    )
    ones = b"](" + b"K\x01" * 100_000 + b"eq\x01"
    dag = b"]" + b"".join(b"q" + bytes([i]) + b"](h" + bytes([i]) * 2 + b"e" for i in range(100))
    pairs = b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(100))
    return {
        "huge_text": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 40) + b"abc",
        "huge_bytes": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 62) + b"abc",
        "huge_bytearray": b"\x80\x05\x96" + struct.pack("<Q", 1 << 36) + b"abc",
        "huge_frame": b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b"N",
        "huge_integer_line": b"\x80\x02I" + b"9" * 200_000,
        "huge_array": b"\x80\x02" + array.replace(b"J\x40\x42\x0f\x00", b"J\xff\xff\xff\x7f"),
        "encoded_again_and_again": b"\x80\x02" + big + b"](" + encode * 2000 + b"e.",
        "arrays_of_the_same_bytes": b"\x80\x02"
        + big.replace(b"X", b"B", 1)
        + b"0]("
        + array * 2000
        + b"e.",
        "copied_lists": b"\x80\x02"
        + ones
        + b"]("
        + b"c__builtin__\ntuple\nh\x01\x85R" * 5000
        + b"e.",
        "copied_dicts": b"\x80\x02"
        + ones
        + b"]("
        + b"ccollections\nOrderedDict\nh\x01\x85R" * 9
        + b"e.",
        "doubling_as_dtype": b"\x80\x02cnumpy\ndtype\nN" + pairs + b"\x89\x88\x87R.",
        "doubling_as_key": b"\x80\x02}N" + pairs + b"Ns.",
        "doubling_list": b"\x80\x02" + dag + b"cnumpy\ndtype\nN\x85R.",
        "deep_nesting": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"b.",
        "many_instructions": b"\x80\x02" + b"N0" * 600_000 + b"N.",
        "marks": b"\x80\x02" + b"(" * 200_000 + b"t" * 199_999 + b".",
    }


@pytest.mark.parametrize("name", _bombs())
def test_bomb_is_refused_in_bounded_time_and_memory(tmp_path: Path, name: str) -> None:
    content = _bombs()[name]
    path = _write(tmp_path, content)
    tracemalloc.start()
    start = time.process_time()
    try:
        with pytest.raises(WeightsError):
            load_plain(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * len(content) + (150 << 20)
    assert time.process_time() - start < 60  # a hang, not a speed, is what this catches


def test_every_truncation_is_an_error(tmp_path: Path) -> None:
    content = pickle.dumps({"a": np.arange(20.0), "b": ("n", np.ones(3)), "c": {"d": [1]}}, 4)
    for length in range(len(content)):
        path = _write(tmp_path, content[:length])
        with pytest.raises(WeightsError):
            load_plain(path)


def test_high_memo_index_costs_no_memory(tmp_path: Path) -> None:
    path = _write(tmp_path, b"\x80\x02}r\xff\xff\xff\xff.")
    tracemalloc.start()
    assert load_plain(path) == {}
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("protocol", [2, 4])
def test_flipped_bytes_never_escape_as_another_error(tmp_path: Path, protocol: int) -> None:
    content = pickle.dumps({"a": np.arange(4.0), "b": ("n", np.ones(3)), "c": {"d": [1]}}, protocol)
    rng = np.random.default_rng(protocol)
    for _ in range(800):
        damaged = bytearray(content)
        for _ in range(rng.integers(1, 4)):
            damaged[rng.integers(len(damaged))] = rng.integers(256)
        try:
            load_plain(_write(tmp_path, bytes(damaged)))
        except WeightsError:
            pass


def test_trailing_bytes_are_an_error(tmp_path: Path) -> None:
    path = _write(tmp_path, pickle.dumps({"a": np.ones(2)}, 4) + b"more")
    with pytest.raises(WeightsError, match="4 unknown bytes follow"):
        load_plain(path)
