"""Worker threads in which torch computes alone, so that its results do not depend on their number."""

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
    """Threads in each of which torch computes on one thread."""
    pool = ThreadPoolExecutor(number, thread_name_prefix="apnet_fast")
    everyone = Barrier(number + 1)

    def begin() -> None:
        torch.get_num_threads()  # a thread's first look at the number takes over that of the process
        torch.set_num_threads(1)
        everyone.wait()

    for _ in range(number):
        pool.submit(begin)
    everyone.wait()
    # Setting it for a thread also sets it for threads yet to come: give the caller's program its own back.
    torch.set_num_threads(number)
    return pool


def in_order(
    pool: ThreadPoolExecutor, work: Callable[[Item], Result], items: Iterable[Item], ahead: int
) -> Iterator[Result]:
    """work(item) of every item in order, at most `ahead` of them under way or waiting to be taken."""
    pending: deque[Future[Result]] = deque()
    for item in items:
        pending.append(pool.submit(work, item))
        if len(pending) >= ahead:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()
