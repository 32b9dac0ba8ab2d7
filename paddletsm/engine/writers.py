# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The curves of a run for TensorBoard and VisualDL, both optional."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from paddletsm.errors import ConfigError
from paddletsm.utils.text import listing, nearest

# Name in the configuration: (module, its class, files that it writes).
_BACKENDS = {
    "tensorboard": ("tensorboardX", "SummaryWriter", "events.out.tfevents.*"),
    "visualdl": ("visualdl", "LogWriter", "vdlrecords.*"),
}
_HEAD = ("split", "epoch", "step")


class ScalarWriter:
    """Writes the numbers of metrics.jsonl where another program reads them.

    Args:
        open_file: makes the library's writer for a folder.
        folder: ``<run folder>/<name>``; created with the first record.
        pattern: files of the library in it.
    """

    def __init__(self, open_file: Callable[..., Any], folder: Path, pattern: str) -> None:
        self._open_file = open_file
        self._folder = folder
        self._pattern = pattern
        self._file: Any = None

    def write(self, record: Mapping[str, Any]) -> None:
        """Add one record: ``train/loss`` and so on, over steps."""
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = self._open_file(logdir=str(self._folder))
        for key, value in record.items():
            if key not in _HEAD and isinstance(value, (int, float)):
                # By position: the two libraries name the arguments differently.
                self._file.add_scalar(f"{record['split']}/{key}", value, record["step"])

    def rewrite(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Begin anew with these records, so that a resumed run has no point twice."""
        self.close()
        for path in self._folder.glob(self._pattern):
            path.unlink()
        for record in records:
            self.write(record)

    def close(self) -> None:
        """Write what is buffered."""
        if self._file is not None:
            self._file.close()
            self._file = None


def make_writers(names: Sequence[str], folder: Path) -> tuple[ScalarWriter, ...]:
    """Writers of ``writers`` of the configuration; nothing is written yet.

    Raises:
        ConfigError: an unknown name, or its package is not installed.
    """
    return tuple(_make_writer(name, folder) for name in names)


def _make_writer(name: str, folder: Path) -> ScalarWriter:
    if name not in _BACKENDS:
        raise ConfigError(
            f"writers: {name!r} is unknown{nearest(name, _BACKENDS)} (known: {listing(_BACKENDS)})"
        )
    module, kind, pattern = _BACKENDS[name]
    try:
        open_file = getattr(importlib.import_module(module), kind)
    except ImportError as err:
        raise ConfigError(
            f"writers: {name} needs the package {module}, which cannot be imported ({err}); "
            f"install it with: pip install 'paddletsm[{name}]'"
        ) from err
    return ScalarWriter(open_file, folder / name, pattern)
