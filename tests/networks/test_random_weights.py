"""What the makers of random weights share: normals, rounding, chip gaps and calibration spectra."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from apnet_fast.networks.random_weights import covered_positions, normal, rounded, typical_log_flux
from apnet_fast.support.grid import CHIP_GAPS, PIXELS


def test_normals_are_numpys() -> None:
    got = normal(np.random.default_rng(7), (3, 4), 2.0)
    expected = np.random.default_rng(7).standard_normal((3, 4), dtype=np.float32) * 2
    assert np.array_equal(got.numpy(), expected)


def test_rounding_keeps_three_digits() -> None:
    given = torch.tensor([1.23456, -98765.0, 0.000123456, 0.0])
    assert rounded(given).tolist() == pytest.approx([1.23, -98800, 0.000123, 0.0], rel=1e-6)
    assert torch.equal(rounded(given * (1 + 1e-5)), rounded(given))


@pytest.mark.parametrize("positions", [64, 1024, PIXELS])
def test_positions_in_and_near_chip_gaps_are_not_covered(positions: int) -> None:
    covered = covered_positions(positions)
    centre = (np.arange(positions) + 0.5) * PIXELS / positions
    near = np.zeros(positions, dtype=bool)
    for start, stop in CHIP_GAPS:
        near |= (centre >= start - 150) & (centre <= stop + 150)
    assert np.array_equal(covered.numpy(), ~near)
    assert 0.5 < covered.float().mean() < 0.9


def test_spectra_have_levels_lines_and_gaps() -> None:
    log_flux = typical_log_flux(np.random.default_rng(0), 8)
    assert log_flux.shape == (8, 1, PIXELS)
    assert log_flux.dtype == np.float32
    medians = np.median(log_flux, axis=2)
    assert (medians > np.log(5)).all()
    assert (medians < np.log(3e4)).all()
    assert medians.std() > 0.5
    floor = np.float32(np.log(1e-6))
    for start, stop in CHIP_GAPS:
        assert 0.3 < (log_flux[..., start:stop] == floor).mean() < 0.7
    assert not (log_flux[..., 1000:2000] == floor).any()
