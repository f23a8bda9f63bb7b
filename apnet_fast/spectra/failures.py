"""Define the reasons why a spectrum has no result, and the exception that carries one."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """List the codes of the catalogue's `reason` column and of quarantine.parquet."""

    MISSING_FILE = "missing_file"  # no file at this path, or a dangling symlink
    UNREADABLE = "unreadable"  # the system or the FITS library refuses to read it
    EMPTY_FILE = "empty_file"  # zero bytes
    NOT_FITS = "not_fits"  # the first bytes are not a FITS header
    TRUNCATED = "truncated"  # the file ends before its data do
    BAD_LAYOUT = "bad_layout"  # HDUs, dimensions or types are not those of an apStar file
    IO_ERROR = "io_error"  # the file system failed for a moment: a stale handle, a time-out, too many open files
    BEING_WRITTEN = "being_written"  # the file's size changed while it was read
    READER_DIED = "reader_died"  # two processes ended while they read it
    NO_DATA = "no_data"  # no pixel of this spectrum is finite and not zero


PASSING = frozenset({Reason.MISSING_FILE, Reason.IO_ERROR, Reason.BEING_WRITTEN})
"""Reasons that say nothing about the file itself: the same command tries such files again."""


class ReadFailure(Exception):
    """Report a file or HDU that cannot be read. It becomes a row with NO_RESULT and never ends a run."""

    def __init__(self, reason: Reason, text: str, hdu: int) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text
        self.hdu = hdu
