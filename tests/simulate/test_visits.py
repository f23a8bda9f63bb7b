"""Visits: as many, as deep and as far apart as in the survey."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from apnet_fast.simulate.population import H_MAG_MEAN, H_MAG_SPREAD
from apnet_fast.simulate.visits import (
    EARTH_ORBIT_KMS,
    MOST_VISITS,
    PERSISTENCE_ENDS_MJD,
    Visit,
    draw_n_visits,
    draw_snr,
    flux_level,
    plan_visits,
)
from tests.simulate.simulated_visits import STAR, VISIT


def plan(n: int, seed: int = 0, first_mjd: int = 58_000, **changes: object) -> list[Visit]:
    rng = np.random.default_rng(seed)
    star = replace(STAR, **changes)  # type: ignore[arg-type]
    return plan_visits(rng, star, n_visits=n, snr=90.0, first_mjd=first_mjd, last_mjd=first_mjd + 400)


def test_distributions_of_visits_and_snr() -> None:
    rng = np.random.default_rng(0)
    for layout, single, mean, snr in [("dr17", 0.30, 3.6, 90.0), ("sdss5", 0.50, 2.2, 60.0)]:
        n_visits = np.array([draw_n_visits(rng, layout) for _ in range(4000)])
        assert np.mean(n_visits == 1) == pytest.approx(single, abs=0.03)
        assert n_visits.mean() == pytest.approx(mean, rel=0.06)
        assert n_visits.max() <= MOST_VISITS
        h_mag = rng.normal(H_MAG_MEAN, H_MAG_SPREAD, 2000)
        snrs = [draw_snr(rng, layout, magnitude) for magnitude in h_mag]
        assert np.corrcoef(np.log(snrs), h_mag)[0, 1] < -0.5
        assert np.median(snrs) == pytest.approx(snr, rel=0.06)
        assert min(snrs) >= 4.0
        assert max(snrs) <= 1500.0


def test_visits_are_on_different_nights_and_add_up() -> None:
    visits = plan(5)
    nights = [visit.mjd for visit in visits]
    assert nights == sorted(set(nights))
    assert np.sqrt(sum(visit.snr**2 for visit in visits)) == pytest.approx(90.0)


def test_the_earth_moves_and_binaries_too() -> None:
    visits = plan(40, v_amplitude=0.0)
    assert 10.0 < np.ptp([visit.bc for visit in visits]) <= 2 * EARTH_ORBIT_KMS
    assert np.ptp([visit.v_rad for visit in visits]) == 0.0
    assert np.ptp([visit.v_rad for visit in plan(40, v_amplitude=20.0)]) > 20.0
    assert visits[0].v_rel == visits[0].v_rad - visits[0].bc


def test_persistence_ends_with_its_detector() -> None:
    assert any(visit.persistence for visit in plan(40, first_mjd=PERSISTENCE_ENDS_MJD - 500))
    assert not any(visit.persistence for visit in plan(40, first_mjd=PERSISTENCE_ENDS_MJD))
    assert not any(visit.persistence for visit in plan(40, first_mjd=56_000, telescope="lco25m"))


def test_dates_and_fluxes() -> None:
    assert (VISIT.date, VISIT.julian_date) == ("2017-09-04T06:00:00.000", 2_458_000.75)
    assert flux_level(10.0) == pytest.approx(1150.0)
    assert flux_level(12.5) == pytest.approx(115.0)
