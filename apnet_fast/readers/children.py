"""Start child processes and make them exit with their parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnProcess

from apnet_fast.support.notices import mute_warnings
from apnet_fast.support.stopping import STOP_SIGNALS

# Not fork: a forked child would inherit the threads of torch and numba in a broken state.
SPAWN = multiprocessing.get_context("spawn")


def start_child(process: SpawnProcess) -> None:
    """Start a process that will call `follow_parent`; signals do not reach it before that either."""
    resource_tracker.ensure_running()  # it would unblock some of them
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def follow_parent() -> None:
    """Make this child exit with its parent, however that ends, ignore signals, and mute its warnings.

    Ctrl-C and batch systems signal every process of a job, but the run has to finish its shard first.
    """
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    mute_warnings()
    parent = multiprocessing.parent_process()

    def end_with_parent() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
