# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Read YAML with the line of every key, and resolve ``_base_`` inheritance."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from paddletsm.errors import ConfigError
from paddletsm.utils.io import nearest_file

KeyPath = tuple[str, ...]

_MAPPING, _SEQUENCE, _MERGE = (f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq", "merge"))
_MOST_NODES = 100_000  # aliases of aliases grow without bound


class _Loader(yaml.SafeLoader):
    """SafeLoader that reads 1e-4 as a number; YAML 1.1 wants 1.0e-4, which nobody writes."""


_Loader.yaml_implicit_resolvers = dict(yaml.SafeLoader.yaml_implicit_resolvers)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*)(\.[\d_]*)?[eE][-+]?\d+$"),
    list("-+0123456789"),
)


@dataclass
class Document:
    """A parsed file: plain values, and where each key and list item stands ("file.yaml:12")."""

    values: dict[str, Any]
    origins: dict[KeyPath, str] = field(default_factory=dict)


@dataclass
class _Builder:
    """Plain values from YAML nodes.

    Attributes:
        loader: makes scalars.
        place: line number -> where that is, for messages.
        origins: filled with the place of every value.
    """

    loader: _Loader
    place: Callable[[int], str]
    origins: dict[KeyPath, str] = field(default_factory=dict)
    _flat: dict[int, dict[str, tuple[yaml.Node, yaml.Node]]] = field(default_factory=dict)
    _open: set[int] = field(default_factory=set)
    _count: int = 0

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        """Value of a node; ``path`` is the key that holds it."""
        self._count += 1
        if self._count > _MOST_NODES:
            raise ConfigError(
                f"{self._at(node)}: more than {_MOST_NODES} values; use fewer aliases"
            )
        self.origins.setdefault(path, self._at(node))
        if node.tag not in (_MAPPING, _SEQUENCE):  # a tag such as !!set is the loader's business
            return self._scalar(node)
        if id(node) in self._open:
            raise ConfigError(f"{self._at(node)}: the anchor contains an alias of itself")
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            return [self.build(item, (*path, str(i))) for i, item in enumerate(node.value)]
        finally:
            self._open.remove(id(node))

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        if id(node) not in self._flat:  # an alias comes here again, its merge keys are resolved
            self._flat[id(node)] = self._flattened(node, path)
        result = {}
        for key, (key_node, value_node) in self._flat[id(node)].items():
            self.origins[(*path, key)] = self._at(key_node)
            result[key] = self.build(value_node, (*path, key))
        return result

    def _flattened(
        self, node: yaml.MappingNode, path: KeyPath
    ) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """Keys of a mapping with those it merges in by ``<<``; its own keys win."""
        own = set()
        for key_node, _ in node.value:
            key = self._key(key_node)
            if key in own and key_node.tag != _MERGE:
                dotted = ".".join((*path, key))
                raise ConfigError(f"{self._at(key_node)}: the key {dotted!r} is stated twice")
            own.add(key)
        self.loader.flatten_mapping(node)  # puts merged keys in front
        return {self._key(pair[0]): pair for pair in node.value}

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise ConfigError(f"{self._at(node)}: a key is a plain word, not a {node.id}")
        return node.value if node.tag == _MERGE else str(self._scalar(node))

    def _scalar(self, node: yaml.Node) -> Any:
        try:
            return self.loader.construct_object(node, deep=True)
        except (ValueError, KeyError, OverflowError) as err:  # 2026-13-45, !!int x
            text = f"{str(node.value)[:40]!r} is no {node.tag.rsplit(':', 1)[-1]}"
            raise ConfigError(f"{self._at(node)}: not valid YAML: {text}; quote a text") from err

    def _at(self, node: yaml.Node) -> str:
        return self.place(node.start_mark.line + 1)


def parse(
    text: str, place: Callable[[int], str], path: KeyPath = ()
) -> tuple[Any, dict[KeyPath, str]]:
    """Parse YAML: numbers, booleans, texts, lists, mappings; never code.

    Args:
        text: what to parse; empty text is null.
        place: line number -> where that is, for messages and origins.
        path: the key that the value belongs to.

    Returns:
        The value, and where each key and list item of it stands.

    Raises:
        ConfigError: no valid YAML, a key stated twice, or an alias within its own anchor.
    """
    try:
        loader = _Loader(text)
    except yaml.reader.ReaderError as err:
        line = text.count("\n", 0, err.position) + 1
        raise ConfigError(
            f"{place(line)}: not valid YAML: character #x{err.character:02x} is not allowed"
        ) from err
    builder = _Builder(loader, place)
    try:
        node = loader.get_single_node()
        value = None if node is None else builder.build(node, path)
    except yaml.YAMLError as err:
        mark = getattr(err, "problem_mark", None)
        problem = getattr(err, "problem", None) or " ".join(str(err).split())
        line = mark.line + 1 if mark else 1
        raise ConfigError(f"{place(line)}: not valid YAML: {problem}") from err
    except RecursionError as err:
        raise ConfigError(f"{place(1)}: not valid YAML: nested too deeply") from err
    finally:
        loader.dispose()
    return value, builder.origins or {path: place(1)}


