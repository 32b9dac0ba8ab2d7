# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Threads of the loader: each takes sample by sample, and reads it itself or by a process."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from paddletsm.data import workers
from paddletsm.data.collate import PendingBatch
from paddletsm.data.datasets import ClipDataset
from paddletsm.data.shared import Slots
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
        self._inherited: tuple[PendingBatch, int, str] | None = None
        self.is_closing = False
        self.is_lost = False

    def run(self) -> None:
        """Serve until closed. An error that is not the sample's goes to whoever waits for it."""
        try:
            if self._inherited is not None:
                self._serve(*self._inherited)
            while not self.is_lost and (task := self._tasks.get()) is not None:
                if self.is_closing:
                    break
                self._serve(*task)
        finally:
            self.stop()

    def _serve(self, batch: PendingBatch, row: int, trouble: str = "") -> None:
        if batch.is_cancelled:
            return
        try:
            self.serve(batch, row, trouble)
        except Exception as err:  # noqa: BLE001 - raised by the loader's iterator
            batch.abort(RuntimeError("the loader is closed") if self.is_closing else err)

    def inherit(self, batch: PendingBatch, row: int, trouble: str) -> None:
        """Begin with the sample that another runner was lost with; called before the start."""
        self._inherited = (batch, row, trouble)

    def serve(self, batch: PendingBatch, row: int, trouble: str = "") -> None:
        """Fill one row of a batch, or note its failure.

        Args:
            batch: where the clip goes.
            row: its place there.
            trouble: what the usual decoder did with the sample, if another one is to be tried.
        """
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

    def _stop_clock(self) -> bool:
        """Return whether the time was over before."""
        with self._lock:
            self._deadline = None
            return self.is_lost


class ThreadRunner(Runner):
    """Reads in this process.

    It cannot be cut off: with a stuck sample it is lost, and the loader puts another in its place.

    Attributes:
        current: the sample that is being read.
    """

    def __init__(self, tasks: Tasks, timeout_s: float, dataset: ClipDataset) -> None:
        super().__init__(tasks, timeout_s)
        self._dataset = dataset
        self.current: tuple[PendingBatch, int] | None = None

    def serve(self, batch: PendingBatch, row: int, trouble: str = "") -> None:
        """Read one sample, unless it has been trouble to another thread already."""
        if trouble:
            batch.fail(row, f"{batch.samples[row].path}: {trouble}")
            return

        def destination(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray | None:
            return None if self.is_lost else batch.find_row(row, shape, dtype)

        self.current = (batch, row)
        self._start_clock(self._timeout_s)
        failure = clip = times = None
        try:
            clip, times = self._dataset.read_into(batch.samples[row], batch.epoch, destination)
        except DataError as err:
            failure = str(err)
        finally:
            is_lost = self._stop_clock()
        if is_lost:  # too late: another runner has the sample
            return
        if clip is None:
            batch.fail(row, failure)
            return
        target = batch.row(row, clip.frames.shape, clip.frames.dtype)
        if not np.shares_memory(clip.frames, target, max_work=1):
            target[...] = clip.frames
        batch.done(row, clip.labels, times)

    def cut_off(self) -> None:
        """Give the thread up."""
        self.is_lost = True


@dataclass(frozen=True)
class Service:
    """What the processes of a loader have in common.

    Attributes:
        dataset: what they read from.
        setup: the same, pickled.
        slots: memory that they share with this process.
        noted: messages that have been logged.
    """

    dataset: ClipDataset
    setup: bytes
    slots: Slots
    noted: set[str] = field(default_factory=set)


class ProcessRunner(Runner):
    """Reads by a process of its own, and replaces it when it dies or is cut off.

    Args:
        tasks: shared by all runners of a loader.
        timeout_s: time limit of one sample.
        service: what all processes of a loader are started with.
    """

    def __init__(self, tasks: Tasks, timeout_s: float, service: Service) -> None:
        super().__init__(tasks, timeout_s)
        self._service = service
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

    def serve(self, batch: PendingBatch, row: int, trouble: str = "") -> None:
        """Have one sample read; by another decoder where the first one hangs or crashes."""
        sample = batch.samples[row]
        if trouble and self._service.dataset.alternative(sample) is None:
            batch.fail(row, f"{sample.path}: {trouble}")
            return
        worker = self._ready_worker()
        try:
            kind, details = self._exchange(worker, batch, row, bool(trouble))
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
            if trouble:
                batch.fail(row, f"{sample.path}: {trouble}; by another decoder: {reason}")
            else:
                self.serve(batch, row, reason)
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
            if trouble:
                self._log([(logging.WARNING, f"{sample.path}: {trouble}; another decoder read it")])
            batch.done(row, details["labels"], details["times"])
        elif kind == workers.FAILED:
            before = f"{sample.path}: {trouble}; by another decoder: " if trouble else ""
            batch.fail(row, before + details["reason"])
        else:
            raise RuntimeError(f"loader worker: {details['reason']}")

    def _exchange(
        self, worker: workers.WorkerProcess, batch: PendingBatch, row: int, is_retry: bool
    ) -> tuple[int, dict[str, Any]]:
        """Ask for a sample within the time limit; a clip goes straight into its row."""
        request = workers.Request(batch.samples[row], batch.epoch, batch.place(row), is_retry)
        self._start_clock(self._timeout_s)
        try:
            kind, details = worker.ask(request)
            if kind == workers.CLIP:
                target = batch.row(row, details["shape"], details["dtype"])
                if not details["placed"]:
                    worker.read_frames(target)
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
                service = self._service
                self._worker = workers.WorkerProcess(service.setup, service.slots.handles)
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
            if message not in self._service.noted:
                self._service.noted.add(message)
                logger.log(level, "%s", message)
