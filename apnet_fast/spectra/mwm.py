"""Read mwmStar and mwmVisit files, the form in which DR19 publishes APOGEE spectra.

HDU 3 (APOGEE/APO) and HDU 4 (APOGEE/LCO) are tables with one row per coadd or visit. Flux and inverse variance are
vectors on the apStar grid. Either table may be empty. Source of the columns: SDSS data model, mwmStar and mwmVisit,
DR19; Astra 0.6.0, products/apogee.py, fills them.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, BinaryIO

import fitsio
import numpy as np
from numpy.typing import NDArray

from apnet_fast.spectra.batch import Product, SpectrumBatch, SpectrumRecord, concatenate
from apnet_fast.spectra.compressed import unpacked
from apnet_fast.spectra.failures import ReadFailure, Reason
from apnet_fast.spectra.fits_columns import FitsColumn, columns_of, decode
from apnet_fast.spectra.fits_hdus import DamagedFits, Hdu, card_integer
from apnet_fast.spectra.fits_library import check_cards, check_end, library_fits
from apnet_fast.spectra.header import PrimaryHeader, cards_of, read_primary_header
from apnet_fast.spectra.identity import (
    FIBERS,
    HEALPIXELS,
    StarIdentity,
    VisitName,
    parse_visit_name,
    printable,
    without_fits_suffix,
)
from apnet_fast.spectra.measured import COMPONENTS, MEASURES, Measured, known, known_snr, position_of
from apnet_fast.spectra.missing import usable_spectra
from apnet_fast.spectra.mwm_columns import MwmColumns
from apnet_fast.spectra.opening import LIBRARY_ERRORS, check_complete, library_failure, opened
from apnet_fast.support.grid import PIXELS

_NAME = re.compile(r"mwm(?P<what>Star|Visit)-[^-]+-(?P<sdss_id>\d{1,18})\.fits(?:\.gz|\.fz)?")
_HDUS = (3, 4)
_SPECTRUM = ("flux", "ivar")
_WORDS = ("release", "apred", "obj", "telescope", "field", "prefix", "plate", "reduction")
# Integers and the values that they may have; others (-1, -9999, 99999, 999999) stand for "unknown".
_IDS = range(1, 2**63)
_NUMBERS = {
    "healpix": HEALPIXELS, "mjd": range(99_999), "fiber": FIBERS, "n_visits": range(9999),
    "sdss_id": _IDS, "spectrum_pk": _IDS,
}  # fmt: skip
_COUNTS = {"n_components": COMPONENTS, "in_stack": range(2)}
_WANTED = (*_SPECTRUM, *_WORDS, *_NUMBERS, "snr", "spectrum_flags", *_COUNTS, "date_obs", *MEASURES)
# No star has as many visits; the widest row of a table that is written has 0.2 MB.
_MOST_ROWS, _MOST_ROW_BYTES = 4000, 1 << 22


@dataclass(frozen=True)
class _Table:
    """Hold a table with n rows: flux and ivar, float (n, 8575), and the other columns in use."""

    hdu: int
    flux: NDArray
    ivar: NDArray
    columns: MwmColumns
    kind: Product


def is_mwm_name(name: str) -> bool:
    """Return whether a file name (without folder) is that of an mwmStar or mwmVisit file."""
    return _NAME.fullmatch(name) is not None


def has_mwm_tables(path: str) -> bool:
    """Return whether a file of any name has the layout of mwmStar and mwmVisit; False if it cannot be read."""
    try:
        with opened(path) as file, unpacked(file) as plain:
            if os.pread(plain.fileno(), 6, 0) != b"SIMPLE":
                return False
            with library_fits(plain) as fits:
                if len(fits) <= _HDUS[-1] or not all(isinstance(fits[hdu], fitsio.hdu.TableHDU) for hdu in _HDUS):
                    return False
                names = [name.lower() for hdu in _HDUS for name in fits[hdu].get_colnames()]
                return all(name in names for name in _SPECTRUM)
    except (ReadFailure, *LIBRARY_ERRORS):
        return False


def read_mwm(path: str, products: Sequence[Product] = ("star", "visit")) -> SpectrumBatch:
    """Read all APOGEE spectra of one mwmStar file (coadds) or mwmVisit file (visits), HDU 3 before HDU 4.

    Parameters
    ----------
    path: the file, plain or compressed by gzip. Its columns tell its kind: visits have mjd and fiber.
    products: which of "star" and "visit" to return. A file of the other kind gives no rows.

    Returns
    -------
    SpectrumBatch: flux float32 as in the file; error = ivar ** -0.5, infinite if ivar is 0 (Astra's "missing"). A
    record's `row` counts within its HDU, `hdu`. A star without APOGEE spectra has no rows. A bad file never raises an
    error: it has one row of its kind, with a reason.

    A spectrum has the identity, and so the noise, that it has in its apStar file. The exceptions are: coadds of DR17,
    because mwmStar names no field; visits of the 1-m telescope whose SFILEn has decimals in its MJD; SDSS-V visits
    whose HEALPix differs between Astra and the reduction; visits whose field differs from that of the apStar; and the
    second and later rows of one file that share an identity, which their row tells apart.
    """
    try:
        with opened(path) as file, unpacked(file) as plain:
            header = read_primary_header(plain)
            tables = _tables(plain)
    except ReadFailure as failure:
        return _failed(path, failure, products)
    kind: Product = "visit" if any(table.kind == "visit" for table in tables) else "star"
    batches = [_batch(path, header, kind, table) for table in tables]
    if not batches or kind not in products:
        return _no_spectra()
    batch = concatenate(batches)
    return replace(batch, records=_with_names_once(batch.records))


def unread_mwm(path: str, products: Sequence[Product], reason: Reason, text: str) -> SpectrumBatch:
    """Return one failed spectrum for a file that must not be opened; its name tells the kind."""
    return _failed(path, ReadFailure(reason, text, hdu=0), products)


def _no_spectra() -> SpectrumBatch:
    nothing = np.zeros((0, PIXELS), np.float32)
    return SpectrumBatch(nothing, nothing, [])


def _tables(file: BinaryIO) -> list[_Table]:
    """Return each of the two tables that has rows."""
    hdu, tables = 0, []
    try:
        with library_fits(file) as fits:
            # Check the size first: numpy would allocate whatever a damaged NAXIS2 asks for.
            check_complete(file, fits)
            if len(fits) <= _HDUS[-1]:
                text = f"the last HDU is number {len(fits) - 1}, that of an mwmStar or mwmVisit file {_HDUS[-1]}"
                raise ReadFailure(Reason.BAD_LAYOUT, text, hdu=len(fits))
            check_cards(file, fits)
            check_end(file, fits)
            for hdu in _HDUS:
                if not isinstance(fits[hdu], fitsio.hdu.TableHDU):
                    raise ReadFailure(Reason.BAD_LAYOUT, f"HDU {hdu} is an image, not a table", hdu=hdu)
                if fits[hdu].get_nrows():
                    tables.append(_table(file, fits[hdu], hdu))
    except (*LIBRARY_ERRORS, TypeError, KeyError, OverflowError) as error:
        raise library_failure(error, hdu) from error
    return tables


def _table(file: BinaryIO, table: fitsio.hdu.TableHDU, hdu: int) -> _Table:
    """Read the columns in use, after checking what they need: sizes come from a header that may be damaged.

    The library finds the table; it does not decode it, because it ignores TNULL and scales integers wrongly.
    """
    place = table.get_offsets()
    start, data_start = int(place["header_start"]), int(place["data_start"])
    try:
        columns, row_bytes = _layout(os.pread(file.fileno(), data_start - start, start), hdu)
    except DamagedFits as error:
        raise ReadFailure(Reason.BAD_LAYOUT, str(error), hdu=hdu) from error
    if missing := [name for name in (*_SPECTRUM, "telescope", "obj") if name not in columns]:
        raise ReadFailure(Reason.BAD_LAYOUT, f"HDU {hdu} has no column {', '.join(missing)}", hdu=hdu)
    if variable := [name for name in _WANTED if name in columns and columns[name].form in "PQ"]:
        text = f"columns of HDU {hdu} have rows of variable length: {', '.join(variable)}"
        raise ReadFailure(Reason.BAD_LAYOUT, text, hdu=hdu)
    for name in _SPECTRUM:
        column = columns[name]
        if column.count != PIXELS or column.form not in "ED":
            text = f"column {name} of HDU {hdu} is {column.count}{column.form}, expected {PIXELS}E"
            raise ReadFailure(Reason.BAD_LAYOUT, text, hdu=hdu)
    n_rows, room = int(table.get_nrows()), os.fstat(file.fileno()).st_size - data_start
    if n_rows > _MOST_ROWS or row_bytes > _MOST_ROW_BYTES or n_rows * row_bytes > room:
        text = f"HDU {hdu} claims {n_rows} rows of {row_bytes} bytes in {room} bytes; at most {_MOST_ROWS} rows"
        raise ReadFailure(Reason.BAD_LAYOUT, text, hdu=hdu)
    rows = np.empty((n_rows, row_bytes), np.uint8)
    if os.preadv(file.fileno(), [rows.data], data_start) < rows.size:
        raise ReadFailure(Reason.TRUNCATED, f"the file ends inside the rows of HDU {hdu}", hdu=hdu)
    try:
        values = MwmColumns(columns, _WANTED, rows)
    except ValueError as error:
        raise ReadFailure(Reason.BAD_LAYOUT, f"{error}, in HDU {hdu}", hdu=hdu) from error
    flux, ivar = (decode(columns[name], rows).flatten().to_numpy().reshape(-1, PIXELS) for name in _SPECTRUM)
    return _Table(hdu, flux, ivar, values, "visit" if {"mjd", "fiber"} <= columns.keys() else "star")


# Headers of a tree are the same but for NAXIS2.
@lru_cache(maxsize=256)
def _layout(header: bytes, hdu: int) -> tuple[Mapping[str, FitsColumn], int]:
    """Return the columns of a table by their names in lower case, the first of equal ones, and the bytes of a row."""
    cards = PrimaryHeader(cards_of(header.decode("ascii", errors="replace")))
    columns: dict[str, FitsColumn] = {}
    for column in columns_of(Hdu(hdu, cards.text("XTENSION"), cards, 0, 0)):
        columns.setdefault(column.name.lower(), column)
    return columns, card_integer(cards, "NAXIS1")


def _batch(path: str, header: PrimaryHeader, kind: Product, table: _Table) -> SpectrumBatch:
    with np.errstate(over="ignore", invalid="ignore"):
        flux = table.flux.astype(np.float32)
        ivar = table.ivar.astype(np.float64)
        # An ivar that is not positive gives no error.
        error = np.full(ivar.shape, np.inf, np.float32)
        known = ivar > 0
        error[known] = ivar[known] ** -0.5
    records = _records(path, header, kind, table)
    for i in np.flatnonzero(~usable_spectra(flux)):
        records[i] = replace(records[i], reason=Reason.NO_DATA, text="no pixel of this spectrum is finite and not zero")
    return SpectrumBatch(flux, error, records)


def _records(path: str, header: PrimaryHeader, kind: Product, table: _Table) -> list[SpectrumRecord]:
    columns = table.columns
    words = [dict(zip(_WORDS, row, strict=True)) for row in zip(*map(columns.words, _WORDS), strict=True)]
    integers = [columns.integers(name, among) for name, among in _NUMBERS.items()]
    numbers = [
        {name: -1 if value is None else value for name, value in zip(_NUMBERS, row, strict=True)}
        for row in zip(*integers, strict=True)
    ]
    position, simulated = position_of(header), header.is_true("SIMULATD")
    snr, measured = columns.floats("snr"), _measured(header, columns)
    return [
        _record(path, kind, table, row, words[row], numbers[row], snr[row], position, measured[row], simulated)
        for row in range(len(columns))
    ]


def _record(
    path: str,
    kind: Product,
    table: _Table,
    row: int,
    words: Mapping[str, str],
    numbers: Mapping[str, int],
    snr: float,
    position: tuple[float, float],
    measured: Measured,
    simulated: bool,
) -> SpectrumRecord:
    of_sdss5 = words["release"] == "sdss5"
    star = StarIdentity(
        release=words["release"],
        apred=words["apred"],
        telescope=words["telescope"],
        # As in an apStar file: SDSS-V sorts stars by HEALPix, and a field belongs to a visit.
        field="" if of_sdss5 else words["field"],
        healpix=numbers["healpix"],
        prefix=words["prefix"] or ("as" if words["telescope"] == "lco25m" and not of_sdss5 else "ap"),
        obj=words["reduction"] if words["telescope"] == "apo1m" and words["reduction"] else words["obj"],
        starver="",
    )
    return SpectrumRecord(
        product=kind,
        path=path,
        row=row,
        star=star,
        visit=_visit(words, numbers, star) if kind == "visit" else VisitName(),
        snr=known_snr(snr),
        ra=position[0],
        dec=position[1],
        n_visits=len(table.columns) if kind == "visit" else numbers["n_visits"],
        hdu=table.hdu,
        sdss_id=numbers["sdss_id"],
        spectrum_pk=numbers["spectrum_pk"],
        measured=measured,
        simulated=simulated,
    )


def _measured(header: PrimaryHeader, columns: MwmColumns) -> list[Measured]:
    """Collect what columns, and for the star's values the header's cards, hold; both have our names."""
    fields: dict[str, Sequence[Any]] = {"spectrum_flags": columns.flags("spectrum_flags")}
    for name, among in _COUNTS.items():
        fields[name] = columns.integers(name, among)
    fields["date_obs"] = columns.words("date_obs")
    for name in MEASURES:
        card = known(name, header.number(name.upper()))
        values = (known(name, value) for value in columns.floats(name))
        fields[name] = [value if value == value else card for value in values]
    return [Measured(**dict(zip(fields, row, strict=True))) for row in zip(*fields.values(), strict=True)]


def _visit(words: Mapping[str, str], numbers: Mapping[str, int], star: StarIdentity) -> VisitName:
    """Name the visit by its apVisit file, made from the columns as Astra makes it; "" if MJD or fibre are unknown."""
    apred, mjd, fiber = star.apred, numbers["mjd"], numbers["fiber"]
    if star.telescope == "apo1m":
        file = f"{star.prefix}Visit-{apred}-{mjd}-{star.obj}.fits" if mjd >= 0 else ""
    elif mjd < 0 or fiber < 0:
        file = ""
    elif star.release == "sdss5":
        file = f"apVisit-{apred}-{star.telescope}-{words['plate']}-{mjd}-{fiber:03d}.fits"
    else:
        file = f"{star.prefix}Visit-{apred}-{words['plate']}-{mjd}-{fiber:03d}.fits"
    visit = parse_visit_name(file)
    # The columns hold even if they make no proper name (an empty plate).
    return replace(visit, plate=words["plate"], mjd=mjd, fiber=fiber, reduction=words["reduction"])


def _with_names_once(records: Sequence[SpectrumRecord]) -> list[SpectrumRecord]:
    """Identify a spectrum whose identity is that of an earlier row by its row: two must not share their noise."""
    seen: set[str] = set()
    unique = []
    for record in records:
        if record.identity in seen and record.visit.file:
            record = replace(record, visit=replace(record.visit, file=""))
        if record.identity in seen:
            record = replace(record, is_twin=True)
        seen.add(record.identity)
        unique.append(record)
    return unique


def _failed(path: str, failure: ReadFailure, products: Sequence[Product]) -> SpectrumBatch:
    """Return one failed spectrum; the file's name tells its kind."""
    match = _NAME.fullmatch(path.rpartition("/")[2])
    kind: Product = "visit" if match and match["what"] == "Visit" else "star"
    sdss_id = int(match["sdss_id"]) if match else -1
    if kind not in products:
        return _no_spectra()
    obj = printable(without_fits_suffix(path.rpartition("/")[2]))
    star = StarIdentity(release="", apred="", telescope="", field="", healpix=-1, prefix="", obj=obj, starver="")
    record = SpectrumRecord(
        kind, path, -1, star, VisitName(), math.nan, math.nan, math.nan, -1,
        failure.reason, failure.text, failure.hdu, sdss_id,
    )  # fmt: skip
    nothing = np.full((1, PIXELS), np.nan, np.float32)
    return SpectrumBatch(nothing, nothing, [record])