def read_yaml(path: str | Path) -> Document:
    """Read one YAML file without resolving ``_base_``.

    Raises:
        ConfigError: the file is missing, no YAML, no mapping, or states a key twice.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as err:
        raise ConfigError(f"config file not found: {path}{nearest_file(path)}") from err
    except UnicodeDecodeError as err:
        raise ConfigError(f"cannot read config file {path}: it is not UTF-8 text") from err
    except OSError as err:
        problem = "it is a folder" if path.is_dir() else err.strerror
        raise ConfigError(f"cannot read config file {path}: {problem}") from err
    values, origins = parse(text, lambda line: f"{path}:{line}")
    if values is None:
        raise ConfigError(f"config file is empty: {path}")
    if not isinstance(values, dict):
        raise ConfigError(
            f"{path}:1: a config is a mapping of sections, not a {type(values).__name__}"
        )
    return Document(values, origins)


def read_with_bases(path: str | Path, _chain: tuple[Path, ...] = ()) -> Document:
    """Read a file and everything below its ``_base_``.

    Dictionaries merge, scalars and lists replace; a component with another ``name`` drops the
    arguments that it would inherit.

    Raises:
        ConfigError: cycles, two bases that state the same leaf, and everything of ``read_yaml``.
    """
    resolved = Path(path).resolve()
    if resolved in _chain:
        cycle = " -> ".join(item.name for item in (*_chain, resolved))
        raise ConfigError(f"{path}: _base_ files form a cycle: {cycle}")
    document = read_yaml(path)
    bases = document.values.pop("_base_", [])
    if isinstance(bases, str):
        bases = [bases]
    if not isinstance(bases, list) or not all(isinstance(base, str) for base in bases):
        raise ConfigError(
            f"{document.origins[('_base_',)]}: _base_ is a file name or a list of them"
        )
    merged = Document({})
    for base in bases:
        base_path = Path(os.path.normpath(Path(path).parent / base))
        if not base_path.is_file():
            where = document.origins[("_base_",)]
            raise ConfigError(
                f"{where}: _base_ file not found: {base_path}{nearest_file(base_path)}"
            )
        parent = read_with_bases(base_path, (*_chain, resolved))
        _refuse_same_leaf(merged, parent)
        _merge(merged, parent)
    _merge(merged, document)
    return merged


def forget(origins: dict[KeyPath, str], replaced: set[KeyPath]) -> None:
    """Drop the origins of values that were replaced, and of all that stood below them."""
    for path in list(origins):
        if any(path[:length] in replaced for length in range(len(path) + 1)):
            del origins[path]


def _leaves(value: Any, path: KeyPath = ()) -> set[KeyPath]:
    if isinstance(value, dict) and value:
        return set().union(*(_leaves(item, (*path, key)) for key, item in value.items()))
    return {path}


def _refuse_same_leaf(first: Document, second: Document) -> None:
    if not first.values:
        return
    for path in sorted(_leaves(first.values) & _leaves(second.values)):
        raise ConfigError(
            f"{second.origins[path]}: {'.'.join(path)} is also stated in another base "
            f"({first.origins[path]}); state it in one of them, or in the file that inherits both"
        )


def _merge(base: Document, top: Document) -> None:
    replaced: set[KeyPath] = set()
    base.values = _merged(base.values, top.values, (), replaced)
    forget(base.origins, replaced)
    base.origins.update(top.origins)


def _merged(base: Any, top: Any, path: KeyPath, replaced: set[KeyPath]) -> Any:
    """``top`` over ``base``; paths where nothing of ``base`` is left go to ``replaced``."""
    is_other = isinstance(base, dict) and isinstance(top, dict) and _has_other_name(base, top)
    if not isinstance(base, dict) or not isinstance(top, dict) or is_other:
        replaced.add(path)
        return top
    merged = dict(base)
    for key, value in top.items():
        merged[key] = _merged(base.get(key), value, (*path, key), replaced)
    return merged


def _has_other_name(base: dict[str, Any], top: dict[str, Any]) -> bool:
    return "name" in base and "name" in top and base["name"] != top["name"]
