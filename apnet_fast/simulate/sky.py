"""The night sky and the Earth's atmosphere in the observed frame, on the apStar grid.

Positions are the grid pixels that a visit at rest would show; a star's velocity moves them
(`observe.py`). OH lines and their peaks are medians over 30 real visits. Telluric bands have
the positions and depths of real visits, with the two CO2 bands reduced to regular rotational
ladders.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from apnet_fast.support.grid import PIXELS

# (pixel, peak) of the strongest OH lines; peaks in 1e-17 erg/s/cm^2/Angstrom.
OH_LINES = (
    (7253, 23600), (4326, 18000), (669, 15900), (8163, 15800), (4766, 14300), (1102, 13200), (2609, 8900),
    (6424, 8700), (5246, 7900), (4546, 7600), (2343, 6800), (1573, 6600), (5062, 6200), (891, 5900),
    (4062, 5400), (1398, 5100), (7326, 5000), (412, 4600), (2500, 4000), (7893, 4000), (5756, 3900),
    (5923, 3300), (6650, 3200), (2828, 3100), (2104, 3000), (2074, 3000), (5607, 3000), (1934, 2400),
    (6039, 2000), (2215, 1800),
)  # fmt: skip
OH_SIGMA_PIXELS = 1.9
WEAK_OH_LINES = 105
"""Real visits show 135 peaks above 100 units; those that are not in the list are drawn from a fixed seed."""
WEAK_OH_SEED = 16_692

SKY_CONTINUUM = 16.0
"""Sky level between the lines, in 1e-17 erg/s/cm^2/Angstrom."""

# (pixel, depth) of water lines and of the narrow methane band near 16,660 A.
WATER_LINES = (
    (228, 0.20), (297, 0.30), (322, 0.27), (343, 0.10), (360, 0.30), (397, 0.16), (422, 0.16), (435, 0.21),
    (449, 0.08), (495, 0.15), (563, 0.14), (638, 0.07), (691, 0.13), (750, 0.11), (796, 0.13), (824, 0.13),
    (890, 0.11), (1013, 0.11), (5772, 0.12), (5872, 0.10), (5990, 0.14), (6336, 0.21), (6456, 0.24),
    (6503, 0.07), (6577, 0.21), (6701, 0.11), (6826, 0.06), (6953, 0.07), (7089, 0.17), (7095, 0.14),
    (7102, 0.14), (7111, 0.18), (7121, 0.16), (7133, 0.12), (7147, 0.10), (7479, 0.12), (7615, 0.14),
    (7752, 0.11), (7892, 0.21), (8033, 0.11), (8173, 0.16), (8190, 0.08), (8214, 0.10),
)  # fmt: skip
# Branches of the CO2 bands: first and last pixel, spacing at either end, depth of the deepest line.
CO2_BRANCHES = (
    (2782, 3036, 11.0, 17.5, 0.20),
    (3080, 3300, 18.0, 22.0, 0.19),
    (4166, 4416, 12.0, 17.0, 0.21),
    (4461, 4822, 18.5, 24.0, 0.20),
)
TELLURIC_SIGMA_PIXELS = 2.2


@dataclass(frozen=True)
class Sky:
    """Observed-frame sky and atmosphere of a typical visit; arrays are (8575,) and read-only.

    lines: float64, OH emission without the continuum, in 1e-17 erg/s/cm^2/Angstrom.
    line_of_pixel: int64, index of the nearest OH line.
    transmission: float64, 1 without absorption.
    """

    lines: NDArray[np.float64]
    line_of_pixel: NDArray[np.int64]
    transmission: NDArray[np.float64]

    @property
    def n_lines(self) -> int:
        """Return the number of OH lines, strong and weak."""
        return int(self.line_of_pixel.max()) + 1


@cache
def observed_frame_sky() -> Sky:
    """Return the sky from which every visit starts."""
    rng = np.random.default_rng(WEAK_OH_SEED)
    weak_pixels = rng.uniform(200.0, 8400.0, WEAK_OH_LINES)
    weak_peaks = 10.0 ** rng.uniform(np.log10(80.0), np.log10(500.0), WEAK_OH_LINES)
    strong = np.array(OH_LINES, dtype=np.float64)
    pixels = np.concatenate([strong[:, 0], weak_pixels])
    peaks = np.concatenate([strong[:, 1], weak_peaks])
    order = np.argsort(pixels)

    lines = np.zeros(PIXELS)
    _add_gaussians(lines, pixels[order], peaks[order], OH_SIGMA_PIXELS)
    borders = 0.5 * (pixels[order][1:] + pixels[order][:-1])
    line_of_pixel = np.searchsorted(borders, np.arange(PIXELS)).astype(np.int64)
    transmission = _transmission()
    for array in (lines, line_of_pixel, transmission):
        array.flags.writeable = False
    return Sky(lines, line_of_pixel, transmission)


def _add_gaussians(
    into: NDArray[np.float64], centers: NDArray[np.float64], peaks: NDArray[np.float64], sigma: float
) -> None:
    """Add Gaussians of width `sigma` pixels to `into` (8575,), in place; parts off the grid are lost."""
    reach = int(np.ceil(5 * sigma))
    offsets = np.arange(-reach, reach + 1)
    pixels = np.rint(centers).astype(np.int64)[:, None] + offsets
    values = peaks[:, None] * np.exp(-0.5 * ((pixels - centers[:, None]) / sigma) ** 2)
    inside = (pixels >= 0) & (pixels < into.size)
    np.add.at(into, pixels[inside], values[inside])


def _transmission() -> NDArray[np.float64]:
    """Return the transmission of a typical night."""
    water = np.array(WATER_LINES)
    depth = np.full(PIXELS, 0.008)
    _add_gaussians(depth, water[:, 0], water[:, 1], TELLURIC_SIGMA_PIXELS)
    for first, last, first_step, last_step, deepest in CO2_BRANCHES:
        count = round(2 * (last - first) / (first_step + last_step)) + 1
        steps = np.linspace(first_step, last_step, count - 1)
        pixels = first + np.concatenate([[0.0], np.cumsum(steps) * (last - first) / steps.sum()])
        envelope = 0.3 + 0.7 * np.sin(np.linspace(0.1, np.pi - 0.1, count))
        _add_gaussians(depth, pixels, deepest * envelope, TELLURIC_SIGMA_PIXELS)
    return 1.0 - depth
