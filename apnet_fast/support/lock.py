"""Hold an output folder against other runs."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from apnet_fast.support.errors import UsageError
from apnet_fast.support.notices import warn_once

LOCK_FILE = ".lock"

# What file systems answer that have no locks, or whose lock service does not work.
_WITHOUT_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EPERM, errno.EINVAL}


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder against other runs on this machine. Raises UsageError that names the run that holds it.

    On a file system without locks it warns and goes on.
    """
    path = folder / LOCK_FILE
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                "another run is writing to this output folder",
                got=f"{folder}, held by {_holder(file)}",
                remedy="wait for it, or give another --output",
            ) from error
        except OSError as error:
            if error.errno not in _WITHOUT_LOCKS:
                error.filename = str(path)
                raise
            warn_once(
                f"the file system has no locks ({error.strerror}) [{path}]: let no other run write to this folder"
            )
        _write(
            file,
            {"host": socket.gethostname(), "pid": os.getpid(), "since": datetime.now(UTC).isoformat("T", "seconds")},
        )
        try:
            yield
        finally:
            _write(file, None)


def _write(file: IO[str], holder: dict[str, object] | None) -> None:
    """Write who holds the lock, for others to read; a full disk does not matter."""
    with suppress(OSError):
        file.truncate(0)
        if holder is not None:
            file.write(json.dumps(holder) + "\n")
        file.flush()


def _holder(file: IO[str]) -> str:
    try:
        file.seek(0)
        holder = json.loads(file.read(1000))
        return f"process {holder['pid']} on {holder['host']} since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "an unknown process"
