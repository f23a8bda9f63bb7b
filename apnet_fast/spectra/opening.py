"""Open FITS files that may be anything. Whatever is wrong becomes a ReadFailure, never another error."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import fitsio

from apnet_fast.spectra.failures import ReadFailure, Reason
from apnet_fast.spectra.identity import printable

_EXTENSION = b"XTENSION="
_MOST_PROBED = 512 << 20

# Errors that the FITS library raises for files that it cannot read.
LIBRARY_ERRORS = (OSError, ValueError, RuntimeError, fitsio.FITSFormatError)

# Errors of a file system, a network or a machine, not of a file. The names differ from system to system.
_PASSING_NAMES = (
    "EIO", "ESTALE", "ETIMEDOUT", "EAGAIN", "EINTR", "EBUSY", "ENFILE", "EMFILE", "ENOMEM", "ENOLINK", "EREMOTEIO",
    "ECOMM", "EPROTO", "ENOTCONN", "ESHUTDOWN", "ECONNRESET", "ECONNABORTED", "ECONNREFUSED", "EHOSTDOWN",
    "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH", "ENETRESET",
)  # fmt: skip
_PASSING_ERRORS = frozenset(getattr(errno, name) for name in _PASSING_NAMES if hasattr(errno, name))


@contextmanager
def opened_descriptor(path: str) -> Iterator[tuple[int, int]]:
    """Open a file for reading: its descriptor and its size. Raises ReadFailure as `opened` does."""
    try:
        # Without O_NONBLOCK, opening a named pipe waits for somebody to write to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError as error:
        dangling = os.path.islink(path)
        text = f"symlink to {printable(os.readlink(path))}, which does not exist" if dangling else "no such file"
        raise ReadFailure(Reason.MISSING_FILE, text, hdu=0) from error
    except OSError as error:
        raise system_failure(error) from error
    except ValueError as error:  # a path no system knows, with a zero byte in it
        raise ReadFailure(Reason.UNREADABLE, str(error), hdu=0) from error
    try:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise ReadFailure(Reason.UNREADABLE, "a folder or a device, not a file", hdu=0)
        try:
            yield descriptor, before.st_size
        except ReadFailure as failure:
            _check_unchanged(descriptor, before.st_size)
            if failure.reason in (Reason.UNREADABLE, Reason.TRUNCATED):
                _check_readable(descriptor)
            raise
        _check_unchanged(descriptor, before.st_size)
    except OSError as error:
        raise system_failure(error) from error
    finally:
        os.close(descriptor)


@contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """Open a file for reading. Raises ReadFailure if it cannot be opened or read, or is not a regular file.

    If the file's size changes until it is closed, what was read of it counts for nothing: the reason is BEING_WRITTEN.
    """
    with opened_descriptor(path) as (descriptor, _), open(descriptor, "rb", closefd=False) as file:
        yield file


def system_failure(error: OSError) -> ReadFailure:
    """Translate an error of the system: a passing one says nothing about the file."""
    reason = Reason.IO_ERROR if error.errno in _PASSING_ERRORS else Reason.UNREADABLE
    return ReadFailure(reason, error.strerror or str(error), hdu=0)


def _check_unchanged(descriptor: int, size: int) -> None:
    now = os.fstat(descriptor).st_size
    if now != size:
        text = f"the file had {size} bytes when it was opened and {now} when it had been read"
        raise ReadFailure(Reason.BEING_WRITTEN, text, hdu=0)


def _check_readable(descriptor: int) -> None:
    """Raise OSError if the system cannot read the file: the FITS library reports that as a fault of the file."""
    offset = 0
    while offset < _MOST_PROBED and (block := os.pread(descriptor, 4 << 20, offset)):
        offset += len(block)


def check_complete(file: BinaryIO, fits: fitsio.FITS) -> None:
    """Raise ReadFailure if a file was cut.

    Flux and error may be whole in a file that was cut further on, but such a copy is not to be trusted. A cut inside a
    header hides that HDU and all behind it from the FITS library; its remains then follow the last HDU. A cut between
    two HDUs cannot be distinguished from a file that somebody has cut down.
    """
    size = os.fstat(file.fileno()).st_size
    last = len(fits) - 1
    end = int(fits[last].get_offsets()["data_end"])
    if size < end:
        raise ReadFailure(Reason.TRUNCATED, f"the file has {size} bytes, but HDU {last} ends at byte {end}", hdu=last)
    if size > end and _begins_an_hdu(file, end):
        raise ReadFailure(
            Reason.TRUNCATED,
            f"HDU {last} ends at byte {end}, and the {size - end} bytes behind it begin an HDU that is not whole",
            hdu=last + 1,
        )


def _begins_an_hdu(file: BinaryIO, offset: int) -> bool:
    """Return whether an extension header, or its start, lies at `offset`. FITS allows other bytes there."""
    file.seek(offset)
    start = file.read(len(_EXTENSION))
    return _EXTENSION.startswith(start)


def library_failure(error: Exception, hdu: int) -> ReadFailure:
    """Translate an error of the FITS library into a ReadFailure with the fitting reason."""
    if isinstance(error, OSError) and error.errno in _PASSING_ERRORS:
        return system_failure(error)
    if isinstance(error, UnicodeDecodeError):
        # The library quotes the header it cannot parse, and fitsio fails to decode the quotation.
        return ReadFailure(Reason.BAD_LAYOUT, "a header is damaged, or not where it should be", hdu=hdu)
    # The lines behind the first may be of another file: the library collects them over the life of the process.
    message = str(error).strip().partition("\n")[0]
    if "end of file" in message or "status = 108" in message:
        return ReadFailure(Reason.TRUNCATED, f"the file ends early: {message}", hdu=hdu)
    return ReadFailure(Reason.UNREADABLE, message, hdu=hdu)
