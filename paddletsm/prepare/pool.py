# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""One function over many files, in threads: reading and decoding leave Python's lock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from paddletsm.utils.threads import usable_cores

Job = TypeVar("Job")
Result = TypeVar("Result")


def map_in_threads(
    work: Callable[[Job], Result],
    jobs: Sequence[Job],
    *,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Result]:
    """Return the result of each job, in their order.

    Args:
        work: what is done with a job.
        jobs: the jobs.
        workers: jobs at a time; None: one per usable core.
        progress: called with (jobs done, jobs in all).
    """
    results: list[Result] = []
    with ThreadPoolExecutor(workers or usable_cores()) as pool:
        try:
            for result in pool.map(work, jobs):
                results.append(result)
                if progress:
                    progress(len(results), len(jobs))
        except BaseException:
            pool.shutdown(cancel_futures=True)  # or Ctrl-C would wait for all jobs
            raise
    return results
