# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Read pickles of arrays and plain containers without running anything from them.

``pickle.load`` calls whatever a file names. Here the standard library only splits the file into
instructions (``pickletools.genops``); a small interpreter then follows the ones that build
dictionaries, lists, tuples, numbers, strings and NumPy arrays. A name in the file is a word to
compare, never something to import or call, so there is no code path from a file to execution.

Source: the pickle protocols 2 to 5 as described in Python's ``pickletools``; the array layout is
that of ``numpy.ndarray.__reduce__`` of NumPy 1 and 2, written by ``paddle.save`` 2.x and 3.x.
"""

from __future__ import annotations

import math
import pickletools
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from paddletsm.errors import WeightsError

# A network of 1000 tensors with its optimiser's state takes about 100 thousand instructions.
MAX_INSTRUCTIONS = 1_000_000
_MAX_LINE = 1 << 16
_MAX_DIMS = 32

_DTYPES = {f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)} | {"f2", "f4", "f8", "b1"}
_ARRAY, _DTYPE = "numpy ndarray", "numpy dtype"
_REBUILD, _SCALAR, _BUFFER = "numpy _reconstruct", "numpy scalar", "numpy _frombuffer"
_DICT, _TUPLE, _BYTES, _ENCODE = "OrderedDict", "tuple", "bytes", "encode"
_NAMES = {
    "numpy.ndarray": _ARRAY,
    "numpy.dtype": _DTYPE,
    **{f"numpy.{core}.multiarray._reconstruct": _REBUILD for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray.scalar": _SCALAR for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": _BUFFER for core in ("core", "_core")},
    "collections.OrderedDict": _DICT,
    **{f"{module}.tuple": _TUPLE for module in ("builtins", "__builtin__")},
    **{f"{module}.bytes": _BYTES for module in ("builtins", "__builtin__")},
    "_codecs.encode": _ENCODE,
}


class _Word:
    """A name that the file mentions: compared, never resolved."""

    def __init__(self, meaning: str) -> None:
        self.meaning = meaning


class _Dtype:
    """A dtype under construction: its byte order arrives in a later instruction."""

    def __init__(self, code: str) -> None:
        self.dtype = np.dtype(code)


class _Mark:
    """Start of a run of items on the stack."""


class BoundedReader:
    """A file, open at the first of ``size`` bytes, that never allocates more than it holds."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = size

    @property
    def left(self) -> int:
        """Bytes not yet read."""
        return self._left

    def read(self, count: int) -> bytes:
        """Exactly ``count`` bytes, or EOFError."""
        if not 0 <= count <= self._left:
            raise EOFError("the file ends in the middle of a value")
        self._left -= count
        return self._file.read(count)

    def readline(self) -> bytes:
        """One line with its end, or EOFError."""
        line = self._file.readline(min(self._left, _MAX_LINE))
        self._left -= len(line)
        if not line.endswith(b"\n"):
            raise EOFError("the file ends in the middle of a line, or a line is too long")
        return line


def load_plain(path: str | Path, size: int | None = None) -> Any:
    """Read one pickle of arrays and plain containers.

    Args:
        path: a pickle of protocol 2 to 5, such as a .pdparams or .pdopt file.
        size: bytes of the pickle; the whole file when not given.

    Returns:
        The object: dict, list, tuple, str, bytes, numbers, None and ``np.ndarray`` (numeric
        dtypes; bfloat16 is uint16, as Paddle stores it). Arrays may be read-only.

    Raises:
        WeightsError: the file holds anything else, is truncated or damaged. Time and memory stay
            within a small multiple of the file's size.
    """
    path = Path(path)
    size = path.stat().st_size if size is None else size
    with path.open("rb") as file:
        reader = BoundedReader(file, size)
        try:
            value = _Interpreter(reader, size).run()
        except _RefusedError as err:
            raise WeightsError(
                f"{path}: refused: {err}. Weights are arrays in plain containers; this file would "
                "have run code or built other objects when opened. Nothing was executed."
            ) from err
        except EOFError as err:
            raise WeightsError(
                f"{path}: {err}: it has {size:,} bytes and is incomplete or damaged. "
                "Copy or download it again and compare the size."
            ) from err
        except (ValueError, IndexError, KeyError, TypeError, OverflowError) as err:
            raise WeightsError(f"{path}: not a readable weights file: {_first_line(err)}") from err
    if reader.left:
        raise WeightsError(
            f"{path}: {reader.left:,} unknown bytes follow the weights; the file is damaged or "
            "not what its name says."
        )
    return value


def _first_line(err: Exception) -> str:
    return (str(err).splitlines() or [type(err).__name__])[0][:200]


class _RefusedError(Exception):
    """The file asks for something that is not an array or a plain container."""


