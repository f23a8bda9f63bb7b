"""Hold a folder against other runs, on this machine and on others that share its file system.

The lock is a folder, `.lock`, renamed into place whole: on every file system only one of several such renames
succeeds. flock is not used, because between the nodes of a cluster it often holds nothing. Who holds the lock sets the
time of a file in it again and again. A lock without such signs of life is taken over.

Only what a lock of this package can be is ever moved or removed. Anything else of such a name is the user's.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import socket
import stat
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec

from apnet_fast.support.attempts import SECONDS_UNTIL_STALE, is_left_by_nfs
from apnet_fast.support.errors import Stopped, UsageError
from apnet_fast.support.notices import say

LOCK_FOLDER = ".lock"
HOLDER_FILE = "holder.json"
_ASIDE = ".abandoned"
_UNKNOWN = "unknown"
_TOKEN = "[0-9a-f]{32}"
# A lock that is being made, and one that was put aside.
_MADE = re.compile(rf"{re.escape(LOCK_FOLDER)}\.{_TOKEN}")
_PUT_ASIDE = re.compile(rf"{re.escape(LOCK_FOLDER)}\.(?:{_TOKEN}|{_UNKNOWN}){re.escape(_ASIDE)}")
_MOST_BYTES = 64 * 1024
_KEYS_OF_THE_FILE = {"host", "pid", "since"}

_SECONDS_PER_BEAT = 10.0
# More than the seconds for which clients of NFS keep what they know of a file.
_SECONDS_OF_PATIENCE = 90.0
_SECONDS_BETWEEN_LOOKS = 1.0
_MOST_TRIES = 20
_BEATS_WITHOUT_LOCK = 3
# What renaming a folder onto one that is not empty, or onto a file, gives.
_TAKEN = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EISDIR}


@dataclass(frozen=True)
class Holder:
    """Who holds a lock. machine: this boot of this host, "" if unknown. started: of the process, in the kernel's ticks.

    job: number of the Slurm job, and how often it was requeued. token: differs for every lock.
    """

    host: str
    machine: str
    pid: int
    started: str
    job: str
    restarts: str
    since: str
    token: Annotated[str, msgspec.Meta(pattern=rf"^{_TOKEN}\Z")]

    def __str__(self) -> str:
        job = f", Slurm job {self.job}," if self.job else ""
        return f"process {self.pid} on {self.host}{job} since {self.since}"

    @property
    def has_ended(self) -> bool | None:
        """Whether the process has ended; None if this machine cannot know."""
        if self.machine and self.machine == _machine():
            return _has_ended(self.pid, self.started)
        if self.job and self.job == os.environ.get("SLURM_JOB_ID", ""):
            # Slurm ends a job everywhere before it starts it again.
            return True if self.restarts != os.environ.get("SLURM_RESTART_COUNT", "0") else None
        return None


def this_process() -> Holder:
    """Return a holder that stands for this process."""
    return Holder(
        host=socket.gethostname(),
        machine=_machine(),
        pid=os.getpid(),
        started=_start_of(os.getpid()),
        job=os.environ.get("SLURM_JOB_ID", ""),
        restarts=os.environ.get("SLURM_RESTART_COUNT", "0"),
        since=datetime.now(UTC).isoformat("T", "seconds"),
        token=uuid.uuid4().hex,
    )


@contextmanager
def locked(folder: Path, on_loss: Callable[[Stopped], None] = lambda reason: None) -> Iterator[None]:
    """Hold a folder against other runs. on_loss: called, from another thread, if another run has taken it over.

    The lock of a run that has ended without releasing it is taken over, with a line that says so. A run on
    another machine is known by its signs of life alone, which takes up to a minute and a half.

    Raises UsageError that names the run that holds the folder.
    """
    holder = _acquire(folder)
    ended = threading.Event()
    beat = threading.Thread(target=_beat, args=(folder, holder, ended, on_loss), daemon=True, name="lock")
    beat.start()
    try:
        yield
    finally:
        ended.set()
        beat.join()
        _release(folder, holder)


def holder_of(folder: Path) -> Holder | None:
    """Return who holds a folder, alive or not; None if nobody does, or if that cannot be known."""
    return _holder_in(folder / LOCK_FOLDER)


def is_lock(name: str) -> bool:
    """Return whether runs give this name to their lock, or to one that is being made or was put aside."""
    return name == LOCK_FOLDER or bool(_MADE.fullmatch(name) or _PUT_ASIDE.fullmatch(name))


def _acquire(folder: Path) -> Holder:
    path = folder / LOCK_FOLDER
    holder = this_process()
    made = folder / f"{LOCK_FOLDER}.{holder.token}"
    made.mkdir()
    try:
        (made / HOLDER_FILE).write_text(json.dumps(asdict(holder)) + "\n", encoding="utf-8")
        for _ in range(_MOST_TRIES):
            _rename(made, path)
            if holder_of(folder) == holder:
                return holder
            _give_up_or_take_over(folder, path)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    raise _refusal(folder, None)


def _rename(made: Path, path: Path) -> None:
    """Rename a lock into place, unless there is one. Over a network a retry may fail although the first succeeded."""
    try:
        os.rename(made, path)
    except OSError as error:
        if error.errno not in _TAKEN and made.exists():
            error.filename = str(path)
            raise


def _give_up_or_take_over(folder: Path, path: Path) -> None:
    """Put the lock of a run that has ended aside. Raises UsageError if the run lives."""
    if _is_file_of_earlier_version(path):
        with suppress(IsADirectoryError):  # another run was quicker
            path.unlink(missing_ok=True)
    if not _is_of_a_run(path):
        raise UsageError(
            f"the output folder holds a {LOCK_FOLDER} that no run of apnet_fast made",
            got=str(path),
            expected="nothing of this name, or the lock of a run",
            remedy="move it away, or give another --output; nothing here was changed",
        )
    if not os.path.lexists(path):
        return
    other = holder_of(folder)
    ended = other.has_ended if other else None
    if ended is False:
        raise _refusal(folder, other)
    if ended is None and not _is_silent(folder, path, other):
        if path.exists():
            raise _refusal(folder, other)
        return  # it was released meanwhile
    # The name belongs to this very lock: of several that find it abandoned, one can rename it.
    aside = folder / f"{LOCK_FOLDER}.{other.token if other else _UNKNOWN}{_ASIDE}"
    try:
        os.rename(path, aside)
    except OSError:
        return  # another run was quicker
    if _token_in(aside) not in (other.token if other else None, None):
        with suppress(OSError):  # it was released and taken again at this moment: give it back
            os.rename(aside, path)
        return
    why = "which has ended" if ended else f"of which nothing was heard for {_SECONDS_OF_PATIENCE:.0f} s"
    say(f"the output folder is taken over from {other or 'an unknown process'}, {why} [{folder}]")


def _is_silent(folder: Path, path: Path, other: Holder | None) -> bool:
    """Wait for a sign of life; return whether there was none."""
    say(f"the output folder is held by {other or 'an unknown process'}; waiting for a sign of life [{folder}]")
    before = _sign(path)
    deadline = time.monotonic() + _SECONDS_OF_PATIENCE
    while time.monotonic() < deadline:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
        if _sign(path) != before:
            return False
    return True


def _sign(path: Path) -> tuple[int, ...]:
    """Return what every beat changes. Opening a file makes clients of NFS ask the server for its state."""
    try:
        with (path / HOLDER_FILE).open("rb") as file:
            state = os.fstat(file.fileno())
    except OSError:
        return (path.exists(),)
    return state.st_ino, state.st_mtime_ns


def _beat(folder: Path, holder: Holder, ended: threading.Event, on_loss: Callable[[Stopped], None]) -> None:
    file = folder / LOCK_FOLDER / HOLDER_FILE
    without = 0
    while not ended.wait(_SECONDS_PER_BEAT):
        other = holder_of(folder)
        # One that cannot be read now may be there at the next beat.
        without = without + 1 if other is None else 0
        if other not in (holder, None) or without > _BEATS_WITHOUT_LOCK:
            on_loss(
                Stopped(
                    "another run has taken over the output folder",
                    got=str(other or "its lock has gone"),
                    remedy="this one was silent for too long (suspended?); let the other end",
                    where=str(folder),
                )
            )
            return
        with suppress(OSError):
            os.utime(file)


def _refusal(folder: Path, other: Holder | None) -> UsageError:
    return UsageError(
        "another run is writing to this output folder",
        got=f"{folder}, held by {other or 'an unknown process'}",
        remedy="wait for it, or give another --output",
    )


def _release(folder: Path, holder: Holder) -> None:
    """Remove the lock, what take-overs put aside, and what kills left a day ago."""
    if holder_of(folder) != holder:
        return
    released = folder / f"{LOCK_FOLDER}.{holder.token}{_ASIDE}"
    with suppress(OSError):
        os.rename(folder / LOCK_FOLDER, released)
    if _token_in(released) not in (holder.token, None):
        with suppress(OSError):  # taken over at this very moment: give it back
            os.rename(released, folder / LOCK_FOLDER)
    for path in folder.glob(f"{LOCK_FOLDER}.*"):
        with suppress(OSError):
            aside = _PUT_ASIDE.fullmatch(path.name)
            made = _MADE.fullmatch(path.name) and time.time() - path.lstat().st_mtime > SECONDS_UNTIL_STALE
            if (aside or made) and _is_of_a_run(path):
                (path / HOLDER_FILE).unlink(missing_ok=True)
                path.rmdir()


def _is_of_a_run(path: Path) -> bool:
    """Return whether a folder can be a lock: nothing is in it but who holds it, which a crash may have torn.

    Also if it has gone, or cannot be looked into.
    """
    if path.is_symlink():
        return False
    try:
        if not {name for name in os.listdir(path) if not is_left_by_nfs(name)} <= {HOLDER_FILE}:
            return False
        content = _small_file(path / HOLDER_FILE)
    except NotADirectoryError:
        return False
    except OSError:
        return True
    if content is None:
        return False
    # As `_acquire` writes it, or without anything of anybody.
    return _decoded(content) is not None or content.startswith(b'{"host": ') or not content.strip(b"\0\n []{}")


def _is_file_of_earlier_version(path: Path) -> bool:
    """Return whether this is the file that versions with flock left: empty, or host, pid and time in JSON."""
    try:
        content = _small_file(path)
        if content is None or content == b"":
            return content is not None
        return set(msgspec.json.decode(content, type=dict[str, Any])) == _KEYS_OF_THE_FILE
    except (OSError, msgspec.MsgspecError, RecursionError):
        return False


def _small_file(path: Path) -> bytes | None:
    """Return the content of a file that is not a link, a device or large, else None."""
    state = path.lstat()
    return path.read_bytes() if stat.S_ISREG(state.st_mode) and state.st_size <= _MOST_BYTES else None


def _token_in(path: Path) -> str | None:
    holder = _holder_in(path)
    return holder.token if holder else None


def _holder_in(path: Path) -> Holder | None:
    try:
        return _decoded(_small_file(path / HOLDER_FILE))
    except OSError:
        return None


def _decoded(content: bytes | None) -> Holder | None:
    try:
        return None if content is None else msgspec.json.decode(content, type=Holder)
    except (msgspec.MsgspecError, RecursionError):
        return None


def _machine() -> str:
    """Return what two processes have in common exactly if they see each other's numbers; "" if that is unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _start_of(pid: int) -> str:
    """Return when a process of this machine began, in the kernel's ticks; "" if that cannot be read."""
    return _state_of(pid)[1]


def _has_ended(pid: int, started: str) -> bool:
    letter, start = _state_of(pid)
    if start:
        return start != started or letter in "ZX"  # a zombie writes no more
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False  # of another user, on a machine that hides those


def _state_of(pid: int) -> tuple[str, str]:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "", ""
    fields = state.rpartition(")")[2].split()
    return fields[0], fields[19]
