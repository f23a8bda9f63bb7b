"""Children exit with their parent and leave its signals alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from multiprocessing.connection import Connection

from apnet_fast.readers.children import SPAWN, follow_parent

PARENT = """
import os, sys, time
from apnet_fast.readers.children import SPAWN
from tests.readers.test_children import report_and_wait
if __name__ == "__main__":
    ours, theirs = SPAWN.Pipe()
    child = SPAWN.Process(target=report_and_wait, args=(theirs, sys.argv[1] == "follow"))
    child.start()
    print(ours.recv(), flush=True)
    os._exit(9)  # without any clean-up, as a kill would
"""


def report_and_wait(connection: Connection, follow: bool) -> None:
    """What a child does: say its number and sleep."""
    if follow:
        follow_parent()
    connection.send(os.getpid())
    time.sleep(30)


def is_there(number: int) -> bool:
    """Whether a process runs; one that has ended and waits to be collected does not."""
    try:
        with open(f"/proc/{number}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def child_of_a_dead_parent(how: str) -> int:
    # The child holds the pipe open, so read one line of it and not to its end.
    with subprocess.Popen([sys.executable, "-c", PARENT, how], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        number = int(parent.stdout.readline())
        assert parent.wait(60) == 9
    return number


def test_a_child_ends_with_a_parent_that_ends_abruptly() -> None:
    number = child_of_a_dead_parent("follow")
    deadline = time.monotonic() + 10
    while is_there(number) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_there(number)


def test_without_it_the_child_would_stay() -> None:
    number = child_of_a_dead_parent("stay")
    time.sleep(0.3)
    assert is_there(number)
    os.kill(number, signal.SIGKILL)


def test_a_child_ignores_the_signals_of_its_job() -> None:
    ours, theirs = SPAWN.Pipe()
    child = SPAWN.Process(target=report_and_wait, args=(theirs, True), daemon=True)
    child.start()
    number = ours.recv()
    for name in (signal.SIGINT, signal.SIGTERM):
        os.kill(number, name)
    child.join(0.3)
    assert child.is_alive()
    child.kill()
    child.join()
