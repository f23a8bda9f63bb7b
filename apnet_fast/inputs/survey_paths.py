"""Turn rows of tables into paths: each data release has templates of where it keeps its apStar files.

Templates: sdss/tree and the SDSS data model, DR10 to DR19 and sdsswork. Up to DR14 the folder of a field has the
number of its location (LOCATION_ID), afterwards its name; SDSS-V sorts by HEALPix.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from string import Formatter

import pyarrow as pa
import pyarrow.compute as pc

from apnet_fast.support.errors import UsageError

# Columns by name, all of them text, "" if unknown, and all of one length.
Columns = Mapping[str, pa.Array]


@dataclass(frozen=True)
class Release:
    """The places where a release keeps its reductions, and the names of its stars' files there.

    homes: folders below the root that can hold {apred}/...; the first that exists counts, and "" is the root itself.
    folder, name: of a star. folder_1m: of a star of the 1-m telescope, which is sorted by program (FIELD) everywhere.
    """

    homes: tuple[str, ...]
    folder: str
    folder_1m: str
    name: str

    def home(self, root: str, reductions: Iterable[str]) -> str | None:
        """Return the folder below `root` that holds one of these reductions (apred), or None."""
        for home in self.homes:
            folder = os.path.join(root, home) if home else root
            if any(os.path.isdir(os.path.join(folder, apred)) for apred in reductions):
                return folder
        return None


def _sdss4(release: str, place: str) -> Release:
    home = f"{release}/apogee/spectro/redux"
    folder, folder_1m = "{apred}/stars/{telescope}/{" + place + "}", "{apred}/stars/{telescope}/{field}"
    return Release((home, ""), folder, folder_1m, "{prefix}Star-{apred}-{obj}.fits")


TEMPLATES: dict[str, Release] = {
    # The one reduction of DR10, r3, and its one combination, s3, which file names carry.
    "dr10": Release(("dr10/apogee/spectro/redux", ""), "r3/s3/{location_id}", "r3/s3/{field}", "apStar-s3-{obj}.fits"),
    "dr12": _sdss4("dr12", "location_id"),
    "dr13": _sdss4("dr13", "location_id"),
    "dr14": _sdss4("dr14", "location_id"),
    "dr16": _sdss4("dr16", "field"),
    "dr17": _sdss4("dr17", "field"),
    "sdss5": Release(
        ("sdsswork/mwm/apogee/spectro/redux", "dr19/spectro/apogee/redux", ""),
        "{apred}/stars/{telescope}/{healpix_group}/{healpix}",
        "{apred}/stars/{telescope}/{field}",
        "apStar-{apred}-{telescope}-{obj}.fits",
    ),
}


@dataclass(frozen=True)
class StarPaths:
    """The paths that rows name, each once, in no order, and the number of rows that name one."""

    paths: pa.Array
    rows: int


def star_paths(columns: Columns, root: str) -> StarPaths:
    """Return the apStar files that rows name in the tree below `root`; no file is looked at.

    columns: release (a key of TEMPLATES), apred, telescope, prefix, obj, field, location_id, healpix, and the stored
    file (a name) and uri (a path), which win unless they are empty. A row that lacks what its template needs names no
    file. Raises UsageError if the root holds no tree of any release of the rows.
    """
    table = pa.table(dict(columns))
    rows = {name: table.filter(pc.equal(table["release"], name)) for name in TEMPLATES}
    rows = {name: of_release for name, of_release in rows.items() if of_release.num_rows}
    homes = {name: TEMPLATES[name].home(root, pc.unique(rows[name]["apred"]).to_pylist()) for name in rows}
    if rows and not any(homes.values()):
        raise UsageError(
            "the root holds none of the table's spectra",
            got=root,
            expected=" or ".join(os.path.join(root, home, "") for name in rows for home in TEMPLATES[name].homes)
            + " with the folder of a reduction (apred) of the table in it",
            remedy="give as --root the folder that holds dr17/, dr19/ or sdsswork/ as on the SAS, or the reductions",
        )
    found, named = [pa.array([], pa.string())], 0
    for name, of_release in rows.items():
        # Files of a release that is not there at all get their rows in the catalogue, and a reason.
        home = homes[name] or os.path.join(root, TEMPLATES[name].homes[0])
        mine = {column: pa.concat_arrays(of_release[column].chunks) for column in of_release.column_names}
        paths = pc.binary_join_element_wise(home, _in_release(TEMPLATES[name], mine), "/")
        named += len(paths) - paths.null_count
        found.append(pc.unique(paths.drop_null()))
    return StarPaths(pc.unique(pa.concat_arrays(found)), named)


def _in_release(release: Release, columns: Columns) -> pa.Array:
    """Return paths below the release's home; null if the row does not tell enough."""
    healpix = pc.cast(_known(columns["healpix"]), pa.int64())
    group = pc.cast(pc.divide(healpix, 1000), pa.string())
    columns = {**columns, "healpix_group": pc.fill_null(group, "")}
    # The stored path begins above the reductions, differently in every release; from there on it is the same.
    stored = pc.struct_field(pc.extract_regex(columns["uri"], r"(?:^|/)redux/(?P<below>.+\.fits)$"), "below")
    of_1m = pc.equal(columns["telescope"], "apo1m")
    folder = pc.if_else(of_1m, _filled(release.folder_1m, columns), _filled(release.folder, columns))
    name = pc.if_else(pc.equal(columns["file"], ""), _filled(release.name, columns), columns["file"])
    return pc.coalesce(stored, pc.binary_join_element_wise(folder, name, "/"))


def _filled(template: str, columns: Columns) -> pa.Array:
    """Return the template with every row's values in it; null if one of them is empty."""
    parts: list[object] = []
    for literal, name, _, _ in Formatter().parse(template):
        if literal:
            parts.append(literal)
        if name:
            parts.append(_known(columns[name]))
    return pc.binary_join_element_wise(*parts, "")


def _known(values: pa.Array) -> pa.Array:
    """Replace "" by null."""
    return pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.string()), values)
