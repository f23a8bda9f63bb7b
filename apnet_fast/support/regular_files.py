"""Read files that anything may stand in place of: a pipe would be waited for, and a device never ends."""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEBIBYTE = 1024**2


class UnfitFile(OSError):
    """What stands there is not a regular file, or is larger than such a file can be."""

    def __init__(self, what: str, path: str | Path) -> None:
        super().__init__(errno.EINVAL, what, str(path))


def check_regular(path: str | Path) -> None:
    """Raise UnfitFile for a pipe, device or socket, IsADirectoryError for a folder, and OSError if there is nothing."""
    _check(os.stat(path), path)


@contextmanager
def opened_regular(path: str | Path) -> Iterator[io.BufferedReader]:
    """Open a regular file for reading bytes. Raises as `check_regular` does; nothing else is opened or waited for."""
    check_regular(path)  # opening some devices does something
    # Without O_NONBLOCK, opening a pipe that has just come there would wait for a writer.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        _check(os.fstat(file.fileno()), path)
        yield file


def regular_bytes(path: str | Path, most: int) -> bytes:
    """Return the content of a regular file. Raises as `check_regular` does, and UnfitFile above `most` bytes."""
    with opened_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(most + 1) if size <= most else b""
    if max(size, len(content)) > most:
        raise UnfitFile(f"larger than {most} bytes", path)
    return content


def regular_text(path: str | Path, most: int, errors: str = "strict") -> str:
    """Return the text of a regular file in UTF-8, with line ends as they are in Python.

    Raises as `regular_bytes` does, and UnicodeDecodeError unless `errors` says otherwise.
    """
    return regular_bytes(path, most).decode("utf-8", errors).replace("\r\n", "\n").replace("\r", "\n")


def _check(state: os.stat_result, path: str | Path) -> None:
    if stat.S_ISDIR(state.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if stat.S_ISFIFO(state.st_mode):
        raise UnfitFile("a pipe, not a regular file", path)
    if not stat.S_ISREG(state.st_mode):
        raise UnfitFile("a device or socket, not a regular file", path)
