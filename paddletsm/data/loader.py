# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Which samples make which batch on which process, and reading them ahead of their use."""

from __future__ import annotations

import collections
import logging
import pickle
import queue
import time
import weakref
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from paddletsm.data import backends
from paddletsm.data.collate import PendingBatch
from paddletsm.data.datasets import ClipDataset
from paddletsm.data.runners import ProcessRunner, Runner, Service, Tasks, ThreadRunner
from paddletsm.data.shared import Slots
from paddletsm.data.types import Batch, Sample
from paddletsm.errors import ConfigError

logger = logging.getLogger(__name__)

_POLL_S = 0.1


def train_batches(
    n: int, batch_size: int, *, epoch: int, seed: int, rank: int = 0, world: int = 1
) -> list[np.ndarray]:
    """Return this process's batches of one training epoch.

    Batch k of the epoch is the k-th slice of ``batch_size * world`` of one permutation, which all
    processes share; each takes its part. So two processes of 8 see the clips of one of 16.

    Args:
        n: number of samples.
        batch_size: samples per process and step.
        epoch: with ``seed`` it fixes the permutation.
        seed: of the run.
        rank: this process, 0..world-1.
        world: number of processes.

    Returns: see ``share_order``.
    """
    if n < 0:
        raise ValueError(f"{n} samples")
    order = np.random.default_rng((seed, epoch)).permutation(n).astype(np.int64)
    return share_order(order, batch_size, rank=rank, world=world)


def share_order(
    order: np.ndarray, batch_size: int, *, rank: int = 0, world: int = 1
) -> list[np.ndarray]:
    """Return this process's batches of an epoch that draws samples in this order.

    Returns: int64 arrays of sample numbers, the same number of arrays on every process. A last
        incomplete slice is dropped unless it is the only one; then it is shared out, and
        processes are at least given one sample, if need be one that another has as well.
    """
    n = len(order)
    _check_shares(n, batch_size, rank, world)
    step = batch_size * world
    if n < step:
        return [np.array_split(np.resize(order, max(n, world)), world)[rank]] if n else []
    starts = range(rank * batch_size, n - n % step, step)
    return [order[start : start + batch_size] for start in starts]


def eval_batches(n: int, batch_size: int, *, rank: int = 0, world: int = 1) -> list[np.ndarray]:
    """Return this process's batches of an evaluation.

    Over all processes every sample comes exactly once: nothing is padded, so processes may have
    different numbers of batches, some of them none.

    Returns: int64 arrays of sample numbers, ascending.
    """
    _check_shares(n, batch_size, rank, world)
    mine = np.arange(rank, n, world, dtype=np.int64)
    return [mine[start : start + batch_size] for start in range(0, len(mine), batch_size)]


def _check_shares(n: int, batch_size: int, rank: int, world: int) -> None:
    if n < 0 or batch_size < 1:
        raise ValueError(f"{n} samples in batches of {batch_size}")
    if not 0 <= rank < world:
        raise ValueError(f"rank {rank} of {world}")


