"""Rows of the image HDUs: the codes for "no data" and bad pixels, and the coadds, layout by layout."""

from __future__ import annotations

import numpy as np
import pytest

from apnet_fast.simulate.layouts import find_layout
from apnet_fast.simulate.observe import ObservedVisit
from apnet_fast.simulate.pixels import BAD_BITS, PixelBit
from apnet_fast.simulate.rows import Planes, lay_out, running_continuum
from tests.simulate.simulated_visits import VISIT, observe_many, ordinary

VISITS = observe_many(3)
COVERED = np.array([seen.covered for seen in VISITS])


def rows(layout_name: str, visits: list[ObservedVisit]) -> Planes:
    return lay_out(visits, find_layout(layout_name))


def all_equal(values: np.ndarray, code: float) -> bool:
    return bool(np.array_equal(values, np.full(values.shape, code), equal_nan=True))


@pytest.mark.parametrize(
    ("layout_name", "n_visits", "n_rows"),
    [("legacy", 1, 1), ("legacy", 3, 5), ("dr17", 1, 2), ("dr17", 3, 5), ("sdss5", 1, 1), ("sdss5", 3, 5)],
)
def test_shapes_and_dtypes(layout_name: str, n_visits: int, n_rows: int) -> None:
    planes = rows(layout_name, VISITS[:n_visits])
    layout = find_layout(layout_name)
    for image in planes.images():
        assert image.shape == (n_rows, 8575)
        assert image.dtype == (layout.mask_dtype if image is planes.mask else layout.float_dtype)


@pytest.mark.parametrize(
    ("layout_name", "flux_code", "error_code", "mask_code"),
    [("legacy", 0.0, 1e10, 1), ("dr17", 0.0, 0.0, 0), ("sdss5", 0.0, 0.0, 0)],
)
def test_gaps_of_visit_rows(layout_name: str, flux_code: float, error_code: float, mask_code: int) -> None:
    planes = rows(layout_name, VISITS)
    for row, seen in enumerate(VISITS, start=2):
        gap = ~seen.covered
        assert all_equal(planes.flux[row][gap], flux_code)
        assert all_equal(planes.error[row][gap], error_code)
        assert all_equal(planes.mask[row][gap], mask_code)


@pytest.mark.parametrize(
    ("layout_name", "flux_code", "error_code"),
    [("legacy", 0.0, 1e10), ("dr17", np.nan, np.nan), ("sdss5", np.nan, 0.0)],
)
def test_gaps_of_coadds(layout_name: str, flux_code: float, error_code: float) -> None:
    planes = rows(layout_name, VISITS)
    gap = ~COVERED.any(axis=0) if layout_name == "legacy" else ~COVERED.all(axis=0)
    for row in (0, 1):
        assert all_equal(planes.flux[row][gap], flux_code)
        assert all_equal(planes.error[row][gap], error_code)
        assert np.all(np.isfinite(planes.flux[row][~gap]))
        assert np.all(planes.error[row][~gap] > 0)


def test_gaps_of_single_visits() -> None:
    gap = ~VISITS[0].covered
    for layout_name, flux_code, error_code in [
        ("legacy", 0.0, 1e10),
        ("dr17", np.nan, np.nan),
        ("sdss5", np.nan, 0.0),
    ]:
        planes = rows(layout_name, VISITS[:1])
        assert all_equal(planes.flux[0][gap], flux_code)
        assert all_equal(planes.error[0][gap], error_code)


def test_second_row_of_a_dr17_single_visit_is_zero() -> None:
    planes = rows("dr17", VISITS[:1])
    assert planes.flux[0].any()
    for image in planes.images():
        assert not image[1].any()