class _Interpreter:
    """Follows the admitted pickle instructions over a stack of plain values."""

    def __init__(self, reader: BoundedReader, budget: int) -> None:
        self._reader = reader
        # Values read once can be used many times. What is made of them (arrays, decoded texts,
        # copied lists) may not outgrow the file, or a small file could fill the memory.
        self._array_bytes = self._text_bytes = budget
        self._instructions = MAX_INSTRUCTIONS
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        for opcode, argument, _ in pickletools.genops(self._reader):
            self._count(1)
            if opcode.name == "STOP":
                return self._finish()
            action = _ACTIONS.get(opcode.name)
            if action is None:
                raise _RefusedError(f"pickle instruction {opcode.name}")
            action(self, argument)
        raise EOFError("the file ends without its last instruction")

    def _finish(self) -> Any:
        value = self._stack.pop()
        if self._stack or isinstance(value, (_Word, _Dtype, _Mark)):
            raise ValueError("the instructions do not end in one value")
        return value

    def _count(self, steps: int) -> None:
        self._instructions -= steps
        if self._instructions < 0:
            raise _RefusedError(f"more than {MAX_INSTRUCTIONS:,} pickle instructions")

    # -- values and containers ------------------------------------------------------------------

    def _skip(self, argument: Any) -> None:
        """Protocol number, frame length: nothing to do."""

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _mark(self, argument: None) -> None:
        self._stack.append(_Mark())

    def _pop(self, argument: None) -> None:
        self._stack.pop()

    def _since_mark(self) -> list[Any]:
        for index in range(len(self._stack) - 1, -1, -1):
            if isinstance(self._stack[index], _Mark):
                items = self._stack[index + 1 :]
                del self._stack[index:]
                return items
        raise ValueError("a run of items has no beginning")

    def _take(self, count: int) -> tuple[Any, ...]:
        if len(self._stack) < count:
            raise ValueError("an instruction finds too few values")
        items = self._stack[len(self._stack) - count :]
        del self._stack[len(self._stack) - count :]
        return tuple(items)

    def _append(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, list):
            raise _RefusedError(f"appending to a {type(target).__name__}")
        target.extend(items)

    def _set_items(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict):
            raise _RefusedError(f"setting items of a {type(target).__name__}")
        target.update(_pairs(items))

    # -- memo -----------------------------------------------------------------------------------

    def _put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def _memoize(self, argument: None) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _get(self, index: int) -> None:
        self._stack.append(self._memo[index])

    # -- names and arrays -----------------------------------------------------------------------

    def _name(self, argument: str) -> None:
        self._stack.append(_word(".".join(argument.split(" ", 1))))

    def _stack_name(self, argument: None) -> None:
        module, name = self._take(2)
        if not (isinstance(module, str) and isinstance(name, str)):
            raise ValueError("a name is not a text")
        self._stack.append(_word(f"{module}.{name}"))

    def _call(self, argument: None) -> None:
        """REDUCE: "call" one of the known words, which means building one of the known values."""
        word, arguments = self._take(2)
        if not isinstance(word, _Word) or not isinstance(arguments, tuple):
            raise _RefusedError(f"calling a {type(word).__name__}")
        build = _BUILDERS.get(word.meaning)
        if build is None:
            raise _RefusedError(f"calling {word.meaning}")
        self._stack.append(build(self, *arguments))

    def _build(self, argument: None) -> None:
        """BUILD: fill an array or a dtype that an earlier instruction has opened."""
        target, state = self._take(2)
        if isinstance(target, _Dtype):
            order = state[1]
            if order not in ("<", ">", "|", "=") or any(state[2:5]):
                raise _RefusedError("a structured or unknown dtype")
            target.dtype = target.dtype.newbyteorder(order)
        elif isinstance(target, np.ndarray) and target.size == 0:
            _, shape, dtype, is_fortran, data = state
            data, dtype = self._checked(data, dtype, shape)
            # In place, because the memo already holds the empty array.
            target.__setstate__((1, shape, dtype, bool(is_fortran), data))
        else:
            raise _RefusedError(f"setting the state of a {type(target).__name__}")
        self._stack.append(target)

    def _checked(self, data: Any, dtype: Any, shape: Any) -> tuple[bytes, np.dtype]:
        """Compare an array's bytes with its shape before NumPy sees them."""
        if isinstance(data, str):  # written by Python 2
            data = self._encode(data)
        if not isinstance(data, (bytes, bytearray)) or not isinstance(dtype, _Dtype):
            raise _RefusedError("an array that is not made of plain bytes and a plain dtype")
        if not isinstance(shape, tuple) or len(shape) > _MAX_DIMS:
            raise ValueError("an array has no valid shape")
        if any(type(length) is not int or not 0 <= length < 1 << 62 for length in shape):
            raise ValueError("an array has no valid shape")
        expected = math.prod(shape) * dtype.dtype.itemsize
        if expected != len(data):
            raise ValueError(f"an array of {shape} needs {expected:,} bytes, not {len(data):,}")
        self._array_bytes -= len(data)
        if self._array_bytes < 0:
            raise _RefusedError("its arrays are larger than the file itself")
        return bytes(data), dtype.dtype

    def _array(self, data: Any, dtype: Any, shape: Any, order: Any, *rest: Any) -> np.ndarray:
        data, dtype = self._checked(data, dtype, shape)
        if not data:
            return np.zeros(shape, dtype)
        return np.frombuffer(data, dtype).reshape(shape, order="F" if order == "F" else "C")

    def _empty_array(self, kind: Any, shape: Any, code: Any) -> np.ndarray:
        if not isinstance(kind, _Word) or kind.meaning != _ARRAY or shape != (0,):
            raise _RefusedError("an array of another class")
        return np.zeros(0, np.int8)

    def _scalar(self, dtype: Any, data: Any) -> Any:
        return self._array(data, dtype, (), "C")[()]

    def _new_dtype(self, code: Any, align: Any = False, copy: Any = True) -> _Dtype:
        if not isinstance(code, str) or code not in _DTYPES:
            raise _RefusedError("arrays of a dtype other than numbers")
        return _Dtype(code)

    def _new_dict(self, items: Any = ()) -> OrderedDict[Any, Any]:
        self._count(len(items))
        return OrderedDict(_pairs([value for item in items for value in (item[0], item[1])]))

    def _new_tuple(self, items: Any = ()) -> tuple[Any, ...]:
        if not isinstance(items, (list, tuple)):
            raise _RefusedError(f"a tuple of a {type(items).__name__}")
        self._count(len(items))
        return tuple(items)

    def _new_bytes(self, *arguments: Any) -> bytes:
        if arguments:
            raise _RefusedError("calling bytes with arguments")
        return b""

    def _encode(self, text: Any, encoding: Any = "latin1") -> bytes:
        """Protocol 2 has no bytes: it writes them as a text with an encoding."""
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise _RefusedError("an encoding other than latin1")
        self._text_bytes -= len(text)
        if self._text_bytes < 0:
            raise _RefusedError("its texts are larger than the file itself")
        return text.encode("latin1")


