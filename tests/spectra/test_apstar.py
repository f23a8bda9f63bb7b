"""The apStar reader: every layout equals astropy's reading, and records belong to their rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from apnet_fast.spectra.apstar import read_apstar
from apnet_fast.spectra.batch import Product, SpectrumBatch
from apnet_fast.spectra.failures import Reason
from apnet_fast.support.grid import PIXELS
from tests.spectra.files import (
    FORMS,
    NAME,
    PRODUCTS,
    Form,
    Value,
    by_astropy,
    distinct_rows,
    star_cards,
    visit_file,
    write_apstar,
)


@pytest.fixture(params=list(FORMS.values()), ids=list(FORMS))
def form(request: pytest.FixtureRequest) -> Form:
    return request.param


def assert_equals_astropy(batch: SpectrumBatch, path: Path, rows: list[int]) -> None:
    flux, error = by_astropy(path)
    np.testing.assert_array_equal(batch.flux, flux[rows])
    np.testing.assert_array_equal(batch.error, error[rows])


def test_rows_equal_those_astropy_reads(form: Form, tmp_path: Path) -> None:
    path = form.write(tmp_path / NAME)
    assert_equals_astropy(read_apstar(str(path)), path, [0, *form.visit_rows])


def test_comparison_with_astropy_notices_visit_rows_shifted_by_one(tmp_path: Path) -> None:
    path = FORMS["legacy, three visits"].write(tmp_path / NAME)
    with pytest.raises(AssertionError):
        assert_equals_astropy(read_apstar(str(path)), path, [0, 1, 2, 3])


def test_comparison_with_astropy_notices_flux_and_error_exchanged(tmp_path: Path) -> None:
    path = FORMS["legacy, three visits"].write(tmp_path / NAME)
    batch = read_apstar(str(path))
    with pytest.raises(AssertionError):
        assert_equals_astropy(SpectrumBatch(batch.error, batch.flux, batch.records), path, [0, 2, 3, 4])


def test_arrays_are_native_float32(form: Form, tmp_path: Path) -> None:
    batch = read_apstar(str(form.write(tmp_path / NAME)))
    assert batch.flux.dtype == batch.error.dtype == np.dtype("=f4")
    assert batch.flux.shape == batch.error.shape == (len(batch), PIXELS)


def test_records_follow_the_rows_of_the_file(form: Form, tmp_path: Path) -> None:
    records = read_apstar(str(form.write(tmp_path / NAME))).records
    assert [record.product for record in records] == ["star"] + ["visit"] * len(form.visit_rows)
    assert [record.row for record in records] == [0, *form.visit_rows]
    assert [record.visit.file for record in records[1:]] == [visit_file(i + 1) for i in range(len(form.visit_rows))]
    assert {record.reason for record in records} == {None}


@pytest.mark.parametrize("product", ["star", "visit"])
def test_one_product_alone_is_the_same_as_its_part_of_both(form: Form, tmp_path: Path, product: Product) -> None:
    path = str(form.write(tmp_path / NAME))
    both, alone = read_apstar(path), read_apstar(path, (product,))
    mine = [i for i, record in enumerate(both.records) if record.product == product]
    assert list(alone.records) == [both.records[i] for i in mine]
    np.testing.assert_array_equal(alone.flux, both.flux[mine])
    np.testing.assert_array_equal(alone.error, both.error[mine])


def test_coadd_record_holds_the_star_values_of_the_header(tmp_path: Path) -> None:
    (coadd,) = read_apstar(str(write_apstar(tmp_path / NAME, *distinct_rows(5))), ("star",)).records
    assert (coadd.snr, coadd.ra, coadd.dec, coadd.n_visits) == (423.5, 291.25, -47.5, 3)
    assert coadd.star.obj == "2M19245882+4714573"
    assert (coadd.star.release, coadd.star.telescope, coadd.star.field) == ("dr12", "apo25m", "K05_080+14")
    assert coadd.visit.file == ""


def test_visit_records_hold_the_values_of_their_own_cards(tmp_path: Path) -> None:
    visits = read_apstar(str(write_apstar(tmp_path / NAME, *distinct_rows(5))), ("visit",)).records
    assert [visit.snr for visit in visits] == [101.0, 102.0, 103.0]
    assert [visit.visit.mjd for visit in visits] == [56401, 56402, 56403]
    assert [visit.visit.fiber for visit in visits] == [11, 12, 13]
    assert {visit.visit.plate for visit in visits} == {"6098"}
    assert {visit.n_visits for visit in visits} == {3}


def changed(**cards: Value | None) -> dict[str, Value]:
    """The usual cards with some changed or, where None, left out."""
    return {key: value for key, value in (star_cards(3) | cards).items() if value is not None}


def test_visit_without_sfile_card_keeps_row_fiber_and_its_own_identity(tmp_path: Path) -> None:
    path = write_apstar(tmp_path / NAME, *distinct_rows(5), changed(SFILE2=None))
    first, second, third = read_apstar(str(path), ("visit",)).records
    assert (second.visit.file, second.visit.mjd, second.visit.fiber, second.row) == ("", -1, 12, 3)
    assert len({first.identity, second.identity, third.identity}) == 3


def test_1m_visit_takes_its_fiber_from_the_header_card(tmp_path: Path) -> None:
    path = write_apstar(tmp_path / NAME, *distinct_rows(5), changed(SFILE1="apVisit-dr17-56789.25-VESTA.fits"))
    first = read_apstar(str(path), ("visit",)).records[0]
    assert (first.visit.reduction, first.visit.mjd, first.visit.fiber) == ("VESTA", 56789, 11)


@pytest.mark.parametrize("missing", ["NaN", None])
def test_missing_numbers_become_nulls(tmp_path: Path, missing: str | None) -> None:
    cards = changed(SNR=missing, RA=missing, DEC=missing, SNRVIS1=missing)
    batch = read_apstar(str(write_apstar(tmp_path / NAME, *distinct_rows(5), cards)))
    coadd, first, second, _ = batch.records
    assert np.isnan([coadd.snr, coadd.ra, coadd.dec, first.snr]).all()
    assert second.snr == 102.0
    assert batch.usable.all()


@pytest.mark.parametrize("said", [None, 17])
@pytest.mark.parametrize("name", FORMS)
def test_number_of_visits_is_that_of_the_rows_whatever_the_header_says(
    tmp_path: Path, name: str, said: int | None
) -> None:
    flux, error = distinct_rows(5)
    shape = FORMS[name].shape
    rows = shape[0] if len(shape) == 2 else 1
    path = write_apstar(tmp_path / NAME, flux[:rows].reshape(shape), error[:rows].reshape(shape), changed(NVISITS=said))
    assert read_apstar(str(path)).records[0].n_visits == len(FORMS[name].visit_rows)


def test_float64_beyond_float32_becomes_infinite_without_a_warning(tmp_path: Path) -> None:
    flux, error = distinct_rows(3, "f8")
    flux[0, 7], error[0, 8], error[0, 9] = -1e39, 1e300, 3e38
    with np.errstate(all="raise"):
        batch = read_apstar(str(write_apstar(tmp_path / NAME, flux, error)))
    assert (batch.flux[0, 7], batch.error[0, 8]) == (-np.inf, np.inf)
    assert batch.error[0, 9] == np.float32(3e38)
    assert batch.usable.all()


def test_eleventh_hdu_does_not_disturb(tmp_path: Path) -> None:
    path = write_apstar(tmp_path / NAME, *distinct_rows(5), last_hdu=10)
    assert_equals_astropy(read_apstar(str(path)), path, [0, 2, 3, 4])


def test_one_row_may_be_1d_in_flux_and_2d_in_error(tmp_path: Path) -> None:
    flux, error = distinct_rows(1)
    path = write_apstar(tmp_path / NAME, flux[0], error, star_cards(1))
    for products in PRODUCTS:
        assert_equals_astropy(read_apstar(str(path), products), path, [0] * len(products))


def test_symlink_is_followed(tmp_path: Path) -> None:
    path = write_apstar(tmp_path / "target.fits", *distinct_rows(5))
    (tmp_path / NAME).symlink_to(path.name)
    batch = read_apstar(str(tmp_path / NAME))
    assert_equals_astropy(batch, path, [0, 2, 3, 4])
    assert {record.path for record in batch.records} == {str(tmp_path / NAME)}


@pytest.mark.parametrize(
    ("row", "value", "expected"),
    [
        (3, 0.0, [None, None, Reason.NO_DATA, None]),
        (3, np.nan, [None, None, Reason.NO_DATA, None]),
        (0, np.nan, [Reason.NO_DATA, None, None, None]),
        (slice(None), np.nan, [Reason.NO_DATA] * 4),
        (1, 0.0, [None] * 4),
    ],
    ids=["dead visit", "NaN visit", "NaN coadd", "all NaN", "dead second coadd"],
)
def test_row_without_data_has_a_reason_and_the_others_are_fine(
    tmp_path: Path, row: int | slice, value: float, expected: list[Reason | None]
) -> None:
    flux, error = distinct_rows(5)
    flux[row], error[row] = value, 1e10
    path = write_apstar(tmp_path / NAME, flux, error)
    batch = read_apstar(str(path))
    assert [record.reason for record in batch.records] == expected
    assert [bool(record.text) for record in batch.records] == [reason is not None for reason in expected]
    assert_equals_astropy(batch, path, [0, 2, 3, 4])


def test_dead_visit_keeps_who_it_is(tmp_path: Path) -> None:
    flux, error = distinct_rows(5)
    flux[3] = 0
    dead = read_apstar(str(write_apstar(tmp_path / NAME, flux, error)), ("visit",)).records[1]
    assert (dead.row, dead.visit.file, dead.snr, dead.hdu) == (3, visit_file(2), 102.0, 1)


@pytest.mark.parametrize("value", [0.0, np.nan, 1e10])
def test_missing_errors_alone_are_no_reason(tmp_path: Path, value: float) -> None:
    flux, error = distinct_rows(5)
    assert read_apstar(str(write_apstar(tmp_path / NAME, flux, np.full_like(error, value)))).usable.all()


# File: telescope, field, HEALPix, S/N of the coadd, and of each visit (plate, MJD, fibre, S/N).
REAL = {
    "apstar/apStar-r5-2M19245882+4714573.fits": (
        "dr12/r5/apo25m/K05_080+14/2M19245882+4714573",
        423.033,
        [(6098, 56438, 117, 186.737), (6098, 56439, 117, 164.652), (6098, 56442, 118, 168.74)],
    ),
    "apstar/apStar-r5-2M19390532+4027346.fits": (
        "dr12/r5/apo25m/N6819/2M19390532+4027346",
        387.891,
        [
            (5214, 55813, 299, 94.3063),
            (5214, 55849, 290, 121.011),
            (5214, 55866, 281, 127.597),
            (5215, 55823, 277, 114.182),
            (5215, 55840, 277, 87.1274),
            (5215, 55851, 283, 119.225),
        ],
    ),
    "apstar/apStar-r5-2M19463571+3919069.fits": (
        "dr12/r5/apo25m/N6819/2M19463571+3919069",
        167.256,
        [
            (5214, 55813, 62, 40.69),
            (5214, 55849, 68, 58.36),
            (5214, 55866, 74, 60.7225),
            (5215, 55823, 164, 51.8099),
            (5215, 55840, 164, 36.8346),
            (5215, 55851, 152, 55.2502),
        ],
    ),
    "apstar/apStar-r8-2M19390532+4027346.fits": (
        "dr14/r8/apo25m/N6819/2M19390532+4027346",
        361.886,
        [
            (5214, 55813, 299, 93.352),
            (5214, 55849, 290, 120.343),
            (5214, 55866, 281, 126.963),
            (5215, 55823, 277, 113.738),
            (5215, 55840, 277, 86.7915),
            (5215, 55851, 283, 118.949),
        ],
    ),
    "apstar_relaid/apStar-repack1.3-apo25m-2M16333217+3942519.fits": (
        "sdss5/repack1.3/apo25m/0/2M16333217+3942519",
        373.51620331395105,
        [(8601, 57192, 99, 265.204)],
    ),
    "apstar_relaid/apStar-repack1.3-apo25m-2M19245882+4714573.fits": (
        "sdss5/repack1.3/apo25m/0/2M19245882+4714573",
        363.10922627707055,
        [(6098, 56438, 117, 186.737), (6098, 56439, 117, 164.652)],
    ),
    "apstar_relaid/apStar-repackDR17-2M16333217+3942519.fits": (
        "/repackDR17/apo25m/064+42_MGA/2M16333217+3942519",
        372.9499063330471,
        [(8601, 57192, 99, 265.204)],
    ),
    "apstar_relaid/apStar-repackDR17-2M19245882+4714573.fits": (
        "/repackDR17/apo25m/K05_080+14/2M19245882+4714573",
        360.3138191259918,
        [(6098, 56438, 117, 186.737), (6098, 56439, 117, 164.652)],
    ),
}


def test_real_files_are_8_stars_and_27_visits(data: Path) -> None:
    records = [r for path in sorted(data.glob("*/*.fits")) for r in read_apstar(str(path)).records]
    assert [record.product for record in records].count("star") == 8
    assert [record.product for record in records].count("visit") == 27
    assert {record.reason for record in records} == {None}


def test_real_files_have_35_different_identities(data: Path) -> None:
    records = [r for path in sorted(data.glob("*/*.fits")) for r in read_apstar(str(path)).records]
    assert len({record.identity for record in records}) == 35


@pytest.mark.parametrize("name", REAL)
def test_real_file_equals_astropy(data: Path, name: str) -> None:
    visits = len(REAL[name][2])
    rows = [0, 0] if visits == 1 else [0, *range(2, visits + 2)]
    assert_equals_astropy(read_apstar(str(data / name)), data / name, rows)


@pytest.mark.parametrize("name", REAL)
def test_real_file_has_its_identities_and_signal_to_noise(data: Path, name: str) -> None:
    identity, snr, visits = REAL[name]
    coadd, *others = read_apstar(str(data / name)).records
    assert coadd.identity == f"{identity}/coadd"
    assert coadd.snr == snr
    assert coadd.n_visits == len(visits)
    assert [(int(v.visit.plate), v.visit.mjd, v.visit.fiber, v.snr) for v in others] == visits
    assert [v.identity for v in others] == [f"{identity}/{v.visit.file}" for v in others]


@pytest.mark.parametrize("odd", ["a[1].fits", "!x.fits", "~x.fits", "x.fits+1", "x .fits ", "x.fits[1][2:3,*]"])
def test_signs_in_a_path_are_no_instructions(tmp_path: Path, odd: str) -> None:
    plain = write_apstar(tmp_path / NAME, *distinct_rows(5))
    path = tmp_path / odd
    path.write_bytes(plain.read_bytes())
    (tmp_path / "x.fits").write_bytes(b"another file")
    np.testing.assert_array_equal(read_apstar(str(path)).flux, read_apstar(str(plain)).flux)


def test_file_below_the_current_folder_of_an_odd_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_apstar(tmp_path / NAME, *distinct_rows(5)).rename(tmp_path / "!x.fits")
    monkeypatch.chdir(tmp_path)
    assert read_apstar("!x.fits").records[0].reason is None


@pytest.mark.parametrize("behind", [b"\n", bytes(2880), b"notes" * 1000])
def test_bytes_behind_the_last_hdu_are_allowed(tmp_path: Path, behind: bytes) -> None:
    path = write_apstar(tmp_path / NAME, *distinct_rows(5))
    expected = read_apstar(str(path))
    path.write_bytes(path.read_bytes() + behind)
    got = read_apstar(str(path))
    assert got.records == expected.records
    np.testing.assert_array_equal(got.flux, expected.flux)


def test_visits_of_one_name_do_not_share_their_noise(tmp_path: Path) -> None:
    cards = changed(SFILE2=star_cards(3)["SFILE1"])
    records = read_apstar(str(write_apstar(tmp_path / NAME, *distinct_rows(5), cards))).records
    assert len({record.identity for record in records}) == 4
    assert records[1].identity.endswith(str(cards["SFILE1"]))


@pytest.mark.parametrize("null", [-9999.0, -9999.99, 999999.0, "NaN", "inf"])
def test_cards_that_stand_for_unknown_are_null(null: Value, tmp_path: Path) -> None:
    flux, error = distinct_rows(1)
    names = ("SNR", "SNRVIS1", "RA", "DEC", "STARFLAG", "FLAG1", "FIBER1", "HEALPIX", "N_COMP", "VHELIO")
    cards = star_cards(1) | {"SFILE1": "", "NVISITS": 1, "FLAG1": 4} | dict.fromkeys(names, null)
    if null == 999999.0:
        del cards["STARFLAG"], cards["FLAG1"]  # is a field of bits
    coadd, visit = read_apstar(str(write_apstar(tmp_path / NAME, flux, error, cards))).records
    assert np.isnan([coadd.snr, coadd.ra, coadd.dec, visit.snr, visit.ra, visit.dec, coadd.measured.v_rad]).all()
    assert (coadd.measured.spectrum_flags, visit.measured.spectrum_flags) == (None, None)
    assert (visit.visit.fiber, coadd.star.healpix, coadd.measured.n_components) == (-1, -1, None)
    # The same cards with values.
    cards |= dict.fromkeys(names, 7.0)
    coadd, visit = read_apstar(str(write_apstar(tmp_path / NAME, flux, error, cards))).records
    assert (coadd.snr, coadd.ra, coadd.dec, visit.snr, visit.ra, visit.dec, coadd.measured.v_rad) == (7,) * 7
    assert (coadd.measured.spectrum_flags, visit.measured.spectrum_flags) == (7, 7)
    assert (visit.visit.fiber, coadd.star.healpix, coadd.measured.n_components) == (7, 7, 7)


def test_a_signal_to_noise_ratio_of_zero_is_unknown(tmp_path: Path) -> None:
    flux, error = distinct_rows(1)
    cards = star_cards(1) | {"SNR": 0.0, "SNRVIS1": 0.0}
    records = read_apstar(str(write_apstar(tmp_path / NAME, flux, error, cards))).records
    assert np.isnan([record.snr for record in records]).all()
