# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Choices with reasons as a YAML file with comments."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import yaml


@dataclass(frozen=True)
class Choice:
    """One value of the configuration and why it is that."""

    path: tuple[str, ...]
    value: Any
    reason: str = ""


def render(choices: Sequence[Choice], header: Iterable[str]) -> str:
    """Nested YAML with the reason above each value."""
    tree: dict[str, Any] = {}
    for choice in choices:
        holder = tree
        for key in choice.path[:-1]:
            holder = holder.setdefault(key, {})
        holder[choice.path[-1]] = choice
    lines = [line for text in header for line in _comment(text, 0)]
    return "\n".join([*lines, *_lines(tree, 0)]) + "\n"


def _lines(tree: dict[str, Any], depth: int) -> list[str]:
    lines = []
    pad = "  " * depth
    for key, item in tree.items():
        if isinstance(item, dict):
            lines += [f"{pad}{key}:", *_lines(item, depth + 1)]
            continue
        lines += _comment(item.reason, depth)
        if isinstance(item.value, list) and item.value and isinstance(item.value[0], dict):
            lines += [f"{pad}{key}:", *(f"{pad}  - {_flow(entry)}" for entry in item.value)]
        else:
            lines.append(f"{pad}{key}: {_flow(item.value)}")
    return lines


def _comment(text: str, depth: int) -> list[str]:
    prefix = "  " * depth + "# "
    return textwrap.wrap(text, 100, initial_indent=prefix, subsequent_indent=prefix)


def _flow(value: Any) -> str:
    """One line of YAML; a transform keeps its braces inside: "Scale: {short_size: 256}"."""
    text = yaml.safe_dump(
        value, default_flow_style=True, allow_unicode=True, width=10**6, sort_keys=False
    )
    text = text.removesuffix("\n").removesuffix("\n...")
    is_item = isinstance(value, dict) and len(value) == 1
    if is_item and isinstance(next(iter(value.values())), dict):
        return text[1:-1]
    return text
