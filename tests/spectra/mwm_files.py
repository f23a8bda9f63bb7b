"""Simulated mwmStar and mwmVisit files: those columns of DR19's data model that tell a spectrum, and its pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import fitsio
import numpy as np
from numpy.typing import NDArray

from apnet_fast.spectra.batch import Product, SpectrumBatch
from apnet_fast.support.grid import PIXELS

_WHO = [("spectrum_pk", "i8"), ("release", "S5"), ("filetype", "S8"), ("v_astra", "S5"), ("healpix", "i4")]
_WHO += [("sdss_id", "i8"), ("apred", "S4"), ("obj", "S19"), ("telescope", "S6"), ("snr", "f4")]
_VISIT = [("plate", "S8"), ("fiber", "i4"), ("mjd", "i4"), ("field", "S22"), ("prefix", "S2"), ("reduction", "S18")]
_PIXELS = [("flux", "f4", (PIXELS,)), ("ivar", "f4", (PIXELS,)), ("pixel_flags", "f4", (PIXELS,))]
DTYPES: dict[Product, np.dtype] = {
    "star": np.dtype([*_WHO, ("n_visits", "i4"), ("wavelength", "f4", (PIXELS,)), *_PIXELS]),
    "visit": np.dtype([*_WHO, *_VISIT, *_PIXELS]),
}
SDSS_ID = 103020000


def name_of(kind: Product) -> str:
    """The name of a file as the survey gives it."""
    return f"mwm{kind.capitalize()}-0.6.0-{SDSS_ID}.fits"


def rows_like(batch: SpectrumBatch, kind: Product) -> NDArray[np.void]:
    """Rows that hold what a batch of apStar spectra holds, as Astra makes them of such files."""
    chosen = [i for i, record in enumerate(batch.records) if record.product == kind]
    rows = np.zeros(len(chosen), DTYPES[kind])
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        ivar = batch.error[chosen].astype("f8") ** -2
    rows["flux"], rows["ivar"] = batch.flux[chosen], np.where(np.isfinite(ivar), ivar, 0)
    for row, record in zip(rows, (batch.records[i] for i in chosen), strict=True):
        star, visit = record.star, record.visit
        values = {"release": star.release, "apred": star.apred, "obj": star.obj, "telescope": star.telescope}
        values |= {"healpix": max(star.healpix, 77), "sdss_id": SDSS_ID, "spectrum_pk": 1000 + record.row}
        values |= {"filetype": "apStar", "v_astra": "0.6.0", "snr": record.snr}
        if kind == "star":
            values["n_visits"] = record.n_visits
        else:
            # The field of an SDSS-V visit is that of its plate or design; it is not part of who a spectrum is.
            values |= {"plate": visit.plate, "fiber": visit.fiber, "mjd": visit.mjd, "reduction": visit.reduction}
            values |= {"field": star.field or "102906", "prefix": star.prefix}
        for name, value in values.items():
            row[name] = value
    return rows


def write_mwm(
    path: Path,
    apo: NDArray[np.void] | None = None,
    lco: NDArray[np.void] | None = None,
    ra: float = 187.12584,
    extensions: Sequence[str] = ("BOSS/APO", "BOSS/LCO", "APOGEE/APO", "APOGEE/LCO"),
    cards: Mapping[str, str | float] | None = None,
) -> Path:
    """A file with these rows in HDU 3 and 4; a table that is None is empty, columns and all."""
    with fitsio.FITS(str(path), "rw", clobber=True) as file:
        header = {"V_ASTRA": "0.6.0", "SDSS_ID": SDSS_ID, "RA": ra, "DEC": -66.59794, "HEALPIX": 77}
        file.write(None, header=header | dict(cards or {}))
        for name, rows in zip(extensions, (None, None, apo, lco), strict=True):
            if rows is None:
                file.create_table_hdu(names=[], formats=[], extname=name)
            else:
                file.write(rows, extname=name)
    return path
