"""Compare two catalogues of the same spectra row by row: labels, errors, flags, and rows in only one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apnet_fast.catalog.reading import catalogue_cards
from apnet_fast.recipes.labels import LABELS
from apnet_fast.support.files import without_nan
from apnet_fast.validate.matched_rows import MatchedRows, match_rows
from apnet_fast.validate.text import aligned
from apnet_fast.validate.transitions import Transition, flag_table_name, flag_transitions

# Differences are counted beyond these multiples of the error; 0.05 is the limit for reduced precision.
SIGMAS = (0.05, 1.0, 3.0, 5.0)
COMPARED = (
    *(f"{prefix}{label}" for label in LABELS for prefix in ("", "e_", "raw_e_")),
    "result_flags",
    "flag_warn",
    "flag_bad",
)
"""Columns that a comparison reads."""


@dataclass(frozen=True)
class LabelDifference:
    """B minus A of one label, over the rows that have it in both catalogues.

    bias: median of B - A. scatter: 1.4826 x median absolute deviation from it. largest: largest |B - A|. beyond: shares
    of rows that differ by more than SIGMAS; sigma is the root mean square of the two inflated errors. error_ratio:
    median of raw_e(B) / raw_e(A). only_a, only_b: number of rows where only one catalogue has a finite label.
    """

    label: str
    rows: int
    bias: float
    scatter: float
    largest: float
    beyond: tuple[float, ...]
    error_ratio: float
    only_a: int
    only_b: int


@dataclass(frozen=True)
class Outlier:
    """One of the rows that differ most: its key, its worst label, the values in A and B, and |B - A| in sigma."""

    key: str
    label: str
    a: float
    b: float
    sigmas: float


@dataclass(frozen=True)
class CatalogueComparison:
    """Result of `validate compare`. ambiguous: rows left out because their key is not unique in a catalogue."""

    a: str
    b: str
    key: tuple[str, ...]
    rows_a: int
    rows_b: int
    common: int
    only_a: int
    only_b: int
    ambiguous: int
    labels: tuple[LabelDifference, ...]
    flags: tuple[Transition, ...]
    outliers: tuple[Outlier, ...]
    share_beyond: float
    tolerance: float | None
    note: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; NaN becomes null."""
        return without_nan(asdict(self))

    def text(self) -> str:
        """Return the tables as printed."""
        lines = [
            f"A {self.a}: {self.rows_a} rows, {self.only_a} of them not in B",
            f"B {self.b}: {self.rows_b} rows, {self.only_b} of them not in A",
            f"{self.common} rows in both, by {', '.join(self.key)}"
            + (f"; {self.ambiguous} rows left out because their key is not unique" if self.ambiguous else ""),
        ]
        beyond = [f"> {sigma:g} sigma" for sigma in SIGMAS]
        labels: list[tuple[str, ...]] = [
            ("B - A", "rows", "bias", "scatter", "largest", *beyond, "raw_e B / A", "NaN in A", "NaN in B")
        ]
        for one in self.labels:
            values = (f"{value:.3g}" for value in (one.bias, one.scatter, one.largest))
            shares = (f"{100 * share:.3f} %" for share in one.beyond)
            ratio = f"{one.error_ratio:.4f}"
            labels.append((one.label, str(one.rows), *values, *shares, ratio, str(one.only_b), str(one.only_a)))
        flags: list[tuple[str, ...]] = [("flag", "both", "A only", "B only", "neither")]
        flags += [(one.flag, *map(str, (one.both, one.only_a, one.only_b, one.neither))) for one in self.flags]
        blocks = [lines, aligned(labels), aligned(flags)]
        if self.note:
            blocks.append([self.note])
        if self.outliers:
            worst = [("largest differences", "label", "A", "B", "sigma")]
            for row in self.outliers:
                worst.append((row.key, row.label, f"{row.a:.6g}", f"{row.b:.6g}", f"{row.sigmas:.3g}"))
            blocks.append(aligned(worst))
        return "\n\n".join("\n".join(block) for block in blocks)


def compare_catalogues(
    a: str | Path,
    b: str | Path,
    *,
    on: Sequence[str] = (),
    tolerance: float | None = None,
    outliers: int = 10,
) -> CatalogueComparison:
    """Compare two catalogues (FITS or Parquet) of the same spectra.

    Parameters
    ----------
    on: columns that identify a spectrum; the default is that of `match_rows`.
    tolerance: in sigma. `share_beyond` is the share of common rows that differ by more in some label, or have that
        label in one catalogue only; without a tolerance only the latter count.
    outliers: how many of the rows that differ most to list.

    Raises
    ------
    UsageError if the rows cannot be matched (see `match_rows`).
    """
    return compare_rows(match_rows(a, b, COMPARED, on), a, b, tolerance=tolerance, outliers=outliers)


