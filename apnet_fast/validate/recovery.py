"""Measure recovered minus true labels of a catalogue, by signal-to-noise ratio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apnet_fast.inputs.label_tables import load_labels
from apnet_fast.inputs.summary_tables import read_table, table_columns
from apnet_fast.recipes.labels import LABELS
from apnet_fast.support.errors import UsageError

SNR_EDGES = (0.0, 50.0, 100.0, 200.0, np.inf)


@dataclass(frozen=True)
class Recovery:
    """Recovered minus true labels of the spectra in one S/N range.

    bias: median; scatter: half the range from the 16th to the 84th percentile; raw_error: median. Each has shape (3,)
    for teff [fraction of the true Teff], logg [dex] and fe_h [dex], and is NaN if no value is known. n: number of
    spectra with a result.
    """

    name: str
    n: int
    bias: tuple[float, ...]
    scatter: tuple[float, ...]
    raw_error: tuple[float, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def recovery(
    recovered: NDArray[np.float64], raw_errors: NDArray[np.float64], true: NDArray[np.float64], snr: NDArray[np.float64]
) -> list[Recovery]:
    """Return the recovery of all spectra, then of each S/N range that contains any.

    recovered, raw_errors, true: (n, 3), teff [K], logg, fe_h; NaN if there is no result or no true label.
    snr: (n,), per pixel.
    """
    unit = np.stack([true[:, 0], np.ones(len(true)), np.ones(len(true))], axis=1)
    differences, errors = (recovered - true) / unit, raw_errors / unit
    rows = [_of("all", differences, errors)]
    for low, high in pairwise(SNR_EDGES):
        inside = (snr >= low) & (snr < high)
        if inside.any():
            name = f"S/N {low:.0f} to {high:.0f}" if high < np.inf else f"S/N above {low:.0f}"
            rows.append(_of(name, differences[inside], errors[inside]))
    return rows


def _of(name: str, differences: NDArray[np.float64], errors: NDArray[np.float64]) -> Recovery:
    def percentiles(values: NDArray[np.float64]) -> NDArray[np.float64]:
        known = values[np.isfinite(values)]
        return np.percentile(known, [16, 50, 84]) if len(known) else np.full(3, np.nan)

    of_labels = [percentiles(differences[:, column]) for column in range(3)]
    return Recovery(
        name=name,
        n=int(np.isfinite(differences).any(axis=1).sum()),
        bias=tuple(float(middle) for _, middle, _ in of_labels),
        scatter=tuple(float(high - low) / 2 for low, _, high in of_labels),
        raw_error=tuple(float(percentiles(errors[:, column])[1]) for column in range(3)),
    )


def recovery_lines(rows: Sequence[Recovery]) -> list[str]:
    """Return the table as lines of text: bias ± robust scatter (median raw error)."""
    lines = [f"{'recovered - true':18} {'n':>6} {'Teff [%]':>22} {'logg [dex]':>22} {'[Fe/H] [dex]':>22}"]
    for row in rows:
        cells = [
            f"{scale * bias:+.{digits}f} ± {scale * scatter:.{digits}f} ({scale * error:.{digits}f})"
            for bias, scatter, error, scale, digits in zip(
                row.bias, row.scatter, row.raw_error, (100, 1, 1), (2, 3, 3), strict=True
            )
        ]
        lines.append(f"{row.name:18} {row.n:6} " + " ".join(f"{cell:>22}" for cell in cells))
    return [*lines, "median ± half the 16-84 % range (median raw error)"]


def catalogue_recovery(
    catalogue: Path, labels: Sequence[Path], columns: dict[str, str] | None = None
) -> list[Recovery]:
    """Return the recovery of a star or visit catalogue (Parquet or FITS).

    Its rows are matched to the label tables as spectra are in training. columns: other names for teff, logg, fe_h, obj
    and path in the label tables. Raises UsageError if a table cannot be read, or if no row has a true label.
    """
    names = ["obj", "snr", *LABELS, *(f"raw_e_{label}" for label in LABELS)]
    if "path" in table_columns(catalogue):
        names.append("path")
    table = read_table(catalogue, names)
    truth = load_labels(labels, columns)
    objs = table["obj"].to_pylist()
    paths = table["path"].to_pylist() if "path" in names else [""] * len(objs)
    rows = [truth.row_of(path, obj) for path, obj in zip(paths, objs, strict=True)]
    known = np.array([row is not None for row in rows], dtype=bool)
    if not known.any():
        raise UsageError(
            "no row of the catalogue has a true label",
            got=f"{len(rows)} rows",
            expected="paths or names (obj) of the label table",
            remedy="--column obj=NAME",
            where=str(catalogue),
        )
    true = truth.values[[row for row in rows if row is not None]]

    def columns_of(prefix: str) -> NDArray[np.float64]:
        return np.stack([table[prefix + label].to_numpy().astype(np.float64)[known] for label in LABELS], axis=1)

    return recovery(columns_of(""), columns_of("raw_e_"), true, table["snr"].to_numpy().astype(np.float64)[known])
