"""Noise, floor, percentile, log and clip against the reference engine; the first conv and the pooling against torch."""

from __future__ import annotations

from math import nan

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from apnet_fast.engines.cpu import stem
from apnet_fast.engines.cpu.vectors import lanes_of
from apnet_fast.engines.reference import process, realisations
from apnet_fast.recipes import RECIPES, percentile_rank
from apnet_fast.recipes.noise import noise_keys, normals
from apnet_fast.support.grid import PIXELS
from tests.engines.battery import ordinary_spectra, strange_spectra

FLOOR = np.float32(1e-6)


def processed(flux: NDArray, error: NDArray, recipe: str, draws: int) -> tuple[NDArray, NDArray]:
    """Network input (1 + draws, pixels) of a cleaned spectrum, and which rows are finite."""
    how = RECIPES[recipe]
    values = np.full((1 + draws, len(flux)), nan, np.float32)
    stem.realise(flux, error, noise_keys(0, ["a"])[0], FLOOR, values)
    own, joint = (percentile_rank(n) for n in (len(flux), len(flux) * draws))
    limits = np.full(1 + draws, nan, np.float32)
    stem.log_limits(
        values,
        how.percentile_over == "spectrum",
        (own.lower, own.upper, own.fraction),
        (joint.lower, joint.upper, joint.fraction),
        np.float32(how.clip),
        limits,
        np.empty(stem.DIGITS, np.int64),
    )
    out = np.zeros((1 + draws, len(flux) + 2 * stem.FLUX_MARGIN), np.float32)
    finite = [stem.clipped_log(values[row], limits[row], out[row]) for row in range(1 + draws)]
    inside = out[:, stem.FLUX_MARGIN : -stem.FLUX_MARGIN]
    return inside, np.array(finite)


def reference(flux: NDArray, error: NDArray, recipe: str, draws: int) -> NDArray:
    noise = torch.from_numpy(normals(noise_keys(0, ["a"]), draws, len(flux))[0])
    rows = realisations(torch.from_numpy(flux), torch.from_numpy(error), noise)
    return process(rows, RECIPES[recipe]).numpy()


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("name", ["ordinary", *strange_spectra()])
def test_processed_flux(name: str, recipe: str, rng: np.random.Generator) -> None:
    if name == "ordinary":
        flux, error = (values[0] for values in ordinary_spectra(rng, 1))
    else:
        flux, error = strange_spectra()[name]
    flux, error = (values[0] for values in RECIPES[recipe].clean_up(flux[None], error[None]))
    got, finite = processed(flux, error, recipe, 5)
    expected = reference(flux, error, recipe, 5)
    assert finite.all()
    np.testing.assert_allclose(got, expected, rtol=0, atol=4e-6)


def test_the_tolerance_catches_the_neighbouring_rank(rng: np.random.Generator) -> None:
    values = rng.lognormal(size=PIXELS).astype(np.float32)
    rank = percentile_rank(PIXELS)
    counts = np.empty(stem.DIGITS, np.int64)
    exact = float(torch.quantile(torch.log(torch.from_numpy(values)), 0.95))
    assert abs(stem.log_percentile(values, rank.lower, rank.upper, rank.fraction, counts) - exact) < 1e-6
    assert abs(stem.log_percentile(values, rank.lower + 1, rank.upper + 1, rank.fraction, counts) - exact) > 1e-5


@pytest.mark.parametrize("n", [1, 2, 3, 21, 100, 8575, 171_500])
def test_percentiles_of_any_number_with_ties(n: int, rng: np.random.Generator) -> None:
    values = np.round(rng.lognormal(mean=3, size=n), 0).astype(np.float32) + np.float32(1)
    rank = percentile_rank(n)
    got = stem.log_percentile(values, rank.lower, rank.upper, rank.fraction, np.empty(stem.DIGITS, np.int64))
    assert got == pytest.approx(float(torch.quantile(torch.log(torch.from_numpy(values)), 0.95)), abs=5e-7)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_rows_that_the_network_cannot_use_are_told(bad: float) -> None:
    flux = np.full(PIXELS, 100, np.float32)
    flux[:1000] = bad  # more than 5 %, so that the percentile is not finite either
    _, finite = processed(flux, np.ones_like(flux), "dr19", 3)
    assert not finite.any()
    flux[:1000] = 50
    _, finite = processed(flux, np.ones_like(flux), "dr19", 3)
    assert finite.all()


@pytest.mark.parametrize("channels", [4, 8])
@pytest.mark.parametrize("pixels", [64, 1001, PIXELS])
def test_first_conv(pixels: int, channels: int) -> None:
    generator = torch.Generator().manual_seed(pixels)
    x = torch.randn(pixels, generator=generator)
    weight = torch.randn(channels, 30, generator=generator)
    position_map = torch.randn(channels, pixels + 1, generator=generator)
    length = (pixels + 1) // 2
    width = -(-2 * length // 16) * 16
    padded = functional.pad(position_map[:, : 2 * length], (0, width - 2 * length))
    flux = np.zeros(pixels + 3 * stem.FLUX_MARGIN, np.float32)
    flux[stem.FLUX_MARGIN : stem.FLUX_MARGIN + pixels] = x
    first = 64
    y = np.zeros((first + length + 16, channels), np.float32)
    y[first : first + length] = np.nan
    taps_last = weight.view(-1, 4, 30).transpose(1, 2).contiguous().numpy().ravel()
    stem.first_conv(
        lanes_of(16), flux, taps_last, 30, padded.numpy().ravel(), width, channels, y.reshape(-1), first, length
    )
    direct = functional.conv1d(x[None, None].double(), weight[:, None].double(), padding=15)[0] + position_map
    expected = functional.max_pool1d(functional.elu(direct)[None], 2)[0].t().numpy()
    np.testing.assert_allclose(y[first : first + length], expected, rtol=0, atol=2e-5)
    assert not y[:first].any()
    assert not y[first + length :].any()


@pytest.mark.parametrize(("length", "pooled"), [(4288, 1024), (4288, 64), (32, 64), (33, 7)])
def test_average_pool(length: int, pooled: int, rng: np.random.Generator) -> None:
    first, channels = 3, 8
    x = rng.normal(size=(first + length + 4, channels)).astype(np.float32)
    out = np.full(pooled * channels, np.nan, np.float32)
    stem.average_pool(x.ravel(), first, length, channels, pooled, out)
    rows = torch.from_numpy(x[first : first + length]).double().t()
    expected = functional.adaptive_avg_pool1d(rows[None], pooled)[0].t().numpy()
    np.testing.assert_allclose(out.reshape(pooled, channels), expected, atol=1e-6)
