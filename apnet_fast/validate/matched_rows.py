"""Match the rows of two catalogues by the columns that identify a spectrum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from apnet_fast.catalog.reading import catalogue_cards
from apnet_fast.inputs.summary_tables import missing_columns, read_table, table_columns
from apnet_fast.support.errors import UsageError

_IDENTITY = "identity"
_STAR_KEYS = ("obj", "telescope", "field")
_VISIT_KEYS = ("mjd", "fiber")
_SEPARATOR = "\x1f"


@dataclass(frozen=True)
class MatchedRows:
    """Rows that two catalogues have in common.

    key: columns that identify a spectrum. a, b: the wanted columns of the common rows, arrays (n,) in the same order.
    rows_a, rows_b: all rows of each catalogue. only_a, only_b: rows whose key the other catalogue lacks. ambiguous:
    rows left out because their key is not unique in a catalogue.
    """

    key: tuple[str, ...]
    a: Mapping[str, NDArray]
    b: Mapping[str, NDArray]
    rows_a: int
    rows_b: int
    only_a: int
    only_b: int
    ambiguous: int
    names: pa.Array

    def __len__(self) -> int:
        return len(self.names)

    def name(self, row: int) -> str:
        """Return the key of a common row as text."""
        return self.names[row].as_py().replace(_SEPARATOR, " ")


def match_rows(a: str | Path, b: str | Path, wanted: Sequence[str], on: Sequence[str] = ()) -> MatchedRows:
    """Read the wanted columns of the rows that two catalogues (FITS or Parquet) have in common.

    on: columns that identify a spectrum; default `identity` if both have it, else obj, telescope and field (HEALPix
    if a catalogue has no field), and for visits mjd and fiber.

    Raises UsageError if a file lacks columns, if no spectrum is common or no common key is unique, and, unless `on` is
    given, if one catalogue holds stars and the other visits.
    """
    paths, columns = (a, b), (table_columns(a), table_columns(b))
    if not on:
        _check_products([product_of(path) for path in paths], paths)
    key = _key_columns(columns, on, paths)
    tables = []
    for path, present in zip(paths, columns, strict=True):
        if missing := [name for name in wanted if name not in present]:
            raise missing_columns("the catalogue lacks columns to compare", missing, present, path)
        tables.append(read_table(path, [*wanted, *key]))
    names = [_names(table, key, path) for table, path in zip(tables, paths, strict=True)]
    rows_a, rows_b, ambiguous = _matched(*names)
    if not len(rows_a):
        raise _nothing_matched(names, key, ambiguous, columns)
    common = [
        {name: table[name].to_numpy()[rows] for name in wanted}
        for table, rows in zip(tables, (rows_a, rows_b), strict=True)
    ]
    return MatchedRows(
        key=tuple(key),
        a=common[0],
        b=common[1],
        rows_a=len(names[0]),
        rows_b=len(names[1]),
        only_a=_not_in(*names),
        only_b=_not_in(*reversed(names)),
        ambiguous=ambiguous,
        names=names[0].combine_chunks().take(pa.array(rows_a)),
    )


def product_of(path: str | Path) -> str:
    """Return "star" or "visit" from the card PRODUCT, else from the columns (released files); empty if unknown."""
    columns = table_columns(path)
    by_columns = "star" if "min_mjd" in columns else "visit" if set(_VISIT_KEYS) <= set(columns) else ""
    return catalogue_cards(path).get("PRODUCT", by_columns)


def _check_products(products: Sequence[str], paths: Sequence[str | Path]) -> None:
    """Refuse to match stars with visits: they share columns, but no spectrum."""
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
    """Return one string per row that names its spectrum. Raises UsageError for other columns, such as vectors."""
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
    """Return the error for two catalogues without a match: either no key is common, or none is unique.

    names, columns: the rows' keys and all columns of each catalogue. ambiguous: number of rows with a common key.
    """
    if not ambiguous:
        return UsageError(
            "the catalogues have no spectrum in common",
            got=f"A {_example(names[0])}, B {_example(names[1])}, by {', '.join(key)}",
            remedy="name the columns that identify a spectrum in both: --on obj,telescope",
        )
    more = [
        name for name in (*_STAR_KEYS, *_VISIT_KEYS) if name not in key and all(name in present for present in columns)
    ]
    shared = [f"{np.count_nonzero(~_unique(each))} of {len(each)} rows" for each in names]
    return UsageError(
        f"{', '.join(key)} does not identify spectra: no key that both catalogues have is unique in both",
        got=f"A {shared[0]}, B {shared[1]} share their {', '.join(key)} with another row",
        expected="one row per spectrum",
        remedy=(f"name more columns, such as --on {','.join([*key, *more])}, or " if more else "")
        + "leave out duplicate rows",
    )


def _example(names: pa.ChunkedArray) -> str:
    return repr(names[0].as_py().replace(_SEPARATOR, " ")) if len(names) else "no rows"


def _matched(a: pa.ChunkedArray, b: pa.ChunkedArray) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Return the row numbers in A and B of the common names unique in both, in A's order, and how many were not."""
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
