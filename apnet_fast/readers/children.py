"""Processes of a run: how they follow their parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading

# Not fork: a run has threads of torch and numba, which a forked child would inherit broken.
SPAWN = multiprocessing.get_context("spawn")


def follow_parent() -> None:
    """In a child: end when the parent ends, however it ends, and leave signals to it.

    Ctrl-C and batch systems signal every process of a job; the run wants to finish its shard first.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def end_with_parent() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
