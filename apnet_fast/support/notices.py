"""What the package has to say: lines on stderr and stdout, more or fewer of them, and a log of them all.

`listening` sets for a command how much it says, and where its log is. Without it, lines are written as in a Python
program: `say` and warnings on stderr, `tell` on stdout, details nowhere.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from enum import IntEnum
from pathlib import Path
from typing import TextIO

from apnet_fast.support.errors import ApnetError, UsageError

_warned: set[str] = set()
_muted = False
# Tells the processes that a command starts how much to say.
_INHERITED = "_APNET_FAST_VOLUME"


class Volume(IntEnum):
    """How much a command says. Warnings and errors are always said."""

    QUIET = 0
    NORMAL = 1
    VERBOSE = 2


def _inherited() -> Volume:
    name = os.environ.get(_INHERITED, "")
    return Volume[name] if name in Volume.__members__ else Volume.NORMAL


_volume = _inherited()
_log: TextIO | None = None


def volume() -> Volume:
    """Return how much this process says."""
    return _volume


def say(message: str) -> None:
    """Write one line to stderr, unless quiet; a terminal or pipe that has gone does not matter."""
    _write_log(message)
    if _volume >= Volume.NORMAL:
        _write(sys.stderr, message)


def detail(message: str) -> None:
    """Write one line to stderr if verbose; the log has it always."""
    _write_log(message)
    if _volume >= Volume.VERBOSE:
        _write(sys.stderr, message)


def tell(message: str) -> None:
    """Write to stdout, unless quiet, what a command has done. Results that were asked for are printed instead."""
    _write_log(message)
    if _volume >= Volume.NORMAL:
        print(message)


def warn(message: str) -> None:
    """Write a warning to stderr, however quiet."""
    _write_log(f"warning: {message}")
    _write(sys.stderr, f"warning: {message}")


def warn_once(message: str, *, about: str = "") -> None:
    """Write a warning, unless this process has written one about the same thing.

    about: what makes two warnings the same; by default their text.
    """
    key = about or message
    if _muted or key in _warned:
        return
    _warned.add(key)
    warn(message)


def mute_warnings(muted: bool = True) -> None:
    """Write no warnings in this process: of a run's processes, one is enough to write them."""
    global _muted
    _muted = muted


@contextmanager
def listening(command: str, *, volume: Volume = Volume.NORMAL, log: Path | None = None) -> Iterator[None]:
    """Set how much a command says while the block lasts, and append it all to a log, with times and how it ended.

    log: a file; its folder must exist. Raises UsageError if it cannot be opened.
    """
    global _volume, _log
    before, inherited = (_volume, _log), os.environ.get(_INHERITED)
    opened = None if log is None else _opened(log)
    _volume, _log = volume, opened or _log
    os.environ[_INHERITED] = volume.name
    try:
        if opened is None:
            yield
        else:
            with opened, _logged_end(command):
                yield
    finally:
        _volume, _log = before
        if inherited is None:
            del os.environ[_INHERITED]
        else:
            os.environ[_INHERITED] = inherited


def log_descriptor() -> int | None:
    """Return the file descriptor of the log; None without one."""
    return None if _log is None or _log.closed else _log.fileno()


@contextmanager
def _logged_end(command: str) -> Iterator[None]:
    _write_log(f"$ {command}")
    try:
        yield
    except SystemExit as end:
        _write_log(f"exit code {end.code or 0}")
        raise
    except BaseException as error:
        # The tracebacks of errors with a remedy are not news to a user: they are for the log alone.
        _write_log("".join(traceback.format_exception(error)).rstrip())
        _write_log(f"{'ended by an error' if isinstance(error, ApnetError) else 'ended by'} {type(error).__name__}")
        raise
    else:
        _write_log("exit code 0")


def _opened(path: Path) -> TextIO:
    try:
        # Without O_NONBLOCK, opening a named pipe waits for somebody to read from it.
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o666)
        os.set_blocking(descriptor, True)
        return open(descriptor, "a", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UsageError(
            f"cannot write the log: {error.strerror}",
            got=str(path),
            expected="a file in a folder that exists and is yours to write in",
            remedy="make the folder first, or give another --log",
        ) from error


def _write_log(message: str) -> None:
    if _log is not None and not _log.closed:
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        with suppress(OSError, ValueError):  # a full disk must not end a run for the sake of its log
            _log.write("".join(f"{now} {os.getpid()} {line}\n" for line in message.splitlines() or [""]))
            _log.flush()


def _write(stream: TextIO, message: str) -> None:
    with suppress(OSError, ValueError):  # ValueError: the stream was closed
        stream.write(message + "\n")
        stream.flush()
