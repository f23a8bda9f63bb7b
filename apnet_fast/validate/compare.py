"""Two catalogues of the same spectra, row by row: labels, errors, flags, and who is in one only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from apnet_fast.catalog.reading import catalogue_cards
from apnet_fast.inputs.summary_tables import missing_columns, read_table, table_columns
from apnet_fast.recipes.flag_tables import known_table
from apnet_fast.recipes.labels import LABELS
from apnet_fast.support.errors import UsageError
from apnet_fast.support.files import without_nan
from apnet_fast.validate.text import aligned

# Differences are counted beyond these, in units of the error: reduced precision, and one, three and five sigma.
SIGMAS = (0.05, 1.0, 3.0, 5.0)
_IDENTITY = "identity"
_STAR_KEYS = ("obj", "telescope", "field")
_VISIT_KEYS = ("mjd", "fiber")
_SEPARATOR = "\x1f"


@dataclass(frozen=True)
class LabelDifference:
    """B minus A of one label, over rows that have it in both.

    bias: median of B - A. scatter: 1.4826 x median absolute deviation from it. largest: of |B - A|. Sigma is the
    root mean square of the two inflated errors; beyond: shares of rows that differ by more than SIGMAS of it.
    error_ratio: median of raw_e(B) / raw_e(A). only_a, only_b: rows where just one catalogue has a finite label.
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
class Transition:
    """Rows in which a flag is set in both, in A only, in B only, and in neither."""

    flag: str
    both: int
    only_a: int
    only_b: int
    neither: int


@dataclass(frozen=True)
class Outlier:
    """One of the rows that differ most: its key, label, values in A and B, and |B - A| in sigma."""

    key: str
    label: str
    a: float
    b: float
    sigmas: float


