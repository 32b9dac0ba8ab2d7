# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Named components: look up, check arguments against the signature, build."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from paddletsm.errors import ConfigError
from paddletsm.utils.text import listing, nearest

# Where a component stands: a text, or a function of the argument at fault ("": the component).
Where = str | Callable[[str], str]


class Registry:
    """Maps names to classes or functions of one kind ("transform", "backbone", ...).

    Example:
        >>> TRANSFORMS = Registry("transform")
        >>> @TRANSFORMS.register
        ... class CenterCrop: ...
        >>> TRANSFORMS.build("CenterCrop", {"target_size": 224}, where="PIPELINE.test.transform[1]")
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._items: dict[str, Callable[..., Any]] = {}

    def register(self, item: Callable[..., Any] | str) -> Callable[..., Any]:
        """Register a class or function under its own name, or under a given one."""
        if isinstance(item, str):
            return lambda target: self._add(item, target)
        return self._add(item.__name__, item)

    def _add(self, name: str, target: Callable[..., Any]) -> Callable[..., Any]:
        if name in self._items:
            raise ValueError(f"{self.kind} {name!r} is registered twice")
        self._items[name] = target
        return target

    def names(self) -> list[str]:
        """All registered names, sorted."""
        return sorted(self._items)

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def get(self, name: str, *, where: Where = "") -> Callable[..., Any]:
        """Return the component.

        Raises:
            ConfigError: unknown name; the message lists all names and the nearest one.
        """
        if isinstance(name, str) and name in self._items:
            return self._items[name]
        raise ConfigError(
            f"{_prefix(where)}unknown {self.kind} {name!r}{nearest(str(name), self._items)} "
            f"(known: {listing(self.names(), 40)})"
        )

    def check(self, name: str, args: Mapping[str, Any], *, where: Where = "") -> None:
        """Compare the given arguments with the component's signature.

        Raises:
            ConfigError: unknown name, unknown argument (with the nearest), missing argument.
        """
        accepted = inspect.signature(self.get(name, where=where)).parameters
        for key in args:
            if key not in accepted:
                raise ConfigError(
                    f"{_prefix(where, str(key))}{self.kind} {name!r} has no argument {key!r}"
                    f"{nearest(str(key), accepted)} (it takes: {listing(accepted) or 'none'})"
                )
        missing = [
            key
            for key, parameter in accepted.items()
            if parameter.default is inspect.Parameter.empty and key not in args
        ]
        if missing:
            raise ConfigError(
                f"{_prefix(where)}{self.kind} {name!r} needs the argument {listing(missing)}"
            )

    def build(self, name: str, args: Mapping[str, Any], *, where: Where = "") -> Any:
        """Check the arguments, then call the component with them.

        Raises:
            ConfigError: from the check, or a wrong value refused by the component itself.
        """
        self.check(name, args, where=where)
        try:
            return self._items[name](**args)
        except (TypeError, ValueError, OverflowError) as err:
            place = _prefix(where, _mentioned(str(err), args))
            raise ConfigError(f"{place}{self.kind} {name!r}: {err}") from err


def _prefix(where: Where, argument: str = "") -> str:
    text = where if isinstance(where, str) else where(argument)
    return f"{text}: " if text else ""


def _mentioned(message: str, args: Mapping[str, Any]) -> str:
    """The first argument that a message names, or ""."""
    words = re.findall(r"\w+", message)
    return next((word for word in words if word in args), "")
