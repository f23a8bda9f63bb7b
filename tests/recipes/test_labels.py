"""Predictions in physical units, label columns and noise models."""

from __future__ import annotations

import numpy as np
import pytest

from apnet_fast.recipes.labels import LABELS, MEDIANS, NoiseModel, Predictions, label_names

LOGARITHMIC, LINEAR = ("logg", "log_teff", "fe_h"), ("logg", "teff", "fe_h")


def predictions(values: list[float], names: tuple[str, ...]) -> Predictions:
    clean = np.array([values], dtype=np.float32)
    return Predictions(clean=clean, draws=np.repeat(clean[:, None], 2, axis=1), names=names)


@pytest.mark.parametrize(("second", "names"), [(3.5, LOGARITHMIC), (10**3.5, LINEAR)])
def test_labels_come_as_teff_logg_fe_h(second: float, names: tuple[str, ...]) -> None:
    clean, draws = predictions([2.5, second, -0.5], names).in_kelvin()
    np.testing.assert_allclose(clean, [[10**3.5, 2.5, -0.5]], rtol=1e-6)
    np.testing.assert_array_equal(draws, np.repeat(clean[:, None], 2, axis=1))
    assert LABELS == ("teff", "logg", "fe_h")


def test_log_teff_of_draws() -> None:
    np.testing.assert_allclose(predictions([2.5, 3.5, 0], LOGARITHMIC).log_teff_draws(), 3.5)
    np.testing.assert_allclose(predictions([2.5, 1e4, 0], LINEAR).log_teff_draws(), 4)
    assert np.isnan(predictions([2.5, -1e4, 0], LINEAR).log_teff_draws()).all()


def test_teff_beyond_all_numbers_is_infinite_without_a_warning() -> None:
    assert np.isinf(predictions([2.5, 400.0, 0], LOGARITHMIC).in_kelvin()[0][0, 0])


def test_values_that_are_not_finite_become_nan() -> None:
    given = predictions([np.inf, 3.5, -np.inf], LOGARITHMIC)
    finite = given.finite()
    np.testing.assert_array_equal(finite.draws[0, 1], np.array([np.nan, 3.5, np.nan], np.float32))
    assert finite.clean.dtype == np.float32
    assert np.isinf(given.clean[0, 0])  # the argument is left alone


def test_only_v2_has_medians() -> None:
    assert set(MEDIANS) <= set(label_names("v2"))
    assert [name for name in label_names("v2") if name not in MEDIANS] == list(label_names("v3"))
    assert label_names("v1") == label_names("v3")


def test_noise_models_are_evaluated_in_float64() -> None:
    raw = np.array([[0.1, 0.2, 0.3]], dtype=np.float32)
    model = NoiseModel(scale=(1.25, 1.25, 1.0), offset=(10.0, 0.01, 0.01))
    inflated = model.inflate(raw)
    assert inflated.dtype == np.float32
    assert inflated[0, 1] == np.float32(np.float64(raw[0, 1]) * 1.25 + 0.01)
    assert not np.allclose(inflated, raw * 1.25, rtol=1e-3)
