"""Independent items with several workers, in order: photos, mattes to composite."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ordered(
    open_worker: Callable[[], Callable[[Item], Result]],
    items: Iterable[Item],
    *,
    workers: int,
    limit: int | None = None,
) -> Generator[tuple[Item, Future[Result]]]:
    """Process independent items with several workers; yield ``(item, future)`` in order.

    Every thread calls ``open_worker`` once for its own worker, which processes the items one by one.
    At most ``limit`` items (None: ``2 * workers``) are in work or wait for the caller, so that memory does
    not grow with their number. The futures are finished; ``result()`` raises the error of its own item.
    When the caller stops iterating (or is interrupted), the remaining items are dropped.
    """
    pending: deque[tuple[Item, Future[Result]]] = deque()
    own = threading.local()

    def work(item: Item) -> Result:
        if not hasattr(own, "worker"):
            own.worker = open_worker()
        result: Result = own.worker(item)
        return result

    limit = limit or 2 * workers
    pool = ThreadPoolExecutor(workers, thread_name_prefix="cleanplate-work")
    try:
        for item in items:
            pending.append((item, pool.submit(work, item)))
            if len(pending) >= limit:
                yield _finished(pending.popleft())
        while pending:
            yield _finished(pending.popleft())
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _finished(entry: tuple[Item, Future[Result]]) -> tuple[Item, Future[Result]]:
    entry[1].exception()
    return entry
