# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Threads of the loader: each takes sample by sample, and reads it itself or by a process."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from typing import Any

from paddletsm.data import workers
from paddletsm.data.collate import PendingBatch
from paddletsm.data.datasets import ClipDataset
from paddletsm.errors import ConfigError, DataError

logger = logging.getLogger(__name__)

_START_S = 120.0  # for a worker's imports, on a loaded machine

Tasks = queue.SimpleQueue["tuple[PendingBatch, int] | None"]


class Runner(threading.Thread):
    """Serves tasks (batch, row) from a queue until it meets None.

    Args:
        tasks: shared by all runners of a loader.
        timeout_s: time limit of one sample.
    """

    def __init__(self, tasks: Tasks, timeout_s: float) -> None:
        super().__init__(name="paddletsm-loader", daemon=True)
        self._tasks = tasks
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._deadline: float | None = None
        self.is_closing = False

    def run(self) -> None:
        """Serve until closed. An error that is not the sample's goes to whoever waits for it."""
        try:
            while (task := self._tasks.get()) is not None and not self.is_closing:
                batch, row = task
                if batch.is_cancelled:
                    continue
                try:
                    self.serve(batch, row)
                except Exception as err:  # noqa: BLE001 - raised by the loader's iterator
                    batch.abort(RuntimeError("the loader is closed") if self.is_closing else err)
        finally:
            self.stop()

    def serve(self, batch: PendingBatch, row: int) -> None:
        """Fill one row of a batch, or note its failure."""
        raise NotImplementedError

    def check_time(self) -> None:
        """Cut off what has passed its time limit; called by the thread that waits."""
        with self._lock:
            if self._deadline is not None and time.monotonic() > self._deadline:
                self._deadline = None
                self.cut_off()

    def cut_off(self) -> None:
        """End the sample that is being read."""
        raise NotImplementedError

    def stop(self) -> None:
        """Give back what the runner holds."""

    def _start_clock(self, limit_s: float) -> None:
        with self._lock:
            self._deadline = time.monotonic() + limit_s

    def _stop_clock(self) -> None:
        with self._lock:
            self._deadline = None


class ThreadRunner(Runner):
    """Reads in this process. It cannot be cut off: a stuck sample ends the iteration."""

    def __init__(self, tasks: Tasks, timeout_s: float, dataset: ClipDataset) -> None:
        super().__init__(tasks, timeout_s)
        self._dataset = dataset
        self._current: tuple[PendingBatch, int] | None = None

    def serve(self, batch: PendingBatch, row: int) -> None:
        """Read one sample."""
        self._current = (batch, row)
        self._start_clock(self._timeout_s)
        try:
            clip = self._dataset.read(batch.samples[row], batch.epoch)
        except DataError as err:
            batch.fail(row, str(err))
        else:
            batch.row(row, clip.frames.shape)[...] = clip.frames
            batch.done(row)
        finally:
            self._stop_clock()

    def cut_off(self) -> None:
        """End the iteration with an error that names the sample."""
        batch, row = self._current
        batch.abort(
            DataError(
                f"{batch.samples[row].path}: not read within {self._timeout_s:g} s; "
                "with num_workers of 1 or more such a file is cut off and reported"
            )
        )


class ProcessRunner(Runner):
    """Reads by a process of its own, and replaces it when it dies or is cut off."""

    def __init__(self, tasks: Tasks, timeout_s: float, setup: bytes, noted: set[str]) -> None:
        super().__init__(tasks, timeout_s)
        self._setup = setup
        self._noted = noted
        self._worker: workers.WorkerProcess | None = None
        self._is_ready = False
        self._is_cut_off = False

    @property
    def pid(self) -> int | None:
        """Process id of the worker, None while there is none."""
        worker = self._worker
        return worker.pid if worker else None

    def run(self) -> None:
        """Start the process at once: its imports take as long as several samples."""
        with contextlib.suppress(OSError):  # the first sample tries again, and reports it
            self._start()
        super().run()

    def serve(self, batch: PendingBatch, row: int) -> None:
        """Have one sample read."""
        worker = self._ready_worker()
        try:
            kind, details = self._exchange(worker, batch, row)
        except workers.WorkerDiedError:
            was_late = self._is_cut_off
            how = self._discard()
            if self.is_closing:
                raise
            reason = (
                f"not read within {self._timeout_s:g} s; its worker process was stopped"
                if was_late
                else f"the worker process died while reading it ({how})"
            )
            batch.fail(row, f"{batch.samples[row].path}: {reason}")
            return
        except Exception:
            # A clip that does not fit the batch, say: its frames are still in the pipe, so the
            # process is given up although nothing is wrong with it.
            self._discard()
            raise
        if self._is_cut_off:  # it finished, and was killed for being late a moment after
            self._discard()
        self._log(details.get("notes", ()))
        if kind == workers.CLIP:
            batch.done(row)
        elif kind == workers.FAILED:
            batch.fail(row, details["reason"])
        else:
            raise RuntimeError(f"loader worker: {details['reason']}")

    def _exchange(
        self, worker: workers.WorkerProcess, batch: PendingBatch, row: int
    ) -> tuple[int, dict[str, Any]]:
        """Ask for a sample within the time limit; a clip goes straight into its row."""
        self._start_clock(self._timeout_s)
        try:
            kind, details = worker.ask(batch.samples[row], batch.epoch)
            if kind == workers.CLIP:
                worker.read_frames(batch.row(row, details["shape"]))
            return kind, details
        finally:
            self._stop_clock()

    def cut_off(self) -> None:
        """Kill the process; the thread that waits for it notes the failure."""
        self._is_cut_off = True
        if self._worker is not None:
            self._worker.kill()

    def stop(self) -> None:
        """End the process."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.release()

    def close(self) -> None:
        """End the process from another thread, whatever it does."""
        self.is_closing = True
        with self._lock:
            if self._worker is not None:
                self._worker.kill()

    def _start(self) -> None:
        with self._lock:  # against close(): no process may start behind its back
            if not self.is_closing:
                self._worker = workers.WorkerProcess(self._setup)
        self._is_ready = self._is_cut_off = False

    def _ready_worker(self) -> workers.WorkerProcess:
        if self._worker is not None and self._is_ready and self._worker.has_ended:
            self._discard()  # it was idle: no sample is to blame
        if self._worker is None:
            self._start()
        worker = self._worker
        if worker is None:
            raise RuntimeError("the loader is closed")
        if self._is_ready:
            return worker
        self._start_clock(max(_START_S, self._timeout_s))
        try:
            kind, details = worker.wait_ready()
        except workers.WorkerDiedError as err:
            how = self._discard()
            raise RuntimeError(f"a loader worker ended before its first sample ({how})") from err
        finally:
            self._stop_clock()
        if kind == workers.ERROR:
            self._discard()
            raise ConfigError(
                f"a loader worker cannot load the pipeline ({details['reason']}): its components "
                "must stand in a module that can be imported, not in the main script; "
                "or set num_workers: 0"
            )
        self._is_ready = True
        return worker

    def _discard(self) -> str:
        """Give up the process and return how it ended; the next sample gets a new one."""
        worker, self._worker = self._worker, None
        self._is_ready = self._is_cut_off = False
        return worker.release() if worker else "closed"

    def _log(self, notes: list[tuple[int, str]]) -> None:
        for level, message in notes:
            if message not in self._noted:
                self._noted.add(message)
                logger.log(level, "%s", message)
