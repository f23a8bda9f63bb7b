"""Find the apStar files of the rows of a summary table (allStar, allVisit, mwmAllStar, mwmAllVisit and their like)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from apnet_fast.inputs.known_files import KnownFiles
from apnet_fast.inputs.missing_files import Sample, look_for, names_on_disk
from apnet_fast.inputs.summary_tables import missing_columns, open_table
from apnet_fast.inputs.survey_paths import TEMPLATES, star_paths
from apnet_fast.inputs.table_values import as_integers, column_as_digits, column_as_text
from apnet_fast.spectra.identity import RELEASES
from apnet_fast.spectra.wrong_products import spectrum_in_table
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
        frozenset({"release", "apred", "telescope", "obj", "healpix"}),
        frozenset({"field", "prefix", "reduction", "sdss_id"}),
    ),
    TableKind(
        "allStar or allVisit of SDSS-V",
        frozenset({"file", "uri"}),
        frozenset({"file", "uri", "telescope", "healpix", "apogee_id"}),
        frozenset({"starver", "field", "sdss_id"}),
    ),
    TableKind(
        "allStar or allVisit of DR10 to DR17",
        frozenset({"file", "apogee_id"}),
        frozenset({"file", "apogee_id", "telescope", "field"}),
        frozenset({"location_id", "sdss_id"}),
    ),
)

# Columns that star_paths wants.
_WANTED = ("release", "apred", "telescope", "prefix", "obj", "field", "location_id", "healpix", "file", "uri")
_NUMBERS = ("healpix", "location_id", "sdss_id")
_FILE_NAME = r"^(?P<prefix>ap|as)(?P<what>StarC?|Visit)-(?P<apred>[^-]+)-(?P<rest>.+)\.fits(?:\.gz|\.fz)?$"
# apVisit names of the 1-m telescope: MJD, sometimes with decimals, and the name the reduction gave the star.
_VISIT_OF_1M = r"^(?:apo1m-)?\d{5}(?:\.\d+)?-"
# Visits before this MJD are commissioning data, which the reductions up to DR16 keep in files of their own (apStarC).
_COMMISSIONED = "55761"
_WITH_COMMISSIONING = ["dr10", "dr12", "dr13", "dr14", "dr16"]


@dataclass(frozen=True)
class TableFiles:
    """The files that the rows of a table name, each once, sorted.

    nameless_rows: number of rows that name none. known: what the rows know of their files. notes: lines for the user.
    """

    files: tuple[str, ...]
    nameless_rows: int
    known: KnownFiles
    notes: tuple[str, ...] = ()


def files_of_table(path: str, root: str | None) -> TableFiles:
    """Return the apStar files of the rows of a summary table, FITS or Parquet, in the tree below `root`.

    Many rows may name one file, as every visit names its star's. If only the packed form of a file (.gz, .fz) is there,
    that is the file. A sample of the files is looked for: if most are not there, a note names the folders searched.
    Raises UsageError for a file that is not such a table, and without a root.
    """
    with open_table(path) as table:
        kind = _kind_of(table.columns, path)
        _check_root(path, root)
        rows = table.read(kind.needs | (kind.extras & set(table.columns)))
    columns = _of_astra(rows, path) if "release" in kind.marks else _of_files(rows, path)
    unknown = sorted(set(pc.unique(columns["release"]).to_pylist()) - set(TEMPLATES) - {""})
    if unknown:
        raise UsageError(
            "the table has rows of an unknown release",
            got=", ".join(unknown),
            expected=", ".join(TEMPLATES),
            remedy="leave these rows out",
            where=path,
        )
    found = star_paths({name: columns[name] for name in _WANTED}, root or "")
    if not found.rows:
        raise UsageError(
            "no row of the table names a spectrum",
            got=f"{rows.num_rows} rows, {kind.name}",
            expected="rows whose file, or field or HEALPix and object, are not empty",
            where=path,
        )
    files = tuple(found.paths.to_pylist())
    known = _known(columns, found.first)
    names = names_on_disk(files)
    if names != list(files):
        order = sorted(range(len(names)), key=names.__getitem__)
        files = tuple(names[place] for place in order)
        known = {name: values.take(pa.array(order)) for name, values in known.items()}
    notes = (*_strange_names(path, columns), *_missing(path, look_for(files), found.not_found))
    return TableFiles(files, rows.num_rows - found.rows, KnownFiles(files, known), notes)


def _check_root(path: str, root: str | None) -> None:
    if root is None:
        raise UsageError(
            "a table names its spectra by their place in the survey's tree, and the tree is not known",
            got=path,
            remedy="give --root, or set SAS_BASE_DIR: the folder that holds dr17/, dr20/ or sdsswork/",
        )
    if not os.path.isdir(root):
        raise UsageError(
            "the root is not a folder", got=root, expected="the folder that holds dr17/, dr20/ or sdsswork/"
        )


def _known(columns: Mapping[str, pa.Array], first: NDArray[np.int64]) -> dict[str, pa.Array]:
    """Return what the first row of each file knows of it, see `KnownFile`."""
    rows = pa.array(first)
    known = {name: columns[name].take(rows) for name in ("release", "apred", "telescope", "prefix", "obj", "field")}
    for name in ("healpix", "sdss_id"):
        known[name] = as_integers(columns[name].take(rows)).fill_null(-1)
    # SDSS-V sorts its stars by HEALPix; the field of a row is that of a visit.
    known["field"] = pc.if_else(pc.and_(pc.equal(known["release"], "sdss5"), _not_1m(known)), "", known["field"])
    return known


def _not_1m(columns: Mapping[str, pa.Array]) -> pa.Array:
    return pc.not_equal(columns["telescope"], "apo1m")


def _strange_names(path: str, columns: Mapping[str, pa.Array]) -> tuple[str, ...]:
    """Tell of rows whose file has a name, but none of an apStar or apVisit file of a known reduction."""
    strange = columns["file"].filter(pc.and_(pc.equal(columns["release"], ""), pc.not_equal(columns["file"], "")))
    if not len(strange):
        return ()
    return (
        f"{path}: {len(strange)} rows name files that are not apStar or apVisit files of a known reduction, such as"
        f" {strange[0].as_py()}; they are left out",
    )


def _missing(path: str, sample: Sample, not_found: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    if not sample.mostly_missing:
        return ()
    looked = "; ".join(f"{name}: {' or '.join(folders)}" for name, folders in not_found.items())
    return (
        f"{path}: {len(sample.missing)} of {sample.looked_for} files looked for are not there, such as"
        f" {sample.missing[0]}"
        + (f". No folder of the reductions was found: {looked}" if looked else "")
        + ". They get rows without a result. Is --root the folder that holds dr17/, dr20/ or sdsswork/?",
    )


def _kind_of(columns: tuple[str, ...], path: str) -> TableKind:
    for kind in KINDS:
        if kind.marks <= set(columns):
            if missing := sorted(kind.needs - set(columns)):
                raise missing_columns(
                    f"the table, {kind.name}, does not say where its spectra are", missing, columns, path
                )
            return kind
    if what := spectrum_in_table(os.path.basename(path), columns):
        raise UsageError(what, got=path, expected="an apStar file, or a table that names such files")
    missing = sorted(KINDS[0].needs - set(columns))
    raise missing_columns("the table does not say where its spectra are", missing, columns, path)


def _texts(table: pa.Table, path: str) -> dict[str, pa.Array]:
    """Return every column that is of use, as text; "" if the table lacks the column or the value."""
    texts = {name: pa.repeat(pa.scalar(""), table.num_rows) for name in (*_WANTED, "sdss_id")}
    for name in table.column_names:
        texts[name] = (column_as_digits if name in _NUMBERS else column_as_text)(table, name, path)
        if name in _NUMBERS:
            # Negative numbers stand for "unknown".
            texts[name] = pc.if_else(pc.starts_with(texts[name], "-"), "", texts[name])
    return texts


def _of_astra(table: pa.Table, path: str) -> dict[str, pa.Array]:
    """Return the parts of names from an Astra table; a 1-m visit has the name of its star in `reduction`."""
    texts = _texts(table, path)
    by_site = pc.if_else(pc.equal(texts["telescope"], "lco25m"), "as", "ap")
    texts["prefix"] = pc.if_else(pc.equal(texts["prefix"], ""), by_site, texts["prefix"])
    if "reduction" in texts:
        named = pc.and_(pc.equal(texts["telescope"], "apo1m"), pc.not_equal(texts["reduction"], ""))
        texts["obj"] = pc.if_else(named, texts["reduction"], texts["obj"])
    return texts


def _of_files(table: pa.Table, path: str) -> dict[str, pa.Array]:
    """Return the parts of names of a reduction's table: FILE is the star's file, or a visit's of the same reduction."""
    texts = _texts(table, path)
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
    texts["file"] = pc.if_else(of_visit, _star_file(texts, name["rest"]), texts["file"])
    texts["uri"] = pc.if_else(of_visit, "", texts["uri"])
    return texts


