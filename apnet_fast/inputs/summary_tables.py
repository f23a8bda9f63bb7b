"""Summary tables of the survey (allStar, mwmAllVisit and their like), FITS or Parquet, as Arrow tables."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from apnet_fast.inputs.fits_tables import EXPECTED, fits_table
from apnet_fast.inputs.parquet_tables import parquet_table
from apnet_fast.spectra.failures import ReadFailure
from apnet_fast.spectra.opening import opened
from apnet_fast.support.errors import UsageError

_FITS_MAGIC, _GZIP_MAGIC, _PARQUET_MAGIC = b"SIMPLE  =", b"\x1f\x8b", b"PAR1"


class _Form(Protocol):
    """A table in one of its file formats."""

    rows: int

    @property
    def names(self) -> list[str]:
        """Return the names of the columns as the file has them."""

    @property
    def is_colfits(self) -> bool:
        """Return whether it is a FITS file that holds each column as a vector in one row."""

    def refusal(self, position: int) -> UsageError | None:
        """Return the error of a column that cannot be read, or None."""

    def read(self, positions: Sequence[int]) -> pa.Table:
        """Read columns by their numbers; names in lower case without outer blanks."""


class SummaryTable:
    """An open table file.

    columns: names in lower case without outer blanks, each once, in the order of the file. rows: their number.
    """

    def __init__(self, form: _Form, path: str) -> None:
        self._form, self.path = form, path
        self._positions: dict[str, list[int]] = {}
        for position, name in enumerate(form.names):
            if name.strip():
                self._positions.setdefault(name.strip().lower(), []).append(position)
        self.columns = tuple(self._positions)
        self.rows = form.rows

    def read(self, columns: Collection[str]) -> pa.Table:
        """Read columns by name, in any case and without outer blanks; the order is that of the file.

        Text comes without outer blanks; integers, floats and logicals as they are, with nulls; vectors and matrices as
        flat lists. Raises UsageError for a column that the table lacks, has twice (but for the case) or cannot give.
        """
        wanted = {name.strip().lower() for name in columns}
        if missing := sorted(wanted - set(self.columns)):
            raise missing_columns("the table lacks columns", missing, self.columns, self.path)
        self._check_orientation()
        positions = []
        for name in (name for name in self.columns if name in wanted):
            position, *others = self._positions[name]
            if others:
                raise self._twice([position, *others])
            if (refusal := self._form.refusal(position)) is not None:
                raise refusal
            positions.append(position)
        return self._form.read(positions)

    def read_all(self) -> pa.Table:
        """Read all columns except those that cannot be read as one value or vector of equal length per row."""
        names = [
            name
            for name, (position, *others) in self._positions.items()
            if not others and self._form.refusal(position) is None
        ]
        return self.read(names)

    def _check_orientation(self) -> None:
        if self._form.is_colfits:
            raise UsageError(
                "the FITS file is column-oriented (colfits): one row that holds each column as a vector",
                expected="one row per star or visit",
                remedy="convert it: stilts tpipe in=FILE ofmt=fits-basic out=NEW.fits",
                where=self.path,
            )

    def _twice(self, positions: Sequence[int]) -> UsageError:
        names = [self._form.names[position] for position in positions]
        return UsageError(
            "the table has several columns of one name; case does not count",
            got=" and ".join(names),
            remedy="rename or remove all but one",
            where=self.path,
        )


@contextmanager
def open_table(path: str | Path) -> Iterator[SummaryTable]:
    """Open a table file, FITS or Parquet, whatever its name ends in. Raises UsageError for what is not a table."""
    where = str(path)
    try:
        with opened(where) as file:
            start = file.read(len(_FITS_MAGIC))
            if start.startswith(_PARQUET_MAGIC):
                with parquet_table(where, where) as parquet:
                    yield SummaryTable(parquet, where)
            elif start.startswith((_FITS_MAGIC, _GZIP_MAGIC)):
                with fits_table(file, where) as fits:
                    yield SummaryTable(fits, where)
            else:
                raise UsageError(
                    "not a table", got=f"a file that begins with {start!r}", expected=EXPECTED, where=where
                )
    except ReadFailure as failure:
        raise UsageError(f"cannot read the table: {failure.text}", got=where, expected=EXPECTED) from failure


def read_table(path: str | Path, columns: Collection[str] | None = None) -> pa.Table:
    """Read columns of a table file, see `SummaryTable.read`; None reads all that `SummaryTable.read_all` does."""
    with open_table(path) as table:
        return table.read_all() if columns is None else table.read(columns)


def table_columns(path: str | Path) -> tuple[str, ...]:
    """Return the names of a table's columns, in lower case. Raises UsageError for what is not a table."""
    with open_table(path) as table:
        return table.columns


def missing_columns(what: str, missing: Collection[str], present: Sequence[str], path: str | Path) -> UsageError:
    """Return the error of a table that lacks columns: what it was wanted for, what is missing, and what is there."""
    shown = ", ".join(present[:40]) + (f" and {len(present) - 40} more" if len(present) > 40 else "")
    return UsageError(
        f"{what}: {', '.join(missing)}",
        got=f"columns {shown}",
        remedy="give the summary table as the survey publishes it, or one that keeps these columns",
        where=str(path),
    )
