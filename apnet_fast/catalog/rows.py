"""Spectra, their labels and the run's time become rows of a product, as an Arrow table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from apnet_fast.catalog.columns import COLUMNS, Column, arrow_schema
from apnet_fast.recipes import Labels
from apnet_fast.spectra.batch import Product, SpectrumRecord
from apnet_fast.spectra.identity import printable

_LABEL_NAMES = frozenset(field.name for field in fields(Labels))

# Columns that a spectrum's record fills; what is in none of the sources gets the column's null.
_FROM_RECORD: dict[str, Callable[[SpectrumRecord], object]] = {
    "healpix": lambda record: record.star.healpix,
    "spectrum_pk": lambda record: record.spectrum_pk,
    "ra": lambda record: record.ra,
    "dec": lambda record: record.dec,
    "release": lambda record: record.star.release,
    "filetype": lambda record: "apStar" if record.product == "star" else "apVisit",
    "apred": lambda record: record.star.apred,
    "apstar": lambda record: "stars",
    "obj": lambda record: record.star.obj,
    "telescope": lambda record: record.star.telescope,
    "field": lambda record: record.star.field,
    "prefix": lambda record: record.star.prefix,
    "n_visits": lambda record: record.n_visits,
    "plate": lambda record: record.visit.plate,
    "fiber": lambda record: record.visit.fiber,
    "mjd": lambda record: record.visit.mjd,
    "reduction": lambda record: record.visit.reduction,
    "snr": lambda record: record.snr,
    "path": lambda record: printable(record.path),
    "file_row": lambda record: record.row,
    "starver": lambda record: record.star.starver,
    "identity": lambda record: record.identity,
    "reason": lambda record: record.reason or "",
}

QUARANTINE_SCHEMA = pa.schema(
    [
        pa.field("product", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("hdu", pa.int32(), nullable=False),
        pa.field("row", pa.int32(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True)
class RowTimes:
    """When rows were made (UTC) and what each cost: t_elapsed float32 (n,) [s]."""

    created: datetime
    t_elapsed: NDArray[np.float32]


def catalog_rows(product: Product, records: Sequence[SpectrumRecord], labels: Labels, times: RowTimes) -> pa.Table:
    """Rows of one product for those of the records that belong to it, in their order.

    records, the arrays of `labels` and `times.t_elapsed` have equal length n and may mix products.
    """
    chosen = np.fromiter((record.product == product for record in records), bool, len(records))
    mine = [record for record in records if record.product == product]
    created = times.created.strftime("%Y-%m-%dT%H:%M:%S.%f")

    def values(column: Column) -> object:
        if column.name in _LABEL_NAMES:
            return getattr(labels, column.name)[chosen]
        if column.name in _FROM_RECORD:
            source = _FROM_RECORD[column.name]
            return [source(record) for record in mine]
        if column.name == "created":
            return [created] * len(mine)
        if column.name == "t_elapsed":
            return times.t_elapsed[chosen]
        return [column.null] * len(mine)

    arrays = [pa.array(values(column), type=column.arrow_type) for column in COLUMNS[product]]
    return pa.Table.from_arrays(arrays, schema=arrow_schema(product))


def quarantine_rows(records: Sequence[SpectrumRecord]) -> pa.Table:
    """One row for every record that has a reason: product, path, hdu, row, reason, text."""
    failed = [record for record in records if record.reason is not None]
    columns = [
        [record.product for record in failed],
        [printable(record.path) for record in failed],
        [record.hdu for record in failed],
        [record.row for record in failed],
        [str(record.reason) for record in failed],
        [printable(record.text) for record in failed],
    ]
    return pa.Table.from_arrays(
        [pa.array(values, type=field.type) for values, field in zip(columns, QUARANTINE_SCHEMA, strict=True)],
        schema=QUARANTINE_SCHEMA,
    )
