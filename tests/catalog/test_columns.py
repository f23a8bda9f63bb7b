"""The columns of the products, held to the tables of Astra 0.6.0 written out in `astra_tables`."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from apnet_fast.catalog.columns import COLUMNS, Column, Form, arrow_schema
from apnet_fast.spectra.batch import Product
from tests.catalog.astra_tables import RESULTS, SOURCES, UNITS

OWN = ["path", "file_row", "starver", "identity", "reason"]


def names(columns: tuple[Column, ...]) -> list[str]:
    return [column.name for column in columns]


def results_of(product: Product) -> list[Column]:
    first, last = (names(COLUMNS[product]).index(name) for name in ("task_pk", "raw_e_fe_h"))
    return list(COLUMNS[product][first : last + 1])


def sources_of(product: Product) -> list[Column]:
    return list(COLUMNS[product][: names(COLUMNS[product]).index("task_pk")])


def test_results_have_astras_names_order_and_types(product: Product) -> None:
    assert [(column.name, column.form) for column in results_of(product)] == RESULTS


def test_identity_columns_are_among_astras_in_their_order(product: Product) -> None:
    ours = [(column.name, column.form) for column in sources_of(product)]
    assert ours == [entry for entry in SOURCES[product] if entry in ours]


@pytest.mark.parametrize(
    ("product", "needed"),
    [
        ("star", "release apred telescope field healpix obj prefix n_visits snr ra dec"),
        ("visit", "release apred telescope field healpix obj prefix plate mjd fiber reduction snr ra dec"),
    ],
)
def test_identity_columns_tell_who_a_spectrum_is(product: Product, needed: str) -> None:
    assert set(needed.split()) <= {column.name for column in sources_of(product)}


def test_own_columns_come_last_and_take_no_name_of_astra(product: Product) -> None:
    assert names(COLUMNS[product])[-len(OWN) :] == OWN
    assert not {name for name, _ in SOURCES[product] + RESULTS} & set(OWN)


def test_no_name_comes_twice(product: Product) -> None:
    assert len(set(names(COLUMNS[product]))) == len(COLUMNS[product])


def test_units_are_those_of_astra(product: Product) -> None:
    units = {column.name: column.unit for column in COLUMNS[product] if column.unit}
    assert units == UNITS


@pytest.mark.parametrize(("form", "null"), [("A", ""), ("J", -1), ("K", -1), ("L", False)])
def test_null_of_a_type(form: Form, null: object) -> None:
    assert Column("x", form, "", "").null == null
    assert type(Column("x", form, "", "").null) is type(null)


@pytest.mark.parametrize("form", ["E", "D"])
def test_null_of_a_float_is_nan(form: Form) -> None:
    null = Column("x", form, "", "").null
    assert isinstance(null, float)
    assert math.isnan(null)


@pytest.mark.parametrize(
    ("form", "arrow", "numpy"),
    [
        ("A", pa.string(), "S7"),
        ("E", pa.float32(), "f4"),
        ("D", pa.float64(), "f8"),
        ("J", pa.int32(), "i4"),
        ("K", pa.int64(), "i8"),
        ("L", pa.bool_(), "?"),
    ],
)
def test_types_of_a_form(form: Form, arrow: pa.DataType, numpy: str) -> None:
    column = Column("x", form, "", "")
    assert column.arrow_type == arrow
    assert np.dtype(column.numpy_type(7)) == np.dtype(numpy)


def test_text_without_characters_is_one_byte_wide() -> None:
    assert Column("x", "A", "", "").numpy_type(0) == "S1"


def test_fits_comment_ends_in_the_unit() -> None:
    assert Column("x", "E", "Speed", "", "km/s").fits_comment == "Speed [km/s]"


def test_fits_comment_without_a_unit_is_the_comment() -> None:
    assert Column("x", "E", "Speed", "").fits_comment == "Speed"


def test_every_column_fits_its_header_card(product: Product) -> None:
    for number, column in enumerate(COLUMNS[product], start=1):
        card = f"{f'TTYPE{number}':8}= '{column.name:8}' / {column.fits_comment}"
        assert column.comment
        assert len(card) <= 80, card


def test_schema_has_the_columns_in_order_and_no_nulls(product: Product) -> None:
    schema = arrow_schema(product)
    assert schema.names == names(COLUMNS[product])
    assert schema.types == [column.arrow_type for column in COLUMNS[product]]
    assert not any(field.nullable for field in schema)


def test_parquet_file_keeps_descriptions_and_units(product: Product, tmp_path: Path) -> None:
    path = tmp_path / "product.parquet"
    pq.write_table(arrow_schema(product).empty_table(), path)
    schema = pq.read_schema(path)
    for column in COLUMNS[product]:
        metadata = schema.field(column.name).metadata
        assert metadata[b"description"] == column.comment.encode()
        assert metadata[b"unit"] == column.unit.encode()
