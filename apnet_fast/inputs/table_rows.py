"""Find the apStar files of the rows of a summary table (allStar, allVisit, mwmAllStar, mwmAllVisit and their like)."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from apnet_fast.inputs.summary_tables import missing_columns, read_table, table_columns
from apnet_fast.inputs.survey_paths import TEMPLATES, star_paths
from apnet_fast.spectra.identity import RELEASES
from apnet_fast.support.errors import UsageError


@dataclass(frozen=True)
class TableKind:
    """A kind of table: it has all columns of `marks`, needs those of `needs` and may have those of `extras`."""

    name: str
    marks: frozenset[str]
    needs: frozenset[str]
    extras: frozenset[str] = frozenset()


# Column names: SDSS data model. A table is of the first kind whose marks it has.
KINDS = (
    TableKind(
        "mwmAllStar, mwmAllVisit or another of Astra's tables",
        frozenset({"release", "apred"}),
        frozenset({"release", "apred", "telescope", "obj", "field", "healpix"}),
        frozenset({"prefix", "reduction"}),
    ),
    TableKind(
        "allStar or allVisit of SDSS-V",
        frozenset({"file", "uri"}),
        frozenset({"file", "uri", "telescope", "healpix", "apogee_id"}),
        frozenset({"starver", "field"}),
    ),
    TableKind(
        "allStar or allVisit of DR10 to DR17",
        frozenset({"file", "apogee_id"}),
        frozenset({"file", "apogee_id", "telescope", "field"}),
        frozenset({"location_id"}),
    ),
)

# Columns that star_paths wants.
_WANTED = ("release", "apred", "telescope", "prefix", "obj", "field", "location_id", "healpix", "file", "uri")
_FILE_NAME = r"^(?P<prefix>ap|as)(?P<what>Star|Visit)-(?P<apred>[^-]+)-(?P<rest>.+)\.fits$"
# apVisit names of the 1-m telescope: MJD, sometimes with decimals, and the name the reduction gave the star.
_VISIT_OF_1M = r"^(?:apo1m-)?\d{5}(?:\.\d+)?-"


@dataclass(frozen=True)
class TableFiles:
    """The files that the rows of a table name, each once, and the number of rows that name none."""

    files: tuple[str, ...]
    nameless_rows: int


def files_of_table(path: str, root: str | None) -> TableFiles:
    """Return the apStar files of the rows of a summary table, FITS or Parquet, in the tree below `root`.

    Many rows may name one file, as every visit names its star's. No file is looked at, because there are millions.
    Raises UsageError for a file that is no such table, without a root, and if the root holds none of its reductions.
    """
    present = table_columns(path)
    kind = _kind_of(present, path)
    if root is None:
        raise UsageError(
            "a table names its spectra by their place in the survey's tree, and the tree is not known",
            got=path,
            remedy="give --root, or set SAS_BASE_DIR: the folder that holds dr17/, dr19/ or sdsswork/",
        )
    if not os.path.isdir(root):
        raise UsageError("the root is no folder", got=root, expected="the folder that holds dr17/, dr19/ or sdsswork/")
    table = read_table(path, kind.needs | (kind.extras & set(present)))
    columns = _of_astra(table) if "release" in kind.marks else _of_files(table)
    unknown = sorted(set(pc.unique(columns["release"]).to_pylist()) - set(TEMPLATES) - {""})
    if unknown:
        raise UsageError(
            "the table has rows of an unknown release",
            got=", ".join(unknown),
            expected=", ".join(TEMPLATES),
            remedy="leave these rows out",
            where=path,
        )
    found = star_paths(columns, root)
    if not found.rows:
        raise UsageError(
            "no row of the table names a spectrum",
            got=f"{table.num_rows} rows, {kind.name}",
            expected="rows whose file, or field or HEALPix and object, are not empty",
            where=path,
        )
    # In the order of bytes, which is Python's order of these texts, and much faster.
    files = found.paths.take(pc.array_sort_indices(found.paths))
    return TableFiles(tuple(files.to_pylist()), table.num_rows - found.rows)


def _kind_of(columns: tuple[str, ...], path: str) -> TableKind:
    for kind in KINDS:
        if kind.marks <= set(columns):
            if missing := sorted(kind.needs - set(columns)):
                raise missing_columns(
                    f"the table, {kind.name}, does not tell where spectra are", missing, columns, path
                )
            return kind
    missing = sorted(KINDS[0].needs - set(columns))
    raise missing_columns("the table does not tell where spectra are", missing, columns, path)


def _texts(table: pa.Table) -> dict[str, pa.Array]:
    """Return every column that star_paths wants, as text; "" if the table lacks the column or the value."""
    texts = {name: pa.repeat(pa.scalar(""), table.num_rows) for name in _WANTED}
    for name in table.column_names:
        column = table[name].combine_chunks() if table.num_rows else pa.array([], table.schema.field(name).type)
        if not pa.types.is_string(column.type):
            # Negative numbers and NaN stand for "unknown".
            if pa.types.is_floating(column.type):
                column = pc.cast(pc.if_else(pc.is_finite(column), column, -1), pa.int64(), safe=False)
            column = pc.if_else(pc.less(column, 0), pa.scalar(None, pa.string()), pc.cast(column, pa.string()))
        texts[name] = pc.fill_null(column, "")
    return texts


def _of_astra(table: pa.Table) -> dict[str, pa.Array]:
    """Return the parts of names from an Astra table; a 1-m visit has the name of its star in `reduction`."""
    texts = _texts(table)
    by_site = pc.if_else(pc.equal(texts["telescope"], "lco25m"), "as", "ap")
    texts["prefix"] = pc.if_else(pc.equal(texts["prefix"], ""), by_site, texts["prefix"])
    if "reduction" in texts:
        named = pc.and_(pc.equal(texts["telescope"], "apo1m"), pc.not_equal(texts["reduction"], ""))
        texts["obj"] = pc.if_else(named, texts["reduction"], texts["obj"])
    return {name: texts[name] for name in _WANTED}


def _of_files(table: pa.Table) -> dict[str, pa.Array]:
    """Return the parts of names of a reduction's table: FILE is the star's file, or a visit's of the same reduction."""
    texts = _texts(table)
    parts = pc.extract_regex(texts["file"], _FILE_NAME)
    name = {part: pc.fill_null(pc.struct_field(parts, part), "") for part in ("prefix", "what", "apred", "rest")}
    of_visit = pc.equal(name["what"], "Visit")
    reduced_as = pc.replace_substring_regex(name["rest"], _VISIT_OF_1M, "")
    texts["obj"] = pc.if_else(pc.equal(texts["telescope"], "apo1m"), reduced_as, texts["apogee_id"])
    texts["prefix"], texts["apred"] = name["prefix"], pc.if_else(pc.equal(name["apred"], "s3"), "r3", name["apred"])
    of_known = pc.index_in(name["apred"], value_set=pa.array(list(RELEASES)))
    releases = pa.array(list(RELEASES.values())).take(of_known)
    later = pa.scalar("sdss5" if "uri" in table.column_names else "")
    texts["release"] = pc.if_else(pc.equal(name["what"], ""), "", pc.fill_null(releases, later))
    texts["file"] = pc.if_else(of_visit, _star_file(texts), texts["file"])
    texts["uri"] = pc.if_else(of_visit, "", texts["uri"])
    return {column: texts[column] for column in _WANTED}


def _star_file(texts: dict[str, pa.Array]) -> pa.Array:
    """Return a visit's star file: the version (STARVER) that the row names, or "" for the release's plain name."""
    if "starver" not in texts:
        return pa.repeat(pa.scalar(""), len(texts["file"]))
    plain = pc.binary_join_element_wise("apStar", texts["apred"], texts["telescope"], texts["obj"], "-")
    versioned = pc.binary_join_element_wise(plain, pc.binary_join_element_wise(texts["starver"], ".fits", ""), "-")
    return pc.if_else(pc.equal(texts["starver"], ""), "", versioned)
