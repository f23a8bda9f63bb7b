"""When a spectrum holds data."""

from __future__ import annotations

import numpy as np
import pytest

from apnet_fast.spectra.missing import usable_spectra
from apnet_fast.support.grid import PIXELS


@pytest.mark.parametrize("value", [0.0, -0.0, np.nan, np.inf, -np.inf])
def test_spectrum_of_nothing_but_this_value_is_useless(value: float) -> None:
    assert not usable_spectra(np.full((1, PIXELS), value, dtype=np.float32)).any()


def test_spectrum_of_zeros_nans_and_infinities_is_useless() -> None:
    flux = np.resize(np.array([0, np.nan, np.inf, -np.inf], dtype=np.float32), (1, PIXELS))
    assert not usable_spectra(flux).any()


@pytest.mark.parametrize("background", [0.0, np.nan, np.inf])
@pytest.mark.parametrize("value", [1.0, -1.0, 1e-30, 3e38])
def test_one_pixel_with_data_is_enough(background: float, value: float) -> None:
    flux = np.full((1, PIXELS), background, dtype=np.float32)
    flux[0, 4321] = value
    assert usable_spectra(flux).all()


def test_each_row_is_judged_alone() -> None:
    flux = np.zeros((4, PIXELS), dtype=np.float32)
    flux[1, 0] = flux[3, -1] = 1
    assert usable_spectra(flux).tolist() == [False, True, False, True]


def test_no_spectra_give_no_answers() -> None:
    assert usable_spectra(np.empty((0, PIXELS), dtype=np.float32)).shape == (0,)
