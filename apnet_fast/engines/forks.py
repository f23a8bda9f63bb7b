"""Compute in forked processes, where the thread that forked must not start threads of OpenMP.

That thread remembers OpenMP's threads of the parent process, which do not exist in the child, and would wait for them
for ever. Any other thread starts its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")

_forked = False


def _mark() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mark)


def in_a_sound_thread(work: Callable[[], Result]) -> Result:
    """Return work(), from a thread of its own if this process was forked after this module was imported."""
    if not _forked:
        return work()
    with ThreadPoolExecutor(1, thread_name_prefix="apnet_fast after fork") as thread:
        return thread.submit(work).result()
