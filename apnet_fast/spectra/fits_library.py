"""Open files with the FITS library, so that what it remembers of one file says nothing about another."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

import fitsio

from apnet_fast.spectra.extension import BLOCK, find_end
from apnet_fast.spectra.failures import ReadFailure, Reason
from apnet_fast.spectra.identity import printable
from apnet_fast.spectra.odd_cards import odd_card

# A header of 1,000 columns has some 10,000 cards. A longer one is not that of a spectrum.
_MOST_HEADER = 400 * BLOCK
_NO_FILE = os.path.join(os.devnull, "none")


@contextmanager
def library_fits(file: BinaryIO) -> Iterator[fitsio.FITS]:
    """Open an open file once more with the FITS library. Raises what `opening.LIBRARY_ERRORS` names.

    The library gathers messages over the life of the process, quotations of damaged headers among them. fitsio reads
    all of them at the next error, which may be a harmless one in a sound file, and fails if one is not text. So none is
    left over, before or behind.
    """
    _forget_messages()
    try:
        # By descriptor: in a path, the library takes brackets and signs for instructions.
        with fitsio.FITS(f"/dev/fd/{file.fileno()}") as fits:
            yield fits
    finally:
        _forget_messages()


def _forget_messages() -> None:
    """Let the library fail, because fitsio takes all messages for the text of an error, and has no other way."""
    with suppress(OSError, UnicodeDecodeError):
        fitsio.FITS(_NO_FILE)


def header_bytes(file: BinaryIO, hdu: fitsio.hdu.base.HDUBase, number: int) -> bytes:
    """Return the header of an HDU, from its first card to its data.

    Raises ReadFailure if it is too long, or if its END card is not where the library sees it.
    """
    offsets = hdu.get_offsets()
    start, length = int(offsets["header_start"]), int(offsets["data_start"]) - int(offsets["header_start"])
    if length > _MOST_HEADER:
        text = f"the header of HDU {number} has {length} bytes, at most {_MOST_HEADER}"
        raise ReadFailure(Reason.BAD_LAYOUT, text, hdu=number)
    header = os.pread(file.fileno(), length, start)
    if find_end(header) != length:
        raise ReadFailure(Reason.BAD_LAYOUT, f"the header of HDU {number} does not end at its END card", hdu=number)
    return header


def check_cards(file: BinaryIO, fits: fitsio.FITS) -> None:
    """Raise ReadFailure if a header has a card that decides about its data, in a form that only some readers obey."""
    for number in range(len(fits)):
        if card := odd_card(header_bytes(file, fits[number], number)):
            text = f"HDU {number} has the card {printable(card)!r}, which is not of the standard's form"
            raise ReadFailure(Reason.BAD_LAYOUT, f"{text}: readers differ in what they make of it", hdu=number)


def check_end(file: BinaryIO, fits: fitsio.FITS) -> None:
    """Raise ReadFailure if anything follows the last HDU, whose data may have moved then."""
    end, size = int(fits[len(fits) - 1].get_offsets()["data_end"]), os.fstat(file.fileno()).st_size
    if size > end:
        text = f"the {size - end} bytes behind HDU {len(fits) - 1} are not an HDU"
        raise ReadFailure(Reason.BAD_LAYOUT, text, hdu=len(fits))