def _word(name: str) -> _Word:
    if name not in _NAMES:
        raise _RefusedError(f"it names {name[:80] if name.isprintable() else repr(name[:80])}")
    return _Word(_NAMES[name])


def _pairs(items: list[Any]) -> list[tuple[Any, Any]]:
    if len(items) % 2:
        raise ValueError("a dictionary has a key without a value")
    for key in items[::2]:
        # Texts hash with a random seed; large integers could be chosen to collide.
        if not (isinstance(key, str) or (type(key) is int and abs(key) < 1 << 31)):
            raise _RefusedError(f"a dictionary key of type {type(key).__name__}")
    return list(zip(items[::2], items[1::2], strict=True))


_BUILDERS: dict[str, Callable[..., Any]] = {
    _REBUILD: _Interpreter._empty_array,
    _SCALAR: _Interpreter._scalar,
    _BUFFER: _Interpreter._array,
    _DTYPE: _Interpreter._new_dtype,
    _DICT: _Interpreter._new_dict,
    _TUPLE: _Interpreter._new_tuple,
    _BYTES: _Interpreter._new_bytes,
    _ENCODE: _Interpreter._encode,
}
_VALUES = (
    "BININT BININT1 BININT2 LONG1 LONG4 BINFLOAT BINSTRING SHORT_BINSTRING BINUNICODE "
    "SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8"
)
_ACTIONS: dict[str, Callable[[_Interpreter, Any], None]] = {
    **dict.fromkeys(("PROTO", "FRAME"), _Interpreter._skip),
    **dict.fromkeys(_VALUES.split(), _Interpreter._push),
    "NONE": lambda machine, _: machine._push(None),
    "NEWTRUE": lambda machine, _: machine._push(True),
    "NEWFALSE": lambda machine, _: machine._push(False),
    "EMPTY_DICT": lambda machine, _: machine._push({}),
    "EMPTY_LIST": lambda machine, _: machine._push([]),
    "EMPTY_TUPLE": lambda machine, _: machine._push(()),
    "TUPLE1": lambda machine, _: machine._push(machine._take(1)),
    "TUPLE2": lambda machine, _: machine._push(machine._take(2)),
    "TUPLE3": lambda machine, _: machine._push(machine._take(3)),
    "TUPLE": lambda machine, _: machine._push(tuple(machine._since_mark())),
    "LIST": lambda machine, _: machine._push(machine._since_mark()),
    "DICT": lambda machine, _: machine._push(dict(_pairs(machine._since_mark()))),
    "MARK": _Interpreter._mark,
    "POP": _Interpreter._pop,
    "POP_MARK": lambda machine, _: machine._since_mark() and None,
    "APPEND": lambda machine, _: machine._append(list(machine._take(1))),
    "APPENDS": lambda machine, _: machine._append(machine._since_mark()),
    "SETITEM": lambda machine, _: machine._set_items(list(machine._take(2))),
    "SETITEMS": lambda machine, _: machine._set_items(machine._since_mark()),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), _Interpreter._put),
    "MEMOIZE": _Interpreter._memoize,
    **dict.fromkeys(("BINGET", "LONG_BINGET"), _Interpreter._get),
    "GLOBAL": _Interpreter._name,
    "STACK_GLOBAL": _Interpreter._stack_name,
    "REDUCE": _Interpreter._call,
    "BUILD": _Interpreter._build,
}
