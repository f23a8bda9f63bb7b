"""Turn spectra, their labels and times into rows of a product, as an Arrow table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from operator import attrgetter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from apnet_fast.catalog.columns import Column, arrow_schema, product_columns
from apnet_fast.catalog.sources import SourceMatches
from apnet_fast.recipes import Labels
from apnet_fast.spectra.batch import Product, SpectrumRecord
from apnet_fast.spectra.identity import printable
from apnet_fast.spectra.measured import Measured

# Columns that an attribute of a spectrum's record fills.
_ATTRIBUTES = {
    "sdss_id": "sdss_id",
    "spectrum_pk": "spectrum_pk",
    "healpix": "star.healpix",
    "ra": "ra",
    "dec": "dec",
    "release": "star.release",
    "apred": "star.apred",
    "prefix": "star.prefix",
    "obj": "star.obj",
    "telescope": "star.telescope",
    "field": "star.field",
    "n_visits": "n_visits",
    "plate": "visit.plate",
    "fiber": "visit.fiber",
    "mjd": "visit.mjd",
    "reduction": "visit.reduction",
    "snr": "snr",
    "path": "path",
    "file_row": "row",
    "starver": "star.starver",
    "identity": "identity",
    "reason": "reason",
}
_MEASURED = tuple(field.name for field in fields(Measured))
FROM_THE_FILE = frozenset({*_ATTRIBUTES, *_MEASURED, "filetype", "apstar"})
"""Columns that a spectrum's own file fills."""

_FILETYPES: dict[Product, str] = {"star": "apStar", "visit": "apVisit"}

# These name the file of a spectrum, so they are taken from the file itself.
_OF_THE_FILE = frozenset(
    "release filetype apred apstar obj telescope field prefix plate fiber mjd reduction".split()  # noqa: SIM905
)

# Columns that record where another one comes from: no bit and "not looked at" are the same in FITS.
_ORIGINS = {"flags_from": "spectrum_flags", "v_rad_from": "v_rad"}

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
    """When rows were made (UTC) and how long each took: t_elapsed float32 (n,) [s]."""

    created: datetime
    t_elapsed: NDArray[np.float32]


def catalogue_rows(
    product: Product,
    records: Sequence[SpectrumRecord],
    labels: Labels,
    times: RowTimes,
    matches: SourceMatches | None = None,
    *,
    network: str,
    medians: bool = False,
) -> pa.Table:
    """Return rows of one product for those of the records that belong to it, in their order.

    records, the arrays of `labels`, `times.t_elapsed` and `matches` have equal length n and may mix products. Columns
    that nothing at hand can fill are left out: `with_nulls` adds them. A value of the table of sources replaces the
    file's own, except for the names of the file itself. medians: as in `product_columns`.
    """
    chosen = np.fromiter((record.product == product for record in records), bool, len(records))
    mine = [record for record in records if record.product == product]
    known = _of_labels(labels, chosen)
    known["created"] = [_time_text(times.created)] * len(mine)
    known["t_elapsed"] = times.t_elapsed[chosen]
    of_records = _of_records(product, mine)
    of_sources = {} if matches is None else matches.table.columns_for(product, matches.take(chosen))

    known |= _origins(of_records, of_sources, len(mine))
    arrays, columns = [], []
    for column in product_columns(product, network, medians=medians):
        if column.name in of_sources and column.name not in known:
            file = of_records.get(column.name)
            values = _merged(column, file, of_sources[column.name])
        elif column.name in of_records or column.name in known:
            values = _of_file(column, of_records.get(column.name, known.get(column.name)))
        else:
            continue
        arrays.append(values)
        columns.append(column)
    return pa.Table.from_arrays(arrays, schema=arrow_schema(columns))


def record_widths(product: Product, records: Sequence[SpectrumRecord]) -> dict[str, int]:
    """Return the longest text [bytes] of each column that the records of one product fill, as rows will have it.

    A table of sources may know longer ones.
    """
    known: dict[str, Sequence[object]] = _of_records(product, records)
    origins = _origins(known, {}, len(records))
    widths = {"created": len(_time_text(datetime.min))}
    for name, values in {**known, **origins}.items():
        texts = [_encoded(value) for value in values if isinstance(value, str | bytes | pa.StringScalar)]
        if texts:
            widths[name] = max(map(len, texts))
    return widths


