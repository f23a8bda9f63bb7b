"""Repeated visits of the same stars, out of a visit catalogue: selection, and grouping by star."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from apnet_fast.errors import UsageError
from apnet_fast.tables import missing_columns, read_table, table_columns

LABELS = ("teff", "logg", "fe_h")
STAR_COLUMNS = ("source_pk", "sdss_id", "obj")

Keep = Literal["clean", "not-bad", "all"]
_KEEP_COLUMN: dict[str, str | None] = {"clean": "result_flags", "not-bad": "flag_bad", "all": None}
# Errors above this count as failed in Astra's calibration script, for every label.
_LARGEST_ERROR = 1000.0


@dataclass(frozen=True)
class Selection:
    """Which spectra are used.

    keep: "clean" (result_flags == 0, as Astra's calibration script), "not-bad" (flag_bad not set) or "all".
    percentiles: keep only spectra all of whose labels lie between these percentiles of the kept ones (the script: 5,
        95); default none, because a cut in the labels makes the differences near it smaller.
    star_column: what tells stars apart; default that of STAR_COLUMNS that is known for most spectra.
    Labels and both errors must always be finite, and raw errors between 0 and 1000.
    """

    keep: Keep = "clean"
    percentiles: tuple[float, float] | None = None
    star_column: str | None = None

    def __post_init__(self) -> None:
        if self.keep not in _KEEP_COLUMN:
            raise UsageError("unknown selection", got=repr(self.keep), expected=" | ".join(_KEEP_COLUMN))
        if self.percentiles is not None and not 0 <= self.percentiles[0] < self.percentiles[1] <= 100:
            raise UsageError("no range of percentiles", got=self.percentiles, expected="two of 0..100, such as 5 95")


@dataclass(frozen=True)
class Repeats:
    """Spectra of stars with two or more of them, sorted by star.

    columns: teff, logg, fe_h and their e_ and raw_e_ errors, float32 (n,). starts: int64 (stars + 1,), rows of star k
    are starts[k]:starts[k + 1]. star_column: what told stars apart. rows, selected: spectra in the file, and those
    that pass the selection.
    """

    columns: Mapping[str, NDArray[np.float32]]
    starts: NDArray[np.int64]
    star_column: str
    rows: int
    selected: int

    @property
    def stars(self) -> int:
        """Stars with two or more spectra."""
        return len(self.starts) - 1


def read_repeats(path: str | Path, selection: Selection) -> Repeats:
    """Repeated visits of a catalogue, FITS or Parquet.

    Only the columns needed are read; memory is about 250 bytes a row of the file. Raises UsageError for a file that
    lacks them, or without a star that has two selected spectra.
    """
    values = [f"{prefix}{label}" for label in LABELS for prefix in ("", "e_", "raw_e_")]
    present = table_columns(path)
    candidates = [selection.star_column.lower()] if selection.star_column else list(STAR_COLUMNS)
    keys = [name for name in candidates if name in present]
    flag = _KEEP_COLUMN[selection.keep]
    wanted = [*values, *([flag] if flag else [])]
    missing = [name for name in wanted if name not in present]
    if not keys:
        missing.append(" or ".join(candidates))
    if missing:
        raise missing_columns("the catalogue lacks columns that repeats need", missing, present, path)
    table = read_table(path, [*wanted, *keys])
    rows = table.num_rows
    columns = {name: table[name].to_numpy().astype(np.float32, copy=False) for name in values}
    flags = table[flag].to_numpy() if flag else np.zeros(rows, dtype=bool)
    known = {name: _known(table[name]) for name in keys}
    key = max(keys, key=lambda name: int(known[name].sum()))
    codes = pc.fill_null(pc.dictionary_encode(table[key].combine_chunks()).indices, 0).to_numpy(zero_copy_only=False)
    del table
    chosen = _usable(columns) & (flags == 0) & known[key]
    if selection.percentiles is not None:
        chosen &= _inside(columns, chosen, selection.percentiles)
    order, starts = _by_star(codes, chosen)
    if len(starts) < 2:
        raise UsageError(
            "no star has two spectra in the selection",
            got=f"{int(chosen.sum())} selected of {rows} rows, stars told apart by {key}",
            expected="a visit catalogue",
            remedy="give the AllVisit file, or another --keep or --star-column",
            where=str(path),
        )
    return Repeats(
        {name: column[order] for name, column in columns.items()}, starts, key, rows, int(np.count_nonzero(chosen))
    )


def _known(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Where a key is known: text that is not empty, a number above 0 (nulls are -1)."""
    is_text = pa.types.is_string(column.type)
    known = pc.not_equal(column, "") if is_text else pc.greater(column, 0)
    return pc.fill_null(known, False).to_numpy()


def _usable(columns: Mapping[str, NDArray[np.float32]]) -> NDArray[np.bool_]:
    usable = np.ones(len(columns["teff"]), dtype=bool)
    for label in LABELS:
        raw = columns[f"raw_e_{label}"]
        usable &= np.isfinite(columns[label]) & (raw > 0) & (raw < _LARGEST_ERROR)
        usable &= np.isfinite(columns[f"e_{label}"]) & (columns[f"e_{label}"] > 0)
    return usable


def _inside(
    columns: Mapping[str, NDArray[np.float32]], chosen: NDArray[np.bool_], percentiles: tuple[float, float]
) -> NDArray[np.bool_]:
    inside = np.ones(len(chosen), dtype=bool)
    if chosen.any():
        for label in LABELS:
            low, high = np.percentile(columns[label][chosen], percentiles)
            inside &= (columns[label] >= low) & (columns[label] <= high)
    return inside


def _by_star(codes: NDArray[np.integer], chosen: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row numbers of the chosen spectra of repeated stars, by star, and where each star starts."""
    rows = np.flatnonzero(chosen)
    visits = np.bincount(codes[rows]) if len(rows) else np.zeros(0, dtype=np.int64)
    rows = rows[visits[codes[rows]] > 1] if len(rows) else rows
    rows = rows[np.argsort(codes[rows], kind="stable")]
    starts = np.concatenate([[0], np.cumsum(visits[visits > 1])]).astype(np.int64)
    return rows, starts
