"""Resampling, percentile, clip and first conv against the reference engine's functions, in Triton's interpreter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

pytest.importorskip("triton", reason="triton is installed on Linux x86-64 only")

from apnet_fast.engines.reference import process, realisations
from apnet_fast.engines.triton import _preprocessing
from apnet_fast.kernels.conv import activations, segments_of
from apnet_fast.kernels.naive import naive_stem
from apnet_fast.kernels.stem import (
    STORED_CHANNELS,
    JointConfig,
    Preprocessing,
    StemConfig,
    joint_limit,
    joint_scratch,
    scratch,
    stem,
)
from apnet_fast.recipes import RECIPES
from apnet_fast.recipes.noise import noise_keys, normals

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
        self.how = _preprocessing(self.recipe, self.pixels, draws)

    def run(self, how: Preprocessing | None = None, first_row: int = 0) -> tuple[Tensor, Tensor]:
        """Processed spectra (rows, pixels) and activations (rows, length, 4)."""
        how = how or self.how
        pitch = -(-self.pixels // 32) * 32
        flux, error = torch.zeros(self.spectra, pitch), torch.zeros(self.spectra, pitch)
        flux[:, : self.pixels], error[:, : self.pixels] = self.flux, self.error
        keys, limits = torch.from_numpy(self.keys), torch.full((self.spectra,), float("nan"))
        if how.joint:
            values = joint_scratch(self.spectra, self.draws, self.pixels, "cpu")
            joint_limit(flux, error, keys, limits, values, how, JointConfig(1024, 8))
        rows = self.rows - first_row
        processed = scratch(rows, self.pixels, "cpu")
        processed[:, LEAD : LEAD + self.pixels] = float("nan")
        out = activations(rows, self.segment, STORED_CHANNELS, "cpu")
        segments_of(out, rows, self.segment)[:, : self.length] = float("nan")
        stem(
            flux,
            error,
            keys,
            limits,
            self.weight,
            self.map,
            processed,
            out,
            first_row=first_row,
            rows=rows,
            draws=self.draws,
            segment=self.segment,
            how=how,
            config=StemConfig(512, 8),
        )
        assert not processed[:, :LEAD].any()
        assert not processed[:, LEAD + self.pixels :].any()
        assert not segments_of(out, rows, self.segment)[:, self.length :].any()
        halves = segments_of(out, rows, self.segment)[:, : self.length].double()
        return processed[:, LEAD : LEAD + self.pixels], (halves[..., :4] + halves[..., 4:]).float()

    def expected(self) -> Tensor:
        noise = torch.from_numpy(normals(self.keys, self.draws, self.pixels))
        rows = [realisations(*values) for values in zip(self.flux, self.error, noise, strict=True)]
        return torch.cat([process(row, self.recipe) for row in rows])


# Most of the range of pixels that a block leaves over: the survey's, a few more than a block, fewer than one.
@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("pixels", [1027, 333])
def test_processed_spectra_are_those_of_the_reference(recipe: str, pixels: int, rng: np.random.Generator) -> None:
    cases = spectra(rng, pixels)
    case = Stem(recipe, *(np.stack(values) for values in zip(*cases.values(), strict=True)))
    processed, _ = case.run()
    expected = case.expected()
    torch.testing.assert_close(processed, expected, rtol=0, atol=3e-6)
    with pytest.raises(AssertionError):
        torch.testing.assert_close(processed, expected.roll(1, dims=1), rtol=0, atol=3e-6)


@pytest.mark.parametrize("recipe", ["dr19", "astra-0.6"])
def test_survey_sized_spectrum(recipe: str, rng: np.random.Generator) -> None:
    case = Stem(recipe, *spectra(rng, 8575)["ordinary"], draws=2)
    processed, activated = case.run()
    torch.testing.assert_close(processed, case.expected(), rtol=0, atol=3e-6)
    twin = naive_stem(processed, case.weight, case.map)
    assert activated.shape == (3, 4288, 4)
    assert float((activated - twin).norm() / twin.norm()) < 2e-6


@pytest.mark.parametrize("pixels", [1027, 333, 64])
def test_first_activations_against_the_twin(pixels: int, rng: np.random.Generator) -> None:
    case = Stem("dr19", *spectra(rng, pixels)["ordinary"])
    processed, activated = case.run()
    twin = naive_stem(processed, case.weight, case.map)
    assert float((activated - twin).norm() / twin.norm()) < 2e-6
    for broken in (
        naive_stem(processed, case.weight.roll(1, dims=1), case.map),
        naive_stem(processed, case.weight, case.map.roll(1, dims=1)),
        naive_stem(processed, case.weight.roll(1, dims=0), case.map),
    ):
        assert float((activated - broken).norm() / twin.norm()) > 5e-3


@pytest.mark.parametrize("change", [{"lower": 900}, {"fraction": 0.9}, {"clip": 0.1}, {"floor": 1e-3}])
def test_a_wrong_rank_or_limit_is_seen(change: dict[str, float], rng: np.random.Generator) -> None:
    flux, error = spectra(rng, 1027)["ordinary"]
    flux[:100] = -1
    case = Stem("dr19", flux, error)
    processed, _ = case.run(replace(case.how, **change))
    assert (processed - case.expected()).abs().max() > 1e-4


def test_a_group_may_begin_inside_a_spectrum(rng: np.random.Generator) -> None:
    flux, error = (np.stack(x) for x in zip(*spectra(rng, 333).values(), strict=True))
    case = Stem("astra-0.6", flux, error)
    whole, activated = case.run()
    part, part_activated = case.run(first_row=6)
    assert torch.equal(part, whole[6:])
    assert torch.equal(part_activated, activated[6:])


def test_the_clean_row_meets_no_noise(rng: np.random.Generator) -> None:
    flux, error = spectra(rng, 333)["ordinary"]
    quiet = Stem("dr19", flux, 0 * error).run()[0]
    noisy = Stem("dr19", flux, error).run()[0]
    assert torch.equal(quiet[0], noisy[0])
    assert torch.equal(quiet[1], quiet[0])
    assert not torch.equal(noisy[1], noisy[0])
