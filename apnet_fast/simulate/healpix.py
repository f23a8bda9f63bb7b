"""Find HEALPix pixel numbers in RING order."""

from __future__ import annotations

import math

APOGEE_NSIDE = 128
"""The SDSS-V pipeline sorts its stars by pixels of this size, 0.46 degrees wide."""


def ang2pix_ring(nside: int, ra: float, dec: float) -> int:
    """Return the RING-scheme pixel that holds (ra, dec) in degrees; any nside >= 1.

    Source: Gorski et al. (2005, ApJ 622, 759), the projection of section 4 and the pixel
    counts of section 5.1 (equatorial zone |z| <= 2/3, polar caps beyond it).
    """
    z = math.cos(math.radians(90.0 - dec))  # rounds as healpy does on the equator, a line of pixel corners
    quarter_turns = (ra % 360.0) / 90.0
    if abs(z) <= 2.0 / 3.0:
        # Ascending and descending edge lines that pass below the point: ring and position follow from them.
        across = nside * (0.5 + quarter_turns)
        along = nside * 0.75 * z
        ascending = math.floor(across - along)
        descending = math.floor(across + along)
        ring = nside + 1 + ascending - descending  # counted from the first equatorial ring, 1 to 2 nside + 1
        shifted = 1 - ring % 2
        position = ((ascending + descending - nside + shifted + 1) // 2) % (4 * nside)
        return 2 * nside * (nside - 1) + (ring - 1) * 4 * nside + position

    within_quarter = quarter_turns - math.floor(quarter_turns)
    # sqrt(3 (1 - |z|)) loses all digits at the pole; the half-angle form keeps them.
    colatitude = math.radians(90.0 - abs(dec))
    reach = nside * math.sqrt(6.0) * math.sin(0.5 * colatitude)
    ascending = math.floor(within_quarter * reach)
    descending = math.floor((1.0 - within_quarter) * reach)
    ring = ascending + descending + 1  # counted from the nearer pole
    position = math.floor(quarter_turns * ring) % (4 * ring)
    if z > 0:
        return 2 * ring * (ring - 1) + position
    return 12 * nside * nside - 2 * ring * (ring + 1) + position