class ClipLoader:
    """Reads batches ahead of their use.

    The content of a batch depends on the data set, its seed and the epoch alone, not on the
    number of workers. Workers live until ``close`` (also called at exit).

    Args:
        dataset: what to read.
        num_workers: processes that read; 0 reads in one thread of this process.
        timeout_s: limit for one sample. A worker that passes it is replaced, another decoder is
            tried once, and then the sample is reported as failed. A thread cannot be stopped: it
            is left alone with its sample, and one process reads from then on.

    Raises:
        ConfigError: a wrong number, or a pipeline that cannot be sent to a process.
        DataError: OpenCV cannot be imported.
    """

    def __init__(
        self, dataset: ClipDataset, *, num_workers: int = 0, timeout_s: float = 60.0
    ) -> None:
        if num_workers < 0:
            raise ConfigError(f"num_workers must be 0 or more, not {num_workers}")
        if timeout_s <= 0:
            raise ConfigError(f"timeout_s must be above 0, not {timeout_s}")
        backends.opencv()  # a missing library is the machine's fault, not that of each video
        self.dataset = dataset
        self.num_workers = num_workers
        self._tasks: Tasks = queue.SimpleQueue()
        self._timeout_s = timeout_s
        self._slots = Slots(2 * num_workers + 4 if num_workers else 0)
        self._runners = self._make_runners()
        self._clip: tuple[tuple[int, ...], np.dtype] | None = None  # what the last ones were like
        self._is_started = False
        self._finalizer = weakref.finalize(self, _close, self._runners, self._tasks, self._slots)

    def _make_runners(self) -> list[Runner]:
        if self.num_workers == 0:
            return [ThreadRunner(self._tasks, self._timeout_s, self.dataset)]
        service = Service(self.dataset, _pickled(self.dataset), self._slots)
        count = range(self.num_workers)
        return [ProcessRunner(self._tasks, self._timeout_s, service) for _ in count]

    def iterate(self, batches: Iterable[Sequence[int]], epoch: int = 0) -> Iterator[Batch]:
        """Yield a batch for each list of sample numbers, in their order.

        At most two batches, or twice the number of workers in clips, are read ahead. Leaving the
        loop early drops what was read.

        Args:
            batches: e.g. of ``train_batches``; numbers into ``dataset.samples``.
            epoch: of the random draws.

        Raises:
            DataError: clips of different shape in a batch.
            RuntimeError: the loader is closed, or a component has a bug (with its traceback).
        """
        samples = self.dataset.samples
        return self.iterate_samples(([samples[i] for i in numbers] for numbers in batches), epoch)

    def iterate_samples(
        self, batches: Iterable[Sequence[Sample]], epoch: int = 0
    ) -> Iterator[Batch]:
        """Yield a batch for each list of samples, which need not be those of the data set.

        Args:
            batches: samples; taken as they are needed, two lists or more ahead.
            epoch: of the random draws.

        Raises:
            DataError, RuntimeError: see ``iterate``.
        """
        if not self._finalizer.alive:
            raise RuntimeError("the loader is closed")
        if not self._is_started:
            self._is_started = True
            for runner in self._runners:
                runner.start()
        return self._iterate(iter(batches), epoch)

    def _iterate(self, batches: Iterator[Sequence[Sample]], epoch: int) -> Iterator[Batch]:
        pending: collections.deque[PendingBatch] = collections.deque()
        try:
            while True:
                self._submit_ahead(pending, batches, epoch)
                if not pending:
                    return
                start = time.perf_counter()
                self._wait(pending[0])
                batch = pending.popleft().result(time.perf_counter() - start)
                if batch.clips is not None:
                    self._clip = (batch.clips.shape[1:], batch.clips.dtype)
                self._submit_ahead(pending, batches, epoch)
                yield batch
        finally:
            for left in pending:
                left.is_cancelled = True

    def _submit_ahead(
        self,
        pending: collections.deque[PendingBatch],
        batches: Iterator[Sequence[Sample]],
        epoch: int,
    ) -> None:
        while len(pending) < 2 or sum(map(len, pending)) < 2 * self.num_workers + len(pending[0]):
            samples = next(batches, None)
            if samples is None:
                return
            batch = PendingBatch(samples, epoch, slots=self._slots, clip=self._clip)
            pending.append(batch)
            for row in range(len(batch)):
                self._tasks.put((batch, row))

    def _wait(self, batch: PendingBatch) -> None:
        while not batch.wait(_POLL_S):
            if not self._finalizer.alive:
                raise RuntimeError("the loader was closed while it was read from")
            for place, runner in enumerate(self._runners):
                runner.check_time()
                if isinstance(runner, ThreadRunner) and runner.is_lost:
                    self._runners[place] = self._successor(runner)

    def _successor(self, lost: ThreadRunner) -> Runner:
        """Start what reads instead of a stuck thread, beginning with the sample it is stuck in."""
        batch, row = lost.current
        trouble = f"not read within {self._timeout_s:g} s"
        try:
            service = Service(self.dataset, _pickled(self.dataset), self._slots)
        except ConfigError:
            runner: Runner = ThreadRunner(self._tasks, self._timeout_s, self.dataset)
        else:
            runner = ProcessRunner(self._tasks, self._timeout_s, service)
            logger.warning(
                "%s: %s; a worker process, which can be stopped, reads from now on "
                "(num_workers: 1 or more does so from the start)",
                batch.samples[row].path,
                trouble,
            )
        runner.inherit(batch, row, trouble)
        runner.start()
        return runner

    @property
    def worker_pids(self) -> list[int]:
        """Process ids of the workers that are alive."""
        pids = [runner.pid for runner in self._runners if isinstance(runner, ProcessRunner)]
        return [pid for pid in pids if pid is not None]

    def close(self) -> None:
        """End all workers. May be called again."""
        self._finalizer()

    def __enter__(self) -> ClipLoader:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _pickled(dataset: ClipDataset) -> bytes:
    try:
        return pickle.dumps(dataset.without_samples())
    except (pickle.PicklingError, AttributeError, TypeError) as err:
        raise ConfigError(
            f"the pipeline cannot be sent to worker processes ({err}); set num_workers: 0, or "
            "define its components at the top level of a module"
        ) from err


def _close(runners: Sequence[Runner], tasks: Tasks, slots: Slots) -> None:
    for runner in runners:
        runner.is_closing = True
        tasks.put(None)
    for runner in runners:
        if isinstance(runner, ProcessRunner):
            runner.close()
    for runner in runners:
        if runner.is_alive():
            runner.join(2.0)
    slots.close()
