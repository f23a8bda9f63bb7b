"""The values that header cards of every generation are made from."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from apnet_fast.simulate.layouts import Layout
from apnet_fast.simulate.population import Star, galactic
from apnet_fast.simulate.rows import Planes
from apnet_fast.simulate.visits import APVISIT_SNR_SHARE, Visit
from apnet_fast.support.grid import CHIP_GAPS, LOG_WAVELENGTH_START, LOG_WAVELENGTH_STEP, PIXELS

STARFLAG_PERSIST_HIGH = 1 << 9
STARFLAG_PERSIST_LOW = 1 << 11
STRONG_PERSISTENCE = 0.5
MIDDLE_CHIP = slice(3506, 6151)
"""Pixels from 15,850 to 16,440 Angstrom, over which SNREV is measured."""

_CHIPS = "BGR"
# Pixels of the middles of the two gaps between the chips.
_CHIP_BORDERS = tuple((first + last) // 2 for first, last in CHIP_GAPS[1:-1])


@dataclass(frozen=True)
class HeaderCard:
    """One header card; a COMMENT or HISTORY card has its text as the value."""

    name: str
    value: str | int | float
    comment: str = ""


@dataclass(frozen=True)
class Summary:
    """A star's file in numbers.

    snr, snr_middle: S/N per pixel of row 0, over all pixels and over the middle chip. visit_snr: per pixel of each
    visit's apVisit spectrum. row_snr: per pixel of each visit's row, 0 if it has none or holds no data. Velocities are
    in km/s.
    """

    star: Star
    visits: list[Visit]
    layout: Layout
    snr: float
    snr_middle: float
    visit_snr: tuple[float, ...]
    row_snr: tuple[float, ...]
    flags: tuple[int, ...]
    limits: tuple[HeaderCard, ...]

    @property
    def glon(self) -> float:
        """Return the Galactic longitude in degrees."""
        return galactic(self.star.ra, self.star.dec)[0]

    @property
    def glat(self) -> float:
        """Return the Galactic latitude in degrees."""
        return galactic(self.star.ra, self.star.dec)[1]

    @property
    def starflag(self) -> int:
        """Return the bits that any visit has."""
        return int(np.bitwise_or.reduce(self.flags))

    @property
    def andflag(self) -> int:
        """Return the bits that all visits have."""
        return int(np.bitwise_and.reduce(self.flags))

    @property
    def mean_velocity(self) -> float:
        """Return the barycentric velocity, weighted by S/N."""
        return self._weighted([visit.v_rad for visit in self.visits])

    @property
    def velocity_scatter(self) -> float:
        """Return the standard deviation of the visits' barycentric velocities; 0 for one visit."""
        return _scatter([visit.v_rad for visit in self.visits])

    @property
    def median_velocity_error(self) -> float:
        """Return the median error of the visits' velocities."""
        return float(np.median([velocity_error(visit.snr) for visit in self.visits]))

    @property
    def mean_fiber(self) -> float:
        """Return the fibre number, weighted by S/N."""
        return self._weighted([visit.fiber for visit in self.visits])

    @property
    def fiber_scatter(self) -> float:
        """Return the standard deviation of the visits' fibre numbers; 0 for one visit."""
        return _scatter([visit.fiber for visit in self.visits])

    def _weighted(self, values: list[float] | list[int]) -> float:
        return float(np.average(values, weights=[visit.snr for visit in self.visits]))


def summarise(star: Star, visits: list[Visit], layout: Layout, planes: Planes) -> Summary:
    """Measure on `planes` and `visits` what headers state."""
    rows = range(2, 2 + len(visits)) if len(visits) > 1 else ()
    row_snr = [0.0 if np.isnan(planes.snr(row)) else planes.snr(row) for row in rows]
    return Summary(
        star=star,
        visits=visits,
        layout=layout,
        snr=planes.snr(),
        snr_middle=planes.snr(pixels=MIDDLE_CHIP),
        visit_snr=tuple(0.0 if visit.dead else APVISIT_SNR_SHARE * visit.snr for visit in visits),
        row_snr=tuple(row_snr or [0.0]),
        flags=tuple(starflag(visit) for visit in visits),
        limits=tuple(_limit_cards(planes, list(rows) or [0])),
    )


