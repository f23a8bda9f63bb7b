"""Decode columns of FITS tables as Arrow arrays: scaling, unsigned integers, nulls, text, bits and vectors.

Definition: FITS standard 4.0, sections 7.2 (ASCII tables) and 7.3 (binary tables). Values are computed here, because
the FITS library scales integer columns wrongly and ignores TNULLn.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from apnet_fast.spectra.extension import form_bytes
from apnet_fast.spectra.fits_hdus import DamagedFits, Hdu, card_integer
from apnet_fast.spectra.header import PrimaryHeader

_BINARY_FORM = re.compile(r"(\d*)([LXBIJKAEDCMPQ])(.*)")
_ASCII_FORM = re.compile(r"([AIFED])(\d+)(?:\.\d+)?")
_DIMENSIONS = re.compile(r"\(\s*\d+(?:\s*,\s*\d+)*\s*\)")
_NUMPY = {
    "L": "u1", "B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8", "C": ">c8", "M": ">c16",
}  # fmt: skip
# TZERO of integers of the other signedness (section 5.2.5), and their type.
_OFFSETS = {
    "B": (-(2**7), np.int8), "I": (2**15, np.uint16), "J": (2**31, np.uint32), "K": (2**63, np.uint64),
}  # fmt: skip
_COMPLEX, _VARIABLE = "complex numbers", "vectors of different lengths"
_UNREADABLE = {"C": _COMPLEX, "M": _COMPLEX, "P": _VARIABLE, "Q": _VARIABLE}


@dataclass(frozen=True)
class FitsColumn:
    """One column of a table.

    form: letter of TFORM. offset, width: its bytes in a row. count: elements of a row's value; strings of text, numbers
    else. null: TNULL as the card has it, "" if there is none.
    """

    name: str
    form: str
    offset: int
    width: int
    count: int
    scale: int | float
    zero: int | float
    null: str
    ascii_table: bool = False

    @property
    def unreadable(self) -> str:
        """Return what the column holds, if that cannot be read here; else ""."""
        return _UNREADABLE.get(self.form, "")

    @property
    def is_vector(self) -> bool:
        """Return whether a row's value has any other number of elements than one."""
        return self.count != 1


def columns_of(hdu: Hdu) -> list[FitsColumn]:
    """Return the columns of a table HDU. Raises DamagedFits if the cards describe no table."""
    header, number = hdu.header, card_integer(hdu.header, "TFIELDS")
    if not 0 <= number <= 999:
        raise DamagedFits(f"HDU {hdu.number} has {number} columns (TFIELDS)")
    make = _ascii_column if hdu.kind == "TABLE" else _binary_column
    columns: list[FitsColumn] = []
    for n in range(1, number + 1):
        columns.append(make(header, n, sum(column.width for column in columns)))
    end = max((column.offset + column.width for column in columns), default=0)
    row_bytes = card_integer(header, "NAXIS1")
    if end > row_bytes or (hdu.kind != "TABLE" and end != row_bytes):
        raise DamagedFits(f"the columns of HDU {hdu.number} take {end} bytes of a row that has {row_bytes} (NAXIS1)")
    return columns


