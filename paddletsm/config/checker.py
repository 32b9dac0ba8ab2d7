# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Checks parsed YAML against dataclasses, and says what is wrong and where."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from paddletsm.config.yaml_io import KeyPath
from paddletsm.errors import ConfigError
from paddletsm.utils.text import listing, nearest

_LARGEST = 2**32 - 1  # of a whole number: what seeds can be, and more than any count


def plain(value: Any) -> Any:
    """Dataclasses, tuples and mappings as plain dictionaries and lists, without what is None."""
    if dataclasses.is_dataclass(value):
        pairs = ((name, getattr(value, name)) for name in _keys(type(value)))
        return {key: plain(item) for key, item in pairs if item is not None}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def _keys(cls: type) -> dict[str, dataclasses.Field[Any]]:
    """Fields that are keys of the file: those that make two configurations differ."""
    return {f.name: f for f in dataclasses.fields(cls) if f.compare}


@dataclass(frozen=True)
class Checker:
    """Turns parsed YAML into dataclasses, or says precisely why not.

    Attributes:
        origins: where each key and list item was stated, "file.yaml:12" or "-o KEY=VALUE".
        file: the file that was loaded.
        moved: list items that stand elsewhere now -> their path as the user wrote it.
    """

    origins: Mapping[KeyPath, str]
    file: str
    moved: dict[KeyPath, KeyPath] = field(default_factory=dict)

    def _as_written(self, path: KeyPath) -> KeyPath:
        for length in range(len(path), 0, -1):
            if path[:length] in self.moved:
                return (*self.moved[path[:length]], *path[length:])
        return path

    def dotted(self, path: KeyPath) -> str:
        """Name of a key as the user may address it."""
        return ".".join(self._as_written(path)) or "top level"

    def where(self, path: KeyPath) -> str:
        """File and line of a key; of the nearest enclosing one when it is not stated."""
        path = self._as_written(path)
        while path and path not in self.origins:
            path = path[:-1]
        return self.origins.get(path, self.file)

    def place(self, path: KeyPath) -> str:
        """Where a key was stated, and its name."""
        return f"{self.where(path)}: {self.dotted(path)}"

    def fail(self, path: KeyPath, message: str) -> typing.NoReturn:
        """Raise ConfigError with place and dotted path."""
        raise ConfigError(one_line(f"{self.place(path)}: {message}"))

    def section(self, cls: type, value: Any, path: KeyPath = ()) -> Any:
        """Check a mapping against a dataclass."""
        if not isinstance(value, Mapping):
            self.fail(path, f"expected a section with keys, got {_shown(value)}")
        hints = typing.get_type_hints(cls)
        fields = _keys(cls)
        for key in value:
            if key not in fields:
                self.fail(
                    (*path, key),
                    f"unknown key{nearest(key, fields)} (allowed: {listing(fields, 30)})",
                )
        for name, f in fields.items():
            is_required = f.default is f.default_factory is dataclasses.MISSING
            if is_required and name not in value:
                self.fail(path, f"the key {name!r} is missing")
        checked = {
            key: self.value(hints[key], item, (*path, key))
            for key, item in value.items()
            if not (item is None and fields[key].default is not dataclasses.MISSING)
        }
        return cls(**checked)

    def value(self, hint: Any, value: Any, path: KeyPath) -> Any:
        """Check one value against a type annotation."""
        options = _options(hint)
        for option in options:
            if dataclasses.is_dataclass(option):
                return self.section(option, value, path)
            accepted, result = self._match(option, value, path)
            if accepted:
                return result
        choices = [
            c for o in options if typing.get_origin(o) is Literal for c in typing.get_args(o)
        ]
        hint_text = nearest(str(value), choices) if choices else ""
        self.fail(path, f"expected {_described(options)}, got {_shown(value)}{hint_text}")

    def _match(self, option: Any, value: Any, path: KeyPath) -> tuple[bool, Any]:
        origin = typing.get_origin(option)
        if origin is Literal:
            return value in typing.get_args(option), value
        if origin is tuple:
            if not isinstance(value, list):
                return False, None
            item = typing.get_args(option)[0]
            return True, tuple(self.value(item, v, (*path, str(i))) for i, v in enumerate(value))
        if origin is not None and issubclass(origin, Mapping):
            self._check_scalars(value, path)
            return isinstance(value, Mapping), value
        if option is float:
            accepted = isinstance(value, (int, float)) and not isinstance(value, bool)
        elif option is int:
            accepted = isinstance(value, int) and not isinstance(value, bool)
        else:
            accepted = isinstance(value, option)
        if accepted:
            self._check_scalars(value, path)
        return accepted, value

    def _check_scalars(self, value: Any, path: KeyPath) -> None:
        """Refuse numbers and texts that break whatever uses them, also in lists and sections."""
        if isinstance(value, (Mapping, list)):
            pairs = value.items() if isinstance(value, Mapping) else enumerate(value)
            for key, item in pairs:
                self._check_scalars(item, (*path, str(key)))
        elif isinstance(value, float) and not math.isfinite(value):
            self.fail(path, f"must be a finite number, not {value}")
        elif isinstance(value, int) and abs(value) > _LARGEST:
            self.fail(path, f"{_shown(value)} is out of range: at most {_LARGEST} is allowed")
        elif isinstance(value, str) and not _is_usable(value):
            self.fail(path, f"{value!r} holds a character that no file name can have")


def _is_usable(text: str) -> bool:
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False


def _options(hint: Any) -> list[Any]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return [option for option in typing.get_args(hint) if option is not type(None)]
    return [hint]


_KINDS = {
    int: "an integer",
    float: "a number",
    str: "a text",
    bool: "true or false",
}


def _described(options: list[Any]) -> str:
    texts = []
    for option in options:
        if typing.get_origin(option) is Literal:
            texts.append("one of " + listing(typing.get_args(option)))
        elif typing.get_origin(option) is tuple:
            texts.append("a list")
        else:
            texts.append(_KINDS.get(option, "a section with keys"))
    return " or ".join(texts)


def one_line(text: str) -> str:
    """Write line breaks and control characters as escapes: a message is one line."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _shown(value: Any) -> str:
    # Python refuses to write integers of thousands of digits in tens.
    text = hex(value) if isinstance(value, int) and value.bit_length() > 999 else repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"
