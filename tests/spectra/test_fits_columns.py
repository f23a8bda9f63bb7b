"""Columns of FITS tables, held to astropy: every form, with TSCAL, TZERO and TNULL together."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table

from apnet_fast.inputs.summary_tables import read_table
from apnet_fast.support.errors import UsageError
from tests.inputs.raw_tables import table_of

RAW = {
    "B": np.array([0, 1, 100, 127, 128, 254, 255], np.uint8),
    "I": np.array([-32768, -9999, -1, 0, 1, 5000, 32767], np.int16),
    "J": np.array([-(2**31), -9999, -1, 0, 1, 123456, 2**31 - 1], np.int32),
    "K": np.array([-(2**63), -9999, -1, 0, 1, 4295806720, 2**63 - 1], np.int64),
    "E": np.array([-1.5, 0, 0.25, 1e30, np.nan, np.inf, 3], np.float32),
    "D": np.array([-1.5, 0, 0.25, 1e300, np.nan, np.inf, 3], np.float64),
}
OFFSETS = {"B": -128, "I": 2**15, "J": 2**31, "K": 2**63}


def ours(path: Path, contents: bytes) -> pa.ChunkedArray:
    path.write_bytes(contents)
    return read_table(path)["x"]


@pytest.mark.parametrize("null", [None, 0, 1, 100, -9999])
@pytest.mark.parametrize(
    ("scale", "zero"),
    [(None, None), (1.0, "offset"), (0.001, None), (2.0, -7.0), (-0.5, 1e3), (1.0, 10.0), (None, 0.25), (1e-20, 1e20)],
)
@pytest.mark.parametrize("form", list(RAW))
def test_numbers_are_those_of_astropy(
    form: str, scale: float | None, zero: float | str | None, null: int | None, tmp_path: Path
) -> None:
    if zero == "offset":
        zero = OFFSETS.get(form, 5)  # type: ignore[assignment]
    cards = [("TSCAL1", scale), ("TZERO1", zero), ("TNULL1", null)]
    if form in "ED":
        cards.pop()  # TNULL is of integers only
    path, raw = tmp_path / "t.fits", RAW[form]
    found = ours(path, table_of(form, raw, [card for card in cards if card[1] is not None])).to_pylist()
    # astropy fails at 64-bit integers with any other offset, if it may make them unsigned.
    with fits.open(path, uint=zero == OFFSETS.get(form)) as file:
        values = [value.item() for value in file[1].data["X"]]
    # astropy compares TNULL with the scaled numbers, which for all but unsigned ones is not what the standard says.
    unsigned = scale == 1.0 and zero == OFFSETS.get(form)
    missing = [form not in "ED" and (r == null or (unsigned and v == null)) for r, v in zip(raw, values, strict=True)]
    assert [value is None for value in found] == missing
    for mine, value in zip(found, values, strict=True):
        if mine is not None:
            np.testing.assert_allclose(float(mine), float(value), rtol=2e-7 if form == "E" else 1e-15)
            if form not in "ED" and (unsigned or (scale, zero) == (None, None)):
                assert (type(mine), mine) == (int, value)


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"])
def test_masked_integers_of_astropy_are_null(kind: str, tmp_path: Path) -> None:
    values = np.array([1, 2, np.iinfo(kind).max], kind)
    path = tmp_path / "t.fits"
    if kind == "i1":  # Table.write takes them for logicals
        fits.BinTableHDU.from_columns([fits.Column("X", "B", bzero=-128, null=2, array=values)]).writeto(path)
    else:
        Table({"X": MaskedColumn(values, mask=[False, True, False])}).write(path)
    assert read_table(path)["x"].to_pylist() == [1, None, np.iinfo(kind).max]


def test_a_short_integer_scaled_by_a_thousandth_is_not_nothing(tmp_path: Path) -> None:
    found = ours(tmp_path / "t.fits", table_of("I", np.array([9000, 10000], np.int16), [("TSCAL1", 0.001)]))
    assert found.to_pylist() == [9.0, 10.0]


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), 5853498713190525696, 2**53 + 1])
def test_integers_of_64_bits_stay_exact_with_an_offset_of_their_own(value: int, tmp_path: Path) -> None:
    raw = np.array([value], np.int64)
    assert ours(tmp_path / "t.fits", table_of("K", raw)).to_pylist() == [value]
    shifted = [("TSCAL1", 1), ("TZERO1", 100)]
    expected = [value + 100] if value + 100 < 2**63 else [float(value) + 100]
    assert ours(tmp_path / "t.fits", table_of("K", raw, shifted)).to_pylist() == expected


def test_unsigned_integers_of_64_bits(tmp_path: Path) -> None:
    values = np.array([0, 1, 2**63, 2**64 - 1], np.uint64)
    path = tmp_path / "t.fits"
    Table({"X": values}).write(path)
    found = read_table(path)["x"]
    assert (found.type, found.to_pylist()) == (pa.uint64(), values.tolist())


@pytest.mark.parametrize(
    ("form", "cards", "data", "expected"),
    [
        ("5A", [], np.array([b"ab", b" c  ", b"", b"d\0e", b"full5"], "S5"), ["ab", "c", "", "d", "full5"]),
        ("40A", [("TDIM1", "(1)")], np.array([b"2M00000000+0000000"], "S40"), ["2M00000000+0000000"]),
        ("6A", [("TDIM1", "(3,2)")], np.array([b"abcde"], "S6"), [["abc", "de"]]),
        ("6A3", [], np.array([b"abcdef"], "S6"), [["abc", "def"]]),
        ("6A", [("TDIM1", "(4,2)")], np.array([b"abcdef"], "S6"), ["abcdef"]),
        ("L", [], np.frombuffer(b"TF\0", "u1"), [True, False, None]),
        ("2L", [], np.frombuffer(b"TF\0T", "u1").reshape(2, 2), [[True, False], [None, True]]),
        ("10X", [], np.array([[0b10100000, 0b01000000]], np.uint8), [[True, False, True] + [False] * 6 + [True]]),
        ("2J", [("TNULL1", 7)], np.array([[7, 8], [9, 7]], np.int32), [[None, 8], [9, None]]),
        ("4E", [("TDIM1", "(2,2)")], np.arange(4, dtype=np.float32).reshape(1, 4), [[0.0, 1.0, 2.0, 3.0]]),
        ("1J", [("TDIM1", "(9)")], np.array([5], np.int32), [5]),
        ("J", [("TNULL1", "none")], np.array([5], np.int32), [5]),
    ],
)
def test_text_logicals_bits_and_vectors(
    form: str, cards: list[tuple[str, object]], data: np.ndarray, expected: list[object], tmp_path: Path
) -> None:
    assert ours(tmp_path / "t.fits", table_of(form, data, cards)).to_pylist() == expected


@pytest.mark.parametrize(("form", "expected"), [("0A", ["", ""]), ("0E", [[], []]), ("0X", [[], []])])
def test_columns_without_bytes(form: str, expected: list[object], tmp_path: Path) -> None:
    contents = table_of("J", np.array([1, 2], np.int32), [("TTYPE2", "Y"), ("TFORM2", form)])
    (tmp_path / "t.fits").write_bytes(
        contents.replace(b"TFIELDS =                    1", b"TFIELDS =                    2")
    )
    assert read_table(tmp_path / "t.fits").to_pydict() == {"x": [1, 2], "y": expected}


@pytest.mark.parametrize(
    ("form", "data", "what"),
    [
        ("C", np.zeros(1, np.complex64), "complex numbers"),
        ("M", np.zeros(1, np.complex128), "complex numbers"),
        ("1PE(3)", np.zeros(1, np.int64), "vectors of different lengths"),
        ("1QA(3)", np.zeros((1, 2), np.int64), "vectors of different lengths"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name_or_left_alone(
    form: str, data: np.ndarray, what: str, tmp_path: Path
) -> None:
    (tmp_path / "t.fits").write_bytes(table_of(form, data))
    assert read_table(tmp_path / "t.fits").column_names == []
    with pytest.raises(UsageError, match=f"the column X holds {what}.*one per row.*leave the column out"):
        read_table(tmp_path / "t.fits", ["x"])


@pytest.mark.parametrize(
    ("form", "texts", "cards", "expected"),
    [
        ("A6", ["ab    ", " c    "], [], ["ab", "c"]),
        ("I6", ["    12", "  -999", "      "], [("TNULL1", "-999")], [12, None, None]),
        ("F6.2", ["  1.25", " -3.5 "], [], [1.25, -3.5]),
        ("E8.2", [" 1.2E+03", " 2.5D-01"], [], [1200.0, 0.25]),
        ("D8.2", [" 1.2D+03", "   **   "], [("TNULL1", "**")], [1200.0, None]),
        ("I4", ["   5", "  10"], [("TSCAL1", 0.5), ("TZERO1", 100.0)], [102.5, 105.0]),
    ],
)
def test_ascii_tables(
    form: str, texts: list[str], cards: list[tuple[str, object]], expected: list[object], tmp_path: Path
) -> None:
    header = fits.Header()
    width = len(texts[0])
    for key, value in [
        ("XTENSION", "TABLE"), ("BITPIX", 8), ("NAXIS", 2), ("NAXIS1", width), ("NAXIS2", len(texts)),
        ("PCOUNT", 0), ("GCOUNT", 1), ("TFIELDS", 1), ("TTYPE1", "X"), ("TFORM1", form), ("TBCOL1", 1), *cards,
    ]:  # fmt: skip
        header[key] = value
    primary = io.BytesIO()
    fits.PrimaryHDU().writeto(primary)
    rows = "".join(texts).encode()
    contents = primary.getvalue() + header.tostring().encode() + rows + b" " * (-len(rows) % 2880)
    assert ours(tmp_path / "t.fits", contents).to_pylist() == expected
