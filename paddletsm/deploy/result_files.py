# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Files of results that survive a kill, and that several processes make together.

Each result is handed to the system as it comes. One process writes the file itself. Of several,
each writes a part beside it, ``x.part-0-of-2.jsonl``; whoever finds all clips in the parts puts
them together in the order of the clips. Until then there is no ``x.jsonl``.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from paddletsm.deploy.predictor import Prediction
from paddletsm.deploy.results import Entry, Layout
from paddletsm.errors import ConfigError
from paddletsm.utils.io import atomic_path
from paddletsm.utils.locks import locked
from paddletsm.utils.text import listing

_LOCK_S = 120.0
_POLL_S = 0.2


@dataclass(frozen=True)
class Outcome:
    """What all processes have got so far.

    Attributes:
        missing: clips without a result.
        failed: clips whose result is a failure.
        is_merged: whether the file is complete, in the order of the clips.
        others: results of clips that are not among these; they are kept, behind the rest.
        best: number of the most probable class of each clip; None where there is none.
    """

    missing: int
    failed: int
    is_merged: bool
    others: int = 0
    best: tuple[int | None, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True)
class _Found:
    """A result in a file: its bytes are ``start`` to ``stop``."""

    entry: Entry
    file: Path
    start: int
    stop: int


class ResultFile:
    """The results of a list of clips.

    Args:
        path: of the file.
        layout: how a result is written.
        paths: all clips, in order; the same for every process.
        rank: this process, 0..world-1.
        world: number of processes.
        resume: keep the results that are there.

    Attributes:
        todo: numbers of the clips that this process has to predict.
        kept: number of results of this process's clips that are there already.

    Raises:
        ConfigError: the file cannot be written, or holds results of another network; or parts of
            an unfinished run are there and are not to be resumed.
        DataError: it holds other things.
    """

    def __init__(
        self,
        path: str | Path,
        layout: Layout,
        paths: Sequence[str],
        *,
        rank: int = 0,
        world: int = 1,
        resume: bool = False,
    ) -> None:
        self.path = Path(path)
        self._layout = layout
        self._paths = [layout.known_as(name) for name in paths]
        self._rank = rank
        self._is_shared = world > 1
        self._own = self._part(rank, world) if self._is_shared else self.path
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not resume:
                self._begin_anew(rank, world)
            done = self._numbers_done()
            mine = range(rank, len(paths), world)
            self.todo = [number for number in mine if number not in done]
            self.kept = len(mine) - len(self.todo)
            self._file = self._own.open("ab")
            self._repair()
        except OSError as err:
            raise ConfigError(f"--output {path}: cannot be written: {err.strerror or err}") from err

    def write(self, prediction: Prediction) -> None:
        """Append one result and hand it to the system."""
        self._file.write(self._layout.line(prediction))
        self._file.flush()

    def close(self) -> None:
        """Close the file; ``finish`` may follow."""
        self._file.close()

    def finish(self) -> Outcome:
        """Put the parts together if every clip has its result.

        Raises:
            ConfigError: another process holds the lock for minutes.
        """
        self.close()
        if not self._is_shared and not self._parts():
            return self._merge()
        lock = self._beside("lock")
        deadline = time.monotonic() + _LOCK_S
        while True:
            try:
                with locked(lock, message=f"process {{pid}} holds {lock}; is it stuck?"):
                    outcome = self._merge()
                    lock.unlink(missing_ok=True)
                    return outcome
            except ConfigError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def finish_together(self, *, patience_s: float, on_wait: Callable[[Outcome], None]) -> Outcome:
        """As ``finish``; process 0 of several waits for the others while their results come.

        Args:
            patience_s: for the next result of any of them; a killed one writes no more.
            on_wait: called once, with what there is, before waiting.

        Raises:
            ConfigError: as ``finish``.
        """
        outcome = self.finish()
        if outcome.is_merged or self._rank:
            return outcome
        on_wait(outcome)
        seen, last, pause = self._sizes(), time.monotonic(), _POLL_S
        while not outcome.is_merged and time.monotonic() - last < patience_s:
            time.sleep(pause)
            now = self._sizes()
            if now == seen:
                continue
            seen, last = now, time.monotonic()
            outcome = self.finish()
            # Reading long files again and again would take time from the other processes.
            pause = max(_POLL_S, 10 * (time.monotonic() - last))
        return outcome

    @contextlib.contextmanager
    def reporting(self) -> Iterator[None]:
        """Let the other processes know that process 0 is there, and will tell how all ends.

        Raises:
            ConfigError: another run writes this file.
        """
        if not self._is_shared or self._rank:
            yield
            return
        sign = self._beside("reporter")
        message = f"--output {self.path}: another run, process {{pid}}, is writing it"
        with locked(sign, message=message):
            try:
                yield
            finally:
                sign.unlink(missing_ok=True)

    def is_reported(self) -> bool:
        """Whether process 0 is there to tell how all ends."""
        sign = self._beside("reporter")
        if not sign.exists():
            return False
        try:
            with locked(sign, message=""):
                sign.unlink(missing_ok=True)  # left by a kill
        except ConfigError:
            return True
        return False

    def count_done(self) -> int:
        """Number of clips, of all processes, that have a result."""
        return len(self._numbers_done())

    def __enter__(self) -> ResultFile:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _part(self, rank: int, world: int) -> Path:
        return self.path.with_name(f"{self.path.stem}.part-{rank}-of-{world}{self.path.suffix}")

    def _beside(self, purpose: str) -> Path:
        return self.path.with_name(f".{self.path.name}.{purpose}")

    def _sizes(self) -> dict[str, int]:
        """Bytes of all files; they change when a process gets on."""
        sizes = {}
        for file in self._sources():
            with contextlib.suppress(FileNotFoundError):  # merged meanwhile
                sizes[file.name] = file.stat().st_size
        return sizes

    def _parts(self) -> list[Path]:
        stem, suffix = re.escape(self.path.stem), re.escape(self.path.suffix)
        named = re.compile(rf"{stem}\.part-\d+-of-(\d+){suffix}")
        return sorted(file for file in self.path.parent.iterdir() if named.fullmatch(file.name))

    def _begin_anew(self, rank: int, world: int) -> None:
        """Refuse to write over an unfinished run; a finished one is replaced."""
        # Parts of the other processes of this very run may be there.
        ours = {self._part(other, world) for other in range(world) if other != rank}
        left = [file for file in self._parts() if file not in ours or not self._is_shared]
        if left:
            raise ConfigError(
                f"an unfinished run has left {listing(left, 3)}; add --resume to go on, or delete "
                f"{'it' if len(left) == 1 else 'them'} to begin anew"
            )
        # Nobody can have merged this run without this process; the file is an earlier run's.
        if rank == 0:
            self.path.unlink(missing_ok=True)

    def _sources(self) -> list[Path]:
        return [self.path, *self._parts()] if self.path.exists() else self._parts()

    def _results(self) -> Iterator[_Found]:
        """All results in all files; an unfinished last line is none."""
        for file in self._sources():
            yield from self._results_in(file)

    def _results_in(self, file: Path) -> Iterator[_Found]:
        header = self._layout.header
        for number, (start, line) in enumerate(_records(file, self._layout.suffix), 1):
            if header and start == 0:
                if line != header:
                    raise ConfigError(
                        f"{file}: its columns are not those of this command; use the same "
                        "--top_k, or name another --output"
                    )
                continue
            entry = self._layout.parse(line, f"{file}:{number}")
            yield _Found(entry, file, start, start + len(line))

    def _numbers_done(self) -> set[int]:
        """Numbers of the clips that have a result; of equal paths the first ones."""
        count = Counter(found.entry.path for found in self._results())
        done = set()
        for number, path in enumerate(self._paths):
            if count[path] > 0:
                count[path] -= 1
                done.add(number)
        return done

    def _repair(self) -> None:
        """Cut off the half line that a kill has left, and begin an empty file with its header."""
        end = max((start + len(line) for start, line in self._own_records()), default=0)
        if self._file.tell() > end:
            self._file.truncate(end)
        if end == 0:
            self._file.write(self._layout.header)
            self._file.flush()

    def _own_records(self) -> Iterator[tuple[int, bytes]]:
        return _records(self._own, self._layout.suffix)

    def _merge(self) -> Outcome:
        if not self._own.exists() and self.path.exists():  # another process has merged
            return self._outcome(list(self._results_in(self.path)))
        found = list(self._results())
        outcome = self._outcome(found)
        is_ordered = [one.entry.path for one in found[: len(self._paths)]] == self._paths
        if outcome.is_merged and (self._parts() or not is_ordered):
            self._rewrite(found)
        return outcome

    def _outcome(self, found: Sequence[_Found]) -> Outcome:
        """What results say of the clips; those of each clip are all there is to merge."""
        results, others = self._of_clips(found)
        entries = [None if one is None else one.entry for one in results]
        missing = entries.count(None)
        return Outcome(
            missing,
            sum(entry is not None and entry.is_failed for entry in entries),
            is_merged=not missing,
            others=len(others),
            best=tuple(None if entry is None else entry.best for entry in entries),
        )

    def _of_clips(self, found: Sequence[_Found]) -> tuple[list[_Found | None], list[_Found]]:
        """Of each clip its result, None where there is none, and the results of no clip."""
        waiting: dict[str, deque[_Found]] = defaultdict(deque)
        for one in found:
            waiting[one.entry.path].append(one)
        results = [waiting[path].popleft() if waiting[path] else None for path in self._paths]
        return results, [one for rest in waiting.values() for one in rest]

    def _rewrite(self, found: Sequence[_Found]) -> None:
        """Write all results in the order of the clips, those of no clip behind them."""
        results, others = self._of_clips(found)
        ordered = [one for one in (*results, *others) if one is not None]
        files = {file: file.open("rb") for file in self._sources()}
        try:
            with atomic_path(self.path) as temporary, temporary.open("wb") as target:
                target.write(self._layout.header)
                for one in ordered:
                    files[one.file].seek(one.start)
                    target.write(files[one.file].read(one.stop - one.start))
        finally:
            for file in files.values():
                file.close()
        for part in self._parts():
            part.unlink()
        self.is_reported()  # removes what a killed process 0 has left


def _records(file: Path, suffix: str) -> Iterator[tuple[int, bytes]]:
    """Yield (start, bytes) of every whole line; a quoted cell of CSV may hold line ends."""
    start, record = 0, b""
    with file.open("rb") as lines:
        for line in lines:
            record += line
            is_open = suffix == ".csv" and record.count(b'"') % 2
            if line.endswith(b"\n") and not is_open:
                yield start, record
                start, record = start + len(record), b""
