"""Flux that is not a flux: medians of a sample of pixels, ranges, scatter, counts that add up, and their messages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from apnet_fast.recipes import RECIPES, Labels, Predictions
from apnet_fast.recipes.flux import (
    FLUX_UNIT,
    SURVEY_FLUX_RANGE,
    FluxCounts,
    count_flux,
    median_flux,
    plausible_range,
    without_scatter,
)
from apnet_fast.spectra.apstar import read_apstar
from tests.engines.battery import ordinary_spectra


def labels(spread: float | list[float], n: int = 3, draws: int = 8) -> Labels:
    """Labels of n stars whose draws scatter by so much in each label."""
    clean = np.tile(np.array([3.0, 3.7, -0.2], np.float32), (n, 1))
    spreads = np.broadcast_to(np.asarray(spread, float).reshape(-1, 1, 1), (n, draws, 3))
    steps = np.linspace(-1, 1, draws)[None, :, None] * spreads
    drawn = (clean[:, None] + steps).astype(np.float32)
    return RECIPES["dr19"].summarise(Predictions(clean, drawn, ("logg", "log_teff", "fe_h")), np.ones(n, bool))


def test_the_median_is_that_of_pixels_with_data(rng: np.random.Generator) -> None:
    flux, _ = ordinary_spectra(rng, 4)
    expected = np.nanmedian(np.where(flux != 0, flux, np.nan), axis=1)
    np.testing.assert_allclose(median_flux(flux), expected, rtol=0.05)
    gaps = np.where(np.isfinite(flux), flux, 0).astype(np.float32)  # as older files code them
    np.testing.assert_array_equal(median_flux(gaps), median_flux(flux))
    assert not np.allclose(median_flux(flux * np.float32(2)), expected, rtol=0.05)


def test_few_pixels_with_data_are_found() -> None:
    flux = np.full((3, 8575), np.nan, np.float32)
    flux[0, 1001:1004] = 7, 8, 9  # between the pixels that are looked at
    flux[1, 160] = 5
    assert median_flux(flux).tolist()[:2] == [8, 5]
    assert np.isnan(median_flux(flux)[2])
    assert median_flux(flux[:0]).shape == (0,)


def test_real_spectra_are_plausible(data: Path) -> None:
    files = sorted([*data.rglob("apStar-*.fits"), *(data.parent / "real").glob("dr1*/apStar-*.fits")])
    assert len(files) > 5
    low, high = SURVEY_FLUX_RANGE
    for path in files:
        batch = read_apstar(str(path), ("star", "visit"))
        medians = median_flux(batch.flux[batch.usable])
        assert (medians > 2 * low).all(), path
        assert (medians < high / 2).all(), path
        normalised = batch.flux[batch.usable] / medians[:, None]
        assert (median_flux(normalised) < low).all()
        assert (median_flux(batch.flux[batch.usable] * np.float32(1e-17)) < low).all()


def test_training_widens_or_narrows_the_range() -> None:
    assert plausible_range(None) == SURVEY_FLUX_RANGE
    assert plausible_range((10.0, 1000.0)) == (5.0, 2000.0)


def test_draws_without_scatter() -> None:
    assert without_scatter(labels([0.0, 1e-8, 1e-3])).tolist() == [True, True, False]
    clean = labels(0.0, draws=2)
    assert without_scatter(clean).all()
    nothing = Predictions(np.full((1, 3), np.nan), np.full((1, 4, 3), np.nan), ("logg", "log_teff", "fe_h"))
    assert not without_scatter(RECIPES["dr19"].summarise(nothing, np.ones(1, bool))).any()


def test_counts() -> None:
    flux = np.full((4, 100), 500, np.float32)
    flux[1] /= 500
    flux[2] = 1e9
    flux[3] = np.nan
    usable = np.array([True, True, True, False])
    found = RECIPES["dr19"].summarise(
        Predictions(np.zeros((3, 3)), np.zeros((3, 4, 3)), ("logg", "log_teff", "fe_h")), usable
    )
    counts = count_flux(flux, found, usable, SURVEY_FLUX_RANGE, draws=4)
    assert counts == FluxCounts(spectra=3, implausible=2, without_scatter=3)
    assert count_flux(flux, found, usable, SURVEY_FLUX_RANGE, draws=0).without_scatter == 0
    assert count_flux(flux, found, usable, (0.1, 1e10), draws=4).implausible == 0
    assert counts + counts == FluxCounts(6, 4, 6)
    assert sum([counts, counts], FluxCounts()) == FluxCounts(6, 4, 6)


def test_messages_have_numbers_unit_and_range() -> None:
    assert FluxCounts(spectra=10).messages(SURVEY_FLUX_RANGE) == []
    flux, scatter = FluxCounts(10, 2, 3).messages(SURVEY_FLUX_RANGE)
    assert flux.startswith("2 of 10 spectra have a median flux outside 3 to 3e+07")
    assert FLUX_UNIT in flux
    assert scatter.startswith("3 of 10 spectra have draws without scatter")
    assert len(FluxCounts(10, 0, 3).messages(SURVEY_FLUX_RANGE)) == 1


@pytest.mark.parametrize("snr", [1e3, 1e4])
def test_bright_and_good_spectra_have_scatter(snr: float) -> None:
    # Of logg 0.001 and less at S/N of 10,000, far above rounding.
    assert not without_scatter(labels(0.1 / snr)).any()
