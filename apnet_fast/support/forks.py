"""Compute in forked processes, where the thread that forked must not start threads of OpenMP.

That thread remembers OpenMP's threads of the parent process, which do not exist in the child, and would wait for them
for ever. Any other thread starts its own. So whatever calls torch, wherever the package may be used from, is `sound`.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

# PF_FORKNOEXEC of include/linux/sched.h: the process was forked and has not started a program since.
_FORKED_WITHOUT_EXEC = 0x40
_STAT = "/proc/self/stat"


def _was_forked() -> bool:
    """Tell whether this process may be a fork, also of one that had not imported this module; only Linux knows.

    OpenMP of other systems survives a fork.
    """
    try:
        with open(_STAT, "rb") as file:
            # The second field, the program's name in parentheses, may hold anything.
            flags = int(file.read().rpartition(b")")[2].split()[6])
    except (OSError, ValueError, IndexError):
        return False
    # Systems that only imitate Linux may not keep these flags: all are 0.
    return flags == 0 or bool(flags & _FORKED_WITHOUT_EXEC)


_forked = _was_forked()


def _mark() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mark)


def in_a_sound_thread(work: Callable[[], Result]) -> Result:
    """Return work(), from a new thread if this one may be the one that forked, in the process that it made.

    A new one each time: it takes over the number of threads that is set for torch now.
    """
    if not _forked or threading.current_thread() is not threading.main_thread():
        return work()
    with ThreadPoolExecutor(1, thread_name_prefix="apnet_fast after fork") as thread:
        return thread.submit(work).result()


def sound(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Return a function whose calls all go through `in_a_sound_thread`."""

    @functools.wraps(function)
    def wrapped(*arguments: Parameters.args, **options: Parameters.kwargs) -> Result:
        return in_a_sound_thread(lambda: function(*arguments, **options))

    return wrapped
