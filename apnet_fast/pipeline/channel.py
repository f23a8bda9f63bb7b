"""A bounded queue between two stages of a run that either end can break off."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from threading import Condition
from typing import Generic, TypeVar

Item = TypeVar("Item")


class BrokenOff(Exception):
    """The other end of a channel has given up; whoever knows the reason raises it."""


class Channel(Generic[Item]):
    """Hands items in order from one thread to another; `put` waits while `size` items are there."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: deque[Item] = deque()
        self._changed = Condition()
        self._closed = False
        self._broken = False

    def put(self, item: Item) -> None:
        """Add an item. Raises BrokenOff if nobody will take it."""
        with self._changed:
            while len(self._items) >= self._size and not self._broken:
                self._changed.wait()
            if self._broken:
                raise BrokenOff
            self._items.append(item)
            self._changed.notify_all()

    def close(self) -> None:
        """End the channel: no more items come, and those that are there are still taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def break_off(self) -> None:
        """Drop all items: nobody takes them any more."""
        with self._changed:
            self._broken = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Item]:
        return (item for item in self.with_pauses(None) if item is not None)

    def with_pauses(self, seconds: float | None) -> Iterator[Item | None]:
        """Yield the items, and None after `seconds` without one; None as `seconds` waits for ever."""
        while True:
            with self._changed:
                item: Item | None = None
                in_time = self._changed.wait_for(lambda: self._items or self._closed or self._broken, seconds)
                if in_time and not self._items:
                    return
                if in_time:
                    item = self._items.popleft()
                    self._changed.notify_all()
            yield item
