"""Recipes: error clean-up, statistics, the noise model and the words that a recipe may hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from apnet_fast.networks.scaling import V3_SCALING
from apnet_fast.recipes import RECIPES, Predictions, Recipe
from apnet_fast.support.errors import UsageError
from tests.literal import astra_error

NAMES = V3_SCALING.names
MEDIAN_RECIPES = ("dr19", "astra-0.6")


def spectrum(rng: np.random.Generator, pixels: int = 8575) -> tuple[np.ndarray, np.ndarray]:
    flux = rng.normal(500, 20, pixels)
    error = rng.uniform(3, 6, pixels)
    flux[:200], error[:200] = np.nan, 0.0
    error[300:320] = 1e10
    error[320:330] = 3e13
    error[330:340] = np.nan
    error[340] = np.inf
    return flux, error


@pytest.mark.parametrize("name", MEDIAN_RECIPES)
def test_errors_are_capped_as_astra_does(name: str, rng: np.random.Generator) -> None:
    flux, error = spectrum(rng)
    clean_flux, clean_error = RECIPES[name].clean_up(flux[None].astype(np.float32), error[None].astype(np.float32))
    np.testing.assert_allclose(clean_error[0], astra_error(flux, error), rtol=2e-7)
    np.testing.assert_array_equal(clean_flux[0], np.nan_to_num(flux, nan=0).astype(np.float32))
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(clean_error[0], astra_error(flux, error * 1.001), rtol=2e-7)


def test_missing_errors_get_five_times_the_median(rng: np.random.Generator) -> None:
    flux, error = spectrum(rng)
    _, clean = RECIPES["dr19"].clean_up(flux[None].astype(np.float32), error[None].astype(np.float32))
    known = np.isfinite(error) & (error > 0)
    limit = 5 * np.median(error[known])
    missing = ~known | (error > limit)
    np.testing.assert_allclose(clean[0, missing], limit, rtol=1e-6)
    np.testing.assert_array_equal(clean[0, ~missing], error[~missing].astype(np.float32))


@pytest.mark.parametrize(
    ("flux", "expected"),
    [(100.0, 10.0), (-100.0, -50.0), (np.nan, 0.0)],
    ids=["positive", "negative", "all NaN"],
)
def test_without_any_error_a_tenth_of_the_median_flux_stands_in(flux: float, expected: float) -> None:
    shape = (1, 50)
    _, error = RECIPES["astra-0.6"].clean_up(np.full(shape, flux, np.float32), np.full(shape, np.nan, np.float32))
    np.testing.assert_allclose(error, expected, rtol=1e-6)
    np.testing.assert_allclose(error[0], astra_error(np.full(50, flux), np.full(50, np.nan)), rtol=1e-6, atol=0)


def test_the_sign_of_an_error_is_lost() -> None:
    _, error = RECIPES["dr19"].clean_up(np.ones((1, 3), np.float32), np.array([[-2, 2, 2]], np.float32))
    assert error.tolist() == [[2, 2, 2]]


def test_a_half_bad_spectrum_keeps_its_huge_errors() -> None:
    error = np.where(np.arange(100) < 60, 1e10, 1.0).astype(np.float32)[None]
    _, clean = RECIPES["dr19"].clean_up(np.ones((1, 100), np.float32), error)
    np.testing.assert_array_equal(clean, error)


def test_infinite_flux_stays_and_zero_recipe_removes_it() -> None:
    flux = np.array([[1, np.inf, -np.inf, np.nan]], np.float32)
    error = np.array([[1, np.inf, np.nan, 1e10]], np.float32)
    kept, _ = RECIPES["dr19"].clean_up(flux, error)
    assert kept.tolist() == [[1, np.inf, -np.inf, 0]]
    zeroed, errors = RECIPES["bossnet-2"].clean_up(flux, error)
    assert zeroed.tolist() == [[1, 0, 0, 0]]
    assert errors.tolist() == [[1, 0, 0, 1e10]]


def test_rows_are_cleaned_independently(rng: np.random.Generator) -> None:
    flux = np.stack([spectrum(rng)[0] * scale for scale in (1, 100)]).astype(np.float32)
    error = np.stack([spectrum(rng)[1] * scale for scale in (1, 100)]).astype(np.float32)
    together = RECIPES["dr19"].clean_up(flux, error)[1]
    for i in range(2):
        alone = RECIPES["dr19"].clean_up(flux[[i]], error[[i]])[1]
        np.testing.assert_array_equal(together[[i]], alone)


def test_clean_up_leaves_its_arguments_alone(rng: np.random.Generator) -> None:
    flux, error = (values[None].astype(np.float32) for values in spectrum(rng))
    before = flux.copy(), error.copy()
    for recipe in RECIPES.values():
        recipe.clean_up(flux, error)
    np.testing.assert_array_equal(flux, before[0])
    np.testing.assert_array_equal(error, before[1])


def predictions(rng: np.random.Generator, n: int = 3, draws: int = 20) -> Predictions:
    clean = np.array([3.0, 3.7, -0.2]) + rng.normal(0, 0.05, (n, 3))
    return Predictions(
        clean=clean.astype(np.float32),
        draws=(clean[:, None] + rng.normal(0, 0.05, (n, draws, 3))).astype(np.float32),
        names=NAMES,
    )


def test_dr19_reports_medians_and_kelvin_scatter(rng: np.random.Generator) -> None:
    p = predictions(rng)
    labels = RECIPES["dr19"].summarise(p, np.ones(3, bool))
    teff = 10.0 ** p.draws[..., 1].astype(np.float64)
    np.testing.assert_allclose(labels.teff, np.median(teff, axis=1), rtol=1e-6)
    np.testing.assert_allclose(labels.raw_e_teff, np.std(teff, axis=1, ddof=1), rtol=1e-6)
    np.testing.assert_allclose(labels.logg, np.median(p.draws[..., 0], axis=1), rtol=1e-6)
    np.testing.assert_allclose(labels.raw_e_fe_h, np.std(p.draws[..., 2].astype(float), axis=1, ddof=1), rtol=1e-6)
    assert not np.allclose(labels.raw_e_logg, np.std(p.draws[..., 0], axis=1, ddof=0), rtol=1e-3)
    assert not np.allclose(labels.teff, 10 ** p.clean[:, 1], rtol=1e-6)


@pytest.mark.parametrize("name", ["astra-0.6", "bossnet-2"])
def test_clean_recipes_report_the_noiseless_labels(name: str, rng: np.random.Generator) -> None:
    p = predictions(rng)
    labels = RECIPES[name].summarise(p, np.ones(3, bool))
    teff = 10.0 ** p.clean[:, 1].astype(np.float64)
    np.testing.assert_allclose(labels.teff, teff, rtol=1e-6)
    np.testing.assert_allclose(labels.logg, p.clean[:, 0])
    spread = np.std(p.draws[..., 1].astype(np.float64), axis=1, ddof=1)
    np.testing.assert_allclose(labels.raw_e_teff, teff * spread * np.log(10), rtol=1e-6)
    assert not np.allclose(labels.raw_e_teff, np.std(10.0 ** p.draws[..., 1].astype(float), axis=1, ddof=1), rtol=1e-4)


def test_noise_model_of_the_page(rng: np.random.Generator) -> None:
    labels = RECIPES["dr19"].summarise(predictions(rng), np.ones(3, bool))
    np.testing.assert_allclose(labels.e_teff, 1.25 * labels.raw_e_teff + 10, rtol=1e-6)
    np.testing.assert_allclose(labels.e_logg, 1.25 * labels.raw_e_logg + 0.01, rtol=1e-6)
    np.testing.assert_allclose(labels.e_fe_h, labels.raw_e_fe_h + 0.01, rtol=1e-6)
    assert not np.allclose(labels.e_fe_h, 1.25 * labels.raw_e_fe_h + 0.01, rtol=1e-3)


def test_upstream_package_inflates_nothing(rng: np.random.Generator) -> None:
    labels = RECIPES["bossnet-2"].summarise(predictions(rng), np.ones(3, bool))
    np.testing.assert_array_equal(labels.e_teff, labels.raw_e_teff)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_rows_without_result_are_nan_and_flagged(recipe: Recipe, rng: np.random.Generator) -> None:
    has_result = np.array([True, False, True, True])
    labels = recipe.summarise(predictions(rng), has_result)
    assert np.isnan(labels.teff).tolist() == [False, True, False, False]
    assert np.isnan(labels.e_logg).tolist() == [False, True, False, False]
    no_result = 1 if recipe.name == "astra-0.6" else 2048
    assert [int(value) & no_result for value in labels.result_flags] == [0, no_result, 0, 0]
    assert labels.flag_bad[1]


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_no_spectrum_at_all_is_fine(recipe: Recipe) -> None:
    nothing = Predictions(np.empty((0, 3), np.float32), np.empty((0, 20, 3), np.float32), NAMES)
    labels = recipe.summarise(nothing, np.zeros(2, bool))
    assert np.isnan(labels.teff).all()


def test_nan_predictions_are_unreliable() -> None:
    p = Predictions(np.full((1, 3), np.nan, np.float32), np.full((1, 20, 3), np.nan, np.float32), NAMES)
    dr19 = RECIPES["dr19"].summarise(p, np.ones(1, bool))
    assert dr19.result_flags[0] == 0b111111
    assert RECIPES["astra-0.6"].summarise(p, np.ones(1, bool)).result_flags[0] == 0b1110


def test_labels_have_the_types_of_the_catalogue(rng: np.random.Generator) -> None:
    labels = RECIPES["dr19"].summarise(predictions(rng), np.ones(3, bool))
    assert labels.teff.dtype == labels.raw_e_fe_h.dtype == np.float32
    assert labels.result_flags.dtype == np.int64
    assert labels.flag_bad.dtype == np.bool_


@pytest.mark.parametrize(
    ("name", "draws", "allowed"),
    [
        ("dr19", 2, True),
        ("dr19", 1, False),
        ("dr19", 0, False),
        ("astra-0.6", 0, True),
        ("astra-0.6", 1, False),
        ("bossnet-2", 0, True),
    ],
)
def test_draws_a_recipe_can_use(name: str, draws: int, allowed: bool) -> None:
    if allowed:
        RECIPES[name].check_draws(draws)
    else:
        with pytest.raises(UsageError, match="--draws 20"):
            RECIPES[name].check_draws(draws)


def test_zero_draws_give_labels_without_errors(rng: np.random.Generator) -> None:
    labels = RECIPES["bossnet-2"].summarise(predictions(rng, draws=0), np.ones(3, bool))
    assert np.isfinite(labels.teff).all()
    assert np.isnan(labels.raw_e_teff).all()


@pytest.mark.parametrize(
    "change",
    [
        {"missing_errors": "medain"},
        {"missing_errors": None},
        {"label": "mode"},
        {"teff_error": "K"},
        {"percentile_over": "pixel"},
        {"photometry": "gaia"},
    ],
    ids=str,
)
def test_a_misspelt_rule_is_refused_by_name(change: dict[str, Any]) -> None:
    (field, word), *_ = change.items()
    with pytest.raises(UsageError, match=f"recipe dr19 has an unknown {field}; got {word!r}"):
        replace(RECIPES["dr19"], **change)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_unreliable_spectra_have_flag_bad_and_the_bit_if_the_table_has_it(
    recipe: Recipe, rng: np.random.Generator
) -> None:
    p, has_result = predictions(rng, n=2), np.array([True, True, False])
    plain = recipe.summarise(p, has_result)
    flagged = recipe.summarise(p, has_result, unreliable=np.array([True, False, True]))
    # The released files of Astra 0.6 have no bit for it.
    bit = 0 if recipe.flag_table.name == "astra-0.6" else 1024
    assert (flagged.result_flags - plain.result_flags).tolist() == [bit, 0, 0]
    assert flagged.flag_bad.tolist() == [True, plain.flag_bad[1], True]
    assert flagged.flag_warn.tolist() == plain.flag_warn.tolist()
    assert flagged.teff.tobytes() == plain.teff.tobytes()
