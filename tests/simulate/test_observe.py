"""One visit: level, S/N and noise as asked for, sky and chips where the velocity puts them."""

from __future__ import annotations

import numpy as np
import pytest

from apnet_fast.simulate.pixels import BAD_BITS, PixelBit
from apnet_fast.support.grid import PIXEL_KMS
from tests.simulate.simulated_visits import LEVEL, observe, ordinary


def test_level_and_snr_are_those_asked_for() -> None:
    seen = observe()
    assert np.median(seen.truth[seen.covered]) == pytest.approx(LEVEL, rel=1e-9)
    assert np.median(seen.truth[seen.covered] / seen.error[seen.covered]) == pytest.approx(80.0, rel=1e-9)
    assert np.median(seen.flux[seen.covered] / seen.error[seen.covered]) == pytest.approx(80.0, rel=0.03)


@pytest.mark.parametrize("snr", [4.0, 30.0, 300.0])
def test_noise_is_what_the_errors_say(snr: float) -> None:
    seen = observe(snr=snr)
    good = ordinary(seen)
    assert good.sum() > 5000

    def unit_variance(scale: float) -> bool:
        deviations = (seen.flux - seen.truth)[good] / (scale * seen.error[good])
        return bool(abs(deviations.std() - 1.0) < 0.05 and abs(deviations.mean()) < 0.06)

    assert unit_variance(1.0)
    assert not unit_variance(1.2), "the check must notice errors 20 % too large"


def test_uncovered_pixels_are_as_many_as_in_real_visits_and_empty() -> None:
    for seed in range(5):
        seen = observe(seed)
        assert 835 <= (~seen.covered).sum() <= 875
        for values in (seen.flux, seen.error, seen.truth, seen.mask, seen.sky, seen.telluric):
            assert not values[~seen.covered].any()


def test_velocity_moves_chips_and_sky_to_the_blue() -> None:
    shift = 25
    still, moving = observe(), observe(v_rad=shift * PIXEL_KMS)
    assert np.array_equal(np.flatnonzero(still.covered) - shift, np.flatnonzero(moving.covered))
    assert np.argmax(still.sky) - np.argmax(moving.sky) == shift


def test_edges_red_chip_and_telluric_bands_are_noisier() -> None:
    seen = observe()
    relative = seen.error / np.where(seen.covered, seen.truth, 1.0)
    middle = np.median(relative[4900:5500])
    first = int(np.argmax(seen.covered))
    assert relative[first] > 50 * middle
    assert np.median(relative[6600:8200]) == pytest.approx(1.4 * middle, rel=0.1)


def test_sky_lines_leave_spikes_with_inflated_errors() -> None:
    seen = observe(level=300.0)
    skyline = (seen.mask & int(PixelBit.SIG_SKYLINE)) != 0
    assert 0.03 < skyline.sum() / seen.covered.sum() < 0.20
    assert skyline[7253]
    assert np.all(seen.inflation[skyline] >= 10.0)
    excess = (seen.flux - seen.truth)[skyline] / 300.0
    assert excess.max() > 0.3
    assert np.count_nonzero(excess > 0.05) > np.count_nonzero(excess < -0.05)


def test_bright_stars_show_fewer_sky_lines() -> None:
    counts = [np.count_nonzero(observe(level=level).mask & int(PixelBit.SIG_SKYLINE)) for level in (20, 500, 40_000)]
    assert counts[0] > counts[1] > counts[2]


def test_bad_pixels_come_at_the_rate_asked_for() -> None:
    rates = []
    for seed in range(10):
        seen = observe(seed)
        rates.append(np.count_nonzero(seen.mask & BAD_BITS) / seen.covered.sum())
    assert 0.006 < np.mean(rates) < 0.012


def test_persistence_raises_errors_on_the_blue_chip_alone() -> None:
    bits = int(PixelBit.PERSIST_HIGH | PixelBit.PERSIST_MED | PixelBit.PERSIST_LOW)
    persistent = (observe(persistence=1.0).mask & bits) != 0
    assert persistent[300:3200].all()
    assert not persistent[3550:].any()
    seen = observe(persistence=1.0)
    on_chip = persistent & ((seen.mask & int(PixelBit.SIG_SKYLINE)) == 0)
    on_chip[:300] = on_chip[3200:] = False
    assert set(np.round(seen.inflation[on_chip] ** 2, 6)) == {3.0, 4.0, 5.0}
    assert not (observe().mask & bits).any()


def test_other_bits_and_negative_pixels_occur() -> None:
    visits = [observe(seed) for seed in range(6)]
    ghost = [np.count_nonzero(seen.mask & int(PixelBit.LITTROW_GHOST)) for seen in visits]
    telluric = [np.count_nonzero(seen.mask & int(PixelBit.SIG_TELLURIC)) for seen in visits]
    negative = [np.count_nonzero(seen.flux < 0) for seen in visits]
    assert all(45 <= count <= 65 for count in ghost)
    assert all(0.02 < count / 7700 < 0.10 for count in telluric)
    assert 0 < sum(negative) < 100


def test_dead_visit_holds_nothing() -> None:
    seen = observe(dead=True)
    assert not seen.covered.any()
    assert not seen.flux.any()
    assert not seen.error.any()
