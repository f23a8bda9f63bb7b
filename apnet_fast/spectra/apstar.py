"""Read apStar files of every generation: the coadd and its visits, with one opening of the file.

Row 0 of HDU 1 (flux) and HDU 2 (error) is the coadd. If there are more than two rows, row i + 1 is visit i = 1, 2, ...
If there are one or two, row 0 is also the only visit; a DR17 file of one visit has a second row of zeros.
Source of the layouts: SDSS data model, apStar, DR10 to DR19.

Files that people have cut down to flux and error are read too, if name or header identify the star. Which of their
rows are visits is known if NVISITS agrees with the number of rows, or if there is no NVISITS but more than two rows.
With as many rows as visits, they may be the visits alone, and none is known to be the coadd.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import BinaryIO, NamedTuple

import numpy as np

from apnet_fast.spectra.batch import Product, SpectrumBatch, SpectrumRecord
from apnet_fast.spectra.compressed import unpacked
from apnet_fast.spectra.direct import ApStar, read_direct
from apnet_fast.spectra.failures import ReadFailure, Reason
from apnet_fast.spectra.header import PrimaryHeader, read_primary_header
from apnet_fast.spectra.identity import FIBERS, VisitName, identify, parse_file_name, parse_visit_name
from apnet_fast.spectra.layout import LAST_HDU, visit_rows
from apnet_fast.spectra.library import read_by_library
from apnet_fast.spectra.measured import known_snr, measured_coadd, measured_visit, position_of
from apnet_fast.spectra.opening import opened_descriptor
from apnet_fast.spectra.rv_table import Fits
from apnet_fast.spectra.wrong_products import by_content, by_name, by_start
from apnet_fast.support.grid import PIXELS

BOTH: tuple[Product, ...] = ("star", "visit")

_NO_DATA = "no pixel of this spectrum is finite and not zero"


def read_apstar(path: str, products: Sequence[Product] = BOTH, *, direct: bool = True) -> SpectrumBatch:
    """Read all spectra of one apStar file: the coadd, then its visits in the file's order.

    Parameters
    ----------
    path: an apStar or asStar file, plain or compressed by gzip or fpack.
    products: which of "star" (the coadd) and "visit" to return.
    direct: read plain files without the FITS library. The library gives the same result, more slowly.

    Returns
    -------
    SpectrumBatch, flux and error float32 (n, 8575) in the units of the file. A bad file never raises an error.
    A spectrum without data has a reason. If the file cannot be read, all of its spectra have one, and their row is -1:
    the coadd and the visits named in the header, or one nameless visit if the header names none.
    """
    headers = [PrimaryHeader({})]
    try:
        with opened_descriptor(path) as (descriptor, size):
            read = read_direct(descriptor, size, products) if direct else None
            if read is None or read.n_hdus <= LAST_HDU:
                read = _unusual(path, descriptor, read, products, headers, direct=direct)
    except ReadFailure as failure:
        return _failed(path, headers[-1], products, failure)
    return _batch(path, read, products)


def unread_apstar(path: str, products: Sequence[Product], reason: Reason, text: str) -> SpectrumBatch:
    """Return one failed spectrum of each product for a file that must not be opened; its name gives the identity."""
    return _failed(path, PrimaryHeader({}), products, ReadFailure(reason, text, hdu=0))


def _unusual(
    path: str,
    descriptor: int,
    read: ApStar | None,
    products: Sequence[Product],
    headers: list[PrimaryHeader],
    *,
    direct: bool,
) -> ApStar:
    """Read a file that is compressed, cut down, damaged or no apStar file. Raises ReadFailure.

    read: what the direct reader made of the file as it is. headers: the primary header is appended, once it is known.
    """
    with open(descriptor, "rb", closefd=False) as file, unpacked(file) as plain:
        if read is None and direct and plain is not file:
            read = read_direct(plain.fileno(), os.fstat(plain.fileno()).st_size, products)
        if read is None:
            read = _by_library(path, plain, products, headers)
        headers.append(read.header)
        if read.n_hdus <= LAST_HDU:
            _check_cut_down(path, plain, read)
        return read


def _by_library(path: str, file: BinaryIO, products: Sequence[Product], headers: list[PrimaryHeader]) -> ApStar:
    file.seek(0)
    try:
        headers.append(read_primary_header(file))
        return read_by_library(file, headers[-1], products)
    except ReadFailure as failure:
        if what := _what_it_is(path, file, headers[-1], failure.reason):
            raise ReadFailure(failure.reason, f"{what} ({failure.text})", failure.hdu) from failure
        raise


def _what_it_is(path: str, file: BinaryIO, header: PrimaryHeader, reason: Reason) -> str:
    if reason is Reason.NOT_FITS:
        return by_start(os.pread(file.fileno(), 512, 0))
    if reason is Reason.BAD_LAYOUT:
        return by_name(os.path.basename(path)) or by_content(file, header)
    return ""


def _check_cut_down(path: str, file: BinaryIO, read: ApStar) -> None:
    """Raise ReadFailure if a file of fewer HDUs than apStar has is another product, or nobody's spectrum."""
    if what := by_name(os.path.basename(path)) or by_content(file, read.header):
        raise ReadFailure(Reason.BAD_LAYOUT, what, hdu=0)
    if not (parse_file_name(path).standard or read.header.text("OBJID")):
        text = f"the file has {read.n_hdus} HDUs, and neither its name nor a card OBJID identifies its star"
        raise ReadFailure(Reason.BAD_LAYOUT, f"{text}; name it apStar-<reduction>-<object>.fits", hdu=0)


