"""Write a product: the FITS file and the Parquet file of the same rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from apnet_fast.catalog.cards import Card
from apnet_fast.catalog.columns import Column, arrow_schema, boss_columns, product_columns
from apnet_fast.catalog.fits import fits_bytes, fits_time, write_fits
from apnet_fast.catalog.parquet_metadata import astropy_metadata
from apnet_fast.catalog.rows import with_nulls
from apnet_fast.spectra.batch import Product
from apnet_fast.support.files import written_whole

# FITS files of this recipe replace the released ones, so they have no column and no card of columns more.
_DROP_IN_RECIPE = "astra-0.6"


def write_product(
    folder: Path,
    name: str,
    product: Product,
    tables: Iterable[pa.Table],
    widths: Mapping[str, int],
    *,
    network: str,
    recipe: str,
    cards: Sequence[Card],
    created: datetime,
    medians: bool = False,
) -> dict[str, int]:
    """Write `name`.fits and `name`.parquet; each appears complete or not at all.

    Parameters
    ----------
    tables: rows in order, a table at a time, from `catalogue_rows`; one pass over them feeds both files.
    widths: longest text of each text column, from `text_widths`.
    network, recipe, medians: they decide which columns there are; medians as in `product_columns`.
    cards: provenance, for HDU 0 and the metadata of the Parquet file.

    Returns
    -------
    Numbers of rows by `source_match`; none without a table of sources.
    """
    drop_in = recipe == _DROP_IN_RECIPE
    columns = _columns_of(product, network, recipe, medians)
    every = product_columns(product, network, medians=medians)
    metadata = {"CREATED": fits_time(created)} | {keyword: str(value) for keyword, value, _ in cards}
    metadata |= astropy_metadata(every, widths)
    matches: Counter[str] = Counter()
    with (
        written_whole(folder / f"{name}.fits") as fits,
        written_whole(folder / f"{name}.parquet") as parquet,
        pq.ParquetWriter(parquet, arrow_schema(every).with_metadata(metadata), compression="zstd") as writer,
    ):

        def also_to_parquet() -> Iterator[pa.Table]:
            for table in tables:
                writer.write_table(with_nulls(table, every).cast(writer.schema))
                if "source_match" in table.column_names:
                    counted = table["source_match"].value_counts().to_pylist()
                    matches.update({entry["values"]: entry["counts"] for entry in counted})
                yield table
                del table

        boss = boss_columns(network, medians)
        write_fits(fits, columns, boss, also_to_parquet(), widths, cards, created, network, described=not drop_in)
    return dict(matches)


def product_bytes(
    product: Product,
    rows: int,
    widths: Mapping[str, int],
    *,
    network: str,
    recipe: str,
    cards: Sequence[Card],
    created: datetime,
    medians: bool = False,
) -> int:
    """Return the size of the FITS file of a product with that number of rows; arguments as in `write_product`."""
    columns, boss = _columns_of(product, network, recipe, medians), boss_columns(network, medians)
    return fits_bytes(columns, boss, rows, widths, cards, created, network, described=recipe != _DROP_IN_RECIPE)


def _columns_of(product: Product, network: str, recipe: str, medians: bool) -> Sequence[Column]:
    """Return the columns of the FITS file."""
    return product_columns(product, network, own=recipe != _DROP_IN_RECIPE, medians=medians)
