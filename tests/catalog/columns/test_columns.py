"""The columns of the products: by fingerprint always, and by the reference tables where they are at hand."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from astropy.io import fits

from apnet_fast.catalog.columns import COLUMNS, Column, Form, arrow_schema, boss_columns, product_columns
from apnet_fast.catalog.fits import write_fits
from apnet_fast.spectra.batch import Product
from tests.catalog.samples import CREATED

OWN: dict[Product, list[str]] = {
    "star": ["path", "file_row", "starver", "identity", "reason", "source_match", "flags_from", "v_rad_from"]
}
OWN["visit"] = [*OWN["star"], "in_stack"]
COUNTS: dict[Product, int] = {"star": 191, "visit": 202}
# Of lines "number|name|form|null|unit", forms without the width of texts.
FINGERPRINTS: dict[Product, str] = {
    "star": "d48ac0b6adb0ae5603c5f742991d1b11bdf1de0767087a716e3bd8bea8bc8b2e",
    "visit": "c27e2c6d2798f694dd999dedb6d2c81c0ec812577cac08685336e11f8d9f506e",
}


def names(columns: tuple[Column, ...]) -> list[str]:
    return [column.name for column in columns]


def listing(product: Product) -> str:
    lines = []
    for number, column in enumerate(product_columns(product, "v3", own=False), start=1):
        null = {"A": '""', "B": "0-bytes", "E": "NaN"}.get(column.form, str(column.null))
        form = column.tform() if column.form == "B" else column.form
        lines.append(f"{number}|{column.name}|{form}|{null}|{column.unit}")
    return "\n".join(lines)


@pytest.fixture
def reference() -> Path:
    data = os.environ.get("APNET_FAST_TEST_DATA")
    folder = Path(data).parent / "reference" if data else None
    if folder is None or not folder.is_dir():
        pytest.skip("no reference tables beside APNET_FAST_TEST_DATA")
    return folder


def cards_to_vouch_for(lines: list[str]) -> list[str]:
    """Cards of a table's header without what differs by software, rows and time: numbers, widths, values."""
    # The reference was written without sdss5_target_flags, so that its columns are numbered otherwise.
    kept = []
    for line in lines:
        keyword = line[:8].strip()
        if keyword in {"NAXIS1", "NAXIS2", "TFIELDS", "V_ASTRA", "CREATED", "CHECKSUM", "DATASUM", "END"}:
            kept.append(keyword)
        elif keyword.startswith(("TTYPE", "TFORM")):
            value = re.sub(r"'\d+A ", "'A ", line[10:])
            kept.append(f"{keyword[:5]} {' '.join(value.split())}")
        else:
            kept.append(line.rstrip())
    return kept


def test_columns_are_those_of_the_reference_tables(product: Product, reference: Path) -> None:
    lines = (reference / f"columns_{product}.txt").read_text().splitlines()
    assert listing(product).splitlines() == [re.sub(r"\|\d+A\|", "|A|", line) for line in lines]


def test_header_is_that_of_the_reference_file(product: Product, reference: Path, tmp_path: Path) -> None:
    columns = [c for c in product_columns(product, "v3", own=False) if c.name != "sdss5_target_flags"]
    path = tmp_path / "p.fits"
    write_fits(path, columns, boss_columns("v3"), [], {}, [], CREATED, "v3")
    with fits.open(path) as hdus:
        text = hdus[2].header.tostring(padding=False, endcard=False)
    ours = [text[i : i + 80] for i in range(0, len(text), 80)]
    theirs = (reference / f"header_{product}_hdu2.txt").read_text().splitlines()
    assert cards_to_vouch_for(ours) == cards_to_vouch_for(theirs)
    assert cards_to_vouch_for(ours[:30] + ours[31:]) != cards_to_vouch_for(theirs)


def test_number_and_listing_of_columns_are_the_ones_reviewed(product: Product) -> None:
    assert len(product_columns(product, "v3", own=False)) == COUNTS[product]
    assert hashlib.sha256(listing(product).encode()).hexdigest() == FINGERPRINTS[product]


@pytest.mark.parametrize(
    ("product", "number", "name", "form", "unit"),
    [
        ("star", 1, "sdss_id", "K", ""),
        ("star", 15, "sdss5_target_flags", "B", ""),
        ("star", 75, "zgr_plx", "E", "mas"),
        ("star", 134, "source", "K", ""),
        ("star", 191, "raw_e_fe_h", "E", "dex"),
        ("visit", 134, "spectrum_pk", "K", ""),
        ("visit", 153, "dithered", "L", ""),
        ("visit", 183, "apstar", "A", ""),
        ("visit", 202, "raw_e_fe_h", "E", "dex"),
    ],
)
def test_some_columns_stand_where_the_released_file_has_them(
    product: Product, number: int, name: str, form: Form, unit: str
) -> None:
    column = COLUMNS[product][number - 1]
    assert (column.name, column.form, column.unit) == (name, form, unit)


def test_sources_and_results_are_the_same_in_both_products() -> None:
    assert COLUMNS["star"][:133] == COLUMNS["visit"][:133]
    assert COLUMNS["star"][172:] == COLUMNS["visit"][183:-1]
    assert boss_columns("v3") == (*COLUMNS["star"][:133], *COLUMNS["star"][172:191])


def test_own_columns_come_last_and_only_if_wanted(product: Product) -> None:
    own = OWN[product]
    assert names(COLUMNS[product])[-len(own) :] == own
    assert product_columns(product, "v3", own=False) == COLUMNS[product][: -len(own)]


def test_no_name_comes_twice(product: Product) -> None:
    assert len(set(names(product_columns(product, "v2")))) == len(COLUMNS[product]) + 3


def test_every_column_fits_its_header_card(product: Product) -> None:
    for number, column in enumerate(product_columns(product, "v2"), start=1):
        card = f"{f'TTYPE{number}':8}= '{column.name:8}' / {column.fits_comment}"
        assert column.comment
        assert len(card) <= 80, card


def test_schema_has_the_columns_in_order_and_nulls_in_bits_and_logicals(product: Product) -> None:
    schema = arrow_schema(COLUMNS[product])
    assert schema.names == names(COLUMNS[product])
    assert schema.types == [column.arrow_type for column in COLUMNS[product]]
    assert [field.name for field in schema if field.nullable] == [
        column.name for column in COLUMNS[product] if column.bits or column.form in "BL"
    ]


def test_parquet_file_keeps_descriptions_units_and_ucds(product: Product, tmp_path: Path) -> None:
    path = tmp_path / "product.parquet"
    pq.write_table(arrow_schema(COLUMNS[product]).empty_table(), path)
    schema = pq.read_schema(path)
    for column in COLUMNS[product]:
        metadata = schema.field(column.name).metadata
        assert metadata[b"description"] == column.comment.encode()
        assert metadata[b"unit"] == column.tunit.encode()
        assert metadata[b"ucd"] == column.ucd.encode()
