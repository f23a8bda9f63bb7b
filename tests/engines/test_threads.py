"""Worker threads: torch computes on one thread in each, and results come in order."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from apnet_fast.engines.threads import in_order, single_threaded_workers


@pytest.mark.parametrize("number", [1, 3])
def test_torch_has_one_thread_in_every_worker_and_the_caller_keeps_its_own(number: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        meet = threading.Barrier(number)

        def threads(_: int) -> tuple[int, int]:
            meet.wait(timeout=30)  # so that every worker takes part
            return threading.get_ident(), torch.get_num_threads()

        with single_threaded_workers(number) as pool:
            seen = set(pool.map(threads, range(number)))
        assert {count for _, count in seen} == {1}
        assert len(seen) == number
        assert torch.get_num_threads() == number
        later: list[int] = []
        thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert later == [number]
    finally:
        torch.set_num_threads(before)


def test_results_come_in_order_and_never_too_far_ahead() -> None:
    started: list[int] = []

    def work(item: int) -> int:
        started.append(item)
        time.sleep(0.002 * (item % 3 == 0))
        return item * item

    with ThreadPoolExecutor(4) as pool:
        for taken, result in enumerate(in_order(pool, work, range(20), 3)):
            assert result == taken * taken
            assert len(started) <= taken + 3
    assert sorted(started) == list(range(20))


def test_an_error_comes_out_at_its_place() -> None:
    with ThreadPoolExecutor(2) as pool:
        results = in_order(pool, lambda item: 1 // (item - 2), range(4), 2)
        assert [next(results), next(results)] == [-1, -1]
        with pytest.raises(ZeroDivisionError):
            next(results)
