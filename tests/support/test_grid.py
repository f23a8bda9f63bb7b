"""The pixel grid: its ends, its step, and the way back from a wavelength to a pixel."""

from __future__ import annotations

import numpy as np
import pytest

from apnet_fast.support.grid import CHIP_GAPS, PIXEL_KMS, PIXELS, SPEED_OF_LIGHT_KMS, pixel_of, wavelength


def test_the_grid_covers_the_h_band_in_equal_steps_of_velocity() -> None:
    grid = wavelength()
    assert grid.shape == (PIXELS,)
    assert grid[0] == pytest.approx(15100.8, abs=0.1)
    assert grid[-1] == pytest.approx(16999.8, abs=0.1)
    velocities = SPEED_OF_LIGHT_KMS * np.log(grid[1:] / grid[:-1])
    np.testing.assert_allclose(velocities, PIXEL_KMS, rtol=1e-9)
    assert np.abs(velocities / (PIXEL_KMS * 1.001) - 1).min() > 1e-9


def test_a_wavelength_finds_its_pixel() -> None:
    grid = wavelength()
    np.testing.assert_allclose(pixel_of(grid), np.arange(PIXELS), atol=1e-6)
    assert pixel_of(np.array([15000.0]))[0] < 0


def test_the_grid_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        wavelength()[0] = 1.0


def test_gaps_are_in_order_and_leave_three_chips() -> None:
    edges = [edge for gap in CHIP_GAPS for edge in gap]
    assert edges == sorted(edges)
    assert (edges[0], edges[-1], len(CHIP_GAPS)) == (0, PIXELS, 4)
