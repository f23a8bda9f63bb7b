"""Recipes of ApogeeNet v2 and v1: statistics, medians, photometry in the flags, noise model, and which is whose."""

from __future__ import annotations

import numpy as np
import pytest

from apnet_fast.networks.scaling import V1_SCALING, V2_SCALING
from apnet_fast.recipes import RECIPES, RECIPES_OF, Predictions, Recipe
from apnet_fast.support.errors import UsageError

V2 = RECIPES_OF["v2"]
V1 = RECIPES_OF["v1"]["astra-2020"]
ALL = [*V2.values(), V1]
IDS = [f"{recipe.network} {recipe.name}" for recipe in ALL]
STAR = (2.0, 13.0, 13.5, 12.3, 11.0, 10.4, 10.2)
NAMES = V2_SCALING.names
GOOD_LABELS = (3.0, 3.7, -0.1)


def predictions(rng: np.random.Generator, n: int = 3, draws: int = 20, network: str = "v2") -> Predictions:
    clean = np.array(GOOD_LABELS) + rng.normal(0, 0.02, (n, 3))
    values = clean[:, None] + rng.normal(0, 0.02, (n, draws, 3))
    if network == "v1":
        clean[:, 1], values[..., 1] = 10 ** clean[:, 1], 10 ** values[..., 1]
        return Predictions(clean.astype(np.float32), values.astype(np.float32), V1_SCALING.names)
    return Predictions(clean.astype(np.float32), values.astype(np.float32), NAMES)


def test_astra_reports_the_clean_spectrum_and_scatter_in_kelvin(rng: np.random.Generator) -> None:
    p = predictions(rng)
    labels = V2["astra-0.6"].summarise(p, np.ones(3, bool))
    teff = 10.0 ** p.draws[..., 1].astype(np.float64)
    np.testing.assert_allclose(labels.teff, 10.0 ** p.clean[:, 1].astype(float), rtol=1e-6)
    np.testing.assert_allclose(labels.raw_e_teff, teff.std(axis=1), rtol=1e-6)
    assert not np.allclose(labels.raw_e_teff, teff.std(axis=1, ddof=1), rtol=1e-3)
    np.testing.assert_allclose(labels.teff_sample_median, np.median(teff, axis=1), rtol=1e-6)
    np.testing.assert_allclose(labels.fe_h_sample_median, np.median(p.draws[..., 2], axis=1), rtol=1e-5)


def test_astra_leaves_draws_without_labels_out(rng: np.random.Generator) -> None:
    p = predictions(rng)
    p.draws[0, :5] = np.nan
    p.draws[1] = np.nan
    labels = V2["astra-0.6"].summarise(p, np.ones(3, bool))
    np.testing.assert_allclose(labels.raw_e_logg[0], p.draws[0, 5:, 0].astype(float).std(), rtol=1e-5)
    assert np.isnan([labels.raw_e_logg[1], labels.logg_sample_median[1]]).all()
    assert np.isfinite(labels.teff).all()
    # The page counts them in.
    assert np.isnan(V2["dr19"].summarise(p, np.ones(3, bool)).raw_e_logg[:2]).all()


def test_astra_takes_infinite_outputs_for_none(rng: np.random.Generator) -> None:
    p = predictions(rng)
    p.draws[0, :3, 0], p.draws[0, 3, 1], p.draws[0, 4, 1] = np.inf, -np.inf, np.inf
    p.clean[1] = -np.inf, np.inf, -np.inf
    before = p.draws.copy(), p.clean.copy()
    labels = V2["astra-0.6"].summarise(p, np.ones(3, bool))
    logg, teff = p.draws[0, 3:, 0].astype(float), 10.0 ** p.draws[0, [0, 1, 2, *range(5, 20)], 1].astype(float)
    np.testing.assert_allclose(labels.raw_e_logg[0], logg.std(), rtol=1e-5)
    np.testing.assert_allclose(labels.logg_sample_median[0], np.median(logg), rtol=1e-6)
    np.testing.assert_allclose(labels.raw_e_teff[0], teff.std(), rtol=1e-5)
    np.testing.assert_allclose(labels.teff_sample_median[0], np.median(teff), rtol=1e-6)
    assert np.isnan([labels.teff[1], labels.logg[1], labels.fe_h[1]]).all()
    assert np.isfinite([labels.teff[[0, 2]], labels.raw_e_teff[[0, 2]]]).all()
    for given, kept in zip(before, (p.draws, p.clean), strict=True):
        np.testing.assert_array_equal(given, kept)
    # The page and the package know no such step.
    assert V2["dr19"].summarise(p, np.ones(3, bool)).teff_sample_median[0] > 0
    assert np.isnan(V2["dr19"].summarise(p, np.ones(3, bool)).raw_e_logg[0])
    assert V2["apogeenet-2"].summarise(p, np.ones(3, bool)).teff[1] == np.inf


