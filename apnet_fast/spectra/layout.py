"""Check that the HDUs of an apStar file are at their places, and tell which rows are visits.

BUNIT is in HDUs 1 to 7 of every generation, EXTNAME in those of SDSS-V from apogee_drp 1.2.0 on. Source: SDSS data
model, apStar, DR10 to DR19, and real files.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from apnet_fast.spectra.batch import Product

FLUX_HDU, ERROR_HDU, RV_HDU = 1, 2, 9
LAST_HDU = 9
"""HDU 9, the RV table, is in every generation; DR17 has one more. People keep fewer: flux and error alone."""
MOST_HDUS = 30
"""No apStar file has as many HDUs."""
MOST_ROWS = 4000
"""No star has as many visits. More rows would need more than 0.5 GB for flux and error."""

_KINDS = {
    "sky error": re.compile(r"sky *err"),
    "sky": re.compile(r"sky"),
    "telluric error": re.compile(r"telluric *err"),
    "telluric": re.compile(r"telluric"),
    "mask": re.compile(r"pixel *(bit)?mask|flag mask|mask"),
    "LSF": re.compile(r"lsf"),
    "RV table": re.compile(r"rv"),
    "error": re.compile(r"(flux *)?err"),
    "flux": re.compile(r"flux"),
}
_PLACES = (
    ("primary",), ("flux",), ("error",), ("mask",), ("sky",), ("sky error",), ("telluric",), ("telluric error",),
    ("LSF",), ("RV table",), ("RV table",),
)  # fmt: skip
# fpack gives this name to images that have none.
_NO_NAME = ("", "COMPRESSED_IMAGE")


@lru_cache(maxsize=256)
def misplaced(hdu: int, bunit: str, extname: str, *, n_hdus: int = LAST_HDU) -> str:
    """Return what speaks against an HDU at its place; "" if nothing does.

    Flux and error must be called so, if they are called anything. Behind them, no other HDU may be called so; and in a
    file with all of its HDUs, nothing may have the name of an HDU that belongs elsewhere.
    """
    expected = _PLACES[hdu] if hdu < len(_PLACES) else ()
    for card, text in (("BUNIT", bunit), ("EXTNAME", "" if extname in _NO_NAME else extname)):
        if not text:
            continue
        kind = next((kind for kind, form in _KINDS.items() if form.match(text.lower())), None)
        if hdu in (FLUX_HDU, ERROR_HDU):
            wrong = kind not in expected
        elif n_hdus > LAST_HDU:
            wrong = kind is not None and kind not in expected
        else:
            wrong = kind in ("flux", "error")
        if wrong:
            place = f", expected the {expected[0]}" if expected else ""
            return f"HDU {hdu} is called {text!r} ({card}){place}"
    return ""


def visit_rows(n_rows: int) -> range:
    """Return the rows of HDU 1 and 2 that hold the visits, in a file with all of its rows."""
    return range(2, n_rows) if n_rows > 2 else range(1)


def rows_of(n_rows: int, products: Sequence[Product]) -> list[int]:
    """Return the rows of HDU 1 and 2 that hold the products: the coadd, then the visits."""
    coadd = [0] if "star" in products else []
    return [*coadd, *(visit_rows(n_rows) if "visit" in products else ())]