def grid_cards(wavelength: str = "wave") -> list[HeaderCard]:
    """Return the cards of the wavelength grid in the PRIMARY header; wavelength: its name in one comment."""
    return [
        HeaderCard("CRVAL1", LOG_WAVELENGTH_START, "Start log10(wavelength) in subsequent HDUs"),
        HeaderCard("CDELT1", LOG_WAVELENGTH_STEP, f"Dispersion in log10({wavelength}) in subsequent HDUs"),
        HeaderCard("CRPIX1", 1, "Pixel of starting wavelength in subsequent HDUs"),
        HeaderCard("CTYPE1", "LOG-LINEAR", "Logarithmic wavelength scale in subsequent HDUs"),
        HeaderCard("DC-FLAG", 1, "Logarithmic wavelength scale in subsequent HDUs"),
    ]


def image_cards(layout: Layout, unit: str) -> list[HeaderCard]:
    """Return the cards of an image HDU: the wavelength grid, without comments, and BUNIT."""
    names = {"CRVAL1", "CDELT1", "CRPIX1", "CTYPE1"} | ({"DC-FLAG"} if layout.name == "legacy" else set())
    grid = [HeaderCard(card.name, card.value) for card in grid_cards() if card.name in names]
    return [*grid, HeaderCard("BUNIT", unit)]


def starflag(visit: Visit) -> int:
    """Return STARFLAG of a visit: the persistence bits, which are warnings."""
    if visit.persistence > STRONG_PERSISTENCE:
        return STARFLAG_PERSIST_HIGH
    return STARFLAG_PERSIST_LOW if visit.persistence > 0 else 0


def velocity_error(snr: float) -> float:
    """Return the error of a radial velocity in km/s: 0.1 at S/N 50, in inverse proportion to S/N."""
    return 5.0 / snr if snr > 0 else 0.0


def _scatter(values: list[float] | list[int]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _limit_cards(planes: Planes, rows: list[int]) -> list[HeaderCard]:
    """Return RMIN to BOVERMAX: first and last pixel of each chip with data in any visit, and in all visits."""
    covered = planes.has_data()[rows]
    limits = dict(zip(_CHIPS, _chip_limits(covered), strict=True))
    cards = []
    for chip, name in (("R", "red"), ("G", "green"), ("B", "blue")):
        any_first, any_last, _, _ = limits[chip]
        maximum = "Maxmm" if chip == "R" else "Maxm"
        cards.append(HeaderCard(f"{chip}MIN", any_first, f"Min pixel of {name} chip contrib, any frame"))
        cards.append(HeaderCard(f"{chip}MAX", any_last, f"{maximum} pixel of {name} chip contrib, any frame"))
    for chip, name in (("R", "red"), ("G", "green"), ("B", "blue")):
        _, _, all_first, all_last = limits[chip]
        minimum, maximum = ("Minimum", "Maximum") if chip == "B" else ("Min", "Max")
        cards.append(HeaderCard(f"{chip}OVERMIN", all_first, f"{minimum} pixel of {name} chip contrib, all frames"))
        cards.append(HeaderCard(f"{chip}OVERMAX", all_last, f"{maximum} pixel of {name} chip contrib, all frames"))
    return cards


def _chip_limits(covered: NDArray[np.bool_]) -> list[tuple[int, int, int, int]]:
    """Return first and last covered pixel of each chip, blue to red, in any and in all of the rows; 0 if none is."""
    borders = [0, *_CHIP_BORDERS, PIXELS]
    limits = []
    for first, last in pairwise(borders):
        found = [np.flatnonzero(row[first:last]) + first for row in covered]
        ends = [(int(pixels[0]), int(pixels[-1])) for pixels in found if pixels.size]
        starts, stops = zip(*ends, strict=True) if ends else ((0,), (0,))
        limits.append((min(starts), max(stops), max(starts), min(stops)))
    return limits
