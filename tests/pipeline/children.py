"""Processes that a test's own code has started: other tests of this process may have left some."""

from __future__ import annotations

from collections.abc import Callable

from apnet_fast.readers.children import SPAWN

NewChildren = Callable[[], list[int]]


def watch_children() -> NewChildren:
    """Return what lists the numbers of the processes that were begun since now, and live."""
    before = {child.pid for child in SPAWN.active_children()}
    return lambda: [child.pid or 0 for child in SPAWN.active_children() if child.pid not in before]
