"""Find cards that the FITS library obeys although they are no cards of the FITS standard.

By the standard a card with a value has its keyword in columns 1 to 8 and "= " in columns 9 and 10. The library also
takes `HIERARCH PCOUNT = 1`, `PCOUNT = 1` and `BSCALE    2.0` for what they resemble; other readers ignore them. Source:
cfitsio 4.6, fitscore.c, ffgknm.
"""

from __future__ import annotations

import re

from apnet_fast.spectra.extension import CARD, END

# Cards of the standard, as many as follow each other. What looks like END with a value is none.
_PLAIN = re.compile(
    rb"(?:(?=.{8}= )(?!END )[A-Z0-9_-]{1,8} *= .{70}|(?:COMMENT |HISTORY | {8}).{72})*+",
    re.DOTALL,
)
_HIERARCH = b"HIERARCH "
# Keywords that decide where data lie and what they mean: of every HDU, of images, of tables, of what fpack packs.
_OBEYED = re.compile(
    rb"SIMPLE|XTENSION|BITPIX|NAXIS\d*|PCOUNT|GCOUNT|EXTEND|GROUPS|INHERIT|END|EXTNAME|EXTVER|EXTLEVEL|HDUNAME|HDUVER"
    rb"|BSCALE|BZERO|BLANK|BUNIT"
    rb"|TFIELDS|THEAP|T(TYPE|FORM|UNIT|DIM|DISP|SCAL|ZERO|NULL|BCOL)\d+"
    rb"|Z(IMAGE|TABLE|SIMPLE|TENSION|EXTEND|BITPIX|NAXIS\d*|PCOUNT|GCOUNT|CMPTYPE|SCALE|ZERO|BLANK|QUANTIZ|DITHER0"
    rb"|MASKCMP|THEAP|TILE\d+|TILELEN|NAME\d+|VAL\d+|FORM\d+|CTYP\d+)"
)


def odd_card(header: bytes) -> str:
    """Return the first card of a header (whole cards) that only some readers obey; "" if there is none."""
    place = 0
    while True:
        match = _PLAIN.match(header, place)
        place = match.end() if match else place
        card = header[place : place + CARD]
        if card == END or not card:
            return ""
        if _OBEYED.fullmatch(_keyword(card)):
            return card.decode("ascii", "replace").rstrip()
        place += CARD


def _keyword(card: bytes) -> bytes:
    """Return the keyword that the library sees in a card, in capitals: a zero byte ends the card, as in C."""
    card = card.partition(b"\0")[0]
    if card.startswith(_HIERARCH) and b"=" in card:
        return card[len(_HIERARCH) :].partition(b"=")[0].strip().upper()
    return re.split(rb"[ =]", card, maxsplit=1)[0].upper()
