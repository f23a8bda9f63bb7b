"""What the reduction measured: cards of every generation, nulls of every kind, and the real files."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path

import fitsio
import numpy as np
import pytest

from apnet_fast.simulate import simulate_tree
from apnet_fast.spectra.apstar import read_apstar
from apnet_fast.spectra.batch import SpectrumBatch
from apnet_fast.spectra.header import PrimaryHeader
from apnet_fast.spectra.measured import (
    MEASURES,
    NOTHING_MEASURED,
    Measured,
    known,
    known_snr,
    measured_coadd,
    measured_visit,
    position_of,
)


def header(**cards: str | float) -> PrimaryHeader:
    return PrimaryHeader({key: f"'{v}'" if isinstance(v, str) else f"{v:>20} / of it" for key, v in cards.items()})


def assert_measured(got: Measured, **expected: object) -> None:
    """The fields given, and nothing else, are known."""
    for field in fields(Measured):
        value = getattr(got, field.name)
        if field.name in expected:
            assert value == expected[field.name], field.name
        else:
            assert repr(value) == repr(field.default), field.name


def test_an_empty_header_measures_nothing() -> None:
    assert measured_coadd(header()) == measured_visit(header(), 1, {}) == NOTHING_MEASURED


def test_a_coadd_of_dr17() -> None:
    cards = header(
        STARFLAG=516, VHELIO=15.5, VERR=0.02, VERR_MED=0.03, VSCATTER=0.2, MEANFIB=218.7, SIGFIB=5.2, N_COMP=2,
        RV_TEFF=3676.9, RV_LOGG=0.5, RV_FEH=-0.3, RV_CHI2=17.3, CCFWHM=17.9, AUTOFWHM=12.4, J=11.7, J_ERR=0.03,
        K=9.8, GLON=359.5, GLAT=2.7,
    )  # fmt: skip
    assert_measured(
        measured_coadd(cards), spectrum_flags=516, v_rad=15.5, e_v_rad=0.02, median_e_v_rad=0.03, std_v_rad=0.2,
        mean_fiber=218.7, std_fiber=5.2, n_components=2, doppler_teff=3676.9, doppler_logg=0.5, doppler_fe_h=-0.3,
        doppler_rchi2=17.3, ccfwhm=17.9, autofwhm=12.4, j_mag=11.7, e_j_mag=0.03, k_mag=9.8, l=359.5, b=2.7,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("cards", "v_rad"),
    [
        ({"VRAD": 0.0, "VHELIO": -67.8}, -67.8),  # the IDL era: the coadd is at rest, so its VRAD is 0
        ({"VHBARY": 12.5}, 12.5),
        ({"VRAD": 33.0}, 33.0),
        ({"VRAD": 0.0, "VHELIO": "NaN"}, math.nan),
        ({"VHELIO": 999999.0}, math.nan),
        ({"VHELIO": -9999.99}, math.nan),
        ({}, math.nan),
    ],
)
def test_the_velocity_of_a_coadd_is_the_barycentric_one(cards: dict[str, float], v_rad: float) -> None:
    np.testing.assert_equal(measured_coadd(header(**cards)).v_rad, v_rad)


@pytest.mark.parametrize(
    ("cards", "v_rad", "v_rel"),
    [
        ({"VRAD2": -9.8, "VHELIO2": 15.9}, 15.9, -9.8),  # to DR17: VRADn is the Doppler shift
        ({"VRAD2": -9.8, "VHBARY2": 15.9}, 15.9, -9.8),
        ({"VRAD2": 15.9, "VREL2": -9.8}, 15.9, -9.8),  # SDSS-V: VRADn is barycentric
        ({"VRAD2": 15.9}, math.nan, math.nan),  # either
        ({"VRAD2": 15.9, "VREL1": -9.8}, math.nan, math.nan),  # of another visit
        ({}, math.nan, math.nan),
    ],
)
def test_which_velocity_of_a_visit_is_which(cards: dict[str, float], v_rad: float, v_rel: float) -> None:
    got = measured_visit(header(**cards), 2, {})
    np.testing.assert_equal((got.v_rad, got.v_rel), (v_rad, v_rel))


@pytest.mark.parametrize(
    ("comment", "v_rad", "v_rel"),
    [
        (" Doppler shift (km/s) of visit 1", math.nan, 5.5),
        ("Barycentric velocity (km/s), visit 1", 5.5, math.nan),
        ("heliocentric velocity", 5.5, math.nan),
        ("a velocity", math.nan, math.nan),
    ],
)
def test_a_comment_tells_which_velocity_stands_alone(comment: str, v_rad: float, v_rel: float) -> None:
    got = measured_visit(PrimaryHeader({"VRAD1": f"  5.5 / {comment}"}), 1, {})
    np.testing.assert_equal((got.v_rad, got.v_rel), (v_rad, v_rel))


def test_the_velocity_fit_completes_and_precedes_the_cards_of_a_visit() -> None:
    cards = header(VRAD1=1.0, VHELIO1=2.0, VERR1=0.1, BC1=1.0, JD1=2456396.99, DATE1="2013-04-14T11:31:42", FLAG1=4)
    known_by_cards = {"spectrum_flags": 4, "jd": 2456396.99, "date_obs": "2013-04-14T11:31:42"}
    fit = {"vhelio": 22.0, "vrel": 21.0, "vrelerr": 0.2, "bc": math.nan, "teff": 4000.0, "tefferr": 0.0, "logg": 4.5}
    assert_measured(measured_visit(cards, 1, {}), v_rad=2.0, v_rel=1.0, e_v_rel=0.1, bc=1.0, **known_by_cards)
    assert_measured(
        measured_visit(cards, 1, fit), v_rad=22.0, v_rel=21.0, e_v_rel=0.2, bc=1.0, doppler_teff=4000.0,
        doppler_logg=4.5, **known_by_cards,
    )  # fmt: skip


@pytest.mark.parametrize("null", [-9999.99, 99.99, 99.999, -9999.990234375, "NaN", "", "N/A", math.inf])
def test_magnitudes_that_are_none(null: float | str) -> None:
    for cards in ({"J": null, "J_ERR": null}, {"JMAG": null, "JERR": null}):
        assert measured_coadd(header(**cards)) == NOTHING_MEASURED
    assert measured_coadd(header(JMAG=9.5, JERR=0.02)).e_j_mag == 0.02


@pytest.mark.parametrize("card", ["VERR", "RV_CHI2", "CCFWHM", "AUTOFWHM", "RV_TEFF", "MEANFIB"])
@pytest.mark.parametrize("null", [0.0, -1.0, 1e9, "NaN"])
def test_what_was_not_computed_is_unknown(card: str, null: float | str) -> None:
    assert measured_coadd(header(**{card: null})) == NOTHING_MEASURED
    assert measured_coadd(header(**{card: 20.5})) != NOTHING_MEASURED


@pytest.mark.parametrize(
    ("value", "flags"),
    [(0, 0), (2**62, 2**62), (2**31, 2**31), (-1, None), (-9999, None), ("NaN", None), (2**63, None), (1.5, None)],
)
def test_flags_are_bits_or_unknown(value: float | str, flags: int | None) -> None:
    assert measured_coadd(header(STARFLAG=value)).spectrum_flags == flags


def test_known_excludes_what_stands_for_unknown() -> None:
    assert set(MEASURES) == {field.name for field in fields(Measured) if isinstance(field.default, float)}
    for name in MEASURES:
        assert known(name, 2.5) == 2.5
        for null in (-9999.0, -9999.99, -999999.0, math.nan, math.inf, -math.inf):
            assert math.isnan(known(name, null)), (name, null)
        assert math.isnan(known(name, 999999.0)) is (name != "jd")
    assert math.isnan(known("e_v_rad", 0.0))
    assert known("std_v_rad", 0.0) == 0.0


def test_signal_to_noise_and_position_are_known_or_nan() -> None:
    assert known_snr(0.5) == 0.5
    assert all(math.isnan(known_snr(null)) for null in (0.0, -9999.0, 99999.0, 999999.0, math.inf, math.nan))
    assert position_of(header(RA=0.0, DEC=-90.0)) == (0.0, -90.0)
    for null in (-9999.99, 999999.0, -999.0, "NaN"):
        np.testing.assert_equal(position_of(header(RA=null, DEC=null)), (math.nan, math.nan))
    np.testing.assert_equal(position_of(header(RA=12.5)), (12.5, math.nan))


def batches(folder: Path) -> list[tuple[Path, SpectrumBatch, dict[str, object]]]:
    found = []
    for path in sorted(folder.rglob("a[ps]Star-*.fits")):
        with fitsio.FITS(str(path)) as fits:
            cards = {record["name"]: record["value"] for record in fits[0].read_header().records()}
        found.append((path, read_apstar(str(path)), cards))
    return found


def test_real_files(data: Path) -> None:
    """Flags and velocities of every coadd and visit are known, and are those of the cards."""
    files = batches(data.parent / "real") + batches(data / "apstar")
    assert len(files) >= 10
    for _, batch, cards in files:
        coadd = batch.records[0].measured
        assert coadd.spectrum_flags == cards["STARFLAG"]
        assert coadd.v_rad == pytest.approx(cards["VHELIO"])
        assert coadd.std_v_rad == pytest.approx(cards["VSCATTER"])
        assert coadd.mean_fiber == pytest.approx(cards["MEANFIB"])
        assert coadd.j_mag == pytest.approx(cards["J"])
        for number, record in enumerate(batch.records[1:], start=1):
            visit = record.measured
            assert visit.spectrum_flags == cards[f"FLAG{number}"]
            assert visit.v_rad == pytest.approx(cards[f"VHELIO{number}"], abs=1e-4)
            assert visit.v_rel + visit.bc == pytest.approx(visit.v_rad, abs=0.01)
            assert visit.date_obs == cards[f"DATE{number}"]
            assert visit.jd == cards[f"JD{number}"]
    # Most real coadds have flags: zero would not have meant "clean".
    assert sum(bool(cards["STARFLAG"]) for *_, cards in files) > len(files) // 2


@pytest.mark.parametrize("layout", ["legacy", "dr17", "sdss5"])
def test_the_two_velocities_of_every_layout(layout: str, tmp_path: Path) -> None:
    tree = simulate_tree(tmp_path / "tree", stars=2, layout=layout, visits=2, seed=5)
    for _, batch, cards in batches(tree):
        coadd = batch.records[0].measured
        assert coadd.v_rad == pytest.approx(cards["VRAD" if layout == "sdss5" else "VHELIO"])
        for number, record in enumerate(batch.records[1:], start=1):
            visit = record.measured
            assert visit.v_rad == pytest.approx(cards[f"{'VRAD' if layout == 'sdss5' else 'VHELIO'}{number}"])
            assert visit.v_rel == pytest.approx(cards[f"{'VREL' if layout == 'sdss5' else 'VRAD'}{number}"])
            assert abs(visit.v_rad - visit.v_rel) > 1e-3