def with_nulls(table: pa.Table, columns: Sequence[Column]) -> pa.Table:
    """Return a table with exactly these columns, in order; those that it lacks are null."""
    arrays = [
        table[column.name] if column.name in table.column_names else _unknown(column, table.num_rows)
        for column in columns
    ]
    return pa.Table.from_arrays(arrays, schema=arrow_schema(columns))


def _unknown(column: Column, rows: int) -> pa.Array:
    null = None if column.nullable else column.null
    return pa.repeat(pa.scalar(null, column.arrow_type), rows)


def quarantine_rows(records: Sequence[SpectrumRecord]) -> pa.Table:
    """Return one row for each record that has a reason: product, path, hdu, row, reason, text."""
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


def _encoded(text: object) -> bytes:
    return text if isinstance(text, bytes) else str(text).encode()


def _time_text(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.%f")


def _of_labels(labels: Labels, chosen: NDArray[np.bool_]) -> dict[str, object]:
    values = {field.name: getattr(labels, field.name) for field in fields(Labels)}
    return {name: value[chosen] for name, value in values.items() if value is not None}


def _of_records(product: Product, records: Sequence[SpectrumRecord]) -> dict[str, Sequence[object]]:
    """Return the columns that the records of one product fill, by name."""
    get = attrgetter(*_ATTRIBUTES.values())
    columns = list(zip(*map(get, records), strict=True)) or [()] * len(_ATTRIBUTES)
    known: dict[str, Sequence[object]] = dict(zip(_ATTRIBUTES, columns, strict=True))
    measured = attrgetter(*_MEASURED)
    values = list(zip(*(measured(record.measured) for record in records), strict=True)) or [()] * len(_MEASURED)
    known |= dict(zip(_MEASURED, values, strict=True))
    known["path"] = [printable(record.path) for record in records]
    known["reason"] = [record.reason or "" for record in records]
    # The prefix tells the telescopes of SDSS-4 apart; Astra has none for SDSS-V, although its files are named so.
    known["prefix"] = ["" if record.star.release == "sdss5" else record.star.prefix for record in records]
    known["filetype"] = [
        f"{_FILETYPES[product]}C" if product == "star" and record.star.commissioning else _FILETYPES[product]
        for record in records
    ]
    known["apstar"] = ["stars"] * len(records)
    return known


def _origins(
    of_file: Mapping[str, Sequence[object]], of_sources: Mapping[str, pa.Array], rows: int
) -> dict[str, pa.Array]:
    """Return where flags and velocities come from: "table", "header" or "" (nowhere)."""
    origins = {}
    for origin, name in _ORIGINS.items():
        in_table = of_sources[name].is_valid() if name in of_sources else pa.repeat(pa.scalar(False), rows)
        in_header = pa.array([_is_known(value) for value in of_file.get(name, ())] or [False] * rows, pa.bool_())
        origins[origin] = pc.if_else(in_table, "table", pc.if_else(in_header, "header", ""))
    return origins


def _is_known(value: object) -> bool:
    return value is not None and value == value  # NaN differs from itself


def _of_file(column: Column, values: object) -> pa.Array:
    """Return what the file knows, in the type of the column; None is null."""
    array = pa.array(values, type=column.arrow_type)
    return array if column.nullable else array.fill_null(column.null)


def _merged(column: Column, of_file: object, of_sources: pa.Array) -> pa.Array:
    """Prefer values of the table of sources to those of the file; the other way round for the file's names."""
    if of_file is None:
        return of_sources if column.nullable else of_sources.fill_null(column.null)
    values = _of_file(column, of_file)
    if column.name in _OF_THE_FILE:
        return pc.if_else(pc.equal(values, column.null), of_sources.fill_null(column.null), values)
    return pc.coalesce(of_sources, values)
