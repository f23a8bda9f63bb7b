"""Read mwmStar and mwmVisit files, the form in which DR19 publishes APOGEE spectra.

HDU 3 (APOGEE/APO) and HDU 4 (APOGEE/LCO) are tables with one row per coadd or visit. Flux and inverse variance are
vectors on the apStar grid. Either table may be empty. Source of the columns: SDSS data model, mwmStar and mwmVisit,
DR19; Astra 0.6.0, products/apogee.py, fills them.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, BinaryIO

import fitsio
import numpy as np
from numpy.typing import NDArray

from apnet_fast.spectra.batch import Product, SpectrumBatch, SpectrumRecord, concatenate
from apnet_fast.spectra.compressed import unpacked
from apnet_fast.spectra.failures import ReadFailure, Reason
from apnet_fast.spectra.fits_library import check_cards, check_end, library_fits
from apnet_fast.spectra.header import PrimaryHeader, read_primary_header
from apnet_fast.spectra.identity import StarIdentity, VisitName, parse_visit_name, printable, without_fits_suffix
from apnet_fast.spectra.measured import Measured
from apnet_fast.spectra.missing import usable_spectra
from apnet_fast.spectra.opening import LIBRARY_ERRORS, check_complete, library_failure, opened
from apnet_fast.support.grid import PIXELS

_NAME = re.compile(r"mwm(?P<what>Star|Visit)-[^-]+-(?P<sdss_id>\d{1,18})\.fits(?:\.gz|\.fz)?")
_HDUS = (3, 4)
_SPECTRUM = ("flux", "ivar")
_WORDS = ("release", "apred", "obj", "telescope", "field", "prefix", "plate", "reduction")
_NUMBERS = ("healpix", "mjd", "fiber", "n_visits", "sdss_id", "spectrum_pk")
_MEASURES = ("snr",)
_MEASURED = tuple(field.name for field in fields(Measured))
_INTEGERS = ("spectrum_flags", "n_components", "in_stack")
# No star has as many visits; the widest row of a table that is written has 0.2 MB.
_MOST_ROWS, _MOST_ROW_BYTES = 4000, 1 << 20


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
    kind: Product = "visit" if any({"mjd", "fiber"} <= set(table.dtype.names or ()) for _, table in tables) else "star"
    batches = [_batch(path, header, kind, hdu, table) for hdu, table in tables]
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


def _tables(file: BinaryIO) -> list[tuple[int, NDArray[np.void]]]:
    """Return number and rows of each of the two tables that has rows; column names in lower case."""
    hdu, tables = 0, []
    try:
        with library_fits(file, lower=True) as fits:
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
                    tables.append((hdu, _checked_rows(file, fits[hdu], hdu)))
    except (*LIBRARY_ERRORS, TypeError, KeyError, OverflowError) as error:
        raise library_failure(error, hdu) from error
    return tables


def _checked_rows(file: BinaryIO, table: fitsio.hdu.TableHDU, hdu: int) -> NDArray[np.void]:
    """Read the columns in use, after checking what they need: sizes come from a header that may be damaged."""
    present = [name.lower() for name in table.get_colnames()]
    if missing := [name for name in (*_SPECTRUM, "telescope", "obj") if name not in present]:
        raise ReadFailure(Reason.BAD_LAYOUT, f"HDU {hdu} has no column {', '.join(missing)}", hdu=hdu)
    wanted = [name for name in (*_SPECTRUM, *_WORDS, *_NUMBERS, *_MEASURES, *_MEASURED) if name in present]
    dtype, _, variable = table.get_rec_dtype(colnums=[present.index(name) for name in wanted], vstorage="object")
    if any(variable):
        names = ", ".join(name for name, is_variable in zip(wanted, variable, strict=True) if is_variable)
        raise ReadFailure(Reason.BAD_LAYOUT, f"columns of HDU {hdu} have rows of variable length: {names}", hdu=hdu)
    for name in _SPECTRUM:
        base, shape = dtype[name].base, dtype[name].shape
        if shape != (PIXELS,) or base.kind != "f":
            text = f"column {name} of HDU {hdu} is {base.name}{list(shape)}, expected float32[{PIXELS}]"
            raise ReadFailure(Reason.BAD_LAYOUT, text, hdu=hdu)
    n_rows, place = int(table.get_nrows()), table.get_offsets()
    room = os.fstat(file.fileno()).st_size - int(place["data_start"])
    if n_rows > _MOST_ROWS or dtype.itemsize > _MOST_ROW_BYTES or n_rows * dtype.itemsize > room:
        text = f"HDU {hdu} claims {n_rows} rows of {dtype.itemsize} bytes in {room} bytes; at most {_MOST_ROWS} rows"
        raise ReadFailure(Reason.BAD_LAYOUT, text, hdu=hdu)
    return table.read(columns=wanted)


def _batch(path: str, header: PrimaryHeader, kind: Product, hdu: int, table: NDArray[np.void]) -> SpectrumBatch:
    with np.errstate(over="ignore", invalid="ignore"):
        flux = table["flux"].astype(np.float32)
        ivar = table["ivar"].astype(np.float64)
        # An ivar that is not positive gives no error.
        error = np.full(ivar.shape, np.inf, np.float32)
        known = ivar > 0
        error[known] = ivar[known] ** -0.5
    records = [_record(path, header, kind, hdu, row, table[row], len(table)) for row in range(len(table))]
    for i in np.flatnonzero(~usable_spectra(flux)):
        records[i] = replace(records[i], reason=Reason.NO_DATA, text="no pixel of this spectrum is finite and not zero")
    return SpectrumBatch(flux, error, records)


def _record(
    path: str, header: PrimaryHeader, kind: Product, hdu: int, row: int, values: np.void, n_rows: int
) -> SpectrumRecord:
    words = {name: _word(values, name) for name in _WORDS}
    measures = {name: _number(values, name) for name in (*_MEASURES, *_NUMBERS)}
    numbers = {name: int(measures[name]) if math.isfinite(measures[name]) else -1 for name in _NUMBERS}
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
        snr=measures["snr"],
        ra=header.number("RA"),
        dec=header.number("DEC"),
        n_visits=n_rows if kind == "visit" else numbers["n_visits"],
        hdu=hdu,
        sdss_id=numbers["sdss_id"],
        spectrum_pk=numbers["spectrum_pk"],
        measured=_measured(header, values),
        simulated=header.is_true("SIMULATD"),
    )


def _measured(header: PrimaryHeader, values: np.void) -> Measured:
    """Collect what the row's columns, and for the star's values the header's cards, hold; both have our names."""
    known: dict[str, Any] = {}
    for name in _MEASURED:
        if name in _INTEGERS:
            known[name] = _whole_number(values, name)
        elif name == "date_obs":
            known[name] = _word(values, name)
        else:
            value = _number(values, name)
            known[name] = value if math.isfinite(value) else header.number(name.upper())
    return Measured(**{name: value for name, value in known.items() if value is not None})


def _whole_number(values: np.void, name: str) -> int | None:
    if name not in (values.dtype.names or ()) or np.ndim(values[name]) or values[name].dtype.kind not in "iub":
        return None
    value = int(values[name])
    return value if value >= 0 else None


def _word(values: np.void, name: str) -> str:
    """Return the text of a column; "" if there is none."""
    return str(values[name]).strip() if name in (values.dtype.names or ()) else ""


def _number(values: np.void, name: str) -> float:
    """Return the number of a column; NaN if there is none. After a damaged header a column may be anything.

    float64 holds every integer to 2**53, far beyond the identifiers in use.
    """
    if name not in (values.dtype.names or ()) or np.ndim(values[name]) or values[name].dtype.kind not in "iuf":
        return math.nan
    return float(values[name])


def _visit(words: dict[str, str], numbers: dict[str, int], star: StarIdentity) -> VisitName:
    """Name the visit by its apVisit file, made from the columns as Astra makes it."""
    apred, mjd, fiber = star.apred, numbers["mjd"], numbers["fiber"]
    if star.telescope == "apo1m":
        file = f"{star.prefix}Visit-{apred}-{mjd}-{star.obj}.fits"
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
