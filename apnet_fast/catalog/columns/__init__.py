"""The columns of the two products, in order.

Names, order, types and comments are those of Astra 0.6.0's `astraAllStarApogeeNet` and `astraAllVisitApogeeNet`;
after them may stand the columns of this package's own provenance.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from apnet_fast.catalog.columns.column import Column, Form
from apnet_fast.catalog.columns.results import (
    OWN_COLUMNS,
    OWN_VISIT_COLUMNS,
    RESULT_COLUMNS,
    RESULT_COLUMNS_WITH_MEDIANS,
)
from apnet_fast.catalog.columns.source import SOURCE_COLUMNS
from apnet_fast.catalog.columns.star import STAR_SPECTRUM_COLUMNS
from apnet_fast.catalog.columns.visit import VISIT_SPECTRUM_COLUMNS
from apnet_fast.recipes.versions import network_version
from apnet_fast.spectra.batch import Product

__all__ = [
    "COLUMNS",
    "SPECTRUM_COLUMNS",
    "Column",
    "Form",
    "arrow_schema",
    "boss_columns",
    "own_columns",
    "product_columns",
]

SPECTRUM_COLUMNS: dict[Product, tuple[Column, ...]] = {"star": STAR_SPECTRUM_COLUMNS, "visit": VISIT_SPECTRUM_COLUMNS}
"""Columns of the spectrum itself: they follow those of the source and precede those of the results."""


def product_columns(product: Product, network: str, own: bool = True, medians: bool = False) -> tuple[Column, ...]:
    """Return all columns of a product of a network, with or without this package's own.

    medians: whether the medians of the draws are wanted; v2 always has them.
    """
    return _columns(product, result_columns(network, medians), own_columns(product) if own else ())


def own_columns(product: Product) -> tuple[Column, ...]:
    """Return this package's own columns, which stand behind Astra's."""
    return (*OWN_COLUMNS, *OWN_VISIT_COLUMNS) if product == "visit" else OWN_COLUMNS


def _columns(product: Product, results: Sequence[Column], own: Sequence[Column]) -> tuple[Column, ...]:
    return (*SOURCE_COLUMNS, *SPECTRUM_COLUMNS[product], *results, *own)


def result_columns(network: str, medians: bool = False) -> tuple[Column, ...]:
    """Return the columns of the results of a network; medians as in `product_columns`."""
    return RESULT_COLUMNS_WITH_MEDIANS if medians or network_version(network).medians else RESULT_COLUMNS


def boss_columns(network: str, medians: bool = False) -> tuple[Column, ...]:
    """Return the columns of the empty table of BOSS spectra: those it shares with the table of APOGEE spectra.

    Astra's file has more of them there, on the BOSS spectra themselves (179 in all for stars, 213 for visits), which
    no source at hand lists.
    """
    return (*SOURCE_COLUMNS, *result_columns(network, medians))


COLUMNS: dict[Product, tuple[Column, ...]] = {
    "star": _columns("star", RESULT_COLUMNS, own_columns("star")),
    "visit": _columns("visit", RESULT_COLUMNS, own_columns("visit")),
}
"""All columns of the products of network v3."""


def arrow_schema(columns: Sequence[Column]) -> pa.Schema:
    """Return the Parquet schema of columns; description, unit and UCD are metadata of each field."""
    return pa.schema(
        [
            pa.field(
                column.name,
                column.arrow_type,
                nullable=column.nullable,
                metadata={"description": column.comment, "unit": column.tunit, "ucd": column.ucd},
            )
            for column in columns
        ]
    )
