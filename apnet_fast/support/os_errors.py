"""Find the remedy of an error that the operating system reports."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FAILING = {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENXIO, errno.ENODEV, errno.EREMOTEIO, errno.ENOTCONN}
_NOT_OURS = {errno.EACCES, errno.EPERM, errno.EROFS}
_AGAIN = "then give the same command again"


@dataclass(frozen=True)
class Advice:
    """What to do about an error. passing: whether the same command may work later (exit code 4, not 2)."""

    remedy: str
    passing: bool


def advice_of(error: OSError) -> Advice:
    """Return the remedy of an error, which names the folder concerned."""
    where = _folder_of(error)
    if error.errno in _FULL:
        quota = "the quota of" if error.errno == errno.EDQUOT else "space in"
        return Advice(f"make room: {quota} {where} is used up; {_AGAIN}", passing=True)
    if error.errno in _FAILING:
        return Advice(f"see whether the disk or file server of {where} works; {_AGAIN}", passing=True)
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return Advice(f"allow more open files (ulimit -n), or use fewer --readers; {_AGAIN}", passing=True)
    if error.errno in (errno.EAGAIN, errno.ENOMEM):
        return Advice(NO_PROCESS, passing=True)
    if error.errno in _NOT_OURS:
        return Advice(f"make {where} writable and readable for you, or name another place", passing=False)
    if error.errno in (errno.EISDIR, errno.ENOTEMPTY):
        return Advice("move away the folder that stands where this file belongs", passing=False)
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG):
        return Advice("check the path", passing=False)
    return Advice(f"check {where}", passing=False)


NO_PROCESS = (
    "end other programs, or allow more processes, threads and memory (ulimit -u, ulimit -v, the limits of the job);"
    " fewer --readers, --threads or devices need fewer; " + _AGAIN
)


def _folder_of(error: OSError) -> str:
    name = error.filename
    if not isinstance(name, str | bytes | os.PathLike):
        return "the file system"
    path = os.fsdecode(name)
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    return folder or os.curdir
