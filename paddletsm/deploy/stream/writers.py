# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Events as JSON lines, CSV or SRT, each on disk as soon as it is known."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import TextIO

from paddletsm.deploy.stream.events import Event
from paddletsm.errors import ConfigError, PaddleTSMError
from paddletsm.utils.disk import problem_of
from paddletsm.utils.text import listing, nearest, plural

FORMATS = (".jsonl", ".csv", ".srt")
_CSV_HEAD = "start,end,label,label_id,score\n"


class EventWriter:
    """Writes each event as it comes, so that an interrupted run keeps what it has.

    Args:
        path: a .jsonl, .csv or .srt file; an existing one is replaced.

    Raises:
        ConfigError: another format, or a file that cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = path = Path(path)
        suffix = path.suffix.lower()
        if suffix not in FORMATS:
            raise ConfigError(
                f"{path}: the name must end in {listing(FORMATS)}{nearest(suffix, FORMATS)}"
            )
        self._format: Callable[[int, Event], str] = {
            ".jsonl": lambda number, event: as_json(event) + "\n",
            ".csv": lambda number, event: as_csv(event),
            ".srt": as_srt,
        }[suffix]
        self.count = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: TextIO = path.open(
                "w", encoding="utf-8", errors="backslashreplace", newline=""
            )
            self._append(_CSV_HEAD if suffix == ".csv" else "")
        except OSError as err:
            raise ConfigError(f"{path}: cannot be written: {problem_of(err)}") from err

    def write(self, event: Event) -> None:
        """Append one event and hand it to the disk.

        Raises:
            PaddleTSMError: the disk is full, or gone.
        """
        try:
            self._append(self._format(self.count + 1, event))
            os.fsync(self._file.fileno())
        except OSError as err:
            raise PaddleTSMError(
                f"{self._path}: cannot be written any more: {problem_of(err)}; it holds "
                f"{plural(self.count, 'event')}"
            ) from err
        self.count += 1

    def _append(self, text: str) -> None:
        self._file.write(text)
        self._file.flush()

    def __enter__(self) -> EventWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        err: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Closing tries once more to write what could not be written.
        with contextlib.nullcontext() if err is None else contextlib.suppress(OSError):
            self._file.close()


def as_json(event: Event) -> str:
    """One line of JSON without its end; times and score rounded to three and four digits."""
    record = asdict(event)
    record.update(start=round(event.start, 3), end=round(event.end, 3), score=round(event.score, 4))
    return json.dumps(record, ensure_ascii=False)


def as_csv(event: Event) -> str:
    """One line of CSV."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(
        [
            f"{event.start:.3f}",
            f"{event.end:.3f}",
            event.label,
            event.label_id,
            f"{event.score:.4f}",
        ]
    )
    return line.getvalue()


def as_srt(number: int, event: Event) -> str:
    """One subtitle; ``number`` counts from 1."""
    span = f"{_srt_time(event.start)} --> {_srt_time(max(event.end, event.start + 0.001))}"
    return f"{number}\n{span}\n{event.label} ({event.score:.2f})\n\n"


def _srt_time(seconds: float) -> str:
    ms = max(0, round(seconds * 1000))
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02},{ms % 1000:03}"
