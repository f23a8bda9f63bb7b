"""Draw the stars to observe: magnitudes, places on the sky and names."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from apnet_fast.simulate.healpix import APOGEE_NSIDE, ang2pix_ring
from apnet_fast.simulate.tracks import draw_labels
from apnet_fast.support.galactic import EQUATORIAL_TO_GALACTIC

N_FIELDS = 60
FIELD_RADIUS_DEG = 1.5
SOUTHERN_LIMIT_DEG = -30.0
"""Fields further south are observed from Las Campanas: a quarter of the sphere."""

H_MAG_MEAN, H_MAG_SPREAD = 11.3, 1.2
"""Mean and spread of the stars' 2MASS H, before the limits are applied."""


@dataclass(frozen=True)
class Field:
    """One pointing: its centre in degrees, a name from its Galactic coordinates, and its telescope."""

    ra: float
    dec: float
    name: str
    telescope: str


@dataclass(frozen=True)
class Star:
    """A star to observe.

    obj: 2MASS-style name. ra, dec: degrees. healpix: nside 128, RING. teff: K. logg:
    log10(cm/s^2). fe_h: dex. vsini: km/s. Magnitudes are in the 2MASS system. v_rad: barycentric
    velocity in km/s. v_amplitude: half-amplitude of its orbit in km/s.
    """

    obj: str
    ra: float
    dec: float
    field: str
    telescope: str
    healpix: int
    teff: float
    logg: float
    fe_h: float
    vsini: float
    j_mag: float
    h_mag: float
    k_mag: float
    v_rad: float
    v_amplitude: float


def galactic(ra: float, dec: float) -> tuple[float, float]:
    """Return Galactic longitude (0 to 360) and latitude of J2000 coordinates, all in degrees."""
    a, d = math.radians(ra), math.radians(dec)
    x, y, z = EQUATORIAL_TO_GALACTIC @ (math.cos(d) * math.cos(a), math.cos(d) * math.sin(a), math.sin(d))
    return math.degrees(math.atan2(y, x)) % 360.0, math.degrees(math.asin(max(-1.0, min(1.0, z))))


def make_field(ra: float, dec: float) -> Field:
    """Return the field around (ra, dec) in degrees, named like '082+17'."""
    longitude, latitude = galactic(ra, dec)
    telescope = "lco25m" if dec < SOUTHERN_LIMIT_DEG else "apo25m"
    return Field(ra, dec, f"{round(longitude) % 360:03d}{round(latitude):+03d}", telescope)


def draw_fields(rng: np.random.Generator, southernmost_dec: float) -> list[Field]:
    """Draw fields evenly over the sphere north of `southernmost_dec` degrees."""
    lowest = math.sin(math.radians(southernmost_dec))
    ra = rng.uniform(0.0, 360.0, N_FIELDS)
    dec = np.degrees(np.arcsin(rng.uniform(lowest, 1.0, N_FIELDS)))
    return [make_field(float(a), float(d)) for a, d in zip(ra, dec, strict=True)]


def draw_star(rng: np.random.Generator, field: Field) -> Star:
    """Draw one star of the survey's mix of populations in `field`."""
    labels = draw_labels(rng)
    h_mag = float(np.clip(rng.normal(H_MAG_MEAN, H_MAG_SPREAD), 5.9, 15.3))
    j_minus_h = float(np.clip(0.95 - 1.3 * math.log10(labels.teff / 3500.0) / math.log10(2.0), -0.15, 1.0))
    h_minus_k = 0.05 + 0.15 * j_minus_h
    ra, dec = _place(rng, field)
    is_binary = rng.random() < 0.15
    return Star(
        obj=two_mass_name(ra, dec),
        ra=ra,
        dec=dec,
        field=field.name,
        telescope=field.telescope,
        healpix=ang2pix_ring(APOGEE_NSIDE, ra, dec),
        teff=labels.teff,
        logg=labels.logg,
        fe_h=labels.fe_h,
        vsini=labels.vsini,
        j_mag=h_mag + j_minus_h,
        h_mag=h_mag,
        k_mag=h_mag - h_minus_k,
        v_rad=float(rng.normal(0.0, 40.0 if labels.fe_h > -1 else 130.0)),
        v_amplitude=float(10.0 ** rng.uniform(0.0, 1.7)) if is_binary else 0.1,
    )


def two_mass_name(ra: float, dec: float) -> str:
    """Return '2MHHMMSSss+DDMMSSs' of coordinates in degrees, truncated as 2MASS does."""
    centiseconds = int(ra * 240.0 * 100.0)
    hours, rest = divmod(centiseconds, 360_000)
    minutes, centiseconds = divmod(rest, 6_000)
    tenths = int(abs(dec) * 36_000.0)
    degrees, rest = divmod(tenths, 36_000)
    arcminutes, tenths = divmod(rest, 600)
    sign = "-" if dec < 0 else "+"
    return f"2M{hours:02d}{minutes:02d}{centiseconds:04d}{sign}{degrees:02d}{arcminutes:02d}{tenths:03d}"


def _place(rng: np.random.Generator, field: Field) -> tuple[float, float]:
    """Draw a point within the field, kept off the poles so that right ascension stays defined."""
    radius = FIELD_RADIUS_DEG * math.sqrt(rng.random())
    angle = rng.uniform(0.0, 2.0 * math.pi)
    dec = float(np.clip(field.dec + radius * math.sin(angle), -89.9, 89.9))
    ra = (field.ra + radius * math.cos(angle) / math.cos(math.radians(dec))) % 360.0
    return ra, dec
