"""Resampling, percentile, clip and first conv against the reference engine's functions, in Triton's interpreter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

pytest.importorskip("triton", reason="triton is installed on Linux x86-64 only")

from apnet_fast.engines.reference import process, realisations
from apnet_fast.engines.tile_network import preprocessing
from apnet_fast.kernels.activations import activations
from apnet_fast.kernels.naive import naive_stem
from apnet_fast.kernels.stem import (
    JointConfig,
    Preprocessing,
    StemConfig,
    StemInput,
    clean_stem,
    draw_stem,
    joint_limit,
    joint_scratch,
    length_of,
    pitch_of,
    scratch,
)
from apnet_fast.recipes import RECIPES
from apnet_fast.recipes.noise import noise_keys, normals
from apnet_fast.support.grid import PIXELS

DRAWS = 3
LEAD = 15  # zeros before a processed spectrum


def spectra(rng: np.random.Generator, pixels: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Cleaned flux and error, each (pixels,), at the edges of the percentile."""
    ones = np.ones(pixels)
    noisy = rng.normal(100, 30, pixels)
    infinite = noisy.copy()
    infinite[: pixels // 50] = np.inf
    return {
        "ordinary": (noisy, 3 * ones),
        "all equal": (7 * ones, 0 * ones),
        "all at the floor": (-ones, 1e-3 * ones),
        "ties at the percentile": (np.where(np.arange(pixels) % 10, 100.0, 200.0), 0 * ones),
        "two values, percentile between": (np.where(np.arange(pixels) < 0.95 * pixels - 0.3, 1.0, 9.0), 0 * ones),
        "a few infinite": (infinite, ones),
        "half at the floor": (np.where(np.arange(pixels) % 2, 50.0, -50.0), 10 * ones),
    }


class Stem:
    """The kernel on some spectra, with outputs poisoned with NaN."""

    def __init__(self, recipe: str, flux: np.ndarray, error: np.ndarray, draws: int = DRAWS) -> None:
        torch.manual_seed(0)
        self.recipe, self.draws = RECIPES[recipe], draws
        self.flux, self.error = (torch.from_numpy(np.atleast_2d(x).astype(np.float32)) for x in (flux, error))
        self.spectra, self.pixels = self.flux.shape
        self.keys = noise_keys(3, map(str, range(self.spectra)))
        self.weight, self.map = torch.randn(4, 30) * 0.2, torch.randn(4, self.pixels + 1)
        self.rows = self.spectra * (1 + draws)
        self.length = (self.pixels + 1) // 2
        self.segment = self.length + 48
        self.how = preprocessing(self.recipe, self.pixels, draws)

    def run(self, how: Preprocessing | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Processed rows (spectra, 1 + draws, pixels); clean activations in halves, and the draws' differences."""
        how = how or self.how
        pitch = -(-self.pixels // 32) * 32
        flux, error = torch.zeros(self.spectra, pitch), torch.zeros(self.spectra, pitch)
        flux[:, : self.pixels], error[:, : self.pixels] = self.flux, self.error
        keys, limits = torch.from_numpy(self.keys), torch.full((self.spectra,), float("nan"))
        if how.joint:
            values = joint_scratch(self.spectra, self.draws, self.pixels, "cpu")
            joint_limit(flux, error, keys, limits, values, how, JointConfig(1024, 8))
        given = StemInput(flux, error, keys, limits, self.weight, self.map)
        config = StemConfig(512, 8)
        self.clean = torch.full((self.spectra, self.length, 4), float("nan"))
        processed, outputs = [], []
        for rows, planes in ((self.spectra, 2), (self.spectra * self.draws, 1)):
            values = scratch(rows, self.pixels, "cpu")
            values[:, LEAD : LEAD + self.pixels] = float("nan")
            out = activations(rows, self.segment, 4, 15, "cpu", planes)
            out.rows()[:, :, : self.length] = float("nan")
            if planes == 2:
                clean_stem(given, values, self.clean, out, how, config)
            else:
                draw_stem(given, values, self.clean, out, self.draws, how, config)
            assert not values[:, :LEAD].any()
            assert not values[:, LEAD + self.pixels :].any()
            assert not out.rows()[:, :, self.length :].any()
            processed.append(values[:, LEAD : LEAD + self.pixels].unflatten(0, (self.spectra, -1)))
            outputs.append(out.rows()[:, :, : self.length].double().sum(dim=0))
        return torch.cat(processed, dim=1), outputs[0], outputs[1].unflatten(0, (self.spectra, -1))

    def expected(self) -> Tensor:
        noise = torch.from_numpy(normals(self.keys, self.draws, self.pixels))
        rows = [realisations(*values) for values in zip(self.flux, self.error, noise, strict=True)]
        return torch.stack([process(row, self.recipe) for row in rows])


# Most of the range of pixels that a block leaves over: the survey's, a few more than a block, fewer than one.
@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("pixels", [1027, 333])
def test_processed_spectra_are_those_of_the_reference(recipe: str, pixels: int, rng: np.random.Generator) -> None:
    cases = spectra(rng, pixels)
    case = Stem(recipe, *(np.stack(values) for values in zip(*cases.values(), strict=True)))
    processed, _, _ = case.run()
    expected = case.expected()
    torch.testing.assert_close(processed, expected, rtol=0, atol=3e-6)
    with pytest.raises(AssertionError):
        torch.testing.assert_close(processed, expected.roll(1, dims=2), rtol=0, atol=3e-6)


def twins(case: Stem, processed: Tensor, weight: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
    """First activations (spectra, 1 + draws, length, 4) of processed rows in float64."""
    weight, bias = case.weight if weight is None else weight, case.map if bias is None else bias
    rows = naive_stem(processed.flatten(0, 1).double(), weight.double(), bias.double())
    return rows.unflatten(0, processed.shape[:2])


def relative(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).norm() / expected.norm())


@pytest.mark.parametrize("recipe", ["dr19", "astra-0.6"])
def test_survey_sized_spectrum(recipe: str, rng: np.random.Generator) -> None:
    case = Stem(recipe, *spectra(rng, 8575)["ordinary"], draws=2)
    processed, clean, differences = case.run()
    torch.testing.assert_close(processed, case.expected(), rtol=0, atol=3e-6)
    assert differences.shape == (1, 2, 4288, 4)
    twin = twins(case, processed)
    assert relative(clean, twin[:, 0]) < 2e-6
    assert relative(differences, twin[:, 1:] - twin[:, :1]) < 4e-4


@pytest.mark.parametrize("pixels", [1027, 333, 64])
def test_first_activations_against_the_twin(pixels: int, rng: np.random.Generator) -> None:
    case = Stem("dr19", *spectra(rng, pixels)["ordinary"])
    processed, clean, differences = case.run()
    twin = twins(case, processed)
    assert relative(case.clean, twin[:, 0]) < 1e-6
    assert relative(clean, twin[:, 0]) < 2e-6
    assert relative(differences, twin[:, 1:] - twin[:, :1]) < 4e-4
    for weight, bias in (
        (case.weight.roll(1, dims=1), None),
        (None, case.map.roll(1, dims=1)),
        (case.weight.roll(1, dims=0), None),
    ):
        broken = twins(case, processed, weight, bias)
        assert relative(clean, broken[:, 0]) > 5e-3
        assert relative(differences, broken[:, 1:] - broken[:, :1]) > 5e-3


def test_differences_are_from_the_own_clean_spectrum(rng: np.random.Generator) -> None:
    flux, error = (np.stack(x) for x in zip(*list(spectra(rng, 333).values())[:2], strict=True))
    case = Stem("dr19", flux, error)
    processed, _, differences = case.run()
    twin = twins(case, processed)
    assert relative(differences, twin[:, 1:] - twin[:, :1]) < 4e-4
    assert relative(differences, twin[:, 1:] - twin[:, :1].flip(0)) > 0.1


@pytest.mark.parametrize("change", [{"lower": 900}, {"fraction": 0.9}, {"clip": 0.1}, {"floor": 1e-3}])
def test_a_wrong_rank_or_limit_is_seen(change: dict[str, float], rng: np.random.Generator) -> None:
    flux, error = spectra(rng, 1027)["ordinary"]
    flux[:100] = -1
    case = Stem("dr19", flux, error)
    processed, _, _ = case.run(replace(case.how, **change))
    assert (processed - case.expected()).abs().max() > 1e-4


def test_the_clean_row_meets_no_noise(rng: np.random.Generator) -> None:
    flux, error = spectra(rng, 333)["ordinary"]
    quiet, _, differences = Stem("dr19", flux, 0 * error).run()
    noisy, _, _ = Stem("dr19", flux, error).run()
    assert torch.equal(quiet[0, 0], noisy[0, 0])
    assert torch.equal(quiet[0, 1], quiet[0, 0])
    assert not differences.any()
    assert not torch.equal(noisy[0, 1], noisy[0, 0])


def test_rows_and_positions_of_an_apstar_spectrum() -> None:
    assert (pitch_of(PIXELS), length_of(PIXELS)) == (8576, 4288)
    assert (pitch_of(32), pitch_of(33), length_of(33)) == (32, 64, 17)
