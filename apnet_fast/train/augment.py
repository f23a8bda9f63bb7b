"""Make the network's inputs: noise realisations of spectra with parts dropped, processed as at inference.

The augmentation follows BOSSNet's DR19 page: noise scaled by the error, dropped contiguous segments, dropped
single pixels. Dropped pixels become missing before the recipe's clean-up, so they look like missing pixels
at inference. Every random number is a function of (seed, identity of the spectrum, epoch).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from apnet_fast.engines.reference import process
from apnet_fast.recipes import Recipe
from apnet_fast.recipes.noise import normals_of_draw


@dataclass(frozen=True)
class Augmentation:
    """How spectra are varied.

    noise: largest factor in flux + factor * error * z; the factor is uniform from 0. clean: share of spectra
    without noise, like those of a recipe's clean prediction. segments: largest number of dropped segments;
    the number is uniform from 0. segment_pixels: length of the longest. pixels: largest share of dropped single
    pixels; the share is uniform from 0.
    """

    noise: float = 1.5
    clean: float = 0.1
    segments: int = 2
    segment_pixels: int = 200
    pixels: float = 0.01

    def drop(self, flux: NDArray[np.float32], error: NDArray[np.float32], rng: np.random.Generator) -> None:
        """Make parts of one spectrum (pixels,) missing, in place."""
        for _ in range(rng.integers(self.segments + 1)):
            start, length = rng.integers(len(flux)), rng.integers(1, self.segment_pixels + 1)
            flux[start : start + length] = error[start : start + length] = np.nan
        dropped = rng.random(len(flux), dtype=np.float32) < self.pixels * rng.random()
        flux[dropped] = error[dropped] = np.nan

    def noise_factor(self, rng: np.random.Generator) -> float:
        """Draw the factor by which the error is added as noise."""
        clean, factor = rng.random(), rng.random()
        return 0.0 if clean < self.clean else self.noise * factor


def training_input(
    spectrum: NDArray[np.float32], key: int, epoch: int, augmentation: Augmentation, recipe: Recipe
) -> Tensor:
    """Make the network input, float32 (pixels,), of one spectrum (2, pixels) in one epoch.

    key: from `recipes.noise.noise_keys`.
    """
    rng = np.random.Generator(np.random.Philox(key=key, counter=epoch))
    flux, error = spectrum.astype(np.float32)
    augmentation.drop(flux, error, rng)
    return _processed(flux, error, augmentation.noise_factor(rng), key, epoch, recipe)


def inference_input(spectrum: NDArray[np.float32], key: int, draw: int, recipe: Recipe) -> Tensor:
    """Make the network input, float32 (pixels,), of one noise draw of one spectrum (2, pixels), as engines do."""
    return _processed(spectrum[0], spectrum[1], 1.0, key, draw, recipe)


def _processed(
    flux: NDArray[np.float32], error: NDArray[np.float32], factor: float, key: int, draw: int, recipe: Recipe
) -> Tensor:
    cleaned, errors = recipe.clean_up(flux[None], error[None])
    values = cleaned[0]
    if factor > 0:
        noise = np.empty_like(values)
        normals_of_draw(np.uint64(key), draw, noise)
        values = values + np.float32(factor) * errors[0] * noise
    return process(torch.from_numpy(values)[None], recipe)[0]
