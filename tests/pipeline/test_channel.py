"""Channels: order, bounds, ends and breaks."""

from __future__ import annotations

import threading
import time

import pytest

from apnet_fast.pipeline.channel import BrokenOff, Channel


def test_items_come_in_order_and_never_more_than_fit() -> None:
    channel: Channel[int] = Channel(2)
    put: list[int] = []

    def fill() -> None:
        for number in range(20):
            channel.put(number)
            put.append(number)
        channel.close()

    thread = threading.Thread(target=fill)
    thread.start()
    taken = []
    for number in channel:
        taken.append(number)
        # The one taken, two that wait, and one that was put meanwhile and not yet counted here.
        assert len(put) <= len(taken) + 3
    thread.join()
    assert taken == [*range(20)]


def test_what_is_there_is_taken_after_the_end() -> None:
    channel: Channel[int] = Channel(2)
    channel.put(1)
    channel.close()
    assert list(channel) == [1]


def test_breaking_off_wakes_whoever_waits() -> None:
    channel: Channel[int] = Channel(1)
    channel.put(1)
    broken: list[bool] = []

    def put() -> None:
        with pytest.raises(BrokenOff):
            channel.put(2)
        broken.append(True)

    thread = threading.Thread(target=put)
    thread.start()
    time.sleep(0.02)
    channel.break_off()
    thread.join(5)
    assert broken == [True]
    assert list(channel) == []


def test_a_pause_is_told_and_items_come_after_it() -> None:
    channel: Channel[int] = Channel(2)
    items = channel.with_pauses(0.01)
    assert next(items) is None
    channel.put(5)
    assert next(items) == 5
    channel.close()
    assert list(items) == []
