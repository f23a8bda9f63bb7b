"""Turn rows of tables into paths: each data release has templates of where it keeps its apStar files.

Templates: sdss/tree and the SDSS data model, DR10 to DR20, IPL-3, IPL-4 and sdsswork. Up to DR14 the folder of a field
has the number of its location (LOCATION_ID), afterwards its name; SDSS-V sorts by HEALPix.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

# Columns by name, all of them text, "" if unknown, and all of one length.
Columns = Mapping[str, pa.Array]


@dataclass(frozen=True)
class Release:
    """The places where a release keeps its reductions, and the names of its stars' files there.

    homes: folders below the root that can hold {apred}; the first that does counts, and "" is the root itself.
    folder, name: of a star. folder_1m: of a star of the 1-m telescope, which is sorted by program (FIELD) everywhere.
    """

    homes: tuple[str, ...]
    folder: str
    folder_1m: str
    name: str

    def home(self, root: str, reduction: str) -> str | None:
        """Return the folder below `root` that holds a reduction (apred), or None."""
        for folder in (os.path.join(root, home) if home else root for home in self.homes):
            if os.path.isdir(os.path.join(folder, reduction)):
                return folder
        return None


SDSS5_HOMES = (
    "sdsswork/mwm/apogee/spectro/redux",
    "dr19/spectro/apogee/redux",
    "dr20/spectro/apogee/redux",
    "ipl-4/spectro/apogee/redux",
    "ipl-3/spectro/apogee/redux",
)


def _sdss4(release: str, place: str, *other_homes: str) -> Release:
    home = f"{release}/apogee/spectro/redux"
    folder, folder_1m = "{apred}/stars/{telescope}/{" + place + "}", "{apred}/stars/{telescope}/{field}"
    return Release((home, *other_homes, ""), folder, folder_1m, "{prefix}Star-{apred}-{obj}.fits")


TEMPLATES: dict[str, Release] = {
    # The one reduction of DR10, r3, and its one combination, s3, which file names carry.
    "dr10": Release(("dr10/apogee/spectro/redux", ""), "r3/s3/{location_id}", "r3/s3/{field}", "apStar-s3-{obj}.fits"),
    "dr12": _sdss4("dr12", "location_id"),
    "dr13": _sdss4("dr13", "location_id"),
    "dr14": _sdss4("dr14", "location_id"),
    "dr16": _sdss4("dr16", "field"),
    # DR19 and DR20 serve the reduction of DR17 beside their own.
    "dr17": _sdss4("dr17", "field", *SDSS5_HOMES[1:3]),
    "sdss5": Release(
        (*SDSS5_HOMES, ""),
        "{apred}/stars/{telescope}/{healpix_group}/{healpix}",
        "{apred}/stars/{telescope}/{field}",
        "apStar-{apred}-{telescope}-{obj}.fits",
    ),
}


@dataclass(frozen=True)
class StarPaths:
    """The paths that rows name.

    paths: each once, sorted by bytes. first: int64, the first row that names each. rows: number of rows that name one.
    not_found: the folders that were looked for in vain, for each release and reduction that is not below the root.
    """

    paths: pa.Array
    first: NDArray[np.int64]
    rows: int
    not_found: Mapping[str, tuple[str, ...]]


def star_paths(columns: Columns, root: str) -> StarPaths:
    """Return the apStar files that rows name in the tree below `root`; no file is looked at.

    columns: release (a key of TEMPLATES), apred, telescope, prefix, obj, field, location_id, healpix, and the stored
    file (a name) and uri (a path), which win unless they are empty. A row that lacks what its template needs names no
    file. A reduction that is not below the root has its files where the first home of its release would be.
    """
    table = pa.table(dict(columns)).append_column("row", pa.array(np.arange(len(columns["release"]))))
    found, numbers = [pa.array([], pa.string())], [pa.array([], pa.int64())]
    not_found: dict[str, tuple[str, ...]] = {}
    for name, release in TEMPLATES.items():
        of_release = table.filter(pc.equal(table["release"], name))
        if not of_release.num_rows:
            continue
        mine = {column: pa.concat_arrays(of_release[column].chunks) for column in of_release.column_names}
        reductions = pc.unique(mine["apred"])
        homes = {apred: release.home(root, apred) for apred in reductions.to_pylist()}
        for apred in (apred for apred, home in homes.items() if home is None):
            not_found[f"{name}, {apred}"] = tuple(os.path.join(root, home, apred) for home in release.homes)
        folders = pa.array([home or os.path.join(root, release.homes[0]) for home in homes.values()])
        home = folders.take(pc.index_in(mine["apred"], value_set=reductions))
        found.append(pc.binary_join_element_wise(home, _in_release(release, mine), "/"))
        numbers.append(mine["row"])
    paths, rows = pa.concat_arrays(found), pa.concat_arrays(numbers)
    named = paths.is_valid()
    return _each_once(paths.filter(named), rows.filter(named).to_numpy(), not_found)


def _each_once(paths: pa.Array, rows: NDArray[np.int64], not_found: Mapping[str, tuple[str, ...]]) -> StarPaths:
    encoded = paths.dictionary_encode()
    _, first = np.unique(encoded.indices.to_numpy(), return_index=True)
    # In the order of bytes, which is Python's order of these texts, and much faster.
    order = pc.array_sort_indices(encoded.dictionary).to_numpy()
    return StarPaths(encoded.dictionary.take(pa.array(order)), rows[first[order]], len(paths), not_found)


def _in_release(release: Release, columns: Columns) -> pa.Array:
    """Return paths below the release's home; null if the row lacks what they need."""
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
