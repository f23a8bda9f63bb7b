"""The sign that a coordinator lives: a file in the output folder that it touches, and that its engines watch.

Engines end when the file goes, and when it has not been touched for long. So none outlives its run, however that ended,
and whatever Dask's workers are busy with.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from contextlib import suppress
from pathlib import Path

from apnet_fast.support.attempts import SECONDS_UNTIL_STALE

PREFIX = ".team-"
_SECONDS_PER_TOUCH = 10.0
_SECONDS_BETWEEN_LOOKS = 5.0
_SECONDS_OF_PATIENCE = 600.0


class Lease:
    """A file that is touched by a thread until it is released, and then removed."""

    def __init__(self, folder: Path, run: str) -> None:
        self.file = folder / f"{PREFIX}{run}"
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._touch, daemon=True, name="lease")

    def take(self) -> None:
        """Make the file, and remove those that coordinators left a day ago."""
        for path in self.file.parent.glob(f"{PREFIX}*"):
            with suppress(OSError):
                state = path.lstat()
                lease = stat.S_ISREG(state.st_mode) and state.st_size == 0
                if lease and time.time() - state.st_mtime > SECONDS_UNTIL_STALE:
                    path.unlink()
        self.file.touch()
        self._thread.start()

    def release(self) -> None:
        """Remove the file."""
        self._released.set()
        if self._thread.is_alive():
            self._thread.join()
        self.file.unlink(missing_ok=True)

    def _touch(self) -> None:
        while not self._released.wait(_SECONDS_PER_TOUCH):
            with suppress(OSError):
                os.utime(self.file)


def follow(file: Path) -> None:
    """End this process, from a thread, when the coordinator whose lease this is has ended."""
    threading.Thread(target=_follow, args=(file,), daemon=True, name="lease").start()


def _follow(file: Path) -> None:
    last, since = _touched(file), time.monotonic()
    while True:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
        touched = _touched(file)
        if touched != last:
            last, since = touched, time.monotonic()
        if touched == 0 or time.monotonic() - since > _SECONDS_OF_PATIENCE:
            os._exit(0)


def _touched(file: Path) -> int:
    """Return when the file was touched, 0 if it has gone, -1 if that cannot be known now."""
    try:
        # Opening it makes clients of NFS ask the server.
        with file.open("rb") as opened:
            return os.fstat(opened.fileno()).st_mtime_ns
    except FileNotFoundError:
        return 0
    except OSError:
        return -1
