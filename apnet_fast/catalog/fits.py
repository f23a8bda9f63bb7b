"""Write the FITS form of a product in a stream: HDU 0 cards, HDU 1 BOSS (no rows), HDU 2 APOGEE.

Layout, order of cards and comments are those of Astra 0.6.0's files. The bytes are written here and not by a
library, because none lets one place the cards of groups between those of columns, and for speed: a row of 200
columns, most of them null, is a copy of one row of nulls into which only the known columns are set.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from apnet_fast._version import __version__
from apnet_fast.catalog.cards import Card, comment_card, header_blocks, title_cards, value_card
from apnet_fast.catalog.checksum import OnesComplementSum, checksum_of
from apnet_fast.catalog.columns import Column
from apnet_fast.catalog.text import fixed_width
from apnet_fast.spectra.extension import BLOCK

__all__ = ["Card", "fits_bytes", "fits_time", "text_widths", "write_fits"]

_DESCRIPTIONS = ("HDU 0: Summary information only", "HDU 1: BOSS spectra", "HDU 2: APOGEE spectra")
# Name of the Astra pipeline that runs the network; Astra 0.6 has none for v1 any more.
_PIPELINES = {"v3": "ApogeeNet", "v2": "ApogeeNetV2", "v1": "ApogeeNet"}
# Rows that stay in a processor's cache while their columns are set.
_ROWS_AT_ONCE = 1024


def text_widths(table: pa.Table) -> dict[str, int]:
    """Return the length in bytes of the longest value of each column of text or bytes."""
    return {
        field.name: pc.max(pc.binary_length(table[field.name])).as_py() or 0
        for field in table.schema
        if pa.types.is_string(field.type) or pa.types.is_binary(field.type)
    }


def write_fits(
    path: Path,
    columns: Sequence[Column],
    boss: Sequence[Column],
    tables: Iterable[pa.Table],
    widths: Mapping[str, int],
    cards: Sequence[Card],
    created: datetime,
    network: str,
    *,
    described: bool = False,
) -> None:
    """Write a product, one table of rows at a time, so that memory does not grow with their number.

    Parameters
    ----------
    path: of the file, which is overwritten.
    columns, boss: columns of HDU 2 and of HDU 1, which has no rows.
    tables: rows in order; a column that a table lacks is null. Each table may have further columns.
    widths: longest text of each text column over all tables, from `text_widths`.
    cards: provenance, for HDU 0.
    network: version of the network, for the card PIPELINE.
    described: whether columns have TUNIT, TCOMM and TUCD cards, which the released files lack.
    """
    origin = _origin_cards(_PIPELINES[network], created)
    with open(path, "wb") as file:
        file.write(_checked_header(_primary_cards(cards, origin), 0, created))
        file.write(_checked_header(_table_cards("BOSS", boss, {}, 0, origin, described), 0, created))
        start = file.tell()
        # The number of rows and the checksums are known at the end; no card changes its length then.
        file.write(_checked_header(_table_cards("APOGEE", columns, widths, 0, origin, described), 0, created))
        rows, datasum = _write_rows(file, tables, columns, widths)
        file.seek(start)
        file.write(_checked_header(_table_cards("APOGEE", columns, widths, rows, origin, described), datasum, created))


def fits_bytes(
    columns: Sequence[Column],
    boss: Sequence[Column],
    rows: int,
    widths: Mapping[str, int],
    cards: Sequence[Card],
    created: datetime,
    network: str,
    *,
    described: bool = False,
) -> int:
    """Return the size of the file that `write_fits` writes of that number of rows; its other arguments are the same."""
    origin = _origin_cards(_PIPELINES[network], created)
    headers = (
        _primary_cards(cards, origin),
        _table_cards("BOSS", boss, {}, 0, origin, described),
        _table_cards("APOGEE", columns, widths, rows, origin, described),
    )
    size = sum(len(_checked_header(lines, 0, created)) for lines in headers)
    return size + -(-rows * _row_type(columns, widths).itemsize // BLOCK) * BLOCK


def fits_time(created: datetime) -> str:
    """Return a time in the form of Astra's CREATED card."""
    return created.strftime("%y-%m-%d %H:%M:%S")


def _primary_cards(cards: Sequence[Card], origin: Sequence[str]) -> list[str]:
    lines = [
        *value_card("SIMPLE", True, "conforms to FITS standard"),
        *value_card("BITPIX", 8, "array data type"),
        *value_card("NAXIS", 0, "number of array dimensions"),
        *value_card("EXTEND", True),
        *title_cards("Metadata"),
        *origin,
        *title_cards("Provenance (apnet_fast)"),
    ]
    provenance = [line for card in cards for line in value_card(*card)]
    if any(line.startswith("CONTINUE") for line in provenance):
        lines += value_card("LONGSTRN", "OGIP 1.0", "long texts go on in CONTINUE cards")
    return [*lines, *provenance, *title_cards("HDU Descriptions"), *(comment_card(text) for text in _DESCRIPTIONS)]


