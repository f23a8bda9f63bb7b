"""One column: its null, its types, its cards."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest

from apnet_fast.catalog.columns import Column, Form, product_columns


@pytest.mark.parametrize(("form", "null"), [("A", ""), ("J", -1), ("K", -1), ("L", False)])
def test_null_of_a_type(form: Form, null: object) -> None:
    assert Column("x", form, "", "").null == null
    assert type(Column("x", form, "", "").null) is type(null)


def test_null_of_bits_is_no_bit() -> None:
    assert Column("x", "K", "", "", bits=True).null == 0
    assert Column("x", "B", "", "", length=5).null == bytes(5)


def test_null_of_a_float_is_nan() -> None:
    null = Column("x", "E", "", "").null
    assert isinstance(null, float)
    assert math.isnan(null)


@pytest.mark.parametrize(
    ("form", "arrow", "numpy", "tform"),
    [
        ("A", pa.string(), "S7", "7A"),
        ("B", pa.binary(), "S7", "7B"),
        ("E", pa.float32(), ">f4", "E"),
        ("J", pa.int32(), ">i4", "J"),
        ("K", pa.int64(), ">i8", "K"),
        ("L", pa.bool_(), "S1", "L"),
    ],
)
def test_types_of_a_form(form: Form, arrow: pa.DataType, numpy: str, tform: str) -> None:
    column = Column("x", form, "", "")
    assert column.arrow_type == arrow
    assert np.dtype(column.numpy_type(7)) == np.dtype(numpy)
    assert column.tform(7) == tform


@pytest.mark.parametrize(("length", "width", "tform"), [(1, 0, "1A"), (1, 9, "9A"), (57, 3, "57A"), (57, 60, "60A")])
def test_text_is_at_least_as_wide_as_its_column(length: int, width: int, tform: str) -> None:
    assert Column("x", "A", "", "", length=length).tform(width) == tform


@pytest.mark.parametrize(
    ("unit", "tunit"),
    [("km/s", "km/s"), ("log10(cm/s^2)", "dex(cm.s**-2)"), ("Vega nMgy", "nMgy"), ("Vega", "mag"), ("", "")],
)
def test_units_are_spelt_as_astropy_reads_them(unit: str, tunit: str) -> None:
    assert Column("x", "E", "", "", unit).tunit == tunit
    assert Column("x", "E", "", "", unit, true_unit="d").tunit == "d"


def test_units_of_all_columns_are_astropys() -> None:
    units = pytest.importorskip("astropy.units")
    for column in (*product_columns("star", "v2"), *product_columns("visit", "v2")):
        if column.tunit and column.tunit != "nMgy":  # there is no unit of fluxes relative to Vega
            units.Unit(column.tunit)


def test_fits_comment_ends_in_the_unit_unless_the_column_says_otherwise() -> None:
    assert Column("x", "E", "Speed", "", "km/s").fits_comment == "Speed [km/s]"
    assert Column("x", "E", "Speed", "").fits_comment == "Speed"
    assert Column("x", "E", "Speed", "", "km/s", card="Speed[km/s]").fits_comment == "Speed[km/s]"