def _star_file(texts: dict[str, pa.Array], visit: pa.Array) -> pa.Array:
    """Return a visit's star file, or "" for the release's plain name.

    It has a name of its own if the row names the version (STARVER), and for commissioning data. visit: plate, MJD and
    fibre of the visit's name.
    """
    mjd = pc.fill_null(pc.struct_field(pc.extract_regex(visit, r"-(?P<mjd>\d{5})-\d{3}$"), "mjd"), "")
    commissioning = pc.and_(
        pc.and_(pc.not_equal(mjd, ""), pc.less(mjd, _COMMISSIONED)),
        pc.and_(pc.is_in(texts["release"], pa.array(_WITH_COMMISSIONING)), _not_1m(texts)),
    )
    star = pc.binary_join_element_wise(pc.binary_join_element_wise(texts["prefix"], "StarC", ""), texts["apred"], "-")
    named = pc.binary_join_element_wise(star, pc.binary_join_element_wise(texts["obj"], ".fits", ""), "-")
    if "starver" in texts:
        plain = pc.binary_join_element_wise("apStar", texts["apred"], texts["telescope"], texts["obj"], "-")
        version = pc.binary_join_element_wise(texts["starver"], ".fits", "")
        versioned = pc.binary_join_element_wise(plain, version, "-")
        other = pc.if_else(pc.equal(texts["starver"], ""), "", versioned)
    else:
        other = pa.repeat(pa.scalar(""), len(texts["file"]))
    return pc.if_else(commissioning, named, other)