def _table_cards(
    instrument: str,
    columns: Sequence[Column],
    widths: Mapping[str, int],
    rows: int,
    origin: Sequence[str],
    described: bool,
) -> list[str]:
    lines = [
        *value_card("XTENSION", "BINTABLE", "binary table extension"),
        *value_card("BITPIX", 8, "array data type"),
        *value_card("NAXIS", 2, "number of array dimensions"),
        *value_card("NAXIS1", _row_type(columns, widths).itemsize, "length of dimension 1"),
        *value_card("NAXIS2", rows, "length of dimension 2"),
        *value_card("PCOUNT", 0, "number of group parameters"),
        *value_card("GCOUNT", 1, "number of groups"),
        *value_card("TFIELDS", len(columns), "number of table fields"),
        *title_cards("Metadata"),
        *value_card("INSTRMNT", instrument, "Instrument"),
        *origin,
    ]
    category = ""
    for number, column in enumerate(columns, start=1):
        if column.category != category:
            category = column.category
            lines += title_cards(category)
        width = widths.get(column.name, 0)
        lines += value_card(f"TTYPE{number}", column.name, column.fits_comment)
        lines += value_card(f"TFORM{number}", column.tform(width))
        if column.form == "B":
            lines += value_card(f"TDIM{number}", f"({max(width, column.length)})")
        if described:
            lines += _description_cards(number, column)
        if column.note:
            lines.append(comment_card(column.note))
    return lines


def _description_cards(number: int, column: Column) -> list[str]:
    unit = value_card(f"TUNIT{number}", column.tunit) if column.tunit else []
    return [*unit, *value_card(f"TCOMM{number}", column.comment), *value_card(f"TUCD{number}", column.ucd)]


def _origin_cards(pipeline: str, created: datetime) -> list[str]:
    return [
        *value_card("PIPELINE", pipeline, "Pipeline name"),
        # Programs ask for the card; the version of a pipeline that has not run would be a lie.
        *value_card("V_ASTRA", "", f"Astra version (none: by apnet_fast {__version__})"),
        *value_card("CREATED", fits_time(created), "File creation time (UTC %y-%m-%d %H:%M:%S)"),
    ]


def _checked_header(cards: Sequence[str], datasum: int, created: datetime) -> bytes:
    """Return the blocks of a header, with its checksum and that of the data, whose sum is known."""
    when = created.strftime("%Y-%m-%dT%H:%M:%S")

    def blocks(checksum: str) -> bytes:
        return header_blocks(
            [
                *cards,
                *title_cards("DATA INTEGRITY"),
                *value_card("CHECKSUM", checksum, f"HDU checksum updated {when}"),
                *value_card("DATASUM", str(datasum), f"data unit checksum updated {when}"),
            ]
        )

    return blocks(checksum_of(blocks("0" * 16), datasum))


def _row_type(columns: Sequence[Column], widths: Mapping[str, int]) -> np.dtype:
    return np.dtype([(column.name, column.numpy_type(widths.get(column.name, 0))) for column in columns])


def _write_rows(
    file: BinaryIO, tables: Iterable[pa.Table], columns: Sequence[Column], widths: Mapping[str, int]
) -> tuple[int, int]:
    """Write the data of a table HDU, to the end of its last block. Return the number of rows and their sum."""
    dtype = _row_type(columns, widths)
    empty = _null_row(columns, dtype)
    rows, datasum = 0, OnesComplementSum()
    for table in tables:
        for piece in _pieces(table, columns, dtype, empty):
            file.write(piece)
            datasum.update(piece)
        rows += table.num_rows
        del table
    file.write(bytes(-rows * dtype.itemsize % BLOCK))
    return rows, datasum.value


def _null_row(columns: Sequence[Column], dtype: np.dtype) -> NDArray[np.uint8]:
    row = np.zeros(1, dtype)
    for column in columns:
        row[column.name] = b"F" if column.form == "L" else column.null
    return row.view(np.uint8)


def _pieces(
    table: pa.Table, columns: Sequence[Column], dtype: np.dtype, empty: NDArray[np.uint8]
) -> Iterator[memoryview]:
    """Yield the bytes of a table, a few rows at a time."""
    known = {
        column.name: _values(table[column.name], column, dtype[column.name])
        for column in columns
        if column.name in table.column_names
    }
    for start in range(0, table.num_rows, _ROWS_AT_ONCE):
        piece = np.empty((min(_ROWS_AT_ONCE, table.num_rows - start), dtype.itemsize), np.uint8)
        piece[:] = empty
        rows = piece.reshape(-1).view(dtype)
        for name, values in known.items():
            rows[name] = values[start : start + len(piece)]
        yield piece.data.cast("B")


def _values(values: pa.ChunkedArray, column: Column, dtype: np.dtype) -> NDArray:
    """Return values of a column in the form of its field in a row; bits and logicals that are null as 0 and F."""
    if column.nullable:
        values = values.fill_null(column.null)
    if column.form == "L":
        return np.where(values.to_numpy(), np.uint8(ord("T")), np.uint8(ord("F"))).view("S1")
    if not column.has_width:
        return values.to_numpy()
    if column.form == "B":
        return np.frombuffer(b"".join(value.ljust(dtype.itemsize, b"\0") for value in values.to_pylist()), dtype)
    return fixed_width(_ascii(values), dtype.itemsize)


def _ascii(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Replace every character beyond ASCII, which FITS does not know, by a question mark."""
    if pc.all(pc.string_is_ascii(texts), min_count=0).as_py():
        return texts
    return pc.replace_substring_regex(texts, pattern=r"[^\x00-\x7F]", replacement="?")
