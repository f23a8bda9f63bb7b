"""Path templates: every release's example, the trees a root can hold, and rows that do not say enough."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from apnet_fast.inputs.survey_paths import TEMPLATES, star_paths

WANTED = ("release", "apred", "telescope", "prefix", "obj", "field", "location_id", "healpix", "file", "uri")

# One row of each release and its path, as the SAS has them.
EXAMPLES = {
    "dr10/apogee/spectro/redux/r3/s3/4424/apStar-s3-2M03463830+2225112.fits": {
        "release": "dr10", "apred": "r3", "telescope": "apo25m", "prefix": "ap", "location_id": "4424",
        "obj": "2M03463830+2225112",
    },
    "dr12/apogee/spectro/redux/r5/stars/apo25m/4102/apStar-r5-2M21353892+4229507.fits": {
        "release": "dr12", "apred": "r5", "telescope": "apo25m", "prefix": "ap", "location_id": "4102",
        "field": "090+00", "obj": "2M21353892+4229507",
    },
    "dr14/apogee/spectro/redux/r8/stars/apo1m/calibration/apStar-r8-VESTA.fits": {
        "release": "dr14", "apred": "r8", "telescope": "apo1m", "prefix": "ap", "location_id": "1",
        "field": "calibration", "obj": "VESTA",
    },
    "dr16/apogee/spectro/redux/r12/stars/lco25m/293-37-C/asStar-r12-2M03174068-7748459.fits": {
        "release": "dr16", "apred": "r12", "telescope": "lco25m", "prefix": "as", "location_id": "5000",
        "field": "293-37-C", "obj": "2M03174068-7748459",
    },
    "dr17/apogee/spectro/redux/dr17/stars/apo25m/K01_082+17/apStar-dr17-2M19085185+5058401.fits": {
        "release": "dr17", "apred": "dr17", "telescope": "apo25m", "prefix": "ap", "field": "K01_082+17",
        "obj": "2M19085185+5058401", "healpix": "3",
    },
    "sdsswork/mwm/apogee/spectro/redux/1.3/stars/lco25m/188/188421/apStar-1.3-lco25m-2M12283021-6635525.fits": {
        "release": "sdss5", "apred": "1.3", "telescope": "lco25m", "healpix": "188421", "field": "102906",
        "obj": "2M12283021-6635525",
    },
    "sdsswork/mwm/apogee/spectro/redux/1.3/stars/apo25m/0/3/apStar-1.3-apo25m-2M00000000+0000000.fits": {
        "release": "sdss5", "apred": "1.3", "telescope": "apo25m", "healpix": "3", "obj": "2M00000000+0000000",
    },
}  # fmt: skip


def columns(*rows: dict[str, str]) -> dict[str, pa.Array]:
    return {name: pa.array([row.get(name, "") for row in rows], pa.string()) for name in WANTED}


def make_homes(root: Path, *folders: str) -> str:
    for folder in folders:
        (root / folder).mkdir(parents=True)
    return str(root)


def below(root: str, *rows: dict[str, str]) -> list[str]:
    return sorted(path.removeprefix(f"{root}/") for path in star_paths(columns(*rows), root).paths.to_pylist())


def test_every_release_has_its_path(tmp_path: Path) -> None:
    root = make_homes(tmp_path, *{path.split("/stars/")[0].split("/s3/")[0] for path in EXAMPLES})
    assert below(root, *EXAMPLES.values()) == sorted(EXAMPLES)
    assert {row["release"] for row in EXAMPLES.values()} | {"dr13"} == set(TEMPLATES)


def test_rows_of_one_file_and_rows_that_name_none(tmp_path: Path) -> None:
    row = {"release": "dr17", "apred": "dr17", "telescope": "apo25m", "prefix": "ap", "field": "M67", "obj": "2M1"}
    root = make_homes(tmp_path, "dr17/apogee/spectro/redux/dr17")
    short = [{**row, name: ""} for name in ("obj", "field", "telescope", "prefix", "apred")]
    found = star_paths(columns(row, row, *short, {**row, "release": ""}), root)
    assert len(found.paths) == 1
    assert found.rows == 2


def test_stored_names_and_paths_win(tmp_path: Path) -> None:
    root = make_homes(tmp_path, "dr19/spectro/apogee/redux/1.3")
    row = {"release": "sdss5", "apred": "1.3", "telescope": "apo25m", "healpix": "41234", "obj": "2M1"}
    stored = {**row, "file": "apStar-1.3-apo25m-2M1-59866.fits"}
    home = "dr19/spectro/apogee/redux/1.3/stars/apo25m"
    assert below(root, stored) == [f"{home}/41/41234/{stored['file']}"]
    # The folder of a stored path is right where the row's HEALPix is not.
    for above in ("apogee/spectro/redux", "mwm/apogee/spectro/redux", "/spectro/redux"):
        uri = f"{above}/1.3/stars/apo25m/99/99000/{stored['file']}"
        assert below(root, {**stored, "uri": uri}) == [f"{home}/99/99000/{stored['file']}"]


@pytest.mark.parametrize(
    "home", ["sdsswork/mwm/apogee/spectro/redux", "dr19/spectro/apogee/redux", ""], ids=["work", "public", "bare"]
)
def test_the_tree_that_is_there_is_taken(home: str, tmp_path: Path) -> None:
    row = EXAMPLES["sdsswork/mwm/apogee/spectro/redux/1.3/stars/apo25m/0/3/apStar-1.3-apo25m-2M00000000+0000000.fits"]
    root = make_homes(tmp_path, f"{home}/1.3".lstrip("/"), "dr19/spectro/apogee/redux/1.2")
    name = "1.3/stars/apo25m/0/3/apStar-1.3-apo25m-2M00000000+0000000.fits"
    assert below(root, row) == [f"{home}/{name}".lstrip("/")]


def test_a_release_that_is_not_there_has_paths_if_another_is(tmp_path: Path) -> None:
    rows = [row for row in EXAMPLES.values() if row["release"] in ("dr17", "sdss5")]
    root = make_homes(tmp_path, "dr17/apogee/spectro/redux/dr17")
    assert below(root, *rows) == sorted(path for path in EXAMPLES if path.startswith(("dr17", "sdsswork")))


def test_a_root_of_something_else_names_what_was_looked_for(tmp_path: Path) -> None:
    row = {"release": "dr17", "apred": "dr17", "telescope": "apo25m", "field": "M67", "obj": "2M1", "prefix": "ap"}
    found = star_paths(columns(row), str(tmp_path))
    assert found.paths.to_pylist() == [
        str(tmp_path / "dr17/apogee/spectro/redux/dr17/stars/apo25m/M67/apStar-dr17-2M1.fits")
    ]
    looked_for = found.not_found["dr17, dr17"]
    assert looked_for[0] == str(tmp_path / "dr17/apogee/spectro/redux/dr17")
    assert str(tmp_path / "dr20/spectro/apogee/redux/dr17") in looked_for


@pytest.mark.parametrize(
    ("apred", "home"),
    [
        ("1.5", "dr20/spectro/apogee/redux"),
        ("1.5", "ipl-4/spectro/apogee/redux"),
        ("1.2", "ipl-3/spectro/apogee/redux"),
        ("1.3", "dr19/spectro/apogee/redux"),
        ("dr17", "dr20/spectro/apogee/redux"),
    ],
)
def test_later_releases_have_trees_of_their_own(apred: str, home: str, tmp_path: Path) -> None:
    (tmp_path / home / apred).mkdir(parents=True)
    row = {"release": "sdss5", "apred": apred, "telescope": "apo25m", "healpix": "14966", "obj": "2M1"}
    path = f"{home}/{apred}/stars/apo25m/14/14966/apStar-{apred}-apo25m-2M1.fits"
    if apred == "dr17":
        row |= {"release": "dr17", "field": "M67", "prefix": "ap"}
        path = f"{home}/dr17/stars/apo25m/M67/apStar-dr17-2M1.fits"
    found = star_paths(columns(row), str(tmp_path))
    assert found.paths.to_pylist() == [str(tmp_path / path)]
    assert not found.not_found


def test_each_reduction_is_looked_for_by_itself(tmp_path: Path) -> None:
    for home in ("dr19/spectro/apogee/redux/1.3", "dr20/spectro/apogee/redux/1.5"):
        (tmp_path / home).mkdir(parents=True)
    row = {"release": "sdss5", "telescope": "apo25m", "healpix": "14966", "obj": "2M1"}
    found = star_paths(
        columns({**row, "apred": "1.5"}, {**row, "apred": "1.3"}, {**row, "apred": "1.5"}), str(tmp_path)
    )
    tails = [path.removeprefix(f"{tmp_path}/").split("/stars/")[0] for path in found.paths.to_pylist()]
    assert tails == ["dr19/spectro/apogee/redux/1.3", "dr20/spectro/apogee/redux/1.5"]
    assert (found.first.tolist(), found.rows) == ([1, 0], 3)
