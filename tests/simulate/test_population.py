"""Fields, names and magnitudes of the stars to observe."""

from __future__ import annotations

import math

import numpy as np
import pytest

from apnet_fast.simulate.healpix import ang2pix_ring
from apnet_fast.simulate.population import FIELD_RADIUS_DEG, draw_fields, draw_star, galactic, make_field, two_mass_name


def separation(ra: float, dec: float, other_ra: float, other_dec: float) -> float:
    """Angle between two points, degrees."""
    a, d, b, e = (math.radians(value) for value in (ra, dec, other_ra, other_dec))
    cosine = math.sin(d) * math.sin(e) + math.cos(d) * math.cos(e) * math.cos(a - b)
    return math.degrees(math.acos(min(1.0, cosine)))


def test_names_and_galactic_coordinates() -> None:
    assert two_mass_name(287.27160, 50.967250) == "2M19090518+5058021"
    assert two_mass_name(0.0, -0.5) == "2M00000000-0030000"
    # The Galactic centre and north pole (J2000), and a real file's GLON and GLAT.
    assert galactic(266.40499, -28.93617)[0] % 360 == pytest.approx(0.0, abs=1e-3)
    assert galactic(192.85948, 27.12825)[1] == pytest.approx(90.0, abs=1e-3)
    assert galactic(294.772188, 40.459633) == pytest.approx((74.0184, 8.9815), abs=1e-3)


def test_the_far_south_is_observed_from_las_campanas() -> None:
    assert (make_field(10.0, -29.0).telescope, make_field(10.0, -31.0).telescope) == ("apo25m", "lco25m")
    fields = draw_fields(np.random.default_rng(0), -30.0)
    assert min(field.dec for field in fields) >= -30.0
    assert min(field.dec for field in draw_fields(np.random.default_rng(0), -90.0)) < -60.0


def test_stars_lie_in_their_field() -> None:
    rng = np.random.default_rng(1)
    field = make_field(200.0, 60.0)
    stars = [draw_star(rng, field) for _ in range(200)]
    distances = [separation(star.ra, star.dec, field.ra, field.dec) for star in stars]
    assert 0.8 * FIELD_RADIUS_DEG < max(distances) < 1.05 * FIELD_RADIUS_DEG
    assert all(star.obj == two_mass_name(star.ra, star.dec) for star in stars)
    assert all(star.healpix == ang2pix_ring(128, star.ra, star.dec) for star in stars)
    assert len({star.obj for star in stars}) == 200


def test_cool_stars_are_red() -> None:
    rng = np.random.default_rng(2)
    stars = [draw_star(rng, make_field(10.0, 10.0)) for _ in range(300)]
    colours = {
        cool: np.mean([star.j_mag - star.h_mag for star in stars if (star.teff < 4500) == cool])
        for cool in (True, False)
    }
    assert colours[True] > colours[False] + 0.1