def _batch(path: str, read: ApStar, products: Sequence[Product]) -> SpectrumBatch:
    visits, n_visits, doubt = _visits_of(read)
    flux, error, has_data = read.flux, read.error, read.has_data
    records = _records(path, read.header, visits, products, n_visits, read.fits)
    if doubt.text:
        # Rows that may be visits or not are not visits; the coadd is row 0, unless that is in doubt too.
        kept = int("star" in products and not doubt.of_coadd)
        unknown = tuple(product for product in products if product == "visit" or doubt.of_coadd)
        named = max(_named_visits(read.header), 1)
        records = records[:kept] + [
            replace(record, row=-1, reason=Reason.BAD_LAYOUT, text=doubt.text)
            for record in _records(path, read.header, [-1] * named, unknown, n_visits, {})
        ]
        missing = np.full((len(records) - kept, PIXELS), np.nan, np.float32)
        flux, error = (np.concatenate([rows[:kept], missing]) for rows in (flux, error))
        has_data = np.concatenate([has_data[:kept], np.ones(len(missing), np.bool_)])
    for i in np.flatnonzero(~has_data):
        records[i] = replace(records[i], reason=Reason.NO_DATA, text=_NO_DATA)
    return SpectrumBatch(flux, error, records)


class _Doubt(NamedTuple):
    """Say why it is unknown which rows are visits and, if of_coadd, whether row 0 is the coadd; "" if it is known."""

    text: str = ""
    of_coadd: bool = False


def _visits_of(read: ApStar) -> tuple[range, int, _Doubt]:
    """Return the rows of the visits, their number (-1 if unknown), and what is in doubt."""
    rows = visit_rows(read.n_rows)
    if read.n_hdus > LAST_HDU:
        return rows, len(rows), _Doubt()
    stated = read.header.integer("NVISITS")
    if stated == len(rows) or (stated < 1 and read.n_rows > 2):
        return rows, len(rows), _Doubt()
    of_few = f"a file of {read.n_hdus} HDUs and"
    if stated < 1:
        return (
            range(0),
            -1,
            _Doubt(
                f"a file of {read.n_hdus} HDUs without a card NVISITS does not show whether its coadd is also a visit"
            ),
        )
    if stated == read.n_rows > 1:
        text = (
            f"{of_few} as many rows as visits, {stated}, does not show whether it holds the coadd or the visits alone"
        )
        return range(0), stated, _Doubt(text, of_coadd=True)
    return range(0), stated, _Doubt(f"{of_few} {read.n_rows} rows does not hold the {stated} visits of its star")


def _records(
    path: str,
    header: PrimaryHeader,
    rows: Sequence[int],
    products: Sequence[Product],
    n_visits: int,
    fits: Fits,
) -> list[SpectrumRecord]:
    star = identify(path, header)
    (ra, dec), simulated = position_of(header), header.is_true("SIMULATD")
    records = []
    if "star" in products:
        records.append(
            SpectrumRecord(
                "star", path, 0, star, VisitName(), known_snr(header.number("SNR")), ra, dec, n_visits,
                measured=measured_coadd(header), simulated=simulated,
            )
        )  # fmt: skip
    if "visit" in products:
        names: set[str] = set()
        for number, row in enumerate(rows, start=1):
            visit = _visit_name(header, number, names)
            fit = fits.get(visit.file, {})
            records.append(
                SpectrumRecord(
                    "visit", path, row, star, visit, _visit_snr(header, number, fit), ra, dec, n_visits,
                    measured=measured_visit(header, number, fit), simulated=simulated,
                )
            )  # fmt: skip
    return records


def _visit_name(header: PrimaryHeader, number: int, names: set[str]) -> VisitName:
    """Return what identifies visit 1, 2, ...; `names` are those of the visits before it."""
    visit = parse_visit_name(header.text(f"SFILE{number}"))
    if visit.file in names:
        visit = VisitName()  # identified by its row alone: two spectra must not share their noise
    names.add(visit.file)
    if visit.fiber < 0:
        visit = replace(visit, fiber=header.integer(f"FIBER{number}", FIBERS))
    return visit


def _visit_snr(header: PrimaryHeader, number: int, fit: Mapping[str, float]) -> float:
    """Return the S/N of a visit: that of its apVisit file, which allVisit has too, from HDU 9; else its card.

    A card of 0 is unknown: DR17 writes it in files of one visit, in which it looks for a row that is not there.
    """
    snr = known_snr(fit.get("snr", math.nan))
    return snr if snr == snr else known_snr(header.number(f"SNRVIS{number}"))


def _named_visits(header: PrimaryHeader) -> int:
    number = 0
    while header.text(f"SFILE{number + 1}"):
        number += 1
    return number


def _failed(path: str, header: PrimaryHeader, products: Sequence[Product], failure: ReadFailure) -> SpectrumBatch:
    named = _named_visits(header)
    records = [
        replace(record, row=-1, reason=failure.reason, text=failure.text, hdu=failure.hdu)
        for record in _records(path, header, [-1] * max(named, 1), products, named or -1, {})
    ]
    nothing = np.full((len(records), PIXELS), np.nan, dtype=np.float32)
    return SpectrumBatch(nothing, nothing, records)
