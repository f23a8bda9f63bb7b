"""Queues of shards."""

from __future__ import annotations

from apnet_fast.pipeline.work import Work, WorkList


def test_a_list_hands_out_its_shards_in_order_until_it_is_closed() -> None:
    shards = [Work(number, (f"{number}.fits",)) for number in range(3)]
    queue = WorkList(shards)
    assert [queue.next(wait=True), queue.next(wait=False)] == shards[:2]
    queue.close()
    assert queue.next(wait=True) is None
    assert WorkList([]).next(wait=False) is None
