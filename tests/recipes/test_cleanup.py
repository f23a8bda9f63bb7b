"""The clean-ups of ApogeeNet v2 and v1, rule by rule; those of v3 are tested with the recipes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from apnet_fast.recipes.cleanup import clean_up, flux_and_median, flux_for_large, median_of_all
from apnet_fast.support.errors import UsageError
from tests.literal_vgg import astra_2020, astra_v2_error, flux_error

NAN, INF = np.nan, np.inf


def row(*values: float) -> np.ndarray:
    return np.array([values], np.float32)


def spectrum(rng: np.random.Generator, pixels: int = 8575) -> tuple[np.ndarray, np.ndarray]:
    """Flux and error float32 (pixels,) with everything that may be missing."""
    flux, error = rng.normal(500, 20, pixels).astype(np.float32), rng.uniform(3, 6, pixels).astype(np.float32)
    flux[:200], error[:200] = NAN, 0
    error[300:320], error[320:330], error[330:340], error[340] = 1e10, 3e13, NAN, INF
    flux[500:503] = NAN
    return flux, error


@pytest.mark.parametrize("rule", ["median-of-all", "flux", "flux-and-median"])
def test_whole_spectra_are_cleaned_as_described(rule: str, rng: np.random.Generator) -> None:
    flux, error = spectrum(rng)
    got = clean_up(flux[None], error[None], rule)  # type: ignore[arg-type]
    expected = {
        "median-of-all": (np.nan_to_num(flux), astra_v2_error(error)),
        "flux": (np.nan_to_num(flux), flux_error(np.nan_to_num(flux), np.nan_to_num(error, posinf=INF))),
        "flux-and-median": astra_2020(flux, error),
    }[rule]
    for ours, theirs in zip(got, expected, strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours[0], theirs, rtol=2e-7)
    wrong = clean_up(flux[None], error[None] * np.float32(1.001), rule)  # type: ignore[arg-type]
    assert not np.allclose(wrong[1][0], expected[1], rtol=2e-7)


@pytest.mark.parametrize("rule", ["median-of-all", "flux", "flux-and-median"])
def test_rows_are_cleaned_apart_and_arguments_left_alone(rule: str, rng: np.random.Generator) -> None:
    pairs = [spectrum(rng) for _ in range(2)]
    flux, error = (np.stack(values) for values in zip(*pairs, strict=True))
    before = flux.tobytes(), error.tobytes()
    together = clean_up(flux, error, rule)  # type: ignore[arg-type]
    assert (flux.tobytes(), error.tobytes()) == before
    for i in range(2):
        alone = clean_up(flux[[i]], error[[i]], rule)  # type: ignore[arg-type]
        assert [values[i].tobytes() for values in together] == [values[0].tobytes() for values in alone]
    nothing = np.empty((0, 9), np.float32)
    assert [values.shape for values in clean_up(nothing, nothing, rule)] == [(0, 9)] * 2  # type: ignore[arg-type]


def test_median_of_all_counts_missing_errors_as_infinite() -> None:
    _, error = median_of_all(row(1, 1, 1, 1, 1), row(1, 2, 3, 0, NAN))
    # The median is over 1, 2, 3, inf, inf; over the known ones it would be 2.
    assert error.tolist() == [[1, 2, 3, 15, 15]]
    _, error = median_of_all(row(1, 1, 1, 1), row(1, 2, NAN, 0))
    assert error.tolist() == [[1, 2, INF, INF]]


def test_median_of_all_lets_the_limit_replace_1e10_even_if_it_is_larger() -> None:
    _, error = median_of_all(row(1, 1, 1), row(1e10, 4e9, 1e10))
    assert error.tolist() == row(5e10, 4e9, 5e10).tolist()


def test_flux_stands_for_an_error_of_1e10_and_missing_errors_are_none() -> None:
    flux, error = flux_for_large(row(7, 2, 900, -3, NAN), row(1e10, 1, 1e10, 1e10, NAN))
    assert flux.tolist() == [[7, 2, 900, -3, 0]]
    # The median, before the flux comes in, is 1e10: it caps nothing.
    assert error.tolist() == [[7, 1, 900, -3, 0]]
    _, error = flux_for_large(row(7, 2, 900, 4, 4), row(1e10, 1, 1e10, 1, 1))
    assert error.tolist() == [[5, 1, 5, 1, 1]]


def test_the_median_of_an_even_number_is_the_lower_of_the_middle_two() -> None:
    _, error = flux_for_large(row(0, 0, 0, 0), row(1, 2, 4, 100))
    assert error[0, 3] == 5 * torch.median(torch.tensor([1.0, 2, 4, 100])) == 10


def test_flux_and_median_fills_flux_where_either_is_missing() -> None:
    flux, error = flux_and_median(row(1, 2, 3, NAN, INF, 50, 4), row(1, 1, 1, 1, 1, NAN, 1))
    # The median is over 1, 2, 3, 50, 4; the errors of 1e10 become the flux, below the limit of 5.
    assert flux.tolist() == [[1, 2, 3, 3, 3, 3, 4]]
    assert error.tolist() == [[1, 1, 1, 3, 3, 3, 1]]
    _, error = flux_and_median(row(100, 100, 100), row(1, 1, 0))
    assert error.tolist() == [[1, 1, 5]]


def test_flux_and_median_of_nothing_is_no_warning() -> None:
    flux, error = flux_and_median(row(NAN, INF, NAN), row(1, 1, 1))
    assert np.isfinite(flux).all()
    assert np.isfinite(error).all()


@pytest.mark.parametrize("rule", ["", "Median", "none", None])
def test_an_unknown_rule_is_refused(rule: str | None) -> None:
    with pytest.raises(UsageError, match=r"unknown rule.*expected median \| zero \| median-of-all \| flux"):
        clean_up(row(1), row(1), rule)  # type: ignore[arg-type]
