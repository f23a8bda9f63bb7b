"""Start child processes and make them exit with their parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading

# Not fork: a forked child would inherit the threads of torch and numba in a broken state.
SPAWN = multiprocessing.get_context("spawn")


def follow_parent() -> None:
    """Make this child exit with its parent, however that ends, and ignore signals.

    Ctrl-C and batch systems signal every process of a job, but the run has to finish its shard first.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def end_with_parent() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
