"""Draw the visits of a star: dates, plates, fibres, velocities, S/N."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from apnet_fast.simulate.population import H_MAG_MEAN, H_MAG_SPREAD, Star

SNR_RANGE = (4.0, 1500.0)
LN_SNR_MEDIAN = {"legacy": math.log(90.0), "dr17": math.log(90.0), "sdss5": math.log(60.0)}
LN_SNR_SPREAD = 0.8
SNR_MAGNITUDE_CORRELATION = 0.7

# Shares of stars with 1, 2 and 3 visits, and the mean excess over 4 of the rest (a geometric tail).
VISIT_SHARES = {
    "legacy": ((0.30, 0.14, 0.28), 3.8),
    "dr17": ((0.30, 0.14, 0.28), 3.8),
    "sdss5": ((0.50, 0.22, 0.12), 1.6),
}
MOST_VISITS = 60

APVISIT_SNR_SHARE = 0.72
"""S/N per pixel of an apVisit spectrum over that of its apStar row: 0.67 to 0.76 for real visits of S/N above 30."""

N_FIBERS = 300
EARTH_ORBIT_KMS = 29.8
BAD_FIBER_SHARE = 0.03

PERSISTENCE_ENDS_MJD = 56_860
"""The detector with persistence left the APO spectrograph in the summer of 2014."""
PERSISTENCE_SHARE = 0.3


@dataclass(frozen=True)
class Visit:
    """One observation of a star.

    snr: per pixel. v_rad: barycentric velocity; v_rel: Doppler shift in the observed frame;
    bc = v_rad - v_rel; all in km/s. bad_fraction: share of bad pixels. persistence: share of
    the blue chip that shows persistence. dead: the visit holds no data.
    """

    mjd: int
    day_fraction: float
    plate: str
    fiber: int
    snr: float
    v_rad: float
    bc: float
    bad_fraction: float
    persistence: float
    dead: bool = False

    @property
    def v_rel(self) -> float:
        """Return the Doppler shift of the star as observed, in km/s."""
        return self.v_rad - self.bc

    @property
    def julian_date(self) -> float:
        """Return the Julian date of mid-exposure."""
        return 2_400_000.5 + self.mjd + self.day_fraction

    @property
    def date(self) -> str:
        """Return DATE-OBS, in ISO 8601 to the millisecond."""
        moment = datetime(1858, 11, 17) + timedelta(days=self.mjd + self.day_fraction)
        return moment.isoformat(timespec="milliseconds")


FLUX_AT_H_ZERO = 1.15e7
"""Median flux of a star of H = 0, measured on real files, in 1e-17 erg/s/cm^2/Angstrom."""


def flux_level(h_mag: float) -> float:
    """Return the median flux of a star of magnitude H, in 1e-17 erg/s/cm^2/Angstrom."""
    return FLUX_AT_H_ZERO * 10.0 ** (-0.4 * h_mag)


def draw_snr(rng: np.random.Generator, layout: str, h_mag: float) -> float:
    """Draw the S/N of a coadd: log-normal around 90 (60 for sdss5), within `SNR_RANGE`, lower for fainter stars.

    Over the magnitudes of the population this is the survey's distribution. Exposure times make up for part of the
    magnitude, so S/N and magnitude are correlated but not tied.
    """
    faintness = (h_mag - H_MAG_MEAN) / H_MAG_SPREAD
    scatter = rng.normal()
    standard = -SNR_MAGNITUDE_CORRELATION * faintness + math.sqrt(1 - SNR_MAGNITUDE_CORRELATION**2) * scatter
    return float(np.clip(math.exp(LN_SNR_MEDIAN[layout] + LN_SNR_SPREAD * standard), *SNR_RANGE))


def draw_n_visits(rng: np.random.Generator, layout: str) -> int:
    """Draw the number of visits: a third to a half of the stars have one, and the tail reaches `MOST_VISITS`."""
    shares, mean_excess = VISIT_SHARES[layout]
    step = int(np.searchsorted(np.cumsum(shares), rng.random(), side="right"))
    if step < len(shares):
        return step + 1
    return min(3 + int(rng.geometric(1.0 / (1.0 + mean_excess))), MOST_VISITS)


def plan_visits(
    rng: np.random.Generator,
    star: Star,
    *,
    n_visits: int,
    snr: float,
    first_mjd: int,
    last_mjd: int,
) -> list[Visit]:
    """Draw `n_visits` visits on different nights, in order of time, that add up to a coadd of S/N `snr`."""
    nights = np.sort(rng.choice(np.arange(first_mjd, last_mjd), n_visits, replace=False))
    phase = rng.uniform(0.0, 2.0 * math.pi)
    period = 10.0 ** rng.uniform(0.5, 3.0)
    plate = int(rng.integers(4000, 9900))
    return [_draw_visit(rng, star, int(mjd), plate, snr / math.sqrt(n_visits), period, phase) for mjd in nights]


def _draw_visit(
    rng: np.random.Generator, star: Star, mjd: int, plate: int, snr: float, period: float, phase: float
) -> Visit:
    v_rad = star.v_rad + star.v_amplitude * math.sin(2.0 * math.pi * mjd / period + phase)
    season = 2.0 * math.pi * (mjd / 365.25 - star.ra / 360.0)
    bc = EARTH_ORBIT_KMS * math.cos(math.radians(0.7 * star.dec)) * math.sin(season)
    bad_fraction = rng.uniform(0.005, 0.012)
    if rng.random() < BAD_FIBER_SHARE:
        bad_fraction = rng.uniform(0.02, 0.06)
    persistence = 0.0
    if star.telescope == "apo25m" and mjd < PERSISTENCE_ENDS_MJD and rng.random() < PERSISTENCE_SHARE:
        persistence = rng.uniform(0.2, 1.0)
    return Visit(
        mjd=mjd,
        day_fraction=float(rng.uniform(0.05, 0.5)),
        plate=str(plate),
        fiber=int(rng.integers(1, N_FIBERS + 1)),
        snr=snr,
        v_rad=v_rad,
        bc=bc,
        bad_fraction=float(bad_fraction),
        persistence=float(persistence),
    )