def test_dr19_reports_medians(rng: np.random.Generator) -> None:
    p = predictions(rng)
    labels = V2["dr19"].summarise(p, np.ones(3, bool))
    np.testing.assert_array_equal(labels.teff, labels.teff_sample_median)
    np.testing.assert_allclose(labels.raw_e_logg, p.draws[..., 0].astype(float).std(axis=1, ddof=1), rtol=1e-5)


def test_apogeenet_2_has_the_lower_median_and_scatter_in_dex(rng: np.random.Generator) -> None:
    p = predictions(rng)
    labels = V2["apogeenet-2"].summarise(p, np.ones(3, bool))
    lower = np.sort(p.draws.astype(float), axis=1)[:, 9]
    np.testing.assert_allclose(labels.teff_sample_median, 10 ** lower[:, 1], rtol=1e-6)
    np.testing.assert_allclose(labels.logg_sample_median, lower[:, 0], rtol=1e-6)
    assert not np.allclose(labels.logg_sample_median, np.median(p.draws[..., 0], axis=1), rtol=1e-5)
    spread = p.draws[..., 1].astype(float).std(axis=1, ddof=1)
    np.testing.assert_allclose(labels.raw_e_teff, labels.teff * spread * np.log(10), rtol=1e-5)
    np.testing.assert_array_equal(labels.e_fe_h, labels.raw_e_fe_h)


