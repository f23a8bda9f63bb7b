"""The kernel: the resolution of APOGEE, the width of rotation, and nothing lost."""

from __future__ import annotations

import numpy as np
import pytest

from apnet_fast.simulate.stars.broadening import OVERSAMPLING, PAD_PIXELS, RESOLVING_POWER, STEP_KMS, kernel, to_pixels


def test_resolution() -> None:
    profile = kernel(0.0, 0.0).astype(np.float64)
    velocity = STEP_KMS * (np.arange(profile.size) - profile.size // 2)
    sigma = np.sqrt(np.sum(profile * velocity**2))
    assert 299_792.458 / (sigma * np.sqrt(8 * np.log(2))) == pytest.approx(RESOLVING_POWER, rel=0.01)


def test_rotation_widens_smoothly() -> None:
    def spread(vsini: float) -> float:
        profile = kernel(vsini, 0.0).astype(np.float64)
        velocity = STEP_KMS * (np.arange(profile.size) - profile.size // 2)
        assert profile.sum() == pytest.approx(1.0, abs=1e-5)
        return float(np.sum(profile * velocity**2))

    instrument = spread(0.0)
    # The variance of a rotation profile grows as vsini squared, on both sides of the change of method.
    shares = [(spread(v) - instrument) / v**2 for v in (3.9, 4.1, 30.0, 200.0)]
    assert shares == pytest.approx([shares[-1]] * 4, rel=0.08)


def test_pixels_keep_their_place() -> None:
    n = 101
    fine = np.zeros((n + 2 * PAD_PIXELS) * OVERSAMPLING, dtype=np.float32)
    fine[(50 + PAD_PIXELS) * OVERSAMPLING + OVERSAMPLING // 2] = 1.0
    out = np.empty(n, dtype=np.float32)
    to_pixels(fine, kernel(5.0, 2.0), out)
    assert int(np.argmax(out)) == 50
    assert out[49] == pytest.approx(out[51], rel=1e-4)
    assert OVERSAMPLING * out.sum() == pytest.approx(1.0, abs=0.02)
