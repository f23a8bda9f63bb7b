"""The reference engine against a literal evaluation of each recipe that shares no code with it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from apnet_fast.engines import ReferenceEngine
from apnet_fast.engines.reference import percentile, process
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.recipes import RECIPES
from apnet_fast.recipes.noise import noise_keys, normals
from tests.engines.battery import EngineBattery, ordinary_spectra
from tests.literal import evaluate


class TestReferenceEngine(EngineBattery):
    engine = ReferenceEngine
    most_draws = 4
    batch = 4


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipes_equal_their_literal_evaluation(
    recipe: str, small_checkpoint: Checkpoint, rng: np.random.Generator
) -> None:
    flux, error = ordinary_spectra(rng, 2)
    keys = noise_keys(5, "ab")
    engine = ReferenceEngine(small_checkpoint, RECIPES[recipe])
    labels = RECIPES[recipe].summarise(engine.predict(flux, error, keys, 20), np.ones(2, bool))
    noise = normals(keys, 20, flux.shape[1])
    for i in range(2):
        expected = evaluate(recipe, small_checkpoint.module(), flux[i], error[i], noise[i])
        for name, value in expected.items():
            assert getattr(labels, name)[i] == pytest.approx(value, rel=1e-4), name


@pytest.mark.parametrize(("recipe", "other"), [("dr19", "bossnet-2"), ("astra-0.6", "bossnet-2")])
def test_recipes_differ_from_each_other(
    recipe: str, other: str, small_checkpoint: Checkpoint, rng: np.random.Generator
) -> None:
    flux, error = ordinary_spectra(rng, 1, snr=20)
    keys = noise_keys(0, "a")
    one, two = (
        ReferenceEngine(small_checkpoint, RECIPES[name]).predict(flux, error, keys, 20) for name in (recipe, other)
    )
    assert not np.allclose(one.draws, two.draws, rtol=1e-4)


@pytest.mark.parametrize("n", [100, 8575])
def test_percentile_is_torch_quantile_to_the_bit(n: int, rng: np.random.Generator) -> None:
    values = torch.from_numpy(rng.normal(size=(5, n)).astype(np.float32))
    got = percentile(values, 0.95)
    expected = torch.quantile(values, 0.95, dim=-1, keepdim=True)
    assert torch.equal(got, expected)
    assert not torch.equal(percentile(values, 0.949), expected)


def test_floor_and_clip() -> None:
    flux = torch.tensor([[-1.0, 0.0, 1e-7, 1e-6, 1.0, *[np.e] * 94, 1e9]])
    dr19, astra = (process(flux, RECIPES[name])[0] for name in ("dr19", "astra-0.6"))
    assert torch.allclose(dr19[:4], torch.tensor(np.log(1e-6), dtype=torch.float32))
    assert dr19[4] == 0
    assert dr19[-1] == pytest.approx(1)  # the 95th percentile is ln e
    assert astra[-1] == pytest.approx(2)


def test_joint_percentile_is_over_draws_and_leaves_the_clean_row(rng: np.random.Generator) -> None:
    flux = torch.from_numpy(np.exp(rng.normal(size=(4, 8575))).astype(np.float32))
    flux[3] *= 100
    got = process(flux, RECIPES["astra-0.6"])
    log_flux = torch.log(flux)
    assert got[0].max() == torch.quantile(log_flux[0], 0.95) + 1
    joint = torch.quantile(log_flux[1:], 0.95) + 1
    assert torch.equal(got[1:], torch.minimum(log_flux[1:], joint))
    assert not torch.equal(process(flux, RECIPES["bossnet-2"])[3], got[3])


def test_positions_without_flux_still_see_the_position_channel(small_checkpoint: Checkpoint) -> None:
    engine = ReferenceEngine(small_checkpoint, RECIPES["dr19"])
    flux = np.ones((1, 8575), np.float32)
    one = engine.predict(flux, flux, noise_keys(0, "a"), 2).clean
    shifted = engine.predict(np.roll(flux, 1, 1), flux, noise_keys(0, "a"), 2).clean
    assert np.array_equal(one, shifted)  # a constant spectrum stays constant: only sin(pixel) tells pixels apart
