# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Work on a stream by several threads; results come in the order of the stream."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_POLL_S = 0.2


def in_order(
    items: Iterator[Item],
    work: Callable[[Item], Result],
    *,
    threads: int,
    interrupt: Callable[[], None],
) -> Iterator[Result]:
    """Yield ``work(item)`` for each item, in order, as soon as it is there.

    Another thread takes the items, so that a result never waits for the next item. At most
    ``threads`` + 2 items are taken and not yet yielded.

    Args:
        items: taken by one thread.
        work: called by ``threads`` threads.
        threads: number of items that are worked on at the same time.
        interrupt: called when the loop is left early; makes a waiting ``items`` raise.

    Raises:
        Exception: what ``items`` or ``work`` raises, at its place in the order.
    """
    ready: queue.Queue[Future[Result] | None] = queue.Queue(threads)
    is_over = threading.Event()
    is_complete = False
    pool = ThreadPoolExecutor(threads, thread_name_prefix="paddletsm-predict")

    def feed() -> None:
        try:
            for item in items:
                if not _put(ready, pool.submit(work, item), is_over):
                    return
        except Exception as err:  # noqa: BLE001 - raised by the loop that is fed
            failed: Future[Result] = Future()
            failed.set_exception(err)
            _put(ready, failed, is_over)
        _put(ready, None, is_over)

    feeder = threading.Thread(target=feed, name="paddletsm-feed", daemon=True)
    feeder.start()
    try:
        while (future := ready.get()) is not None:
            yield future.result()
            del future  # its result may be large
        is_complete = True
    finally:
        is_over.set()
        if not is_complete:
            interrupt()
        feeder.join()
        pool.shutdown(cancel_futures=True)


def _put(ready: queue.Queue, entry: Future | None, is_over: threading.Event) -> bool:
    """Put an entry as soon as there is room; False when nobody wants it any more."""
    while not is_over.is_set():
        try:
            ready.put(entry, timeout=_POLL_S)
        except queue.Full:
            continue
        return True
    return False
