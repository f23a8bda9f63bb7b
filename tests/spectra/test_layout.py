"""HDUs at their places: every name of every generation, and names that belong elsewhere."""

from __future__ import annotations

import pytest

from apnet_fast.spectra.layout import misplaced, rows_of, visit_rows

UNIT = "(10^-17 erg/s/cm^2/Ang)"
REAL = {
    1: [(f"Flux {UNIT}", ""), (f"Flux {UNIT}", "FLUX"), ("", ""), ("", "COMPRESSED_IMAGE"), ("Flux", "flux")],
    2: [(f"Err {UNIT}", "ERROR"), (f"Error {UNIT}", ""), ("Flux Error", ""), ("", "ERR")],
    3: [("Pixel bitmask", "MASK"), ("Flag Mask (bitwise)", "")],
    4: [(f"Sky {UNIT}", "SKY FLUX")],
    5: [(f"Sky error {UNIT}", "SKY ERROR")],
    6: [("Telluric", "TELLURIC")],
    7: [("Telluric error", "TELLURIC ERROR")],
    8: [("LSF Coefficients", ""), ("", "LSF TABLE")],
    9: [("", "RV TABLE")],
    10: [("", "")],
}


@pytest.mark.parametrize("n_hdus", [3, 10, 11])
def test_what_the_writers_write_is_right(n_hdus: int) -> None:
    for hdu, names in REAL.items():
        for bunit, extname in names:
            assert misplaced(hdu, bunit, extname, n_hdus=n_hdus) == ""


@pytest.mark.parametrize("hdu", range(1, 11))
def test_in_a_whole_file_no_hdu_is_at_the_place_of_another(hdu: int) -> None:
    for other, names in REAL.items():
        if other == hdu or other == 10 or {hdu, other} == {9, 10}:
            continue
        for bunit, extname in names:
            if bunit or extname not in ("", "COMPRESSED_IMAGE"):
                assert f"HDU {hdu} is called" in misplaced(hdu, bunit, extname, n_hdus=10)


@pytest.mark.parametrize("hdu", [1, 2])
@pytest.mark.parametrize("name", ["Counts", "ivar", "normalized", "IVAR", "SCI", "Jy"])
def test_flux_and_error_are_called_so_or_nothing(hdu: int, name: str) -> None:
    assert misplaced(hdu, name, "")
    assert misplaced(hdu, "", name)


def test_what_people_keep_behind_flux_and_error_does_not_matter() -> None:
    assert misplaced(3, "", "MODEL") == misplaced(3, "Telluric", "", n_hdus=5) == ""
    assert misplaced(3, "Flux", "", n_hdus=5)
    assert misplaced(12, "", "FLUX", n_hdus=13)


@pytest.mark.parametrize(("rows", "visits"), [(1, [0]), (2, [0]), (3, [2]), (5, [2, 3, 4])])
def test_rows_of_products(rows: int, visits: list[int]) -> None:
    assert list(visit_rows(rows)) == visits
    assert rows_of(rows, ("star", "visit")) == [0, *visits]
    assert rows_of(rows, ("visit",)) == visits
    assert rows_of(rows, ("star",)) == [0]
