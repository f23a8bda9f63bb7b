"""astropy finds descriptions, units and widths of texts in our Parquet files."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from apnet_fast.catalog.columns import COLUMNS
from apnet_fast.catalog.fits import text_widths
from apnet_fast.catalog.parquet_metadata import astropy_metadata, is_astropys
from apnet_fast.catalog.products import write_product
from apnet_fast.spectra.batch import Product
from tests.catalog.samples import CREATED, mixed_records, table

pytest.importorskip("pandas")  # astropy reads Parquet with it
Table = pytest.importorskip("astropy.table").Table


def test_astropy_reads_units_and_descriptions(product: Product, tmp_path: Path) -> None:
    rows = table(product, mixed_records(9))
    write_product(
        tmp_path, "p", product, [rows], text_widths(rows), network="v3", recipe="dr19", cards=[], created=CREATED
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # for one, of texts whose width is not known
        found = Table.read(tmp_path / "p.parquet")
    assert found.colnames == [column.name for column in COLUMNS[product]]
    for column in COLUMNS[product]:
        assert found[column.name].description == column.comment
        assert found[column.name].meta["ucd"] == column.ucd
        unit = found[column.name].unit
        assert (unit is not None) == bool(column.tunit), column.name
    assert str(found["logg"].unit) == "dex(cm / s2)"
    assert str(found["fe_h"].unit) == "dex"
    assert found["mjd" if product == "visit" else "max_mjd"].unit == "d"
    assert found["obj"].tolist() == rows["obj"].to_pylist()
    assert found["path"].dtype.itemsize == 4 * max(map(len, rows["path"].to_pylist()))


def test_keys_are_no_cards() -> None:
    metadata = astropy_metadata(COLUMNS["star"], {"path": 40})
    assert all(is_astropys(key) for key in metadata)
    assert metadata["table::len::path"] == "40"
    assert metadata["table::len::sdss5_target_flags"] == "57"
    assert not is_astropys("RECIPE")
