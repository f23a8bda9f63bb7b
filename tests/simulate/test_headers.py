"""PRIMARY headers, held to those of real files card by card."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from astropy.io import fits

from apnet_fast.simulate import simulate_tree
from apnet_fast.simulate.headers import primary_cards
from apnet_fast.simulate.layouts import LAYOUTS
from tests.simulate.simulated_trees import Trees, files_of
from tests.simulate.simulated_visits import summary

# Structure, dates of writing, and what cfitsio writes by itself.
FITS_COMMENTS = ("FITS (Flex", "and Astrophysics'")
NOT_COMPARED = {"SIMPLE", "BITPIX", "NAXIS", "EXTEND", "DATE", "HISTORY", "SIMULATD"}
REAL = {
    "dr17 with three visits": ("dr17", "real/dr17/apStar-dr17-2M17335483-2753043.fits"),
    "dr17 with one visit": ("dr17", "real/dr17/apStar-dr17-2M19485057+5005279.fits"),
    "r8 with six visits": ("legacy", "data/apstar/apStar-r8-2M19390532+4027346.fits"),
}


def test_every_simulated_file_is_marked(trees: Trees, layout_name: str) -> None:
    for path in trees.files(layout_name, 3):
        header = fits.getheader(path)
        assert header["SIMULATD"] is True
        assert "not archive data" in header.comments["SIMULATD"]


@pytest.mark.parametrize(("layout", "expected"), [("sdss5", "NaN"), ("dr17", 0.0), ("legacy", 0.0)])
def test_no_header_holds_nan(layout: str, expected: object) -> None:
    of = summary(layout)
    values = {card.name: card.value for card in primary_cards(replace(of, snr=float("nan")))}
    assert values["SNR"] == expected
    assert {card.name: card.value for card in primary_cards(of)}["SNR"] == of.snr


def cards_of(header: fits.Header) -> list[tuple[str, type, str]]:
    """Name, type and comment of the cards to compare; comments are cut where a value leaves them no room."""
    return [
        (card.keyword, type(card.value), card.comment.strip()[:30])
        for card in header.cards
        if card.keyword not in NOT_COMPARED and not str(card.value).strip().startswith(FITS_COMMENTS)
    ]


@pytest.mark.parametrize("name", list(REAL))
def test_cards_are_those_of_the_real_file(data: Path, tmp_path: Path, name: str) -> None:
    layout, path = REAL[name]
    real = data.parent / path
    if not real.exists():
        pytest.skip(f"{path} is not there")
    with fits.open(real) as hdus:
        visits = hdus[0].header["NVISITS"]
        tree = simulate_tree(tmp_path, stars=1, layout=layout, visits=visits, seed=1)
        with fits.open(files_of(tree)[0]) as simulated:
            assert cards_of(simulated[0].header) == cards_of(hdus[0].header)
            # Negative twin: a header of another number of visits differs.
            assert len(cards_of(simulated[0].header)) != len(cards_of(fits.getheader(other_real(data, real))))
            for ours, theirs in zip(simulated[1:8], hdus[1:8], strict=True):
                assert list(ours.header) == list(theirs.header)
                assert ours.header["BUNIT"] == theirs.header["BUNIT"]
                assert ours.header["BITPIX"] == theirs.header["BITPIX"]
            assert len(simulated) == len(hdus)
            for ours, theirs in zip(simulated[9:], hdus[9:], strict=True):
                assert ours.columns.names == theirs.columns.names
                assert ours.columns.formats == theirs.columns.formats
                assert len(ours.data) == len(theirs.data)


def other_real(data: Path, real: Path) -> Path:
    return next(path for _, name in REAL.values() if (path := data.parent / name) != real and path.exists())


def test_snr_of_dr17_visits_is_as_the_real_files_have_it(data: Path, trees: Trees) -> None:
    """One visit: 0 in the header, the truth in HDU 9. Several: the header's is that of the row, HDU 9's is lower."""
    single = [*trees.files("dr17", 1), data.parent / REAL["dr17 with one visit"][1]]
    for path in single:
        with fits.open(path) as hdus:
            assert hdus[0].header["SNRVIS1"] == 0.0
            assert 0.65 < hdus[9].data["snr"][0] / hdus[0].header["SNR"] < 0.8
            assert hdus[9].data["filename"][0] == hdus[0].header["SFILE1"]
            assert hdus[1].data.shape == (2, 8575)
    for path in [*trees.files("dr17", 3), data.parent / REAL["dr17 with three visits"][1]]:
        with fits.open(path) as hdus:
            for n in (1, 2, 3):
                assert 0.65 < hdus[9].data["snr"][n - 1] / hdus[0].header[f"SNRVIS{n}"] < 0.8
                assert hdus[9].data["filename"][n - 1] == hdus[0].header[f"SFILE{n}"]


def test_snr_of_other_visits_is_that_of_their_apvisit_files(trees: Trees) -> None:
    for layout in ("legacy", "sdss5"):
        header = fits.getheader(trees.files(layout, 1)[0])
        assert header["SNRVIS1"] == pytest.approx(0.72 * header["SNR"], rel=0.05)
    with fits.open(trees.files("sdss5", 3)[0]) as hdus:
        header = [hdus[0].header[f"SNRVIS{n}"] for n in (1, 2, 3)]
        assert list(hdus[9].data["snr"]) == pytest.approx(header, rel=1e-12)


def test_units_name_flux_and_error(trees: Trees) -> None:
    for layout in LAYOUTS:
        with fits.open(trees.files(layout, 3)[0]) as hdus:
            assert hdus[1].header["BUNIT"] == "Flux (10^-17 erg/s/cm^2/Ang)"
            word = "Error" if layout == "legacy" else "Err"
            assert hdus[2].header["BUNIT"] == f"{word} (10^-17 erg/s/cm^2/Ang)"
