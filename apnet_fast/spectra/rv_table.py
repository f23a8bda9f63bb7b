"""Read HDU 9, the RV table: what the velocity fit found for each visit, with the S/N that allVisit has.

DR17 and SDSS-V have one row per visit, with the name of the visit's file. Older files have one row of vectors, which
repeats their cards and has no S/N; it is not read. Writers: apogee 0.17, python/apogee/utils/apload.py, and apogee_drp,
python/apogee_drp/utils/apspec.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from apnet_fast.spectra.fits_columns import FitsColumn, columns_of, decode
from apnet_fast.spectra.fits_hdus import DamagedFits, Hdu, card_integer
from apnet_fast.spectra.header import PrimaryHeader, cards_of
from apnet_fast.spectra.layout import RV_HDU

NAME = "filename"
# Columns that are used, by our name, and what the writers call them.
_COLUMNS: Mapping[str, Sequence[str]] = {
    NAME: ("filename",),
    "snr": ("snr",),
    "vhelio": ("vhelio", "vheliobary", "vrad"),
    "vrel": ("vrel",),
    "vrelerr": ("vrelerr",),
    "teff": ("teff",),
    "tefferr": ("tefferr",),
    "logg": ("logg",),
    "loggerr": ("loggerr",),
    "feh": ("feh",),
    "feherr": ("feherr",),
    "chisq": ("chisq",),
    "bc": ("bc",),
    "xcorr_vrel": ("xcorr_vrel",),
    "xcorr_vrelerr": ("xcorr_vrelerr",),
    "xcorr_vhelio": ("xcorr_vhelio", "xcorr_vheliobary", "xcorr_vrad"),
    "ccpfwhm": ("ccpfwhm",),
    "autofwhm": ("autofwhm",),
}
_NUMPY = {"B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}

Fits = Mapping[str, Mapping[str, float]]
"""Rows of the table by the visit's file name."""


def visit_fits(header: bytes, read: Callable[[NDArray[np.uint8], int], bool], offset: int) -> Fits:
    """Read the rows of an RV table in an open file.

    Parameters
    ----------
    header: of the HDU, whole blocks. read: fill a buffer from a place in the file; False if the file ends before.
    offset: where the rows begin.

    Returns
    -------
    Columns of the table by visit file, scaled by TSCAL and TZERO; NaN for TNULL. Empty if the table is of another form.
    A visit that is there twice is left out: which row is meant is unknown.
    """
    layout = _layout(header)
    if layout is None:
        return {}
    columns, dtype, n_rows = layout
    # Nothing behind the last column in use is read.
    used = max(column.offset + column.width for column in columns.values())
    buffer = np.empty(n_rows * dtype.itemsize, np.uint8)
    if not read(buffer[: buffer.size - dtype.itemsize + used], offset):
        return {}
    if all(_is_plain(column) for column in columns.values()):
        rows = buffer.view(dtype).tolist()
    else:
        rows = _decoded(columns, buffer.reshape(n_rows, dtype.itemsize))
    fits: dict[str, Mapping[str, float]] = {}
    repeated = set()
    for row in rows:
        values = dict(zip(columns, row, strict=True))
        file = values.pop(NAME).rstrip(b" \0").rpartition(b"/")[2].decode("ascii", "replace")
        if file in fits:
            repeated.add(file)
        fits[file] = values
    for file in repeated:
        del fits[file]
    return fits


def _decoded(columns: Mapping[str, FitsColumn], rows: NDArray[np.uint8]) -> list[tuple]:
    """Return rows of columns that are scaled or have a null; NaN for the null."""
    values = []
    for name, column in columns.items():
        if name == NAME:
            values.append(rows[:, column.offset : column.offset + column.width].view(f"S{column.width}")[:, 0].tolist())
        else:
            values.append([math.nan if value is None else value for value in decode(column, rows).to_pylist()])
    return list(zip(*values, strict=True))


def _is_plain(column: FitsColumn) -> bool:
    """Return whether the numbers of a column are those that are stored."""
    return (column.scale, column.zero, column.null) == (1, 0, "")


# Headers of a tree are the same but for NAXIS2.
@lru_cache(maxsize=256)
def _layout(header: bytes) -> tuple[Mapping[str, FitsColumn], np.dtype, int] | None:
    """Return the columns in use, a dtype of whole rows with them, and the number of rows; None without S/N per visit.

    Whatever else the header says (EXTVER, CHECKSUM, cards of other programs) does not matter.
    """
    cards = PrimaryHeader(cards_of(header.decode("ascii", "replace")))
    hdu = Hdu(RV_HDU, cards.text("XTENSION"), cards, 0, 0)
    try:
        if hdu.kind != "BINTABLE" or hdu.rows < 1:
            return None
        row_bytes, present = card_integer(cards, "NAXIS1"), columns_of(hdu)
    except DamagedFits:
        return None
    found: dict[str, FitsColumn] = {}
    for column in present:
        if column.count == 1 and (column.form in _NUMPY or (column.form == "A" and column.width)):
            found.setdefault(column.name.lower(), column)
    named = {ours: next((found[name] for name in names if name in found), None) for ours, names in _COLUMNS.items()}
    columns = {ours: column for ours, column in named.items() if column is not None}
    if not {NAME, "snr"} <= columns.keys() or any((c.form == "A") != (ours == NAME) for ours, c in columns.items()):
        return None
    dtype = np.dtype(
        {
            "names": list(columns),
            "formats": [f"S{c.width}" if c.form == "A" else _NUMPY[c.form] for c in columns.values()],
            "offsets": [c.offset for c in columns.values()],
            "itemsize": row_bytes,
        }
    )
    return columns, dtype, hdu.rows
