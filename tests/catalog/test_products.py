"""A product on disk: which columns, whichever recipe and network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import fitsio
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from apnet_fast.catalog.columns import product_columns
from apnet_fast.catalog.fits import text_widths
from apnet_fast.catalog.products import write_product
from apnet_fast.catalog.rows import catalogue_rows
from apnet_fast.catalog.sources import SourceTable
from apnet_fast.spectra.batch import Product
from tests.catalog.samples import CREATED, labels, mixed_records, star_record, table, times


def write(
    folder: Path, product: Product, tables: Sequence[pa.Table], network: str = "v3", recipe: str = "dr19"
) -> dict[str, int]:
    widths = text_widths(tables[0])
    return write_product(
        folder,
        "p-0.1",
        product,
        iter(tables),
        widths,
        network=network,
        recipe=recipe,
        cards=[("RECIPE", recipe, "")],
        created=CREATED,
    )


@pytest.mark.parametrize("network", ["v1", "v2", "v3"])
@pytest.mark.parametrize(("recipe", "own"), [("dr19", True), ("bossnet-2", True), ("astra-0.6", False)])
def test_only_the_drop_in_leaves_out_own_columns(
    product: Product, network: str, recipe: str, own: bool, tmp_path: Path
) -> None:
    write(tmp_path, product, [table(product, mixed_records(3))], network, recipe)
    with fitsio.FITS(str(tmp_path / "p-0.1.fits")) as file:
        pipelines = {str(hdu.read_header()["PIPELINE"]).strip() for hdu in file}
        assert pipelines == {"ApogeeNetV2" if network == "v2" else "ApogeeNet"}
        assert file[2].get_colnames() == [column.name for column in product_columns(product, network, own)]
        assert all(("TUCD1" in hdu.read_header()) == own for hdu in file[1:])
    schema = pq.read_schema(tmp_path / "p-0.1.parquet")
    assert schema.names == [column.name for column in product_columns(product, network)]
    assert schema.metadata[b"RECIPE"] == recipe.encode()


def test_numbers_of_columns_are_those_of_the_page_on_products(product: Product, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "products.md").read_text(encoding="utf-8")
    rows = {line.split("|")[1].strip(): line for line in page.splitlines() if line.strip().startswith("| v")}
    for network, names in (("v3", "v3, v1"), ("v2", "v2")):
        write(tmp_path, product, [table(product, mixed_records(1))], network, "astra-0.6")
        with fitsio.FITS(str(tmp_path / "p-0.1.fits")) as file:
            boss, apogee = len(file[1].get_colnames()), len(file[2].get_colnames())
        cells = [cell.strip() for cell in rows[names].split("|")[2:-1]]
        assert (cells[0], cells[1 if product == "star" else 2]) == (str(boss), str(apogee))


def test_rows_are_counted_by_what_the_table_of_sources_knew(tmp_path: Path) -> None:
    records = [star_record(i) for i in range(5)]
    stars = [record.star for record in records[:3]]
    known = {"obj": [star.obj for star in stars], "telescope": ["apo25m", "apo25m", "lco25m"], "g_mag": [9.0] * 3}
    matches = SourceTable(pa.table(known)).match(records)
    rows = catalogue_rows("star", records, labels(5), times(5), matches, network="v3")
    assert write(tmp_path, "star", [rows, rows]) == {"spectrum": 4, "source": 2, "none": 4}


def test_without_a_table_of_sources_nothing_is_counted(tmp_path: Path) -> None:
    assert write(tmp_path, "star", [table("star", [star_record(1)])]) == {}
