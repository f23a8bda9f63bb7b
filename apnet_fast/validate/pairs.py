"""Select the repeated visits of a visit catalogue and group them by star."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from apnet_fast.inputs.summary_tables import missing_columns, read_table, table_columns
from apnet_fast.recipes.labels import LABELS
from apnet_fast.support.errors import UsageError

STAR_COLUMNS = ("source_pk", "sdss_id", "obj")
_IDENTITY = "identity"

Keep = Literal["clean", "not-bad", "all"]
_KEEP_COLUMN: dict[str, str | None] = {"clean": "result_flags", "not-bad": "flag_bad", "all": None}
# Astra's calibration script treats larger errors as failures, for every label.
_LARGEST_ERROR = 1000.0
# Reasons to leave rows out, as messages name them.
_NO_ERROR = "an error that is 0 or not finite"
_OUTSIDE = "a label outside the percentiles"
_COPY = "the identity of an earlier row"


@dataclass(frozen=True)
class Selection:
    """Criteria for the spectra to use.

    keep: "clean" (result_flags == 0, as in Astra's calibration script), "not-bad" (flag_bad not set) or "all".
    percentiles: keep only spectra whose labels all lie between these percentiles of the kept ones (the script uses 5
        and 95); default none, because a cut in the labels reduces the differences near it.
    star_column: column that identifies the star; default the one of STAR_COLUMNS known for most spectra.
    Labels and both errors must always be finite, and raw errors between 0 and 1000.
    """

    keep: Keep = "clean"
    percentiles: tuple[float, float] | None = None
    star_column: str | None = None

    def __post_init__(self) -> None:
        if self.keep not in _KEEP_COLUMN:
            raise UsageError("unknown selection", got=repr(self.keep), expected=" | ".join(_KEEP_COLUMN))
        if self.percentiles is not None and not 0 <= self.percentiles[0] < self.percentiles[1] <= 100:
            raise UsageError("not a range of percentiles", got=self.percentiles, expected="two of 0..100, such as 5 95")


@dataclass(frozen=True)
class Repeats:
    """Spectra of stars with two or more spectra, sorted by star.

    columns: teff, logg, fe_h and their e_ and raw_e_ errors, float32 (n,). starts: int64 (stars + 1,); star k has rows
    starts[k]:starts[k + 1]. star_column: column that identified the stars. rows: spectra in the file. selected: those
    that pass the selection, each once. copies: rows that also pass it, but repeat the identity of an earlier row.
    """

    columns: Mapping[str, NDArray[np.float32]]
    starts: NDArray[np.int64]
    star_column: str
    rows: int
    selected: int
    copies: int

    @property
    def stars(self) -> int:
        """Stars with two or more spectra."""
        return len(self.starts) - 1


def read_repeats(path: str | Path, selection: Selection) -> Repeats:
    """Read the repeated visits of a catalogue, FITS or Parquet.

    If there is a column `identity`, only the first selected row of each identity is used. A spectrum stored in two
    files is in the catalogue twice; its copies share their noise and would make errors look better than they are.

    Only the needed columns are read; memory is about 250 bytes per row of the file. Raises UsageError if columns are
    missing, or if no star has two selected spectra.
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
    # Read first and alone: beside the other columns, these strings would raise the peak memory.
    spectra = _spectra(path) if _IDENTITY in present else None
    table = read_table(path, [*wanted, *keys])
    rows = table.num_rows
    columns = {name: table[name].to_numpy().astype(np.float32, copy=False) for name in values}
    flags = table[flag].to_numpy() if flag else np.zeros(rows, dtype=bool)
    known = {name: _known(table[name], name, path) for name in keys}
    key = max(keys, key=lambda name: int(known[name].sum()))
    codes = pc.fill_null(pc.dictionary_encode(table[key].combine_chunks()).indices, 0).to_numpy(zero_copy_only=False)
    del table
    unfit = _unfit(columns, flags, known[key], flag or "", key)
    chosen = ~np.any(list(unfit.values()), axis=0)
    # Copies go before the percentile cut, because they would shift the percentiles.
    unfit[_COPY] = np.zeros(rows, dtype=bool) if spectra is None else _copies(spectra, chosen)
    chosen &= ~unfit[_COPY]
    if selection.percentiles is not None:
        inside = _inside(columns, chosen, selection.percentiles)
        unfit[_OUTSIDE] = chosen & ~inside
        chosen &= inside
    order, starts = _by_star(codes, chosen)
    if len(starts) < 2:
        raise _no_repeats(unfit, int(chosen.sum()), rows, key, path)
    return Repeats(
        {name: column[order] for name, column in columns.items()},
        starts,
        key,
        rows,
        selected=int(np.count_nonzero(chosen)),
        copies=int(np.count_nonzero(unfit[_COPY])),
    )


def _known(column: pa.ChunkedArray, name: str, path: str | Path) -> NDArray[np.bool_]:
    """Return which keys are known: non-empty text or a number above 0 (nulls are -1). UsageError for other types."""
    of = column.type
    if pa.types.is_string(of):
        known = pc.not_equal(column, "")
    elif pa.types.is_integer(of) or pa.types.is_floating(of) or pa.types.is_null(of):
        known = pc.greater(column, 0)
    else:
        raise UsageError(
            "a column of this type cannot identify stars",
            got=f"{name} of type {of}",
            expected="text or numbers, equal for all spectra of a star and different between stars",
            remedy=f"--star-column with another, such as {', '.join(STAR_COLUMNS)}",
            where=str(path),
        )
    return pc.fill_null(known, False).to_numpy()


def _spectra(path: str | Path) -> NDArray[np.int32]:
    """Return a number for each distinct identity, int32 (n,); -1 if the identity is empty."""
    column = read_table(path, [_IDENTITY])[_IDENTITY]
    known = _known(column, _IDENTITY, path)
    if not known.any():
        return np.full(len(known), -1, dtype=np.int32)
    identity = column.combine_chunks()
    del column
    # Sorted rather than dictionary-encoded: a hash table of millions of strings takes three times the memory.
    order = pc.sort_indices(identity)
    identity = identity.take(order)
    another = pc.fill_null(pc.not_equal(identity[1:], identity[:-1]), True).to_numpy(zero_copy_only=False)
    numbers = np.zeros(len(known), dtype=np.int32)
    numbers[order.to_numpy()[1:]] = np.cumsum(another, dtype=np.int32)
    numbers[~known] = -1
    del identity, order, another
    # Release what Arrow keeps in reserve before the numpy arrays that follow are allocated.
    pa.default_memory_pool().release_unused()
    return numbers


def _copies(spectra: NDArray[np.int32], chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the chosen rows whose spectrum repeats that of an earlier chosen row, bool (n,)."""
    rows = np.flatnonzero(chosen & (spectra >= 0))
    first = np.zeros(len(spectra), dtype=np.int64)
    # If an index repeats, numpy keeps the last value: here, the first row.
    first[spectra[rows[::-1]]] = rows[::-1]
    copies = np.zeros(len(spectra), dtype=bool)
    copies[rows] = first[spectra[rows]] != rows
    return copies


def _unfit(
    columns: Mapping[str, NDArray[np.float32]],
    flags: NDArray,
    known: NDArray[np.bool_],
    flag: str,
    key: str,
) -> dict[str, NDArray[np.bool_]]:
    """Return the rows that each condition leaves out, bool (n,); a row may fail several conditions."""
    values, raw, inflated = (
        np.stack([columns[f"{prefix}{label}"] for label in LABELS]) for prefix in ("", "raw_e_", "e_")
    )
    return {
        f"{flag} set": flags != 0,
        "a label that is not finite": ~np.isfinite(values).all(axis=0),
        _NO_ERROR: ~((raw > 0) & np.isfinite(inflated) & (inflated > 0)).all(axis=0),
        f"a raw error of {_LARGEST_ERROR:g} or more": (raw >= _LARGEST_ERROR).any(axis=0),
        f"no {key}": ~known,
    }


def _no_repeats(
    unfit: Mapping[str, NDArray[np.bool_]], selected: int, rows: int, key: str, path: str | Path
) -> UsageError:
    """Return the error for a catalogue without a pair, with the number of rows that each condition left out."""
    left_out = {what: int(np.count_nonzero(which)) for what, which in unfit.items()}
    counts = ", ".join(f"{number} with {what}" for what, number in left_out.items() if number) or "none"
    remedy = "give the AllVisit file, or another --keep or --star-column"
    if rows and left_out[_NO_ERROR] == rows:
        remedy = "give a catalogue whose errors come from noise draws; the null engine and --draws 0 make none"
    return UsageError(
        "no star has two spectra in the selection",
        got=f"{selected} selected of {rows} rows, stars identified by {key}; left out: {counts}",
        expected="two or more usable spectra of some stars",
        remedy=remedy,
        where=str(path),
    )


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
    """Return the row numbers of the chosen spectra of repeated stars, sorted by star, and where each star starts."""
    rows = np.flatnonzero(chosen)
    visits = np.bincount(codes[rows]) if len(rows) else np.zeros(0, dtype=np.int64)
    rows = rows[visits[codes[rows]] > 1] if len(rows) else rows
    rows = rows[np.argsort(codes[rows], kind="stable")]
    starts = np.concatenate([[0], np.cumsum(visits[visits > 1])]).astype(np.int64)
    return rows, starts