@dataclass(frozen=True)
class CatalogueComparison:
    """What `validate compare` finds. ambiguous: rows left out because their key is not unique in a catalogue."""

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
        """For JSON: NaN becomes null."""
        return without_nan(asdict(self))

    def text(self) -> str:
        """The tables as printed."""
        lines = [
            f"A {self.a}: {self.rows_a} rows, {self.only_a} of them not in B",
            f"B {self.b}: {self.rows_b} rows, {self.only_b} of them not in A",
            f"{self.common} rows in both, by {', '.join(self.key)}"
            + (f"; {self.ambiguous} rows left out: more than one of that name" if self.ambiguous else ""),
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


@dataclass(frozen=True)
class _Columns:
    """Rows of A and B that belong together, in the same order."""

    a: Mapping[str, NDArray]
    b: Mapping[str, NDArray]


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
    on: columns that name a spectrum; default `identity` where both have it, else obj, telescope and field (HEALPix
        where a catalogue has no field), and for visits mjd and fiber.
    tolerance: in sigma. `share_beyond` is the share of common rows that differ by more in some label, or have that
        label in one catalogue only; without a tolerance only the latter count.
    outliers: how many of the rows that differ most to list.

    Raises
    ------
    UsageError for files that lack the columns, have no spectrum in common or none whose key is unique, and, unless
    `on` says how to pair them, for one of stars and one of visits.
    """
    paths, columns = (a, b), (table_columns(a), table_columns(b))
    cards = [catalogue_cards(path) for path in paths]
    if not on:
        _check_products([_product(*each) for each in zip(cards, columns, strict=True)], paths)
    key = _key_columns(columns, on, paths)
    wanted = [f"{prefix}{label}" for label in LABELS for prefix in ("", "e_", "raw_e_")]
    wanted += ["result_flags", "flag_warn", "flag_bad"]
    tables = []
    for path, present in zip(paths, columns, strict=True):
        if missing := [name for name in wanted if name not in present]:
            raise missing_columns("the catalogue lacks columns to compare", missing, present, path)
        tables.append(read_table(path, [*wanted, *key]))
    names = [_names(table, key, path) for table, path in zip(tables, paths, strict=True)]
    rows_a, rows_b, ambiguous = _matched(*names)
    if not len(rows_a):
        raise _nothing_matched(names, key, ambiguous, columns)
    both = _Columns(
        *(
            {name: table[name].to_numpy()[rows] for name in wanted}
            for table, rows in zip(tables, (rows_a, rows_b), strict=True)
        )
    )
    sigmas = {label: _sigmas(both, label) for label in LABELS}
    transitions, note = _transitions(both, *map(_table_name, cards))
    return CatalogueComparison(
        a=str(a),
        b=str(b),
        key=tuple(key),
        rows_a=len(names[0]),
        rows_b=len(names[1]),
        common=len(rows_a),
        only_a=_not_in(*names),
        only_b=_not_in(*reversed(names)),
        ambiguous=ambiguous,
        labels=tuple(_label_difference(both, label, sigmas[label]) for label in LABELS),
        flags=tuple(transitions),
        outliers=tuple(_outliers(both, sigmas, names[0], rows_a, outliers)),
        share_beyond=_share_beyond(sigmas, tolerance),
        tolerance=tolerance,
        note=note,
    )


def _product(cards: Mapping[str, str], columns: Sequence[str]) -> str:
    """star or visit: what the card says, else (the released files) what the columns tell; empty where neither does."""
    told = "star" if "min_mjd" in columns else "visit" if set(_VISIT_KEYS) <= set(columns) else ""
    return cards.get("PRODUCT", told)


def _check_products(products: Sequence[str], paths: Sequence[str | Path]) -> None:
    """Stars and visits have no spectrum in common, whatever the columns that they share."""
    if sorted(products) == ["star", "visit"]:
        raise UsageError(
            "one catalogue is of stars and one of visits, which are different spectra",
            got=", ".join(f"{path} of {product}s" for path, product in zip(paths, products, strict=True)),
            expected="two of the same product",
            remedy="compare AllStar with AllStar, and AllVisit with AllVisit",
        )


def _key_columns(
    columns: tuple[Sequence[str], Sequence[str]], on: Sequence[str], paths: tuple[str | Path, str | Path]
) -> list[str]:
    shared = [name for name in columns[0] if name in columns[1]]
    if on:
        key = [name.strip().lower() for name in on]
    elif _IDENTITY in shared:
        key = [_IDENTITY]
    else:
        key = ["healpix" if name == "field" and name not in shared else name for name in _STAR_KEYS]
        key += [name for name in _VISIT_KEYS if name in shared]
    for path, present in zip(paths, columns, strict=True):
        if missing := [name for name in key if name not in present]:
            raise missing_columns("the catalogue lacks columns that name its spectra", missing, present, path)
    return key


def _names(table: pa.Table, key: Sequence[str], path: str | Path) -> pa.ChunkedArray:
    """One text a row that names its spectrum. UsageError for a column that has no text, such as a vector."""
    texts = []
    for name in key:
        try:
            texts.append(pc.fill_null(table[name].cast(pa.string()), ""))
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
            raise UsageError(
                "a column of this type cannot name spectra",
                got=f"{name} of type {table[name].type}",
                expected="text or numbers",
                remedy="leave it out of --on",
                where=str(path),
            ) from error
    return texts[0] if len(texts) == 1 else pc.binary_join_element_wise(*texts, _SEPARATOR)


def _nothing_matched(
    names: Sequence[pa.ChunkedArray], key: Sequence[str], ambiguous: int, columns: Sequence[Sequence[str]]
) -> UsageError:
    """The error of two catalogues of which no row could be paired: no key in common, or none that is unique.

    names, columns: of each catalogue, its rows' keys and all its columns. ambiguous: rows with a key in common.
    """
    if not ambiguous:
        return UsageError(
            "the catalogues have no spectrum in common",
            got=f"A {_example(names[0])}, B {_example(names[1])}, by {', '.join(key)}",
            remedy="name the columns that tell spectra apart in both: --on obj,telescope",
        )
    more = [
        name for name in (*_STAR_KEYS, *_VISIT_KEYS) if name not in key and all(name in present for present in columns)
    ]
    shared = [f"{np.count_nonzero(~_unique(each))} of {len(each)} rows" for each in names]
    return UsageError(
        f"{', '.join(key)} does not tell spectra apart: nothing that both catalogues have is unique in both",
        got=f"A {shared[0]}, B {shared[1]} share their {', '.join(key)} with another row",
        expected="one row of each spectrum",
        remedy=(f"name more columns, such as --on {','.join([*key, *more])}, or " if more else "")
        + "leave out rows that are there twice",
    )


def _example(names: pa.ChunkedArray) -> str:
    return repr(names[0].as_py().replace(_SEPARATOR, " ")) if len(names) else "no rows"


def _matched(a: pa.ChunkedArray, b: pa.ChunkedArray) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Row numbers in A and in B of the common names that are unique in both, in A's order; and how many were not."""
    found = pc.index_in(a, value_set=b.combine_chunks())
    rows_a = np.flatnonzero(pc.is_valid(found).to_numpy())
    rows_b = pc.drop_null(found).to_numpy().astype(np.int64)
    unique = _unique(a)[rows_a] & _unique(b)[rows_b]
    return rows_a[unique], rows_b[unique], int(np.count_nonzero(~unique))


def _unique(names: pa.ChunkedArray) -> NDArray[np.bool_]:
    codes = pc.dictionary_encode(names.combine_chunks()).indices.to_numpy()
    return np.bincount(codes)[codes] == 1 if len(codes) else np.zeros(0, dtype=bool)


def _not_in(names: pa.ChunkedArray, other: pa.ChunkedArray) -> int:
    return len(names) - (pc.sum(pc.is_in(names, value_set=other.combine_chunks())).as_py() or 0)


def _sigmas(both: _Columns, label: str) -> NDArray[np.float64]:
    """|B - A| in sigma, float64 (n,): infinite where just one has the label, or both but no error and they differ; 0
    where both lack it.
    """
    a, b = (columns[label].astype(np.float64) for columns in (both.a, both.b))
    errors = [columns[f"e_{label}"].astype(np.float64) for columns in (both.a, both.b)]
    sigma = np.sqrt((errors[0] ** 2 + errors[1] ** 2) / 2)
    known_a, known_b = np.isfinite(a), np.isfinite(b)
    out = np.where(known_a ^ known_b, np.inf, 0.0)
    differ = known_a & known_b & (a != b)
    measured = differ & (sigma > 0)
    out[differ] = np.inf
    out[measured] = np.abs(b[measured] - a[measured]) / sigma[measured]
    return out


def _label_difference(both: _Columns, label: str, sigmas: NDArray[np.float64]) -> LabelDifference:
    a, b = (columns[label].astype(np.float64) for columns in (both.a, both.b))
    known_a, known_b = np.isfinite(a), np.isfinite(b)
    known = known_a & known_b
    difference = b[known] - a[known]
    raw_a, raw_b = (columns[f"raw_e_{label}"][known].astype(np.float64) for columns in (both.a, both.b))
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


def _outliers(
    both: _Columns,
    sigmas: Mapping[str, NDArray[np.float64]],
    names: pa.ChunkedArray,
    rows: NDArray[np.int64],
    most: int,
) -> list[Outlier]:
    """The rows with the largest finite difference, one entry a row: its worst label."""
    stacked = np.stack([np.where(np.isfinite(sigmas[label]), sigmas[label], 0.0) for label in LABELS])
    worst = stacked.max(axis=0)
    out = []
    for i in np.argsort(-worst, kind="stable")[:most]:
        if not worst[i] > 0:
            break
        label = LABELS[int(stacked[:, i].argmax())]
        key = names[int(rows[i])].as_py().replace(_SEPARATOR, " ")
        out.append(Outlier(key, label, float(both.a[label][i]), float(both.b[label][i]), float(worst[i])))
    return out


def _table_name(cards: Mapping[str, str]) -> str:
    """Name of the table of bits that a catalogue uses; empty where it does not say."""
    if name := cards.get("FLAGTAB"):
        return name
    # The released files name no table; they are Astra's.
    if not cards.get("V_ASTRA", "").startswith("0.6"):
        return ""
    return "astra-0.6-v2" if cards.get("PIPELINE") == "ApogeeNetV2" else "astra-0.6"


def _transitions(both: _Columns, a: str, b: str) -> tuple[list[Transition], str]:
    """Of flag_warn, flag_bad and, unless the catalogues use different tables of bits, of every bit.

    a, b: names of their tables. Bits have names only where both use the same table and it is known.
    """
    masks = ("flag_warn", "flag_bad")
    out = [_transition(name, both.a[name].astype(bool), both.b[name].astype(bool)) for name in masks]
    if a and b and a != b:
        return out, f"Bits of result_flags mean different things: table {a} in A, {b} in B; not compared."
    table = known_table(a) if a == b else None
    names = {bit.number: bit.name for bit in table.bits} if table else {}
    set_a, set_b = (columns["result_flags"].astype(np.int64) for columns in (both.a, both.b))
    seen = int(np.bitwise_or.reduce(set_a | set_b, initial=0))
    for bit in range(63):
        if bit in names or seen >> bit & 1:
            name = f"{bit} {names[bit]}" if bit in names else f"bit {bit}"
            out.append(_transition(name, (set_a >> bit & 1).astype(bool), (set_b >> bit & 1).astype(bool)))
    return out, "" if table else _unnamed(a, b)


def _unnamed(a: str, b: str) -> str:
    """Why bits are told by number only."""
    if a and b:
        return f"Bits of result_flags by number: their table {a} is none of this package's."
    if not a and not b:
        return "Neither catalogue says which table of bits it uses."
    silent, other, name = ("A", "B", b) if b else ("B", "A", a)
    return f"Bits of result_flags by number: {other} uses table {name}, and {silent} does not say which it uses."


def _transition(flag: str, a: NDArray[np.bool_], b: NDArray[np.bool_]) -> Transition:
    counts = [int(np.count_nonzero(rows)) for rows in (a & b, a & ~b, ~a & b, ~a & ~b)]
    return Transition(flag, *counts)
