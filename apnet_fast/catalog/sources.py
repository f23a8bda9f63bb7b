"""Fill columns and photometry of spectra from a summary table (`--catalog`), the table of sources."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from apnet_fast.catalog.columns import SPECTRUM_COLUMNS, Column
from apnet_fast.catalog.columns.results import OWN_VISIT_COLUMNS, RESULT_COLUMNS
from apnet_fast.catalog.columns.source import SOURCE_COLUMNS
from apnet_fast.catalog.copies import first_of_copies
from apnet_fast.catalog.foreign import Foreign, family_of
from apnet_fast.catalog.matching import Matcher, RowMatches, name_parts
from apnet_fast.catalog.values import as_column
from apnet_fast.inputs.summary_tables import open_table
from apnet_fast.inputs.table_values import column_as_digits, column_as_text, count_inexact
from apnet_fast.recipes.photometry import PHOTOMETRY_COLUMNS
from apnet_fast.spectra.batch import Product, SpectrumRecord
from apnet_fast.support.errors import UsageError
from apnet_fast.support.notices import warn_once

# Keys of the star, which stand among the columns of the spectrum or of the results.
_SOURCE_KEYS = ("source", "star_pk", "source_pk")

# Parts of a spectrum's name, and the columns that may hold each; the first one present counts.
_NAMES = {
    "release": ("release",),
    "telescope": ("telescope",),
    "obj": ("obj", "apogee_id", "sdss4_apogee_id"),
    "sdss_id": ("sdss_id",),
    "field": ("field",),
    "healpix": ("healpix",),
    "file": ("file",),
    "plate": ("plate",),
    "mjd": ("mjd",),
    "fiber": ("fiber", "fiberid"),
}
_NUMBERS = ("healpix", "sdss_id", "mjd", "fiber")
# Columns that mean what they mean in ours only beside `file_row`, which no other table has.
_OF_OUR_OWN = {"identity", "path"}
# Names of apStar files, and their types: apStarC and asStarC are of commissioning data.
_STAR_FILE = r"(?:^|/)(?:ap|as)Star(?P<commissioning>C?)(?:$|-[^/]*$)"
# Columns that prove two rows to be the same star, the best first.
_IDENTITY = ("sdss_id", "gaia_dr3_source_id")


class SourceTable:
    """A summary table in memory, reduced to the columns that ours can be filled from.

    product: whether its rows are stars or visits. rows: their number; equal copies of a row count once. warning: a line
    that names identifiers which the table does not hold exactly, "" if there are none.
    """

    def __init__(self, table: pa.Table, where: str = "") -> None:
        """Take a table as `apnet_fast.inputs.summary_tables.read_table` returns it; `where`: its path, for errors.

        Raises UsageError if no column identifies the object of a row, or if a column cannot be what its name means.
        """
        names = set(table.column_names)
        self.product: Product = _product_of(names)
        family = family_of(names)
        foreigns = family.columns[self.product] if family else ()
        inexact: dict[str, int] = {}
        self._source = _columns(table, _wanted_of_source(), foreigns, where, inexact)
        self._spectrum = _columns(table, _wanted_of_spectrum(self.product), foreigns, where, inexact)
        self.warning = _warning_of(inexact, where)
        parts = _parts(table, self.product, where)
        if not {"obj", "sdss_id", "file"} & set(parts):
            raise UsageError(
                "the table does not identify the objects of its rows",
                got=f"columns {', '.join(sorted(names)[:20])}",
                expected="one of obj, apogee_id, sdss_id",
                remedy="give an allStar, allVisit, mwmAllStar or mwmAllVisit table",
                where=where,
            )
        # Copies of a row may have been computed under several identities.
        names_of_rows = {part: values for part, values in parts.items() if part != "identity"}
        kept = first_of_copies(names_of_rows, [*self._source.values(), *self._spectrum.values()], table.num_rows)
        self.rows = len(kept)
        if self.rows < table.num_rows:
            self._source, self._spectrum, parts = (
                {name: values.take(pa.array(kept)) for name, values in columns.items()}
                for columns in (self._source, self._spectrum, parts)
            )
        self._matcher = Matcher(self.product, parts, self._identity())

    @classmethod
    def load(cls, path: str | Path) -> SourceTable:
        """Read a table, FITS or Parquet, and write its warning, once in a run.

        Raises UsageError for a file that is not a table or that cannot be used.
        """
        with open_table(path) as table:
            present = set(table.columns)
            rows = table.read(_readable(present))
        sources = cls(rows, str(path))
        if sources.warning:
            warn_once(sources.warning, about=f"identifiers of {path}")
        return sources

    def match(self, records: Sequence[SpectrumRecord]) -> SourceMatches:
        """Find the rows of spectra, which may mix products."""
        return SourceMatches(self, self._matcher.match(records))

    def columns_for(self, product: Product, matches: SourceMatches) -> dict[str, pa.Array]:
        """Return columns of a product for n spectra of it: arrays (n,) in the column's type, null if not known.

        "source_match" records what was found: "spectrum" (its own row), "source" (a row of its star), "ambiguous"
        (several rows could be its star, and none was taken), "none".
        """
        columns = _taken(self._source, matches.rows.source)
        if product == self.product:
            columns |= _taken(self._spectrum, matches.rows.spectrum)
        columns["source_match"] = _kind(matches.rows)
        return columns

    def photometry(self, matches: SourceMatches) -> NDArray[np.float32]:
        """Return float32 (n, 7): parallax [mas], G, BP, RP, J, H, K [mag]; NaN if not known."""
        values = np.full((len(matches), len(PHOTOMETRY_COLUMNS)), np.nan, np.float32)
        known = {name: column for name, column in self._source.items() if name in PHOTOMETRY_COLUMNS}
        for name, column in _taken(known, matches.rows.source).items():
            values[:, PHOTOMETRY_COLUMNS.index(name)] = column.fill_null(np.nan).to_numpy(zero_copy_only=False)
        return values

    def _identity(self) -> NDArray[np.int64]:
        """Return int64 (rows,), equal for rows of the same star; see `Matcher`."""
        known = np.full(self.rows, -1, np.int64)
        for name in _IDENTITY:
            if name in self._source:
                ids = self._source[name].fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
                known = _completed(known, ids)
        # All visits of an object are of one star unless identifiers differ; rows of a table of stars need a shared one.
        return known if self.product == "visit" else np.where(known > 0, known, -2 - np.arange(self.rows))


@dataclass(frozen=True)
class SourceMatches:
    """Rows of `table` for n spectra, found once and carried with them."""

    table: SourceTable
    rows: RowMatches

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, chosen: NDArray | slice) -> SourceMatches:
        """Select spectra by a bool mask (n,), by indices or by a slice."""
        return SourceMatches(self.table, self.rows.take(chosen))

    @staticmethod
    def concatenate(parts: Sequence[SourceMatches]) -> SourceMatches:
        """Join the matches of several batches, at least one, in order; all are of one table."""
        return SourceMatches(parts[0].table, RowMatches.concatenate([part.rows for part in parts]))


def _completed(known: NDArray[np.int64], ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Complete identities (-1: unknown) by an id: take those of rows that share it or, if none does, the id itself."""
    both = (known > 0) & (ids > 0)
    shared, first = np.unique(ids[both], return_index=True)
    identities = known[both][first]
    missing = np.flatnonzero((known <= 0) & (ids > 0))
    completed = known.copy()
    completed[missing] = ids[missing]
    if len(shared):
        at = np.minimum(np.searchsorted(shared, ids[missing]), len(shared) - 1)
        found = shared[at] == ids[missing]
        completed[missing[found]] = identities[at[found]]
    return completed


