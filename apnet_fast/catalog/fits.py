"""The FITS form of a product, written in a stream: HDU 0 cards, HDU 1 BOSS (no rows), HDU 2 APOGEE."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import fitsio
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from apnet_fast.catalog.columns import Column

# One card: keyword, value, comment.
Card = tuple[str, str | int | float | bool, str]

_DESCRIPTIONS = ("HDU 0: Summary information only", "HDU 1: BOSS spectra", "HDU 2: APOGEE spectra")


def text_widths(table: pa.Table, columns: Sequence[Column]) -> dict[str, int]:
    """Longest value in bytes of each text column of some rows."""
    return {
        column.name: pc.max(pc.binary_length(table[column.name])).as_py() or 0
        for column in columns
        if column.form == "A"
    }


def write_fits(
    path: Path,
    columns: Sequence[Column],
    tables: Iterable[pa.Table],
    widths: Mapping[str, int],
    cards: Sequence[Card],
    created: datetime,
) -> None:
    """Write a product, one table of rows at a time, so that memory does not grow with their number.

    Parameters
    ----------
    path: of a file that does not exist yet.
    tables: rows in order, each with the columns of `columns`.
    widths: longest text of each text column over all tables, from `text_widths`.
    cards: provenance, for HDU 0.
    """
    with fitsio.FITS(str(path), "rw") as file:
        file.write(None)
        for keyword, value, comment in cards:
            file[0].write_key(keyword, value, comment)
        for description in _DESCRIPTIONS:
            file[0].write_comment(description)
        _create_table(file, 1, "BOSS", columns, {}, created)
        _create_table(file, 2, "APOGEE", columns, widths, created)
        for table in tables:
            file[2].append(_as_structured(table, columns, widths))
        for hdu in range(3):
            file[hdu].write_checksum()


def _create_table(
    file: fitsio.FITS,
    number: int,
    instrument: str,
    columns: Sequence[Column],
    widths: Mapping[str, int],
    created: datetime,
) -> None:
    dtype = [(column.name, column.numpy_type(widths.get(column.name, 1))) for column in columns]
    file.create_table_hdu(dtype=np.dtype(dtype).descr)
    hdu = file[number]
    hdu.write_key("INSTRMNT", instrument, "Instrument")
    hdu.write_key("PIPELINE", "ApogeeNet", "Pipeline name")
    hdu.write_key("CREATED", fits_time(created), "File creation time (UTC %y-%m-%d %H:%M:%S)")
    for i, column in enumerate(columns, start=1):
        hdu.write_key(f"TTYPE{i}", column.name, column.fits_comment)


def fits_time(created: datetime) -> str:
    """A time as Astra's CREATED card has it."""
    return created.strftime("%y-%m-%d %H:%M:%S")


def _as_structured(table: pa.Table, columns: Sequence[Column], widths: Mapping[str, int]) -> NDArray[np.void]:
    dtype = [(column.name, column.numpy_type(widths.get(column.name, 1))) for column in columns]
    rows = np.zeros(table.num_rows, dtype=dtype)
    for column in columns:
        values = table[column.name]
        rows[column.name] = _ascii(values) if column.form == "A" else values.to_numpy()
    return rows


def _ascii(texts: pa.ChunkedArray) -> NDArray:
    """Text as bytes; FITS knows ASCII only, so any other character becomes a question mark."""
    if pc.all(pc.string_is_ascii(texts), min_count=0).as_py():
        return pc.cast(texts, pa.binary()).to_numpy()
    return np.array([text.encode("ascii", "replace") for text in texts.to_pylist()])
