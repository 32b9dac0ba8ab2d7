# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Read YAML with the line of every key, and resolve ``_base_`` inheritance."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from paddletsm.errors import ConfigError
from paddletsm.utils.io import nearest_file

KeyPath = tuple[str, ...]


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
    """A parsed file: plain values, and where each key stands ("file.yaml:12")."""

    values: dict[str, Any]
    origins: dict[KeyPath, str] = field(default_factory=dict)


def parse_value(text: str) -> Any:
    """Parse one override value as YAML: numbers, booleans, lists, strings; never code."""
    return yaml.load(text, Loader=_Loader)


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
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"cannot read config file {path}: {err}") from err
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        document = Document({})
        if node is None:
            raise ConfigError(f"config file is empty: {path}")
        if not isinstance(node, yaml.MappingNode):
            raise ConfigError(f"{path}:1: a config is a mapping of sections, not a {node.id}")
        document.values = _construct(loader, node, (), str(path), document.origins)
    except yaml.YAMLError as err:
        mark = getattr(err, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(err, "problem", None) or str(err)
        raise ConfigError(f"{path}{line}: not valid YAML: {problem}") from err
    finally:
        loader.dispose()
    return document


def _construct(
    loader: _Loader, node: yaml.Node, path: KeyPath, file: str, origins: dict[KeyPath, str]
) -> Any:
    origins.setdefault(path, f"{file}:{node.start_mark.line + 1}")
    if isinstance(node, yaml.MappingNode):
        loader.flatten_mapping(node)
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(loader.construct_object(key_node))
            line = f"{file}:{key_node.start_mark.line + 1}"
            if key in result:
                raise ConfigError(f"{line}: the key {'.'.join((*path, key))!r} is stated twice")
            origins[(*path, key)] = line
            result[key] = _construct(loader, value_node, (*path, key), file, origins)
        return result
    if isinstance(node, yaml.SequenceNode):
        return [
            _construct(loader, item, (*path, str(index)), file, origins)
            for index, item in enumerate(node.value)
        ]
    return loader.construct_object(node, deep=True)


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
        base_path = Path(path).parent / base
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
    base.values = _merged(base.values, top.values)
    base.origins.update(top.origins)


def _merged(base: Any, top: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(top, dict):
        return top
    if "name" in base and "name" in top and base["name"] != top["name"]:
        return top
    return {**base, **{key: _merged(base.get(key), value) for key, value in top.items()}}
