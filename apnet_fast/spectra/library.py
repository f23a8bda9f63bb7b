"""Read apStar files with the FITS library, and judge what is wrong with those that are not plain.

The library accepts more than an apStar file may be: parameters before the pixels (PCOUNT), scaled values, HDUs in any
order. So the cards of every header are checked as well, and position alone is not trusted; and what the library finds
is only where the pixels lie, unless they are compressed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

import fitsio
import numpy as np
from numpy.typing import NDArray

from apnet_fast.spectra.batch import Product
from apnet_fast.spectra.direct import ApStar, fill
from apnet_fast.spectra.extension import CARD, unquoted
from apnet_fast.spectra.failures import ReadFailure, Reason
from apnet_fast.spectra.fits_library import check_cards, check_end, header_bytes, library_fits
from apnet_fast.spectra.header import PrimaryHeader
from apnet_fast.spectra.layout import ERROR_HDU, FLUX_HDU, LAST_HDU, MOST_HDUS, MOST_ROWS, RV_HDU, misplaced, rows_of
from apnet_fast.spectra.missing import usable_spectra
from apnet_fast.spectra.opening import LIBRARY_ERRORS, check_complete, library_failure
from apnet_fast.spectra.rv_table import Fits, visit_fits
from apnet_fast.support.grid import PIXELS

_VALUE = re.compile(r"([A-Z0-9_-]+) *= *('(?:[^']|'')*'|[^/ ]*)")
_ONCE = frozenset(("XTENSION", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "PCOUNT", "GCOUNT", "BUNIT", "EXTNAME"))


@dataclass(frozen=True)
class _Cards:
    """Hold values of an extension header by keyword, quotes included, and the keywords that are there twice."""

    values: dict[str, str]
    repeated: frozenset[str]

    def text(self, key: str) -> str:
        value = self.values.get(key, "")
        return unquoted(value) if value.startswith("'") else value

    def number(self, key: str, default: float) -> float:
        try:
            return float(self.values.get(key, default))
        except ValueError:
            return math.nan


def read_by_library(file: BinaryIO, header: PrimaryHeader, products: Sequence[Product]) -> ApStar:
    """Read the rows that the products need from an open file, whose primary header has been read.

    Raises ReadFailure for a file that is cut, or is not an apStar file. The verdict does not depend on the products.
    """
    hdu = 0
    try:
        with library_fits(file) as fits:
            # Check the size first: numpy would allocate whatever a damaged NAXIS2 asks for.
            check_complete(file, fits)
            n_hdus = len(fits)
            if not ERROR_HDU < n_hdus <= MOST_HDUS:
                text = f"the last HDU is number {n_hdus - 1}, expected {ERROR_HDU} to {MOST_HDUS}"
                raise ReadFailure(Reason.BAD_LAYOUT, text, hdu=min(n_hdus, MOST_HDUS))
            check_cards(file, fits)
            if n_hdus <= LAST_HDU:
                check_end(file, fits)
            shapes = [_checked_shape(file, fits[hdu], hdu) for hdu in (FLUX_HDU, ERROR_HDU)]
            _check_places(file, fits)
            # (8575,) and (1, 8575) are the same.
            if math.prod(shapes[0]) != math.prod(shapes[1]):
                raise ReadFailure(
                    Reason.BAD_LAYOUT,
                    f"flux has shape {shapes[0]} and error {shapes[1]}; they should be equal",
                    hdu=ERROR_HDU,
                )
            n_rows = math.prod(shapes[0]) // PIXELS
            images = []
            for hdu, shape in zip((FLUX_HDU, ERROR_HDU), shapes, strict=True):
                only_coadd = "visit" not in products and len(shape) == 2
                images.append(_as_float32(_pixels(file, fits[hdu], hdu, shape, only_coadd=only_coadd)))
            hdu = RV_HDU
            rv_fits = _visit_fits(file, fits) if "visit" in products and n_hdus > RV_HDU else {}
    except LIBRARY_ERRORS as error:
        raise library_failure(error, hdu) from error
    rows = rows_of(n_rows, products)
    flux, err = (image[rows] for image in images)
    return ApStar(header, n_hdus, n_rows, flux, err, usable_spectra(flux), rv_fits)


def _checked_shape(file: BinaryIO, hdu: fitsio.hdu.base.HDUBase, number: int) -> tuple[int, ...]:
    if not isinstance(hdu, fitsio.hdu.ImageHDU):
        raise ReadFailure(Reason.BAD_LAYOUT, f"HDU {number} is a table, not an image", hdu=number)
    shape = tuple(int(size) for size in hdu.get_dims())
    if len(shape) not in (1, 2) or shape[-1] != PIXELS or shape[0] == 0:
        raise ReadFailure(
            Reason.BAD_LAYOUT,
            f"HDU {number} has shape {shape}, expected ({PIXELS},) or (rows, {PIXELS})",
            hdu=number,
        )
    if math.prod(shape[:-1]) > MOST_ROWS:
        raise ReadFailure(Reason.BAD_LAYOUT, f"HDU {number} has {shape[0]} rows, at most {MOST_ROWS}", hdu=number)
    if hdu.get_info()["img_equiv_type"] > 0:
        raise ReadFailure(Reason.BAD_LAYOUT, f"HDU {number} holds integers, expected floats", hdu=number)
    _check_values(_cards(header_bytes(file, hdu, number)), number)
    return shape


def _pixels(
    file: BinaryIO, hdu: fitsio.hdu.ImageHDU, number: int, shape: tuple[int, ...], *, only_coadd: bool
) -> NDArray:
    """Return a checked image, or its first row: the bytes behind its header, whatever the library makes of them.

    Only images that fpack has compressed are left to the library.
    """
    if hdu.is_compressed():
        return hdu[0:1, :] if only_coadd else hdu.read()
    bits = abs(int(hdu.get_info()["img_type"]))
    pixels = np.empty((1, PIXELS) if only_coadd else shape, f">f{bits // 8}")
    if not fill(file.fileno(), pixels.reshape(-1).view(np.uint8), int(hdu.get_offsets()["data_start"])):
        raise ReadFailure(Reason.TRUNCATED, f"the file ends inside HDU {number}", hdu=number)
    return pixels


def _check_values(cards: _Cards, number: int) -> None:
    """Raise ReadFailure if the pixels of an image are not what follows its header, as they are.

    Images that fpack has compressed are tables with cards of their own: ZPCOUNT stands for PCOUNT.
    """
    prefix = "Z" if cards.values.get("ZIMAGE") == "T" else ""
    expected = {f"{prefix}PCOUNT": 0.0, f"{prefix}GCOUNT": 1.0, "BSCALE": 1.0, "BZERO": 0.0}
    for key, value in expected.items():
        if cards.number(key, value) != value:
            text = (
                f"{key} of HDU {number} is {cards.values[key]}, expected {value:.0f}: the pixels are not plain values"
            )
            raise ReadFailure(Reason.BAD_LAYOUT, text, hdu=number)
    if twice := sorted(cards.repeated & _ONCE):
        raise ReadFailure(Reason.BAD_LAYOUT, f"HDU {number} has two cards {', '.join(twice)}", hdu=number)
    if text := misplaced(number, cards.text("BUNIT"), cards.text("EXTNAME")):
        raise ReadFailure(Reason.BAD_LAYOUT, text, hdu=number)


def _check_places(file: BinaryIO, fits: fitsio.FITS) -> None:
    """Raise ReadFailure if an HDU behind flux and error has the name of one that belongs elsewhere."""
    for number in range(ERROR_HDU + 1, len(fits)):
        cards = _cards(header_bytes(file, fits[number], number))
        if text := misplaced(number, cards.text("BUNIT"), cards.text("EXTNAME"), n_hdus=len(fits)):
            raise ReadFailure(Reason.BAD_LAYOUT, text, hdu=number)


def _cards(header: bytes) -> _Cards:
    values: dict[str, str] = {}
    repeated = set()
    for start in range(0, len(header), CARD):
        card = header[start : start + CARD].decode("ascii", "replace")
        if card.startswith("END") and not card[3:].strip():
            break
        match = _VALUE.match(card) if card[8:9] == "=" else None
        if match is not None:
            if match[1] in values:
                repeated.add(match[1])
            values[match[1]] = match[2]
    return _Cards(values, frozenset(repeated))


def _visit_fits(file: BinaryIO, fits: fitsio.FITS) -> Fits:
    """Read the RV table as the direct reader does, at the place where the library finds it."""

    if not isinstance(fits[RV_HDU], fitsio.hdu.TableHDU):
        return {}
    read = partial(fill, file.fileno())
    return visit_fits(header_bytes(file, fits[RV_HDU], RV_HDU), read, int(fits[RV_HDU].get_offsets()["data_start"]))


def _as_float32(image: NDArray) -> NDArray[np.float32]:
    # Errors of 1e10 x continuum fit float32. Larger values become infinite, which every recipe takes as missing.
    with np.errstate(over="ignore", invalid="ignore"):
        return np.atleast_2d(image).astype(np.float32)
