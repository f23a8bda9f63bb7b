"""Open FITS files that may be anything. Whatever is wrong becomes a ReadFailure, never another error."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import fitsio

from apnet_fast.spectra.failures import ReadFailure, Reason
from apnet_fast.spectra.identity import printable

_EXTENSION = b"XTENSION="

# Errors that the FITS library raises for files that it cannot read.
LIBRARY_ERRORS = (OSError, ValueError, RuntimeError, fitsio.FITSFormatError)


@contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """Open a file for reading. Raises ReadFailure if it cannot be opened or read, or is no regular file."""
    try:
        # Without O_NONBLOCK, opening a named pipe waits for somebody to write to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError as error:
        dangling = os.path.islink(path)
        text = f"symlink to {printable(os.readlink(path))}, which does not exist" if dangling else "no such file"
        raise ReadFailure(Reason.MISSING_FILE, text, hdu=0) from error
    except OSError as error:
        raise ReadFailure(Reason.UNREADABLE, error.strerror or str(error), hdu=0) from error
    except ValueError as error:  # a path no system knows, with a zero byte in it
        raise ReadFailure(Reason.UNREADABLE, str(error), hdu=0) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ReadFailure(Reason.UNREADABLE, "a folder or a device, not a file", hdu=0)
        with open(descriptor, "rb", closefd=False) as file:
            yield file
    except OSError as error:
        raise ReadFailure(Reason.UNREADABLE, error.strerror or str(error), hdu=0) from error
    finally:
        os.close(descriptor)


def check_complete(file: BinaryIO, fits: fitsio.FITS, last_hdu: int, kind: str) -> None:
    """Raise ReadFailure if a file was cut, or has fewer HDUs than `kind` has (up to number `last_hdu`).

    Flux and error may be whole in a file that was cut further on, but such a copy is not to be trusted.

    A cut inside a header hides that HDU and all behind it from the FITS library; its remains then follow the last HDU.
    A cut between two HDUs leaves fewer of them than any generation writes.
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
    if last < last_hdu:
        raise ReadFailure(
            Reason.BAD_LAYOUT,
            f"the last HDU is number {last}, that of {kind} at least {last_hdu}",
            hdu=last + 1,
        )


def _begins_an_hdu(file: BinaryIO, offset: int) -> bool:
    """Return whether an extension header, or its start, lies at `offset`. FITS allows other bytes there."""
    file.seek(offset)
    start = file.read(len(_EXTENSION))
    return _EXTENSION.startswith(start)


def library_failure(error: Exception, hdu: int) -> ReadFailure:
    """Translate an error of the FITS library into a ReadFailure with the fitting reason."""
    if isinstance(error, UnicodeDecodeError):
        # The library quotes the header it cannot parse, and fitsio fails to decode the quotation.
        return ReadFailure(Reason.BAD_LAYOUT, "a header is damaged, or not where it should be", hdu=hdu)
    message = " ".join(str(error).split())
    if "end of file" in message:
        return ReadFailure(Reason.TRUNCATED, f"the file ends early: {message}", hdu=hdu)
    return ReadFailure(Reason.UNREADABLE, message, hdu=hdu)
