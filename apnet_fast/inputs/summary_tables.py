"""Summary tables of the survey (allStar, mwmAllVisit and their like), FITS or Parquet, as Arrow tables."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import fitsio
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from apnet_fast.spectra.opening import LIBRARY_ERRORS
from apnet_fast.support.errors import UsageError

# fitsio makes four bytes of every character; in pieces of this many rows that costs no memory to speak of.
_ROWS_AT_ONCE = 100_000
_FITS_MAGIC, _GZIP_MAGIC, _PARQUET_MAGIC = b"SIMPLE  =", b"\x1f\x8b", b"PAR1"
_EXPECTED = "a FITS binary table (.fits, .fits.gz) or Parquet"


def read_table(path: str | Path, columns: Collection[str] | None = None) -> pa.Table:
    """Columns of a table file, FITS or Parquet, whatever its name ends in.

    Parameters
    ----------
    path: of the file. Of the tables in a FITS file the one taken is that which says INSTRMNT = 'APOGEE' (Astra's
        files, HDU 2), else that with the most rows (allStar: HDU 1, and not the row of names in HDU 3).
    columns: names to read, in any case; None reads all but those of variable length.

    Returns
    -------
    pyarrow.Table, names in lower case, in the order of the file. Text without outer blanks; integers, floats and
    bools as they are; vectors and matrices flattened to fixed-size lists. No column of a FITS file holds null.

    Raises
    ------
    UsageError for a file that is no table or lacks a column asked for.
    """
    if _is_parquet(path):
        return _read_parquet(path, columns)
    with _fits_table(path) as hdu:
        present = hdu.get_colnames()
        names = _chosen(present, columns, path)
        if columns is None:
            names = [name for name in names if hdu.get_rec_dtype(colnums=[present.index(name)])[0][0].kind != "O"]
        return _read_fits(hdu, names)


def table_columns(path: str | Path) -> tuple[str, ...]:
    """Names of the columns that `read_table` finds, in lower case. Raises UsageError for what is no table."""
    if _is_parquet(path):
        return tuple(name.lower() for name in _parquet_file(path).schema_arrow.names)
    with _fits_table(path) as hdu:
        return tuple(name.lower() for name in hdu.get_colnames())


def missing_columns(what: str, missing: Collection[str], present: Sequence[str], path: str | Path) -> UsageError:
    """The error of a table that lacks columns: `what` it was wanted for, first what is missing, then what is there."""
    shown = ", ".join(present[:40]) + (f" and {len(present) - 40} more" if len(present) > 40 else "")
    return UsageError(
        f"{what}: {', '.join(missing)}",
        got=f"columns {shown}",
        remedy="give the summary table as the survey publishes it, or one that keeps these columns",
        where=str(path),
    )


def _chosen(present: Sequence[str], columns: Collection[str] | None, path: str | Path) -> list[str]:
    """Those of the names in the file that were asked for; UsageError where one is not there."""
    lower = [name.lower() for name in present]
    if columns is None:
        return list(present)
    wanted = {name.lower() for name in columns}
    if missing := sorted(wanted - set(lower)):
        raise missing_columns("the table lacks columns", missing, lower, path)
    return [name for name in present if name.lower() in wanted]


def _is_parquet(path: str | Path) -> bool:
    try:
        with open(path, "rb") as file:
            start = file.read(len(_FITS_MAGIC))
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the table: {error}", got=str(path), expected=_EXPECTED) from error
    if start.startswith(_PARQUET_MAGIC):
        return True
    if not start.startswith((_FITS_MAGIC, _GZIP_MAGIC)):
        raise UsageError("not a table", got=f"a file that begins with {start!r}", expected=_EXPECTED, where=str(path))
    return False


def _parquet_file(path: str | Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, memory_map=True)
    except (OSError, pa.ArrowInvalid) as error:
        raise UsageError(f"cannot read the Parquet file: {error}", where=str(path)) from error


def _read_parquet(path: str | Path, columns: Collection[str] | None) -> pa.Table:
    file = _parquet_file(path)
    names = _chosen(file.schema_arrow.names, columns, path)
    try:
        table = file.read(columns=names).select(names)
    except (OSError, pa.ArrowInvalid) as error:
        raise UsageError(f"cannot read the Parquet file: {error}", where=str(path)) from error
    for position, field in enumerate(table.schema):
        column = table.column(position)
        if pa.types.is_dictionary(field.type):
            column = column.cast(field.type.value_type)
        if pa.types.is_large_string(column.type):
            column = column.cast(pa.string())
        if pa.types.is_string(column.type):
            column = pc.utf8_trim_whitespace(column)
        table = table.set_column(position, field.name.lower(), column)
    return table


@contextmanager
def _fits_table(path: str | Path) -> Iterator[fitsio.hdu.table.TableHDU]:
    """The HDU of the file that holds its rows; errors of the FITS library become UsageError."""
    try:
        # By descriptor: the library takes brackets and signs of a path for instructions.
        descriptor = os.open(path, os.O_RDONLY)
        try:
            with fitsio.FITS(f"/dev/fd/{descriptor}") as file:
                tables = [hdu for hdu in file if isinstance(hdu, fitsio.hdu.table.TableHDU)]
                if not tables:
                    raise UsageError("the FITS file holds no binary table", expected=_EXPECTED, where=str(path))
                of_apogee = [hdu for hdu in tables if str(hdu.read_header().get("INSTRMNT")).strip() == "APOGEE"]
                # The last of those with the most rows: Astra's tables of infrared spectra follow the optical ones.
                yield max(reversed(of_apogee or tables), key=lambda hdu: hdu.get_nrows())
        finally:
            os.close(descriptor)
    except UnicodeDecodeError as error:
        raise UsageError(
            "a text column of the table holds bytes that are not ASCII, which FITS forbids",
            got=repr(error.object[error.start : error.end]),
            remedy="give the table as Parquet",
            where=str(path),
        ) from error
    except LIBRARY_ERRORS as error:
        message = " ".join(str(error).split())
        raise UsageError(
            f"cannot read the table: {message}",
            expected=_EXPECTED,
            remedy="fetch the file again, if it was cut short",
            where=str(path),
        ) from error


def _read_fits(hdu: fitsio.hdu.table.TableHDU, names: Sequence[str]) -> pa.Table:
    rows = hdu.get_nrows()
    # Also of a table without rows one piece is read: it has the types.
    starts = range(0, max(rows, 1), _ROWS_AT_ONCE)
    pieces: list[Mapping[str, pa.Array]] = []
    for start in starts:
        piece = hdu[list(names)][start : min(start + _ROWS_AT_ONCE, rows)] if rows else _no_rows(hdu, names)
        pieces.append({name.lower(): _as_arrow(piece[name]) for name in names})
    return pa.concat_tables([pa.table(piece) for piece in pieces])


def _no_rows(hdu: fitsio.hdu.table.TableHDU, names: Sequence[str]) -> NDArray[np.void]:
    present = hdu.get_colnames()
    dtype = hdu.get_rec_dtype(colnums=[present.index(name) for name in names])[0]
    return np.zeros(0, dtype)


def _as_arrow(values: NDArray) -> pa.Array:
    """A column (n,) or (n, ...) as an Arrow array (n,)."""
    flat = np.ascontiguousarray(values.reshape(-1))
    if flat.dtype.kind in "SU":
        # An empty text has no length of its own in numpy, so that its type must be said.
        column = pc.utf8_trim_whitespace(pa.array(flat.astype(str), pa.string()))
    else:
        column = pa.array(flat.astype(flat.dtype.newbyteorder("="), copy=False))
    if values.ndim == 1:
        return column
    return pa.FixedSizeListArray.from_arrays(column, int(np.prod(values.shape[1:])))
