"""HEALPix numbers against documented values and against the published pixel centres."""

from __future__ import annotations

import math

import numpy as np
import pytest

from apnet_fast.simulate.healpix import ang2pix_ring


def pixel_center(nside: int, pixel: int) -> tuple[float, float]:
    """(ra, dec) in degrees of a RING pixel: Gorski et al. (2005), equations 2-9, pixels counted from 0."""
    n_pixels, n_cap = 12 * nside**2, 2 * nside * (nside - 1)
    if pixel < n_cap:
        ring = (1 + math.isqrt(1 + 2 * pixel)) // 2
        position = pixel - 2 * ring * (ring - 1)
        z, turn = 1 - ring**2 / (3 * nside**2), (position + 0.5) / (4 * ring)
    elif pixel < n_pixels - n_cap:
        ring, position = divmod(pixel - n_cap, 4 * nside)
        z = 4 / 3 - 2 * (ring + nside) / (3 * nside)
        turn = (position + (0.5 if ring % 2 == 0 else 0.0)) / (4 * nside)
    else:
        from_end = n_pixels - 1 - pixel
        ring = (1 + math.isqrt(1 + 2 * from_end)) // 2
        position = 4 * ring - 1 - (from_end - 2 * ring * (ring - 1))
        z, turn = -1 + ring**2 / (3 * nside**2), (position + 0.5) / (4 * ring)
    return 360.0 * turn, math.degrees(math.asin(z))


def test_values_of_the_healpy_manual() -> None:
    """The example of healpy.ang2pix: theta = pi/2, pi/4, pi/2, 0, pi and phi = 0, pi/4, pi/2, 0, 0."""
    points = [(0, 0), (45, 45), (90, 0), (0, 90), (0, -90)]
    assert [ang2pix_ring(16, ra, dec) for ra, dec in points] == [1440, 427, 1520, 0, 3068]
    assert [ang2pix_ring(nside, 0, 0) for nside in (1, 2, 4, 8, 16)] == [4, 12, 72, 336, 1440]


@pytest.mark.parametrize("nside", [1, 2, 3, 8])
def test_every_center_lies_in_its_pixel(nside: int) -> None:
    pixels = range(12 * nside**2)
    assert [ang2pix_ring(nside, *pixel_center(nside, pixel)) for pixel in pixels] == list(pixels)


def test_random_points_lie_close_to_the_center_of_their_pixel() -> None:
    rng = np.random.default_rng(1)
    ras, decs = rng.uniform(0, 360, 500), np.degrees(np.arcsin(rng.uniform(-1, 1, 500)))

    def worst_distance(shift: int) -> float:
        worst = 0.0
        for ra, dec in zip(ras, decs, strict=True):
            pixel = (ang2pix_ring(128, ra, dec) + shift) % (12 * 128**2)
            center_ra, center_dec = np.radians(pixel_center(128, pixel))
            a, d = np.radians((ra, dec))
            cosine = np.sin(d) * np.sin(center_dec) + np.cos(d) * np.cos(center_dec) * np.cos(a - center_ra)
            worst = max(worst, float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))))
        return worst

    assert worst_distance(0) < 0.5
    assert worst_distance(1) > 0.5, "the check must notice a neighbouring pixel"