def _product_of(names: set[str]) -> Product:
    return "visit" if "mjd" in names and names & {"fiber", "fiberid", "file", "visit_pk"} else "star"


def _wanted_of_source() -> list[Column]:
    keys = [column for column in (*SPECTRUM_COLUMNS["star"], *RESULT_COLUMNS) if column.name in _SOURCE_KEYS]
    return [*SOURCE_COLUMNS, *keys]


def _wanted_of_spectrum(product: Product) -> list[Column]:
    own = OWN_VISIT_COLUMNS if product == "visit" else ()
    return [column for column in (*SPECTRUM_COLUMNS[product], *own) if column.name not in _SOURCE_KEYS]


def _readable(present: set[str]) -> set[str]:
    """Return which of a table's columns, ours and foreign, may be used."""
    family = family_of(present)
    names = {name for alternatives in _NAMES.values() for name in alternatives} | {"gaia_release", "flags_from"}
    names |= {column.name for column in _wanted_of_source()}
    for product in SPECTRUM_COLUMNS:
        names |= {column.name for column in _wanted_of_spectrum(product)}
    if family is not None:
        names.update(*family.marks)
        names |= {foreign.name for foreigns in family.columns.values() for foreign in foreigns}
    return names & present | _own(present) | {"file_row"} & present


def _own(present: Collection[str]) -> set[str]:
    """Return which columns of our own catalogues a table has, besides those that it shares with others."""
    return _OF_OUR_OWN & set(present) if "file_row" in present else set()


