"""Read apStar files of every generation: the coadd and its visits, with one opening of the file.

Row 0 of HDU 1 (flux) and HDU 2 (error) is the coadd. If there are more than two rows, row i + 1 is visit i = 1, 2, ...
If there are one or two, row 0 is also the only visit; a DR17 file of one visit has a second row of zeros.
Source of the layouts: SDSS data model, apStar, DR10 to DR19.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import BinaryIO

import fitsio
import numpy as np
from numpy.typing import NDArray

from apnet_fast.spectra.batch import Product, SpectrumBatch, SpectrumRecord
from apnet_fast.spectra.direct import DirectRead, read_direct, rows_of
from apnet_fast.spectra.failures import ReadFailure, Reason
from apnet_fast.spectra.header import PrimaryHeader, read_primary_header
from apnet_fast.spectra.identity import VisitName, identify, parse_visit_name
from apnet_fast.spectra.missing import usable_spectra
from apnet_fast.spectra.opening import LIBRARY_ERRORS, check_complete, library_failure, opened
from apnet_fast.support.grid import PIXELS

_FLUX_HDU, _ERROR_HDU = 1, 2
# HDU 9, the RV table, is in every generation; DR17 has one more.
_LAST_HDU = 9
BOTH: tuple[Product, ...] = ("star", "visit")


def read_apstar(path: str, products: Sequence[Product] = BOTH, *, direct: bool = True) -> SpectrumBatch:
    """Read all spectra of one apStar file: the coadd, then its visits in the file's order.

    Parameters
    ----------
    path: an apStar or asStar file.
    products: which of "star" (the coadd) and "visit" to return.
    direct: read plain files without the FITS library. The library gives the same result, more slowly.

    Returns
    -------
    SpectrumBatch, flux and error float32 (n, 8575) in the units of the file. A bad file never raises an error.
    A spectrum without data has a reason. If the file cannot be read, all of its spectra have one, and their row is -1:
    the coadd and the visits named in the header, or one nameless visit if the header names none.
    """
    header = PrimaryHeader({})
    try:
        with opened(path) as file:
            read = read_direct(file.fileno(), products) if direct else None
            if read is None:
                header = read_primary_header(file)
                read = _by_library(file, header, products)
    except ReadFailure as failure:
        return _failed(path, header, products, failure)
    visit_rows = range(2, read.n_rows) if read.n_rows > 2 else range(1)
    records = _records(path, read.header, visit_rows, products)
    for i in np.flatnonzero(~read.has_data):
        records[i] = replace(records[i], reason=Reason.NO_DATA, text="no pixel of this spectrum is finite and not zero")
    return SpectrumBatch(read.flux, read.error, records)


def unread_apstar(path: str, products: Sequence[Product], reason: Reason, text: str) -> SpectrumBatch:
    """Return one failed spectrum of each product for a file that must not be opened; its name gives the identity."""
    return _failed(path, PrimaryHeader({}), products, ReadFailure(reason, text, hdu=0))


def _by_library(file: BinaryIO, header: PrimaryHeader, products: Sequence[Product]) -> DirectRead:
    n_rows, flux, error = _images(file, products)
    rows = rows_of(n_rows, products)
    return DirectRead(header, n_rows, flux[rows], error[rows], usable_spectra(flux[rows]))


def _images(file: BinaryIO, products: Sequence[Product]) -> tuple[int, NDArray[np.float32], NDArray[np.float32]]:
    """Return the number of rows, and flux and error, float32 (rows, 8575): all rows, or row 0 if no visit is wanted."""
    hdu = 0
    try:
        # By descriptor: in a path, the library takes brackets and signs for instructions.
        with fitsio.FITS(f"/dev/fd/{file.fileno()}") as fits:
            # Check the size first: numpy would allocate whatever a damaged NAXIS2 asks for.
            check_complete(file, fits, _LAST_HDU, "an apStar file")
            shapes = [_checked_shape(fits[hdu], hdu) for hdu in (_FLUX_HDU, _ERROR_HDU)]
            # (8575,) and (1, 8575) are the same. The verdict does not depend on the rows wanted.
            if math.prod(shapes[0]) != math.prod(shapes[1]):
                raise ReadFailure(
                    Reason.BAD_LAYOUT,
                    f"flux has shape {shapes[0]} and error {shapes[1]}; they should be equal",
                    hdu=_ERROR_HDU,
                )
            images = []
            for hdu, shape in zip((_FLUX_HDU, _ERROR_HDU), shapes, strict=True):
                only_coadd = "visit" not in products and len(shape) == 2
                images.append(_as_float32(fits[hdu][0:1, :] if only_coadd else fits[hdu].read()))
    except LIBRARY_ERRORS as error:
        raise library_failure(error, hdu) from error
    return math.prod(shapes[0]) // PIXELS, images[0], images[1]


def _checked_shape(hdu: fitsio.hdu.base.HDUBase, number: int) -> tuple[int, ...]:
    if not isinstance(hdu, fitsio.hdu.ImageHDU):
        raise ReadFailure(Reason.BAD_LAYOUT, f"HDU {number} is a table, not an image", hdu=number)
    shape = tuple(int(size) for size in hdu.get_dims())
    if len(shape) not in (1, 2) or shape[-1] != PIXELS or shape[0] == 0:
        raise ReadFailure(
            Reason.BAD_LAYOUT,
            f"HDU {number} has shape {shape}, expected ({PIXELS},) or (rows, {PIXELS})",
            hdu=number,
        )
    if hdu.get_info()["img_equiv_type"] > 0:
        raise ReadFailure(Reason.BAD_LAYOUT, f"HDU {number} holds integers, expected floats", hdu=number)
    return shape


def _as_float32(image: NDArray) -> NDArray[np.float32]:
    # Errors of 1e10 x continuum fit float32. Larger values become infinite, which every recipe takes as missing.
    with np.errstate(over="ignore", invalid="ignore"):
        return np.atleast_2d(image).astype(np.float32)


def _records(
    path: str, header: PrimaryHeader, visit_rows: Sequence[int], products: Sequence[Product]
) -> list[SpectrumRecord]:
    coadd = SpectrumRecord(
        product="star",
        path=path,
        row=0,
        star=identify(path, header),
        visit=VisitName(),
        snr=header.number("SNR"),
        ra=header.number("RA"),
        dec=header.number("DEC"),
        n_visits=len(visit_rows),
    )
    records = [coadd] if "star" in products else []
    names: set[str] = set()
    if "visit" in products:
        for number, row in enumerate(visit_rows, start=1):
            visit = parse_visit_name(header.text(f"SFILE{number}"))
            if visit.file in names:
                visit = VisitName()  # identified by its row alone: two spectra must not share their noise
            names.add(visit.file)
            if visit.fiber < 0:
                visit = replace(visit, fiber=header.integer(f"FIBER{number}"))
            snr = header.number(f"SNRVIS{number}")
            records.append(
                SpectrumRecord("visit", path, row, coadd.star, visit, snr, coadd.ra, coadd.dec, coadd.n_visits)
            )
    return records


def _failed(path: str, header: PrimaryHeader, products: Sequence[Product], failure: ReadFailure) -> SpectrumBatch:
    named_visits = 0
    while header.text(f"SFILE{named_visits + 1}"):
        named_visits += 1
    records = [
        replace(
            record,
            row=-1,
            n_visits=named_visits or -1,
            reason=failure.reason,
            text=failure.text,
            hdu=failure.hdu,
        )
        for record in _records(path, header, [-1] * max(named_visits, 1), products)
    ]
    nothing = np.full((len(records), PIXELS), np.nan, dtype=np.float32)
    return SpectrumBatch(nothing, nothing, records)