def test_bad_pixels_are_coded_as_in_each_layout() -> None:
    seen = VISITS[0]
    bad = seen.covered & ((seen.mask & BAD_BITS) != 0)
    inside = bad & (seen.inflation == 1)
    continuum = running_continuum(seen.truth, seen.covered)
    assert inside.sum() > 20

    dr17 = rows("dr17", VISITS)
    assert np.allclose(dr17.flux[2][bad], continuum[bad])
    assert np.allclose(dr17.error[2][inside], 1e10 * continuum[inside])
    sdss5 = rows("sdss5", VISITS)
    assert np.allclose(sdss5.flux[2][bad], continuum[bad])
    assert np.all(sdss5.error[2][inside] < 0.1 * continuum[inside])
    legacy = rows("legacy", VISITS)
    lost = seen.covered & ((seen.mask & int(PixelBit.UNFIXABLE)) != 0)
    assert all_equal(legacy.error[2][lost], 1e10)
    assert np.all(legacy.error[2][bad & ~lost] < 1e9)
    for planes in (legacy, dr17, sdss5):
        assert np.all((planes.mask[2][bad] & BAD_BITS) != 0)


def test_masks_of_coadds() -> None:
    masks = np.array([np.where(seen.covered, seen.mask, 1) for seen in VISITS])
    legacy = rows("legacy", VISITS)
    assert np.array_equal(legacy.mask[0], np.bitwise_or.reduce(masks))
    assert np.array_equal(legacy.mask[1], np.bitwise_and.reduce(masks))
    for layout_name in ("dr17", "sdss5"):
        planes = rows(layout_name, VISITS)
        assert np.array_equal(planes.mask[0], np.bitwise_and.reduce([seen.mask for seen in VISITS]))
        assert not planes.mask[1].any()


def test_coadd_is_the_truth_within_its_errors(layout_name: str) -> None:
    planes = rows(layout_name, VISITS)
    good = np.logical_and.reduce([ordinary(seen) for seen in VISITS])
    truth = np.mean([seen.truth for seen in VISITS], axis=0)

    def deviation(flux_row: int, error_row: int) -> float:
        return float(((planes.flux[flux_row] - truth)[good] / planes.error[error_row][good]).std())

    assert deviation(0, 0) == pytest.approx(1.0, abs=0.08)
    assert deviation(1, 1) == pytest.approx(1.0, abs=0.15)
    assert deviation(2, 0) > 1.5, "the check must notice a visit that stands where the coadd should"
    assert planes.snr(0) == pytest.approx(np.sqrt(3) * VISIT.snr, rel=0.1)
    assert not np.array_equal(planes.flux[0], planes.flux[1])


def test_sky_and_telluric_fill_the_rows_each_layout_fills() -> None:
    for n_visits in (1, 3):
        legacy = rows("legacy", VISITS[:n_visits])
        assert all(image[0].any() for image in legacy.images()[3:])
    for layout_name in ("dr17", "sdss5"):
        single, many = rows(layout_name, VISITS[:1]), rows(layout_name, VISITS)
        assert not any(image.any() for image in single.images()[3:])
        assert not any(image[:2].any() for image in many.images()[3:])
        assert all(image[2:].any(axis=1).all() for image in many.images()[3:])


def test_dead_visit() -> None:
    visits = observe_many(3, dead=1)
    legacy = rows("legacy", visits)
    assert all_equal(legacy.error[3], 1e10)
    assert all_equal(legacy.mask[3], 1)
    assert legacy.snr(0) == pytest.approx(np.sqrt(2) * VISIT.snr, rel=0.1)
    for layout_name in ("dr17", "sdss5"):
        planes = rows(layout_name, visits)
        assert not planes.flux[3].any()
        assert not planes.error[3].any()
        assert np.isnan(planes.flux[0]).all(), "one empty visit poisons the whole coadd"
        assert np.isnan(planes.snr(0))


def test_running_continuum_passes_over_lines_and_gaps() -> None:
    flux = np.full(8575, 7.0)
    flux[::10] = 2.0
    usable = np.ones(8575, dtype=bool)
    usable[3300:3560] = False
    flux[~usable] = 1e6
    assert np.allclose(running_continuum(flux, usable), 7.0)
