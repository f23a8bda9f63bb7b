"""Read columns of FITS tables, plain or packed with gzip."""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from apnet_fast.spectra.fits_columns import FitsColumn, columns_of, decode
from apnet_fast.spectra.fits_hdus import DamagedFits, Hdu, card_integer, scan_hdus, unpacked
from apnet_fast.support.errors import UsageError

# Bytes read at once: memory does not grow with the table, except by what is kept of it.
_BYTES_AT_ONCE = 32 << 20
EXPECTED = "a FITS table (.fits, .fits.gz) or Parquet"


class FitsTable:
    """The table of a FITS file that holds its rows. columns: all of them, in the order of the file."""

    def __init__(self, stream: BinaryIO, hdu: Hdu, where: str) -> None:
        self._stream, self._hdu, self._where = stream, hdu, where
        self._packed = isinstance(stream, gzip.GzipFile)
        self.columns = columns_of(hdu)
        self.rows = hdu.rows

    @property
    def names(self) -> list[str]:
        """Return the names of the columns as the file has them, "" for one without a name."""
        return [column.name for column in self.columns]

    def refusal(self, position: int) -> UsageError | None:
        """Return the error of a column that cannot be read, or None."""
        column = self.columns[position]
        if column.unreadable:
            return _unreadable(column, column.unreadable, self._where)
        return None

    @property
    def is_colfits(self) -> bool:
        """Return whether the file is column-oriented: one row, whose vectors all have the same length.

        Of columns that hold vectors themselves, that is the last axis (TDIM).
        """
        if self.rows != 1 or len(self.columns) < 2:
            return False
        lengths = {self._last_axis(i) for i, column in enumerate(self.columns) if column.name}
        return len(lengths) == 1 and lengths != {1}

    def _last_axis(self, position: int) -> int:
        column = self.columns[position]
        axes = [int(size) for size in re.findall(r"\d+", self._hdu.header.text(f"TDIM{position + 1}"))]
        elements = column.width if column.form == "A" else column.count
        return axes[-1] if axes and prod(axes) == elements else column.count

    def read(self, positions: Sequence[int]) -> pa.Table:
        """Read columns by their numbers. Raises UsageError for text that is not ASCII and a file that is cut."""
        pieces = []
        for rows in self._pieces():
            arrays = [self._decoded(self.columns[i], rows) for i in positions]
            pieces.append(arrays)
        names = [self.columns[i].name.strip().lower() for i in positions]
        chunked = [_joined([piece[i] for piece in pieces]) for i in range(len(positions))]
        return pa.table(chunked, names=names)

    def _decoded(self, column: FitsColumn, rows: np.ndarray) -> pa.Array:
        try:
            return decode(column, rows)
        except (ValueError, pa.ArrowInvalid) as error:
            raise UsageError(
                f"the column {column.name} cannot be read",
                got=str(error),
                expected="ASCII text" if column.form == "A" else f"numbers as {column.form} has them",
                remedy="leave the column out, or give the table as Parquet",
                where=self._where,
            ) from error

    def _pieces(self) -> Iterator[np.ndarray]:
        """Yield the rows, uint8 (n, NAXIS1), some at a time; once without rows for a table that has none."""
        width = card_integer(self._hdu.header, "NAXIS1")
        self._check_size(width)
        self._stream.seek(self._hdu.data_start)
        at_once = max(_BYTES_AT_ONCE // max(width, 1), 1)
        for start in range(0, max(self.rows, 1), at_once):
            wanted = min(at_once, self.rows - start)
            data = self._stream.read(wanted * width)
            if len(data) < wanted * width:
                raise DamagedFits(
                    f"HDU {self._hdu.number} has {self.rows} rows of {width} bytes, and the file ends in row "
                    f"{start + len(data) // max(width, 1)}",
                    cut=True,
                )
            yield np.frombuffer(data, np.uint8).reshape(wanted, width)

    def _check_size(self, width: int) -> None:
        """Raise DamagedFits for sizes that the file cannot have, before anything is allocated for them."""
        end = self._hdu.data_start + self.rows * width
        if not self._packed and end > (size := os.fstat(self._stream.fileno()).st_size):
            raise DamagedFits(f"HDU {self._hdu.number} ends at byte {end}, and the file has {size} bytes", cut=True)
        if width > _BYTES_AT_ONCE or (self.rows and not width):
            raise DamagedFits(f"HDU {self._hdu.number} has {self.rows} rows of {width} bytes")


@contextmanager
def fits_table(file: BinaryIO, where: str) -> Iterator[FitsTable]:
    """Open the table of a FITS file that holds its rows.

    That is the one with INSTRMNT = 'APOGEE' (Astra's files, HDU 2), else the one with the most rows (allStar: HDU 1,
    and not the row of names in HDU 3); of several with as many, the last. Raises UsageError for anything else.
    """
    try:
        stream = unpacked(file)
        hdus = list(scan_hdus(stream))
        tables = [hdu for hdu in hdus if hdu.is_table]
        if any(hdu.is_packed_table for hdu in tables):
            raise UsageError(
                "the table is packed with fpack, which is not read",
                remedy="unpack it with funpack, or with astropy",
                where=where,
            )
        if not tables:
            raise UsageError("the FITS file holds no table", got=_kinds(hdus), expected=EXPECTED, where=where)
        of_apogee = [hdu for hdu in tables if hdu.header.text("INSTRMNT") == "APOGEE"]
        # Astra's tables of infrared spectra follow the optical ones.
        yield FitsTable(stream, max(reversed(of_apogee or tables), key=lambda hdu: hdu.rows), where)
    except (DamagedFits, EOFError, zlib.error, OSError) as error:
        raise _damaged(error, file, where) from error


def _kinds(hdus: Collection[Hdu]) -> str:
    return ", ".join(f"HDU {hdu.number} {hdu.kind or 'primary'}" for hdu in list(hdus)[:10])


def _damaged(error: Exception, file: BinaryIO, where: str) -> UsageError:
    cut = isinstance(error, EOFError) or getattr(error, "cut", False)
    return UsageError(
        f"cannot read the table: {error}",
        got=f"a file of {os.fstat(file.fileno()).st_size} bytes",
        expected=EXPECTED,
        remedy="fetch the file again: it was cut short" if cut else "write the table anew, with astropy or STILTS",
        where=where,
    )


def _unreadable(column: FitsColumn, what: str, where: str) -> UsageError:
    return UsageError(
        f"the column {column.name} holds {what}",
        got=f"TFORM {column.form}",
        expected="text, numbers or logicals, one per row",
        remedy="leave the column out, or give it one value per row",
        where=where,
    )


def _joined(pieces: Sequence[pa.Array]) -> pa.ChunkedArray:
    """Join the pieces of a column; scaled integers may be float64 in one and int64 in another."""
    types = {piece.type for piece in pieces}
    if len(types) > 1:
        pieces = [piece.cast(pa.float64(), safe=False) for piece in pieces]
    return pa.chunked_array(pieces)
