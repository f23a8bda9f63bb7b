"""The fit of the noise model recovers an injected model, with correct uncertainties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from apnet_fast.validate.noise_fit import Differences, Fit, fit_noise_model, fit_scale, z_histogram
from tests.validate.catalogues import differences


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("scale", "offset"), [(1.25, 10.0), (1.0, 10.0), (1.25, 0.0)])
def test_an_injected_model_is_recovered_within_its_errors(scale: float, offset: float, seed: int) -> None:
    fit = fit_noise_model(differences(seed, scale=scale, offset=offset), bootstrap=100, seed=0)
    assert abs(fit.scale - scale) < 3.5 * fit.scale_error < 0.25
    assert abs(fit.offset - offset) < 3.5 * fit.offset_error < 8
    assert fit.correlation < -0.7
    # The twin: another model than the injected one lies outside.
    assert abs(fit.scale - (scale + 0.5)) > 3.5 * fit.scale_error


def test_errors_are_those_of_repeated_experiments() -> None:
    fits = [fit_noise_model(differences(seed, stars=300), bootstrap=60, seed=1) for seed in range(150)]
    for values, errors, truth in (
        ([fit.scale for fit in fits], [fit.scale_error for fit in fits], 1.25),
        ([fit.offset for fit in fits], [fit.offset_error for fit in fits], 10.0),
    ):
        assert abs(np.mean(values) - truth) < 4 * np.std(values) / math.sqrt(len(fits))
        assert np.std(values) == pytest.approx(np.median(errors), rel=0.25)


def test_one_newton_step_a_replicate_is_as_good_as_a_fit_of_each() -> None:
    data = differences(3, stars=300)
    quick = fit_noise_model(data, bootstrap=200, seed=0)
    rng, full = np.random.default_rng(1), []
    for _ in range(100):
        full.append(fit_noise_model(of_stars(data, rng.integers(0, 300, 300)), bootstrap=2, seed=0))
    assert quick.scale_error == pytest.approx(np.std([fit.scale for fit in full]), rel=0.3)
    assert quick.offset_error == pytest.approx(np.std([fit.offset for fit in full]), rel=0.3)


@pytest.mark.slow
def test_few_stars_have_sensible_errors() -> None:
    """Thirty stars with a tenth of failed visits: no replicate may run away."""
    scales, errors = [], []
    for seed in range(60):
        data, rng = differences(seed, stars=30), np.random.default_rng(seed)
        values = data.values + np.where(
            rng.random(len(data.values)) < 0.1, 1000 * rng.standard_normal(len(data.values)), 0
        )
        fit = fit_scale(Differences(values, data.errors, data.starts), bootstrap=60, seed=0)
        scales.append(fit.scale)
        errors.append(fit.scale_error)
    assert max(errors) < 6 * np.median(errors)
    assert np.median(errors) == pytest.approx(np.std(scales), rel=0.4)


def of_stars(data: Differences, stars: NDArray[np.int64]) -> Differences:
    """A sample of the stars, with repetition."""
    rows = np.concatenate([np.arange(data.starts[k], data.starts[k + 1]) for k in stars])
    number = np.diff(data.starts)[stars]
    starts = np.concatenate([[0], np.cumsum(number)]).astype(np.int64)
    return Differences(data.values[rows], data.errors[rows], starts)


def test_stars_and_not_pairs_are_drawn_again() -> None:
    """Visits of one star share its pairs: with pairs as independent, errors would come out too small."""
    data = differences(5, stars=60, visits=np.full(60, 30))
    fit = fit_scale(data, bootstrap=300, seed=0)
    if_independent = 1 / math.sqrt(2 * data.pairs)
    assert fit.scale_error > 2.5 * if_independent * fit.scale


def test_a_star_with_many_visits_counts_as_its_independent_differences() -> None:
    """One star of 60 visits, whose errors are twice the others', among 400 pairs of visits: 59 / 459 of the weight."""
    rng = np.random.default_rng(2)
    visits = np.concatenate([np.full(400, 2), [60]])
    starts = np.concatenate([[0], np.cumsum(visits)]).astype(np.int64)
    values = rng.standard_normal(starts[-1])
    values[800:] *= 2
    fit = fit_scale(Differences(values, np.ones(len(values)), starts), bootstrap=2, seed=0)
    assert 1.05 < fit.scale < 1.35, "by pairs (1770 of 2170) it would be near 1.8"


def test_outliers_have_bounded_weight() -> None:
    data = differences(4, stars=3000)
    rng = np.random.default_rng(0)
    values = data.values.copy()
    hit = rng.random(len(values)) < 0.01
    values[hit] += 1e5 * rng.standard_normal(int(hit.sum()))
    clean, spoilt = (
        fit_scale(Differences(each, data.errors, data.starts), bootstrap=2, seed=0) for each in (data.values, values)
    )
    assert 1.02 < spoilt.scale / clean.scale < 1.08
    # Plain maximum likelihood, the root mean square of z, is destroyed.
    first = data.starts[:-1]
    z = (values[first] - values[first + 1]) / np.hypot(data.errors[first], data.errors[first + 1])
    assert np.sqrt(np.mean(z**2)) > 100


def test_equal_formal_errors_cannot_tell_scale_from_offset() -> None:
    data = differences(1, spread=0.0)
    fit = fit_noise_model(data, bootstrap=10, seed=0)
    assert math.isnan(fit.scale)
    assert math.isnan(fit.offset_error)
    assert fit_scale(data, bootstrap=10, seed=0).scale == pytest.approx(1.25 + 10 / 30, rel=0.03)


def test_units_do_not_matter() -> None:
    data = differences(2)
    small = Differences(data.values / 1000, data.errors / 1000, data.starts)
    fits: list[Fit] = [fit_noise_model(each, bootstrap=20, seed=0) for each in (data, small)]
    assert fits[1].scale == pytest.approx(fits[0].scale, rel=1e-6)
    assert fits[1].offset * 1000 == pytest.approx(fits[0].offset, rel=1e-5)
    assert fits[1].offset_error * 1000 == pytest.approx(fits[0].offset_error, rel=1e-5)


def test_identical_visits_do_no_harm() -> None:
    data = differences(2, stars=200)
    values = data.values.copy()
    values[1] = values[0]
    assert math.isfinite(fit_noise_model(Differences(values, data.errors, data.starts), bootstrap=5, seed=0).scale)


def test_without_repeats_there_is_no_fit() -> None:
    with pytest.raises(ValueError, match="no star with two visits"):
        fit_scale(Differences(np.zeros(0), np.zeros(0), np.zeros(1, dtype=np.int64)), bootstrap=2, seed=0)


def test_the_histogram_holds_every_pair_once() -> None:
    starts = np.array([0, 2, 5])
    values, errors = np.array([0.0, 1.0, 0.0, 3.0, 1e9]), np.full(5, math.sqrt(0.5))
    # |z|: 1 (weight 1); 3, 1e9, 1e9 (weight 2 / 3 each).
    weights = z_histogram(values, errors, starts, 0.5, 8)
    expected = np.zeros(9)
    expected[[2, 6, 8]] = 1, 2 / 3, 4 / 3
    np.testing.assert_allclose(weights, expected)