def _columns(
    table: pa.Table, wanted: Sequence[Column], foreigns: Sequence[Foreign], where: str, inexact: dict[str, int]
) -> dict[str, pa.Array]:
    """Return those of our columns that a table can fill, null if it does not know a value.

    inexact: gets the number of identifiers that a foreign column does not hold exactly, by the column's name.
    """
    foreign_of = {foreign.ours: foreign for foreign in foreigns if foreign.name in table.column_names}
    columns = {}
    for column in wanted:
        foreign = foreign_of.get(column.name)
        name = column.name if foreign is None else foreign.name
        if name not in table.column_names:
            continue
        values = as_column(table[name], column, where)
        if column.name == "spectrum_flags" and "flags_from" in table.column_names:
            # Our own catalogue: in FITS, no bit may also mean that nobody looked.
            known = pc.not_equal(column_as_text(table, "flags_from", where), "")
            values = pc.if_else(known, values, pa.scalar(None, values.type))
        if foreign is not None and foreign.gaia:
            values = _of_gaia_release(values, table, foreign.gaia)
        if column.form == "K" and not column.bits and (number := count_inexact(table[name])):
            inexact[name] = number
        if values.null_count < len(values):
            columns[column.name] = values
    if "source" in columns or "source_pk" in columns:
        for one, other in (("source", "source_pk"), ("source_pk", "source")):
            columns.setdefault(one, columns.get(other))
    return columns


def _of_gaia_release(values: pa.Array, table: pa.Table, digit: str) -> pa.Array:
    if "gaia_release" not in table.column_names:
        return pa.nulls(len(values), values.type)
    right = pc.match_substring(column_as_text(table, "gaia_release", ""), digit)
    return pc.if_else(right, values, pa.scalar(None, values.type))


def _warning_of(inexact: Mapping[str, int], where: str) -> str:
    if not inexact:
        return ""
    columns = ", ".join(f"{name} ({number})" for name, number in inexact.items())
    return (
        f"{where}: identifiers are left out that the table does not hold exactly: {columns}. They are floats, or text"
        " of floats, of 2^53 and more, or beyond signed 64-bit integers. Write them as such integers, or as text of"
        " digits"
    )


def _parts(table: pa.Table, product: Product, where: str) -> dict[str, pa.Array]:
    """Return the parts of names that `Matcher` compares, as text."""
    found: dict[str, pa.Array] = {}
    for part, alternatives in _NAMES.items():
        name = next((name for name in alternatives if name in table.column_names), None)
        if name is not None:
            found[part] = _digits(table, name, where) if part in _NUMBERS else column_as_text(table, name, where)
    for part in _NUMBERS:
        if part in found:
            found[part] = pc.if_else(pc.starts_with(found[part], "-"), "", found[part])
    places = [found.pop(part) for part in ("field", "healpix") if part in found]
    if places:
        first, last = places[0], places[-1]
        found["place"] = pc.if_else(pc.equal(first, ""), last, first)
    if "file" in found:
        found["file"] = pc.replace_substring_regex(found["file"], pattern=r"^.*/", replacement="")
    if "identity" in _own(table.column_names):
        found["identity"] = column_as_text(table, "identity", where)
    if (commissioning := _commissioning(table, where)) is not None:
        found["commissioning"] = commissioning
    if product == "star":
        if "file" in found:
            found |= name_parts(found["file"])
        names = ("release", "telescope", "place", "obj", "sdss_id", "star_file", "kind", "commissioning", "identity")
        return {part: found[part] for part in names if part in found}
    return found


def _commissioning(table: pa.Table, where: str) -> pa.Array | None:
    """Return for each row whether it is of commissioning data, "yes" or "no"; "" if it does not say; None for no row.

    The type of the file tells, its name, or in our own catalogues its path.
    """
    present = {"file", "filetype"} & set(table.column_names) | _own(table.column_names)
    kinds = []
    for name in (name for name in ("file", "filetype", "path") if name in present):
        texts = column_as_text(table, name, where)
        kind = pc.struct_field(pc.extract_regex(texts, _STAR_FILE), "commissioning")
        kinds.append(pc.if_else(pc.equal(kind, "C"), "yes", pc.if_else(pc.equal(kind, ""), "no", kind)))
    return pc.coalesce(*kinds).fill_null("") if kinds else None


def _digits(table: pa.Table, name: str, where: str) -> pa.Array:
    """Return a column of integers as text; other text as it is, which then is no spectrum's."""
    try:
        return column_as_digits(table, name, where)
    except UsageError:
        return column_as_text(table, name, where)


def _taken(columns: Mapping[str, pa.Array], rows: NDArray[np.int64]) -> dict[str, pa.Array]:
    """Take rows of columns; null for row -1."""
    indices = pa.array(rows, mask=rows < 0)
    return {name: column.take(indices) for name, column in columns.items()}


def _kind(match: RowMatches) -> pa.Array:
    kind = np.select(
        [match.spectrum >= 0, match.source >= 0, match.ambiguous], ["spectrum", "source", "ambiguous"], "none"
    )
    return pa.array(kind.tolist(), pa.string())