def test_v1_reports_the_mean_with_the_clean_spectrum_as_first_draw(rng: np.random.Generator) -> None:
    p = predictions(rng, network="v1")
    before = p.draws.copy()
    labels = V1.summarise(p, np.ones(3, bool))
    np.testing.assert_array_equal(p.draws, before)
    values = before.astype(float)
    values[:, 0] = p.clean
    np.testing.assert_allclose(labels.teff, values[..., 1].mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(labels.raw_e_logg, values[..., 0].std(axis=1, ddof=1), rtol=1e-6)
    np.testing.assert_array_equal(labels.e_teff, labels.raw_e_teff)
    assert not np.allclose(labels.teff, before[..., 1].mean(axis=1), rtol=1e-6)
    assert labels.result_flags.tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", ["astra-0.6", "dr19"])
def test_noise_model_of_v2(name: str, rng: np.random.Generator) -> None:
    labels = V2[name].summarise(predictions(rng), np.ones(3, bool))
    np.testing.assert_allclose(labels.e_teff, 1.25 * labels.raw_e_teff + 5, rtol=1e-6)
    np.testing.assert_allclose(labels.e_logg, 1.5 * labels.raw_e_logg + 0.01, rtol=1e-6)
    np.testing.assert_allclose(labels.e_fe_h, 1.25 * labels.raw_e_fe_h + 0.01, rtol=1e-6)
    assert not np.allclose(labels.e_teff, 1.25 * labels.raw_e_teff + 10, rtol=1e-3)


def bits(recipe: Recipe, photometry: np.ndarray | None, **changes: tuple[float, float, float]) -> list[str]:
    """Names of the bits of one spectrum; changes: clean or draws in the network's order."""
    clean = np.array([changes.get("clean", GOOD_LABELS)], np.float32)
    draws = np.array([[changes.get("draws", GOOD_LABELS)] * 4], np.float32)
    draws += np.array([-1e-3, 1e-3, -1e-3, 1e-3], np.float32)[None, :, None]
    labels = recipe.summarise(Predictions(clean, draws, NAMES), np.ones(1, bool), photometry)
    return recipe.flag_table.names(int(labels.result_flags[0]))


@pytest.mark.parametrize("name", ["astra-0.6", "dr19"])
def test_missing_photometry_is_flagged(name: str) -> None:
    recipe, known = V2[name], np.array([STAR], np.float32)
    assert bits(recipe, known) == []
    assert "MISSING_PHOTOMETRY" in bits(recipe, None)
    for column in range(7):
        for value in (np.nan, 99.9, -1.0):
            photometry = known.copy()
            photometry[0, column] = value
            assert "MISSING_PHOTOMETRY" in bits(recipe, photometry)
    # v3 does not look.
    assert bits(RECIPES["dr19"], None) == []


def test_knowingly_unreliable_in_magnitudes_and_as_astra_has_it() -> None:
    # RP - K = 2.6 and an absolute H of 7: a red dwarf; in normalised values neither holds.
    dwarf = np.array([[20, 13, 13.5, 12.3, 11, 10.5, 9.7]], np.float32)
    assert bits(V2["dr19"], dwarf) == ["RESULT_UNRELIABLE"]
    assert bits(V2["astra-0.6"], dwarf) == []
    # Only values that no star has pass the limits when normalised.
    absurd = np.array([[90, 13, 13.5, 20, 11, 40, 10]], np.float32)
    assert bits(V2["astra-0.6"], absurd) == ["RESULT_UNRELIABLE"]
    assert bits(V2["astra-0.6"], absurd - np.array([0, 0, 0, 0, 0, 25, 0], np.float32)) == []
    missing = dwarf.copy()
    missing[0, 6] = np.nan
    assert bits(V2["dr19"], missing) == ["MISSING_PHOTOMETRY"]


def test_bit_three_looks_at_teff_in_astra_and_at_the_median_on_the_page() -> None:
    known, hot = np.array([STAR], np.float32), (3.0, 4.75, -0.1)
    assert bits(V2["astra-0.6"], known, clean=hot) == ["TEFF_UNRELIABLE", "FE_H_UNRELIABLE", "E_TEFF_UNRELIABLE"]
    assert bits(V2["astra-0.6"], known, draws=hot) == ["E_FE_H_UNRELIABLE"]
    page = bits(V2["dr19"], known, draws=hot)
    assert {"TEFF_UNRELIABLE", "E_TEFF_UNRELIABLE", "E_FE_H_UNRELIABLE"} <= set(page)


def test_nan_sets_no_bit_in_astra_and_every_range_on_the_page() -> None:
    nan, known = (np.nan,) * 3, np.array([STAR], np.float32)
    assert bits(V2["astra-0.6"], known, clean=nan, draws=nan) == []
    assert len(bits(V2["dr19"], known, clean=nan, draws=nan)) == 6


@pytest.mark.parametrize("recipe", ALL, ids=IDS)
def test_rows_without_result_are_nan_and_flagged(recipe: Recipe, rng: np.random.Generator) -> None:
    has_result = np.array([True, False, True, True])
    labels = recipe.summarise(predictions(rng, network=recipe.network), has_result)
    assert np.isnan(labels.teff).tolist() == np.isnan(labels.logg_sample_median).tolist() == [False, True, False, False]
    assert labels.result_flags[1] == 2048
    assert labels.flag_bad.tolist()[1]
    names = recipe.flag_table.names(int(labels.result_flags[0]))
    assert names == (["MISSING_PHOTOMETRY"] if "MISSING_PHOTOMETRY" in str(recipe.flag_table.warn) else [])


@pytest.mark.parametrize("recipe", ALL, ids=IDS)
def test_no_spectrum_at_all_is_fine(recipe: Recipe) -> None:
    nothing = Predictions(np.empty((0, 3), np.float32), np.empty((0, 20, 3), np.float32), NAMES)
    assert np.isnan(recipe.summarise(nothing, np.zeros(2, bool)).teff).all()


def test_absurd_labels_are_no_warning() -> None:
    p = Predictions(np.full((1, 3), 400, np.float32), np.full((1, 4, 3), 400, np.float32), NAMES)
    for recipe in V2.values():
        assert recipe.summarise(p, np.ones(1, bool)).teff[0] == np.inf


@pytest.mark.parametrize("name", ["astra-0.6", "apogeenet-2"])
def test_zero_draws_give_labels_without_errors(name: str, rng: np.random.Generator) -> None:
    V2[name].check_draws(0)
    labels = V2[name].summarise(predictions(rng, draws=0), np.ones(3, bool), np.array([STAR] * 3, np.float32))
    assert np.isfinite(labels.teff).all()
    assert np.isnan(labels.raw_e_teff).all()
    assert labels.result_flags.tolist() == [0, 0, 0]
    for recipe in (V2["dr19"], V1):
        with pytest.raises(UsageError, match="--draws 100"):
            recipe.check_draws(0)
