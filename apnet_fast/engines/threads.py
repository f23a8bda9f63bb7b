"""Run worker threads in which torch uses a single thread, so that results do not depend on their number."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def single_threaded_workers(number: int) -> ThreadPoolExecutor:
    """Return a pool of threads, in each of which torch computes on one thread."""
    pool = ThreadPoolExecutor(number, thread_name_prefix="apnet_fast")
    everyone = Barrier(number + 1)

    def begin() -> None:
        torch.get_num_threads()  # a thread's first call copies the process's number, which would undo a later setting
        torch.set_num_threads(1)
        everyone.wait()

    for _ in range(number):
        pool.submit(begin)
    everyone.wait()
    # Setting the number in a thread also sets it for future threads: restore the caller's.
    torch.set_num_threads(number)
    return pool


def in_order(
    pool: ThreadPoolExecutor, work: Callable[[Item], Result], items: Iterable[Item], ahead: int
) -> Iterator[Result]:
    """Yield work(item) for every item in order, with at most `ahead` of them running or waiting to be taken."""
    pending: deque[Future[Result]] = deque()
    for item in items:
        pending.append(pool.submit(work, item))
        if len(pending) >= ahead:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()
