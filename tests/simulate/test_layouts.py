"""Paths, names and numbers of rows of the three generations."""

from __future__ import annotations

from dataclasses import replace

import pytest

from apnet_fast.simulate.layouts import LAYOUTS, find_layout, star_version
from apnet_fast.support.errors import UsageError
from tests.simulate.simulated_visits import STAR, VISIT

LATER = replace(VISIT, mjd=58_100)


def test_paths_of_files_and_links() -> None:
    assert LAYOUTS["legacy"].star_path(STAR, [VISIT]).as_posix() == f"r8/stars/apo25m/082+17/apStar-r8-{STAR.obj}.fits"
    southern = replace(STAR, telescope="lco25m")
    path = LAYOUTS["dr17"].star_path(southern, [VISIT]).as_posix()
    assert path == f"dr17/stars/lco25m/082+17/asStar-dr17-{STAR.obj}.fits"
    sdss5 = LAYOUTS["sdss5"]
    folder = f"1.3/stars/lco25m/{STAR.healpix // 1000}/{STAR.healpix}"
    assert sdss5.star_path(southern, [LATER, VISIT]).as_posix() == f"{folder}/apStar-1.3-lco25m-{STAR.obj}-58100.fits"
    link = sdss5.link_path(southern)
    assert link is not None
    assert link.as_posix() == f"{folder}/apStar-1.3-lco25m-{STAR.obj}.fits"
    assert LAYOUTS["dr17"].link_path(STAR) is None


def test_names_of_visit_files() -> None:
    assert LAYOUTS["legacy"].visit_file(STAR, VISIT) == "apVisit-r8-5214-58000-100.fits"
    assert LAYOUTS["sdss5"].visit_file(STAR, VISIT) == "apVisit-1.3-apo25m-5214-58000-100.fits"
    one_metre = replace(STAR, telescope="apo1m", obj="VESTA")
    assert LAYOUTS["dr17"].visit_file(one_metre, VISIT) == "apVisit-dr17-58000-VESTA.fits"


def test_rows() -> None:
    assert {name: (layout.rows(1), layout.rows(3)) for name, layout in LAYOUTS.items()} == {
        "legacy": (1, 5),
        "dr17": (2, 5),
        "sdss5": (1, 5),
    }


def test_the_version_is_that_of_the_last_visit() -> None:
    assert star_version([VISIT, LATER, VISIT]) == "58100"


def test_an_unknown_layout_is_named() -> None:
    assert find_layout("dr17") is LAYOUTS["dr17"]
    with pytest.raises(UsageError, match=r"'dr18'.*legacy, dr17, sdss5"):
        find_layout("dr18")
