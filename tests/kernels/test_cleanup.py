"""Error clean-up on the device is that of the recipe, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("triton", reason="triton is installed on Linux x86-64 only")

from apnet_fast.kernels.cleanup import cap_errors, zero_missing
from apnet_fast.recipes import RECIPES


def cases(rng: np.random.Generator, pixels: int) -> tuple[np.ndarray, np.ndarray]:
    """Every coding of missing pixels, and spectra without any known error."""
    flux = rng.normal(100, 60, (9, pixels)).astype(np.float32)
    error = rng.uniform(1, 3, (9, pixels)).astype(np.float32)
    flux[0, :50] = np.nan
    flux[1, :50], flux[1, 50:60] = np.inf, -np.inf
    error[0, :50], error[0, 50:60], error[0, 60:70], error[0, 70:80] = np.nan, 0, np.inf, 1e10
    error[1, ::2] = 3e13
    error[2, : pixels - 1] = 0  # one known error
    error[3, : pixels - 2] = np.nan  # two known errors
    error[4] *= -1
    error[5:] = 0  # none known, and the median flux positive, negative, zero, missing
    flux[6] = rng.normal(-100, 60, pixels)
    flux[7] = np.where(np.arange(pixels) < pixels // 3, 5.0, 0.0)
    flux[8] = np.nan
    return flux, error


@pytest.mark.parametrize("pixels", [8575, 1027, 333])
def test_capped_errors_are_identical(pixels: int, rng: np.random.Generator) -> None:
    flux, error = cases(rng, pixels)
    expected = RECIPES["dr19"].clean_up(flux, error)
    pitch = -(-pixels // 32) * 32
    got = [torch.full((len(flux), pitch), -7.0) for _ in range(2)]
    for buffer, values in zip(got, (flux, error), strict=True):
        buffer[:, :pixels] = torch.from_numpy(values)
    cap_errors(*got, pixels)
    for buffer, values in zip(got, expected, strict=True):
        np.testing.assert_array_equal(buffer[:, :pixels].numpy(), values)
        assert (buffer[:, pixels:] == -7).all()
    assert not np.array_equal(got[1][:, :pixels].numpy(), RECIPES["bossnet-2"].clean_up(flux, error)[1])


def test_zeroed_values_are_identical(rng: np.random.Generator) -> None:
    flux, error = cases(rng, 333)
    expected = RECIPES["bossnet-2"].clean_up(flux, error)
    got = torch.from_numpy(flux.copy()), torch.from_numpy(error.copy())
    zero_missing(*got, 333)
    for buffer, values in zip(got, expected, strict=True):
        np.testing.assert_array_equal(buffer.numpy(), values)
