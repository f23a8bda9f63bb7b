"""Why a spectrum has no result: reason codes, and the exception that carries one."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Reason codes of the catalogue's `reason` column and of quarantine.parquet."""

    MISSING_FILE = "missing_file"  # no file at this path, or a dangling symlink
    UNREADABLE = "unreadable"  # the system or the FITS library refuses to read it
    EMPTY_FILE = "empty_file"  # zero bytes
    NOT_FITS = "not_fits"  # the first bytes are no FITS header
    TRUNCATED = "truncated"  # the file ends before its data do
    BAD_LAYOUT = "bad_layout"  # HDUs, dimensions or types are not those of an apStar file
    READER_DIED = "reader_died"  # reading it ended the process that did so, twice
    NO_DATA = "no_data"  # no pixel of this spectrum is finite and not zero


class ReadFailure(Exception):
    """A file, or an HDU of it, cannot be read as apStar. Becomes a row with NO_RESULT, never ends a run."""

    def __init__(self, reason: Reason, text: str, hdu: int) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text
        self.hdu = hdu
