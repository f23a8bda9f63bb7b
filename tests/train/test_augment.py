"""Augmentation: what is dropped, how much noise is added, and that inputs are the recipe's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from apnet_fast.engines.reference import process, realisations
from apnet_fast.recipes import get_recipe
from apnet_fast.recipes.noise import noise_keys, normals
from apnet_fast.train.augment import Augmentation, inference_input, training_input

KEY = int(noise_keys(0, ["a star"])[0])
NOTHING = Augmentation(noise=0.0, clean=0.0, segments=0, pixels=0.0)


@pytest.fixture
def spectrum(rng: np.random.Generator) -> np.ndarray:
    """Flux and error (2, 8575) with a gap."""
    flux = 1000.0 * (1 - 0.3 * rng.random(8575) ** 8) + 3.0 * rng.standard_normal(8575)
    error = np.full(8575, 10.0)
    flux[3300:3500] = np.nan
    error[3300:3500] = 0.0
    return np.stack([flux, error]).astype(np.float32)


def test_without_augmentation_the_input_is_the_recipes(spectrum: np.ndarray) -> None:
    recipe = get_recipe("dr19", "v3")
    got = training_input(spectrum, KEY, 5, NOTHING, recipe)
    flux, _ = recipe.clean_up(spectrum[:1], spectrum[1:])
    assert torch.equal(got, process(torch.from_numpy(flux), recipe)[0])
    assert not torch.equal(got, torch.log(torch.from_numpy(flux[0]).clamp(min=recipe.floor)))


def test_inference_input_is_a_draw_of_the_engines(spectrum: np.ndarray) -> None:
    recipe = get_recipe("dr19", "v3")
    flux, error = recipe.clean_up(spectrum[:1], spectrum[1:])
    noise = torch.from_numpy(normals(np.array([KEY], dtype=np.uint64), 3, 8575)[0])
    expected = process(realisations(torch.from_numpy(flux[0]), torch.from_numpy(error[0]), noise), recipe)
    got = inference_input(spectrum, KEY, 2, recipe)
    torch.testing.assert_close(got, expected[3], rtol=1e-6, atol=1e-6)
    assert not torch.allclose(got, expected[2], atol=1e-3)
    # Noise goes into the gap, as at inference: half of its pixels stay at the floor.
    at_floor = (got[3300:3500] < -13).float().mean()
    assert 0.3 < at_floor < 0.7


def test_noise_is_scaled_by_the_error(spectrum: np.ndarray) -> None:
    recipe = get_recipe("bossnet-2", "v3")  # clips little, so that the noise is seen as it was added
    noisy = Augmentation(noise=2.0, clean=0.0, segments=0, pixels=0.0)
    clean = training_input(spectrum, KEY, 0, NOTHING, recipe)
    factors = []
    for epoch in range(60):
        relative = (training_input(spectrum, KEY, epoch, noisy, recipe) - clean)[:3300].std()
        factors.append(float(relative) / 0.0104)  # error over mean flux
    assert max(factors) == pytest.approx(2.0, rel=0.15)
    assert min(factors) < 0.3
    assert np.mean(factors) == pytest.approx(1.0, rel=0.25)


def test_share_without_noise(rng: np.random.Generator) -> None:
    factors = np.array([Augmentation(clean=0.3).noise_factor(rng) for _ in range(2000)])
    assert np.mean(factors == 0) == pytest.approx(0.3, abs=0.05)
    assert factors.max() <= 1.5


def test_what_is_dropped_is_missing(spectrum: np.ndarray, rng: np.random.Generator) -> None:
    segments = Augmentation(segments=1, segment_pixels=40, pixels=0.0)
    lengths = []
    for _ in range(200):
        flux, error = spectrum.copy()
        segments.drop(flux, error, rng)
        lost = np.flatnonzero(np.isnan(flux) & ~np.isnan(spectrum[0]))
        assert np.isnan(error[lost]).all()
        if len(lost) and lost[0] > 3500:
            assert np.array_equal(lost, np.arange(lost[0], lost[-1] + 1))
        lengths.append(len(lost))
    assert 0 in lengths
    assert 30 < max(lengths) <= 40
    single = Augmentation(segments=0, pixels=0.1)
    shares = []
    for _ in range(50):
        flux, error = spectrum.copy()
        single.drop(flux, error, rng)
        shares.append(np.isnan(error).mean())
    assert np.mean(shares) == pytest.approx(0.05, abs=0.015)
    assert max(shares) < 0.11


def test_inputs_depend_on_spectrum_and_epoch_alone(spectrum: np.ndarray) -> None:
    recipe, augmentation = get_recipe("dr19", "v3"), Augmentation()
    first = training_input(spectrum, KEY, 1, augmentation, recipe)
    training_input(spectrum, KEY + 1, 4, augmentation, recipe)
    assert torch.equal(training_input(spectrum, KEY, 1, augmentation, recipe), first)
    assert not torch.equal(training_input(spectrum, KEY, 2, augmentation, recipe), first)
    assert not torch.equal(training_input(spectrum, KEY + 1, 1, augmentation, recipe), first)
