"""Spectra in memory are those the files would hold."""

from __future__ import annotations

import numpy as np
import pytest

from apnet_fast.simulate import observed_arrays
from apnet_fast.support.errors import UsageError


def test_arrays_have_the_gaps_and_the_noise_of_files() -> None:
    flux, error, labels = observed_arrays(6, 3, snr=80.0)
    assert flux.shape == error.shape == (6, 8575)
    assert flux.dtype == error.dtype == np.float32
    assert labels.shape == (6, 3)
    for f, e in zip(flux, error, strict=True):
        gap = ~np.isfinite(f)
        assert 835 <= gap.sum() <= 875
        assert not e[gap].any()
        assert np.median(f[~gap] / e[~gap]) == pytest.approx(80.0, rel=0.1)


def test_a_spectrum_depends_on_seed_and_number_alone() -> None:
    few, many = observed_arrays(2, 5), observed_arrays(3, 5)
    for a, b in zip(few, many, strict=True):
        assert np.array_equal(a, b[:2], equal_nan=True)
    assert not np.array_equal(few.labels, observed_arrays(2, 6).labels)


@pytest.mark.parametrize("changes", [{"n": 0}, {"seed": -1}, {"snr": -3.0}, {"snr": np.nan}, {"layout": "dr5"}])
def test_wrong_arguments_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        observed_arrays(**{"n": 1, "seed": 0, **changes})  # type: ignore[arg-type]