def compare_rows(
    rows: MatchedRows, a: str | Path, b: str | Path, *, tolerance: float | None = None, outliers: int = 10
) -> CatalogueComparison:
    """Compare matched rows of two catalogues, of which the columns COMPARED were read; see `compare_catalogues`."""
    sigmas = {label: differences_in_sigma(rows, label) for label in LABELS}
    table_names = (flag_table_name(catalogue_cards(path)) for path in (a, b))
    transitions, note = flag_transitions(rows.a, rows.b, *table_names)
    return CatalogueComparison(
        a=str(a),
        b=str(b),
        key=rows.key,
        rows_a=rows.rows_a,
        rows_b=rows.rows_b,
        common=len(rows),
        only_a=rows.only_a,
        only_b=rows.only_b,
        ambiguous=rows.ambiguous,
        labels=tuple(_label_difference(rows, label, sigmas[label]) for label in LABELS),
        flags=tuple(transitions),
        outliers=tuple(_outliers(rows, sigmas, outliers)),
        share_beyond=_share_beyond(sigmas, tolerance),
        tolerance=tolerance,
        note=note,
    )


def differences_in_sigma(rows: MatchedRows, label: str) -> NDArray[np.float64]:
    """Return |B - A| in sigma, float64 (n,).

    It is infinite if only one catalogue has the label, or if the labels differ without an error; 0 if both lack it.
    """
    a, b = (columns[label].astype(np.float64) for columns in (rows.a, rows.b))
    errors = [columns[f"e_{label}"].astype(np.float64) for columns in (rows.a, rows.b)]
    sigma = np.sqrt((errors[0] ** 2 + errors[1] ** 2) / 2)
    known_a, known_b = np.isfinite(a), np.isfinite(b)
    out = np.where(known_a ^ known_b, np.inf, 0.0)
    differ = known_a & known_b & (a != b)
    measured = differ & (sigma > 0)
    out[differ] = np.inf
    out[measured] = np.abs(b[measured] - a[measured]) / sigma[measured]
    return out


def _label_difference(rows: MatchedRows, label: str, sigmas: NDArray[np.float64]) -> LabelDifference:
    a, b = (columns[label].astype(np.float64) for columns in (rows.a, rows.b))
    known_a, known_b = np.isfinite(a), np.isfinite(b)
    known = known_a & known_b
    difference = b[known] - a[known]
    raw_a, raw_b = (columns[f"raw_e_{label}"][known].astype(np.float64) for columns in (rows.a, rows.b))
    measured = (raw_a > 0) & np.isfinite(raw_b)
    bias = _median(difference)
    return LabelDifference(
        label=label,
        rows=len(difference),
        bias=bias,
        scatter=1.4826 * _median(np.abs(difference - bias)),
        largest=float(np.abs(difference).max(initial=0.0)),
        beyond=tuple(float(np.mean(sigmas[known] > limit)) if known.any() else np.nan for limit in SIGMAS),
        error_ratio=_median(raw_b[measured] / raw_a[measured]),
        only_a=int(np.count_nonzero(known_a & ~known_b)),
        only_b=int(np.count_nonzero(known_b & ~known_a)),
    )


def _median(values: NDArray[np.float64]) -> float:
    return float(np.median(values)) if len(values) else float("nan")


def _share_beyond(sigmas: Mapping[str, NDArray[np.float64]], tolerance: float | None) -> float:
    limit = np.inf if tolerance is None else tolerance
    beyond = [(values > limit) | np.isposinf(values) for values in sigmas.values()]
    return float(np.mean(np.any(beyond, axis=0)))


def _outliers(rows: MatchedRows, sigmas: Mapping[str, NDArray[np.float64]], most: int) -> list[Outlier]:
    """Return the rows with the largest finite differences, each with its worst label."""
    stacked = np.stack([np.where(np.isfinite(sigmas[label]), sigmas[label], 0.0) for label in LABELS])
    worst = stacked.max(axis=0)
    out = []
    for i in np.argsort(-worst, kind="stable")[:most]:
        if not worst[i] > 0:
            break
        label = LABELS[int(stacked[:, i].argmax())]
        out.append(Outlier(rows.name(int(i)), label, float(rows.a[label][i]), float(rows.b[label][i]), float(worst[i])))
    return out