def decode(column: FitsColumn, rows: NDArray[np.uint8]) -> pa.Array:
    """Return a column of rows, uint8 (n, NAXIS1), as an Arrow array (n,).

    Text without outer blanks; integers exact, with TZERO as unsigned or signed ones; scaled numbers float64; null where
    a number equals TNULL or a logical is neither T nor F. Vectors and bits are fixed-size lists. Raises ValueError for
    text that is not ASCII.
    """
    field = np.ascontiguousarray(rows[:, column.offset : column.offset + column.width])
    if column.ascii_table:
        return _decode_ascii(column, field)
    if column.form == "A":
        values = _texts(field.reshape(len(field) * column.count, column.width // column.count))
    elif column.form == "X":
        bits = np.unpackbits(field, axis=1)[:, : column.count]
        values = pa.array(bits.reshape(-1).astype(bool))
    elif column.form == "L":
        flat = field.reshape(-1)
        values = pa.array(flat == ord("T"), mask=(flat != ord("T")) & (flat != ord("F")))
    else:
        values = _numbers(column, field.reshape(-1).view(_NUMPY[column.form]))
    if not column.is_vector and column.form != "X":
        return values
    return pa.FixedSizeListArray.from_arrays(values, column.count) if column.count else _empty_lists(values, len(rows))


def _binary_column(header: PrimaryHeader, n: int, offset: int) -> FitsColumn:
    text = header.text(f"TFORM{n}")
    match = _BINARY_FORM.fullmatch(text)
    if match is None:
        raise DamagedFits(f"TFORM{n} is {text!r}")
    repeat, form = int(match[1] or 1), match[2]
    width = form_bytes(form, repeat)
    count = repeat
    if form == "A":
        count = _strings(repeat, match[3], header.text(f"TDIM{n}"))
    return FitsColumn(
        header.text(f"TTYPE{n}"), form, offset, width, count,
        _factor(header, f"TSCAL{n}", 1), _factor(header, f"TZERO{n}", 0), header.text(f"TNULL{n}"),
    )  # fmt: skip


def _strings(characters: int, convention: str, dimensions: str) -> int:
    """Return the number of strings in a text value: by TDIM or the older rAw, if they divide the characters at all.

    A TDIM of another size says nothing; CasJobs writes '(1)' for every column.
    """
    if _DIMENSIONS.fullmatch(dimensions):
        sizes = [int(size) for size in dimensions.strip("()").split(",")]
        if prod(sizes) == characters and characters:
            return characters // sizes[0]
    elif convention.strip().isdigit() and 0 < int(convention) < characters and characters % int(convention) == 0:
        return characters // int(convention)
    return 1


def _ascii_column(header: PrimaryHeader, n: int, _: int) -> FitsColumn:
    text = header.text(f"TFORM{n}")
    match = _ASCII_FORM.fullmatch(text)
    start = card_integer(header, f"TBCOL{n}")
    if match is None or start < 1:
        raise DamagedFits(f"TFORM{n} is {text!r} and TBCOL{n} is {start}")
    return FitsColumn(
        header.text(f"TTYPE{n}"), match[1], start - 1, int(match[2]), 1,
        _factor(header, f"TSCAL{n}", 1), _factor(header, f"TZERO{n}", 0), header.text(f"TNULL{n}"), ascii_table=True,
    )  # fmt: skip


def _factor(header: PrimaryHeader, key: str, default: int) -> int | float:
    """Return a number card; an integer exactly, of any size."""
    text = header.text(key)
    if text.removeprefix("-").isdigit():
        return int(text)
    value = header.number(key)
    return default if np.isnan(value) else value


def _texts(characters: NDArray[np.uint8]) -> pa.Array:
    """Return text (n, width) without outer blanks; a NUL ends it."""
    if characters.size and characters.max() > 127:
        row = characters[(characters > 127).any(axis=1)][0]
        raise ValueError(repr(row.tobytes()))
    width = characters.shape[1] if characters.ndim == 2 else 0
    if not width or not len(characters):
        return pa.array([""] * len(characters), pa.string())
    ended = np.logical_or.accumulate(characters == 0, axis=1)
    texts = np.where(ended, 0, characters).astype(np.uint8).view(f"S{width}").reshape(-1)
    return pc.utf8_trim_whitespace(pa.array(texts.astype(str), pa.string()))


def _numbers(column: FitsColumn, raw: NDArray) -> pa.Array:
    native = raw.astype(raw.dtype.newbyteorder("="))
    if native.dtype.kind != "i" and column.form != "B":
        if (column.scale, column.zero) == (1, 0):
            return pa.array(native)
        return pa.array(native.astype(np.float64) * column.scale + column.zero)
    values, missing = _scaled_integers(column, native), _is_null(column.null, native)
    if missing is not None and _is_of_other_sign(column):
        # By the standard, TNULL is the number as stored; astropy writes the number that is meant.
        missing |= values == int(column.null)
    return pa.array(values, mask=missing)


def _is_null(null: str, raw: NDArray) -> NDArray[np.bool_] | None:
    """Return a mask of the stored numbers that equal TNULL; None if the card names none."""
    try:
        value = int(null)
    except ValueError:
        return None
    limits = np.iinfo(raw.dtype)
    return raw == value if limits.min <= value <= limits.max else np.zeros(raw.shape, bool)


def _is_of_other_sign(column: FitsColumn) -> bool:
    """Return whether TZERO makes the integers unsigned, or bytes signed."""
    return column.scale == 1 and column.form in _OFFSETS and column.zero == _OFFSETS[column.form][0]


def _scaled_integers(column: FitsColumn, raw: NDArray) -> NDArray:
    """Return raw * TSCAL + TZERO: integers as long as that is exact, else float64."""
    if column.scale != 1 or column.zero != int(column.zero):
        return raw.astype(np.float64) * column.scale + column.zero
    zero = int(column.zero)
    if zero == 0:
        return raw
    if _is_of_other_sign(column):
        kind = _OFFSETS[column.form][1]
        unsigned = raw.view(f"u{raw.dtype.itemsize}")
        return (unsigned ^ np.array(1 << (8 * raw.dtype.itemsize - 1), unsigned.dtype)).view(kind)
    least, most = (int(raw.min()) + zero, int(raw.max()) + zero) if len(raw) else (0, 0)
    if least >= -(2**63) and most < 2**63 and abs(zero) < 2**63:
        return raw.astype(np.int64) + zero
    return raw.astype(np.float64) + column.zero


def _decode_ascii(column: FitsColumn, field: NDArray[np.uint8]) -> pa.Array:
    texts = _texts(field)
    if column.form == "A":
        return texts
    missing = pc.equal(texts, "")
    if column.null:
        missing = pc.or_(missing, pc.equal(texts, column.null.strip()))
    known = pc.if_else(missing, pa.scalar(None, pa.string()), texts)
    if column.form == "I":
        values = known.cast(pa.int64())
        if (column.scale, column.zero) == (1, 0):
            return values
    else:
        values = pc.replace_substring_regex(known, "[Dd]", "E").cast(pa.float64())
        if (column.scale, column.zero) == (1, 0):
            return values
    return pc.add(pc.multiply(values.cast(pa.float64(), safe=False), column.scale), column.zero)


def _empty_lists(values: pa.Array, rows: int) -> pa.Array:
    return pa.array([[]] * rows, pa.list_(values.type))
