"""Read the primary header of an apStar file in one go, and parse only the values asked for.

`fitsio.read_header` builds a Python object for each of hundreds of cards, of which a run needs about ten. Values are
parsed defensively: SDSS-V headers hold the string 'NaN' in place of a missing number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import BinaryIO

from apnet_fast.spectra.bit_fields import as_flags
from apnet_fast.spectra.extension import BLOCK, CARD
from apnet_fast.spectra.failures import ReadFailure, Reason

# A star with 500 visits has about 6,100 cards. Anything longer than this is not an apStar header.
_MOST_BLOCKS = 400
_INTEGER = re.compile(r"[+-]?\d+")
_CARDS = re.compile(r"(.{8})= (.{70})|.{80}", re.DOTALL)


class PrimaryHeader:
    """Hold the cards of a primary header by keyword. If a keyword repeats, the last one wins."""

    def __init__(self, cards: Mapping[str, str]) -> None:
        self._cards = cards
        self.kept: dict[str, float] = {}
        """Numbers that several spectra of the file share; whoever parses them keeps them here."""

    def __contains__(self, key: str) -> bool:
        return key in self._cards

    def __len__(self) -> int:
        return len(self._cards)

    def text(self, key: str) -> str:
        """Return the value as text without quotes and outer blanks; "" if the card is missing or empty."""
        field = self._cards.get(key, "").strip()
        if not field.startswith("'"):
            return field.split("/", 1)[0].strip()
        end = field.find("'", 1)
        # A doubled quote stands for one quote inside the string.
        while end >= 0 and field[end + 1 : end + 2] == "'":
            end = field.find("'", end + 2)
        return field[1 : end if end >= 0 else len(field)].replace("''", "'").strip()

    def number(self, key: str) -> float:
        """Return the value as a float; NaN if it is missing, 'NaN' or no number."""
        field = self._cards.get(key)
        if field is None:
            return math.nan
        try:
            # Nearly all are plain numbers.
            return float(field.partition("/")[0])
        except ValueError:
            pass
        try:
            return float(self.text(key).replace("D", "E").replace("d", "e"))
        except ValueError:
            return math.nan

    def integer(self, key: str, among: range | None = None) -> int:
        """Return the value as an integer; -1, the catalogue's null, if it is missing or no whole number of 32 bits.

        among: the values that are not the null; any, without it.
        """
        value = self.number(key)
        whole = int(value) if abs(value) < 2**31 and value == int(value) else -1
        return whole if among is None or whole in among else -1

    def flags(self, key: str) -> int | None:
        """Return the value as a field of bits; None if it is missing, no whole number, or stands for "unknown".

        The writers' integers have 32 bits, so a negative one has bit 31. A float counts if it is exact, below 2**53.
        """
        field = self._cards.get(key)
        if field is None:
            return None
        try:
            # Nearly all are plain integers.
            value = int(field.partition("/")[0])
        except ValueError:
            text, number = self.text(key), self.number(key)
            if _INTEGER.fullmatch(text):
                value = int(text)
            elif abs(number) < 2**53 and number.is_integer():
                value = int(number)
            else:
                return None
        return as_flags(value, bits=32)

    def comment(self, key: str) -> str:
        """Return the comment of a card with a number; "" if there is none."""
        field = self._cards.get(key, "")
        return "" if field.lstrip().startswith("'") else field.partition("/")[2].strip()

    def is_true(self, key: str) -> bool:
        """Return whether the value is the logical T."""
        return self._cards.get(key, "").partition("/")[0].strip() == "T"


def cards_of(text: str) -> dict[str, str]:
    """Return the value fields of whole 80-character cards by keyword. If a keyword repeats, the last one wins."""
    return {key.rstrip(): value for key, value in _CARDS.findall(text) if key}


def read_primary_header(file: BinaryIO) -> PrimaryHeader:
    """Parse the primary header at the start of an open file.

    Raises ReadFailure: EMPTY_FILE, NOT_FITS, TRUNCATED (no END card before the file ends).
    """
    cards: dict[str, str] = {}
    for number in range(_MOST_BLOCKS):
        block = file.read(BLOCK)
        if number == 0:
            _check_start(block)
        if len(block) < BLOCK:
            raise ReadFailure(
                Reason.TRUNCATED,
                f"the file ends inside its primary header, after {number * BLOCK + len(block)} bytes",
                hdu=0,
            )
        text = block.decode("ascii", errors="replace")
        for start in range(0, BLOCK, CARD):
            key = text[start : start + 8].rstrip()
            if text[start + 8 : start + 10] == "= ":
                cards[key] = text[start + 10 : start + CARD]
            elif key == "END":
                return PrimaryHeader(cards)
    raise ReadFailure(Reason.NOT_FITS, f"no END card in the first {_MOST_BLOCKS * BLOCK} bytes of the header", hdu=0)


def _check_start(block: bytes) -> None:
    if not block:
        raise ReadFailure(Reason.EMPTY_FILE, "the file has no bytes", hdu=0)
    if not block.startswith(b"SIMPLE  ="):
        raise ReadFailure(Reason.NOT_FITS, f"a FITS file starts with 'SIMPLE  =', this one with {block[:9]!r}", hdu=0)
