"""Synthetic spectra laid over real ones: lines lie where they lie in stars, and are about as deep."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from apnet_fast.simulate.stars.synthesis import synthesise
from apnet_fast.spectra import read_apstar

# Inside the three chips, and pixels of the running continuum.
CHIPS = (slice(320, 3240), slice(3600, 6050), slice(6420, 8290))
WINDOW = 201


def normalised(flux: NDArray, good: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Flux over its 90th percentile in a running window, chip by chip; NaN where there is nothing good."""
    out = np.full(flux.shape, np.nan)
    for chip in CHIPS:
        part, ok = flux[chip].astype(np.float64), good[chip]
        part = np.interp(np.arange(len(part)), np.flatnonzero(ok), part[ok])
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(part, WINDOW // 2, mode="reflect"), WINDOW)
        continuum = np.percentile(windows, 90, axis=1)
        out[chip] = np.where(ok & (part < 1.5 * continuum), part / continuum, np.nan)
    return out


def real(path: Path) -> NDArray[np.float64]:
    batch = read_apstar(str(path), ("star",))
    flux, error = batch.flux[0], batch.error[0]
    return normalised(flux, np.isfinite(flux) & (flux > 0) & (error < 0.2 * np.nanmedian(flux)))


def synthetic(teff: float, logg: float, fe_h: float, vsini: float) -> NDArray[np.float64]:
    return normalised(synthesise(teff, logg, fe_h, vsini=vsini)[0], np.ones(8575, np.bool_))


def correlation(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    both = np.isfinite(left) & np.isfinite(right)
    return float(np.corrcoef(left[both], right[both])[0, 1])


GIANT = (4500.0, 2.5, -0.5, 0.0)
DWARF = (6500.0, 4.5, 0.0, 20.0)


@pytest.mark.parametrize(
    ("name", "star", "other"),
    [
        ("apstar_relaid/apStar-repackDR17-2M16333217+3942519.fits", GIANT, DWARF),
        ("apstar/apStar-r8-2M19390532+4027346.fits", DWARF, GIANT),
    ],
)
def test_lines_of_a_real_star(data: Path, name: str, star: tuple[float, ...], other: tuple[float, ...]) -> None:
    observed, lines = real(data / name), synthetic(*star)
    matched = correlation(observed, lines)
    assert matched > 0.75
    # A pixel is 4.1 km/s; wavelengths in air, say, would be 66 pixels off, and the wrong star looks different.
    assert int(np.argmax([correlation(np.roll(observed, lag), lines) for lag in range(-70, 71)])) == 70
    assert correlation(observed, synthetic(*other)) < matched - 0.1
    depths = [np.nanpercentile(1 - spectrum, 99) for spectrum in (observed, lines)]
    assert depths[1] == pytest.approx(depths[0], rel=0.25)
