"""Label tables of a training set, and the row that belongs to a spectrum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from apnet_fast.inputs.table_values import as_floats, column_as_text
from apnet_fast.recipes.labels import LABELS
from apnet_fast.recipes.photometry import PHOTOMETRY
from apnet_fast.support.errors import UsageError
from apnet_fast.support.files import sha256_of
from apnet_fast.support.regular_files import check_regular

# Columns that hold a star's name, in the order of preference: ours, Astra's, DR10 to DR17.
_OBJ_COLUMNS = ("obj", "sdss4_apogee_id", "apogee_id")
# Tables of the survey write -9999 or -999999 for an unknown label.
_LOWEST_LABEL = -900.0


@dataclass(frozen=True)
class LabelTable:
    """Labels of n stars or spectra, found by path or by the star's name.

    values: float64 (n, 3), teff [K], logg [log10(cm/s^2)], fe_h [dex], NaN if unknown. photometry: float32 (n, 7),
    parallax [mas] and magnitudes as ApogeeNet v2 sees them, NaN if unknown. sha256: of the files.
    repeated: number of names that several rows share, so that only the path tells them apart; the first row counts.
    """

    values: NDArray[np.float64]
    photometry: NDArray[np.float32]
    sha256: tuple[str, ...]
    repeated: int
    _rows_by_path: Mapping[str, int] = field(repr=False)
    _rows_by_obj: Mapping[str, int] = field(repr=False)

    def row_of(self, path: str, obj: str) -> int | None:
        """Return the row of a spectrum: by its path, which may end in the table's path, else by the star's name."""
        if self._rows_by_path:
            parts = Path(path).parts
            for first in range(len(parts)):
                row = self._rows_by_path.get("/".join(parts[first:]))
                if row is not None:
                    return row
        return self._rows_by_obj.get(obj)


def load_labels(paths: Sequence[Path], columns: Mapping[str, str] | None = None) -> LabelTable:
    """Read label tables: Parquet, FITS or CSV (.csv), with teff, logg, fe_h and obj (or apogee_id) or path.

    columns: other names for teff, logg, fe_h, obj, path. Photometry is taken if the tables have it (parallax, g_mag,
    bp_mag, rp_mag, j_mag, h_mag, k_mag). Values that are null, not finite, below -900 (the survey's
    -9999) or a Teff of 0 count as unknown. Raises UsageError for a table without labels or without names.
    """
    asked = dict(columns or {})
    unknown = sorted(set(asked) - {*LABELS, "obj", "path"})
    if unknown:
        raise UsageError("unknown label column", got=", ".join(unknown), expected="teff, logg, fe_h, obj or path")
    tables = [_load(path, asked) for path in paths]
    by_obj, repeated = _first_rows([name for table in tables for name in table.objs])
    by_path, _ = _first_rows([name for table in tables for name in table.paths])
    return LabelTable(
        np.concatenate([table.values for table in tables]),
        np.concatenate([table.photometry for table in tables]),
        tuple(sha256_of(path) for path in paths),
        repeated,
        by_path,
        by_obj,
    )


def named_columns(words: Sequence[str]) -> dict[str, str]:
    """Parse the words of --column, NAME=COLUMN each. Raises UsageError for any other form."""
    pairs = [word.partition("=") for word in words]
    for word, (name, _, value) in zip(words, pairs, strict=True):
        if not name or not value:
            raise UsageError("--column wants NAME=COLUMN", got=word, remedy="--column teff=TEFF_SPEC")
    return {name: value for name, _, value in pairs}


@dataclass(frozen=True)
class _OneTable:
    values: NDArray[np.float64]
    photometry: NDArray[np.float32]
    objs: list[str]
    paths: list[str]


def _load(path: Path, asked: Mapping[str, str]) -> _OneTable:
    table = _read(path)
    values = np.stack([_numbers(table, asked.get(label, label), path) for label in LABELS], axis=1)
    values[~np.isfinite(values) | (values < _LOWEST_LABEL)] = np.nan
    values[values[:, 0] <= 0, 0] = np.nan

    obj_column = _column_of(table, asked.get("obj"), _OBJ_COLUMNS, path)
    path_column = _column_of(table, asked.get("path"), ("path",), path)
    if obj_column is None and path_column is None:
        raise UsageError(
            "the label table does not identify the star of a row",
            got=f"columns {', '.join(table.column_names)}",
            expected=f"a column {', '.join((*_OBJ_COLUMNS, 'path'))}",
            remedy="--column obj=NAME",
            where=str(path),
        )
    unknown = np.full(len(table), np.nan)
    photometry = [_numbers(table, name, path) if name in table.column_names else unknown for name in PHOTOMETRY]
    return _OneTable(
        values,
        np.stack(photometry, axis=1).astype(np.float32),
        _texts(table, obj_column, path),
        _texts(table, path_column, path),
    )


def _read(path: Path) -> pa.Table:
    if path.suffix.lower() == ".csv":
        from pyarrow import csv

        try:
            check_regular(path)
            table = csv.read_csv(path)
        except (OSError, pa.ArrowInvalid) as error:
            raise UsageError(f"cannot read the label table: {error}", where=str(path)) from error
        return table.rename_columns([name.strip().lower() for name in table.column_names])
    from apnet_fast.inputs.summary_tables import read_table

    return read_table(path)


def _numbers(table: pa.Table, name: str, path: Path) -> NDArray[np.float64]:
    name = name.lower()
    if name not in table.column_names:
        raise UsageError(
            f"the label table lacks the column {name}",
            got=f"columns {', '.join(table.column_names)}",
            expected=", ".join(LABELS),
            remedy=f"--column {name}=NAME",
            where=str(path),
        )
    try:
        return np.array(as_floats(table[name]).to_numpy(zero_copy_only=False), np.float64)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, TypeError) as error:
        raise UsageError(f"the column {name} holds no numbers: {error}", where=str(path)) from error


def _column_of(table: pa.Table, asked: str | None, names: tuple[str, ...], path: Path) -> str | None:
    if asked is not None and asked.lower() not in table.column_names:
        raise UsageError(
            f"the label table lacks the column {asked.lower()}",
            got=f"columns {', '.join(table.column_names)}",
            where=str(path),
        )
    candidates = (asked.lower(),) if asked is not None else names
    return next((name for name in candidates if name in table.column_names), None)


def _texts(table: pa.Table, column: str | None, path: Path) -> list[str]:
    """Return the values of a column without outer blanks; "" for nulls and if there is no column."""
    if column is None:
        return [""] * len(table)
    return column_as_text(table, column, str(path)).to_pylist()


def _first_rows(names: Sequence[str]) -> tuple[dict[str, int], int]:
    """Return the first row of each name, and the number of names that come back in later rows."""
    rows: dict[str, int] = {}
    repeated = {name for row, name in enumerate(names) if name and rows.setdefault(name, row) != row}
    return rows, len(repeated)
