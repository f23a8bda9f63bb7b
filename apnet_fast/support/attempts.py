"""Name files and folders that are being written, so that two writers never meet, and clean up after those that died.

An attempt at `name` is `name.<host>-<pid>-<count>.partial`: no two processes, on any machine, have the same.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PARTIAL = ".partial"

_ATTEMPT = re.compile(r"(?P<name>.+)\.(?P<host>[^/]*)-(?P<pid>\d+)-(?P<count>\d+)" + re.escape(PARTIAL))
# As the kernel's client of NFS makes them.
_LEFT_BY_NFS = re.compile(r"\.nfs[0-9a-f]{16,}")
SECONDS_UNTIL_STALE = 86_400.0
"""What no process has touched for so long was left by one that was killed."""
_HOST_LENGTH = 40

_counter = itertools.count()
_under_way: set[Path] = set()


def new_attempt(path: Path) -> Path:
    """Return a path beside `path` that no other writer uses."""
    attempt = path.with_name(f"{path.name}.{_host()}-{os.getpid()}-{next(_counter)}{PARTIAL}")
    _under_way.add(attempt)
    return attempt


def end_attempt(attempt: Path, *, remove: bool) -> None:
    """Forget an attempt that was renamed, or remove one that failed."""
    _under_way.discard(attempt)
    if remove:
        _remove(attempt)


def _remove(attempt: Path) -> None:
    if attempt.is_dir() and not attempt.is_symlink():
        shutil.rmtree(attempt, ignore_errors=True)
    else:
        with suppress(OSError):
            attempt.unlink()


def name_of_attempt(name: str) -> str | None:
    """Return the name of what an attempt of this name was to become; None for any other name."""
    match = _ATTEMPT.fullmatch(name)
    return match["name"] if match else None


def is_left_by_nfs(name: str) -> bool:
    """Return whether this names a file that was removed while a client of NFS has it open: it stays until closed."""
    return _LEFT_BY_NFS.fullmatch(name) is not None


def remove_stale_attempts(folder: Path, is_ours: Callable[[str], bool]) -> None:
    """Remove attempts whose writers have died: processes of this machine that are gone, or older than a day.

    is_ours: whether the attempt at a file of this name is one to clean up. All else in the folder is left alone.
    """
    for path in folder.iterdir():
        match = _ATTEMPT.fullmatch(path.name)
        if match and is_ours(match["name"]) and _is_stale(path, match["host"], int(match["pid"])):
            _remove(path)


def _is_stale(path: Path, host: str, pid: int) -> bool:
    if host == _host():
        # A number that is ours now was another process's before, unless we are writing this very file.
        dead = path not in _under_way if pid == os.getpid() else not _is_alive(pid)
        if dead:
            return True
    try:
        return time.time() - path.lstat().st_mtime > SECONDS_UNTIL_STALE
    except FileNotFoundError:
        return False


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # another user's
    return True


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9_.]", "_", socket.gethostname())[:_HOST_LENGTH]
