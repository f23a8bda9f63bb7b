"""Recognise that the machine has no more memory, threads or processes to give, whatever exception reports it."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from apnet_fast.support.errors import Stopped
from apnet_fast.support.os_errors import NO_PROCESS

_LESS_MEMORY = (
    "a smaller --batch-size or --shard-size, or fewer --readers or --threads, if the command has them; then give it"
    " again"
)
# Python and torch raise RuntimeError for these.
_NO_THREAD = ("can't start new thread", "Resource temporarily unavailable", "pthread_create failed")
_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc", "Cannot allocate memory")
# What the loader of shared libraries says, whose errors have no number. Not "in static TLS block": that is no limit.
_NO_ROOM = re.compile(r"failed to map segment(?!.*(?:not permitted|denied))|cannot allocate memory(?! in static)", re.I)
_MORE_MEMORY = (
    "allow more memory (ulimit -v, the limits of the job), then give the same command again; if there is enough, see"
    " that the disk of the Python packages is not mounted noexec"
)


class _NamedMemoryError(MemoryError):
    """A MemoryError whose text names what was being done."""


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Name what was being done, such as "reading spectra", in an error for want of memory that the block raises."""
    try:
        yield
    except Exception as error:
        if not _is_memory(error) or isinstance(error, _NamedMemoryError):
            raise
        text = _first_line(error)
        raise _NamedMemoryError(f"while {what}: {text}" if text else f"while {what}") from error


def as_limit(error: Exception) -> Stopped | None:
    """Return an error as a limit of the machine, with its remedy; None for any other error."""
    text = _first_line(error)
    if _is_memory(error):
        joint = " " if isinstance(error, _NamedMemoryError) else ": "
        return Stopped(f"not enough memory{joint}{text}" if text else "not enough memory", remedy=_LESS_MEMORY)
    unloaded = _unloaded_library(error)
    if unloaded is not None:
        return Stopped("not enough memory to load a library", got=_first_line(unloaded), remedy=_MORE_MEMORY)
    no_process = isinstance(error, OSError) and error.errno == errno.EAGAIN
    no_thread = isinstance(error, RuntimeError) and any(sign in text for sign in _NO_THREAD)
    if no_process or no_thread:
        return Stopped("no more threads or processes to be had", got=text, remedy=NO_PROCESS)
    return None


def _unloaded_library(error: BaseException | None) -> BaseException | None:
    """Return what the loader of libraries reports in an error, or in what led to it, if it found no room; else None.

    Packages put words of their own around it: "Could not find/load shared object file", ...
    """
    seen: set[int] = set()
    while _is_of_loading(error) and id(error) not in seen:
        assert error is not None
        if isinstance(error, MemoryError) or _NO_ROOM.search(str(error)):
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


def _is_of_loading(error: BaseException | None) -> bool:
    return isinstance(error, ImportError | MemoryError) or (isinstance(error, OSError) and error.errno is None)


def _is_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _NO_MEMORY)


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
