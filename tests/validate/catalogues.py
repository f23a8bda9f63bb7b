"""Make visit catalogues whose labels are truth plus noise of a known model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from apnet_fast.recipes.labels import LABELS
from apnet_fast.recipes.named import PAGE_NOISE_MODEL
from apnet_fast.validate.noise_fit import Differences

_TYPICAL_RAW = (40.0, 0.05, 0.03)
_TRUE = ((4800.0, 600.0), (2.8, 1.0), (-0.2, 0.3))


def differences(
    seed: int,
    *,
    stars: int = 1500,
    scale: float = 1.25,
    offset: float = 10.0,
    spread: float = 0.6,
    visits: NDArray[np.int64] | None = None,
) -> Differences:
    """Simulate visits of stars with log-normal formal errors about 30 and noise of scale x raw + offset."""
    rng = np.random.default_rng(seed)
    number = rng.integers(2, 7, stars) if visits is None else visits
    starts = np.concatenate([[0], np.cumsum(number)]).astype(np.int64)
    raw = 30 * np.exp(spread * rng.standard_normal(starts[-1]))
    truth = np.repeat(5000 + 800 * rng.standard_normal(len(number)), number)
    return Differences(truth + (scale * raw + offset) * rng.standard_normal(starts[-1]), raw, starts)


def visit_table(
    seed: int,
    *,
    stars: int = 1500,
    scale: tuple[float, float, float] = PAGE_NOISE_MODEL.scale,
    offset: tuple[float, float, float] = PAGE_NOISE_MODEL.offset,
) -> pa.Table:
    """Make a visit catalogue with the page's e_ columns and true noise of scale x raw_e + offset; rows are shuffled."""
    rng = np.random.default_rng(seed)
    star = np.repeat(np.arange(stars), rng.integers(1, 6, stars))
    rows = len(star)
    raw = np.array(_TYPICAL_RAW) * np.exp(0.6 * rng.standard_normal((rows, 3)))
    raw = raw.astype(np.float32)
    inflated = PAGE_NOISE_MODEL.inflate(raw)
    columns: dict[str, object] = {}
    for k, label in enumerate(LABELS):
        truth = _TRUE[k][0] + _TRUE[k][1] * rng.standard_normal(stars)
        sigma = scale[k] * raw[:, k].astype(np.float64) + offset[k]
        columns[label] = (truth[star] + sigma * rng.standard_normal(rows)).astype(np.float32)
        columns[f"e_{label}"], columns[f"raw_e_{label}"] = inflated[:, k], raw[:, k]
    columns |= {
        "result_flags": np.zeros(rows, dtype=np.int64),
        "flag_warn": np.zeros(rows, dtype=bool),
        "flag_bad": np.zeros(rows, dtype=bool),
        "sdss_id": np.full(rows, -1, dtype=np.int64),
        "obj": [f"2M{number:08d}" for number in star],
        "telescope": ["apo25m"] * rows,
        "field": [f"F{number % 7}" for number in star],
        "mjd": 58000 + np.arange(rows),
        "fiber": 1 + np.arange(rows) % 300,
        "identity": [f"dr17/{number}/{row}" for row, number in enumerate(star)],
    }
    return pa.table(columns).take(rng.permutation(rows))


def with_target_flags(table: pa.Table) -> pa.Table:
    """Add a column of 57 bytes per row, like the catalogues' `sdss5_target_flags`."""
    flat = pa.array(np.zeros(57 * len(table), dtype=np.uint8))
    return table.append_column("sdss5_target_flags", pa.FixedSizeListArray.from_arrays(flat, 57))


def changed(table: pa.Table, **columns: object) -> pa.Table:
    """Replace the values of some columns."""
    for name, values in columns.items():
        position = table.column_names.index(name)
        table = table.set_column(position, name, pa.array(values, table.schema.field(name).type))
    return table


def written(table: pa.Table, path: Path, flag_table: str = "page", **cards: str) -> Path:
    """Write the table as a Parquet catalogue, without the card FLAGTAB if its name is empty."""
    named = {"FLAGTAB": flag_table} if flag_table else {}
    pq.write_table(table.replace_schema_metadata(named | cards), path)
    return path
