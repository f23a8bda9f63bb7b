"""Hold the rotation from J2000 equatorial to Galactic axes (ESA, The Hipparcos Catalogue, 1997, vol. 1, eq. 1.5.11)."""

from __future__ import annotations

import numpy as np

EQUATORIAL_TO_GALACTIC = np.array(
    [
        [-0.0548755604, -0.8734370902, -0.4838350155],
        [0.4941094279, -0.4448296300, 0.7469822445],
        [-0.8676661490, -0.1980763734, 0.4559837762],
    ]
)
