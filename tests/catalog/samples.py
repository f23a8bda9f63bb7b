"""Records, labels and tables in which no two rows are equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from apnet_fast.catalog.rows import RowTimes, catalogue_rows
from apnet_fast.recipes import Labels
from apnet_fast.spectra.batch import Product, SpectrumRecord
from apnet_fast.spectra.failures import Reason
from apnet_fast.spectra.identity import StarIdentity, VisitName, parse_visit_name

CREATED = datetime(2026, 3, 4, 5, 6, 7, 890, tzinfo=UTC)


def star_record(number: int) -> SpectrumRecord:
    """The coadd of star `number`."""
    star = StarIdentity(
        release="dr17",
        apred=f"dr{number}",
        telescope="apo25m",
        field=f"K{number:02d}_080+14",
        healpix=1000 + number,
        prefix="ap",
        obj=f"2M{number:08d}+4714573",
        starver=str(59000 + number),
    )
    path = f"stars/apStar-{number}.fits"
    return SpectrumRecord("star", path, 0, star, VisitName(), 100.5 + number, 10.0 + number, -number / 4, number)


def visit_record(number: int) -> SpectrumRecord:
    """A visit, of star `number`."""
    mjd, fiber = 58000 + number, 200 + number
    name = parse_visit_name(f"apVisit-dr17-{9000 + number}-{mjd}-{fiber:03d}.fits")
    return replace(star_record(number), product="visit", row=number + 2, visit=name, snr=30.25 + number)


def mixed_records(n: int) -> list[SpectrumRecord]:
    """n records, star and visit in turn, of different stars."""
    return [(visit_record if i % 2 else star_record)(i) for i in range(n)]


def failed(record: SpectrumRecord, reason: Reason = Reason.NO_DATA) -> SpectrumRecord:
    """The same spectrum without a result."""
    return replace(record, reason=reason, text=f"{record.path} is {reason}", hdu=2)


def labels(n: int) -> Labels:
    """Labels that differ from row to row and from column to column."""
    columns: dict[str, Any] = {}
    for k, field in enumerate(fields(Labels)):
        values = 1000 * (k + 1) + np.arange(n)
        kind = np.int64 if field.name == "result_flags" else np.float32
        columns[field.name] = values % (k % 2 + 2) == 0 if field.name.startswith("flag_") else values.astype(kind)
    return Labels(**columns)


def times(n: int, created: datetime = CREATED) -> RowTimes:
    """Times of n rows, all different."""
    return RowTimes(created, (np.arange(n) / 8).astype(np.float32))


def table(product: Product, records: Sequence[SpectrumRecord]) -> pa.Table:
    """Rows of a product."""
    return catalogue_rows(product, records, labels(len(records)), times(len(records)), network="v3")
