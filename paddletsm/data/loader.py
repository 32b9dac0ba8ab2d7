# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Which samples make which batch on which process, and reading them ahead of their use."""

from __future__ import annotations

import collections
import pickle
import queue
import time
import weakref
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from paddletsm.data import backends
from paddletsm.data.collate import PendingBatch
from paddletsm.data.datasets import ClipDataset
from paddletsm.data.runners import ProcessRunner, Runner, Tasks, ThreadRunner
from paddletsm.data.types import Batch
from paddletsm.errors import ConfigError

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

    Returns: int64 arrays of sample numbers, the same number of arrays on every process. A last
        incomplete slice is dropped unless it is the only one; then it is shared out, and
        processes are at least given one sample, if need be one that another has as well.
    """
    _check_shares(n, batch_size, rank, world)
    order = np.random.default_rng((seed, epoch)).permutation(n).astype(np.int64)
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
        timeout_s: limit for one sample. A worker that passes it is replaced and the sample
            reported as failed; without workers the iteration ends with a DataError.

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
        self._runners = _make_runners(dataset, num_workers, timeout_s, self._tasks)
        self._is_started = False
        self._finalizer = weakref.finalize(self, _close, self._runners, self._tasks)

    def iterate(self, batches: Iterable[Sequence[int]], epoch: int = 0) -> Iterator[Batch]:
        """Yield a batch for each list of sample numbers, in their order.

        At most two batches, or twice the number of workers in clips, are read ahead. Leaving the
        loop early drops what was read.

        Args:
            batches: e.g. of ``train_batches``; numbers into ``dataset.samples``.
            epoch: of the random draws.

        Raises:
            DataError: clips of different shape in a batch; a stuck sample without workers.
            RuntimeError: the loader is closed, or a component has a bug (with its traceback).
        """
        if not self._finalizer.alive:
            raise RuntimeError("the loader is closed")
        if not self._is_started:
            self._is_started = True
            for runner in self._runners:
                runner.start()
        return self._iterate(iter(batches), epoch)

    def _iterate(self, batches: Iterator[Sequence[int]], epoch: int) -> Iterator[Batch]:
        pending: collections.deque[PendingBatch] = collections.deque()
        try:
            while True:
                self._submit_ahead(pending, batches, epoch)
                if not pending:
                    return
                start = time.perf_counter()
                self._wait(pending[0])
                batch = pending.popleft().result(time.perf_counter() - start)
                self._submit_ahead(pending, batches, epoch)
                yield batch
        finally:
            for left in pending:
                left.is_cancelled = True

    def _submit_ahead(
        self,
        pending: collections.deque[PendingBatch],
        batches: Iterator[Sequence[int]],
        epoch: int,
    ) -> None:
        while len(pending) < 2 or sum(map(len, pending)) < 2 * self.num_workers + len(pending[0]):
            numbers = next(batches, None)
            if numbers is None:
                return
            batch = PendingBatch([self.dataset.samples[i] for i in numbers], epoch)
            pending.append(batch)
            for row in range(len(batch)):
                self._tasks.put((batch, row))

    def _wait(self, batch: PendingBatch) -> None:
        while not batch.wait(_POLL_S):
            if not self._finalizer.alive:
                raise RuntimeError("the loader was closed while it was read from")
            for runner in self._runners:
                runner.check_time()

    def close(self) -> None:
        """End all workers. May be called again."""
        self._finalizer()

    def __enter__(self) -> ClipLoader:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _make_runners(
    dataset: ClipDataset, num_workers: int, timeout_s: float, tasks: Tasks
) -> list[Runner]:
    if num_workers == 0:
        return [ThreadRunner(tasks, timeout_s, dataset)]
    try:
        setup = pickle.dumps(dataset.without_samples())
    except (pickle.PicklingError, AttributeError, TypeError) as err:
        raise ConfigError(
            f"the pipeline cannot be sent to worker processes ({err}); set num_workers: 0, or "
            "define its components at the top level of a module"
        ) from err
    noted: set[str] = set()
    return [ProcessRunner(tasks, timeout_s, setup, noted) for _ in range(num_workers)]


def _close(runners: Sequence[Runner], tasks: Tasks) -> None:
    for runner in runners:
        runner.is_closing = True
        tasks.put(None)
    for runner in runners:
        if isinstance(runner, ProcessRunner):
            runner.close()
    for runner in runners:
        if runner.is_alive():
            runner.join(2.0)
