"""Draw labels of stars from populations that make the main sequence and the giant branch of a Kiel diagram.

The tracks are straight lines between points near those of the MIST and PARSEC isochrones and, on the
main sequence, of Pecaut & Mamajek (2013, ApJS 208, 9). They are good to about 100 K and 0.1 dex.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

POPULATION_SHARES = {
    "dwarf": 0.26,
    "subgiant": 0.08,
    "giant": 0.34,
    "clump": 0.15,
    "cool_dwarf": 0.07,
    "young": 0.05,
    "hot": 0.05,
}

LOWEST_FE_H, HIGHEST_FE_H = -2.4, 0.5

# Teff in K and logg of stars of solar metallicity at zero age.
MAIN_SEQUENCE = (
    (2800, 5.20), (2900, 5.15), (3200, 5.02), (3500, 4.87), (3800, 4.75), (4200, 4.67), (4700, 4.62), (5300, 4.56),
    (5777, 4.49), (6200, 4.40), (6700, 4.33), (7500, 4.28), (9000, 4.26), (11_000, 4.24), (15_000, 4.22),
    (20_000, 4.20), (30_000, 4.15),
)  # fmt: skip
# logg and Teff in K of solar metallicity, from the tip to the base.
GIANT_BRANCH = ((0.2, 3550), (0.5, 3700), (1.0, 3950), (1.6, 4280), (2.4, 4660), (3.0, 4880), (3.5, 5020))
GIANT_KELVIN_PER_DEX = 270.0
"""At the same logg, a branch of lower [Fe/H] is hotter by this much per dex."""


@dataclass(frozen=True)
class StarLabels:
    """What is true of one star: teff in K, logg in log10(cm/s^2), fe_h in dex, vsini in km/s.

    population: its key in `POPULATION_SHARES`.
    """

    teff: float
    logg: float
    fe_h: float
    vsini: float
    population: str


def main_sequence_logg(teff: float, fe_h: float = 0.0) -> float:
    """Return logg at zero age: at the same Teff, metal-poor dwarfs are smaller and so denser."""
    track = np.array(MAIN_SEQUENCE)
    return float(np.interp(teff, track[:, 0], track[:, 1])) - (0.08 * fe_h if teff < 7000 else 0.0)


def giant_branch_teff(logg: float, fe_h: float) -> float:
    """Return Teff on the red giant branch."""
    track = np.array(GIANT_BRANCH)
    return float(np.interp(logg, track[:, 0], track[:, 1])) - GIANT_KELVIN_PER_DEX * fe_h


def draw_labels(rng: np.random.Generator) -> StarLabels:
    """Draw one star of the mix `POPULATION_SHARES`."""
    population = str(rng.choice(list(POPULATION_SHARES), p=list(POPULATION_SHARES.values())))
    teff, logg, fe_h, vsini = _DRAWS[population](rng)
    return StarLabels(
        teff=float(np.clip(teff, 2800.0, 32_000.0)),
        logg=float(np.clip(logg, 0.0, 5.5)),
        fe_h=float(np.clip(fe_h, LOWEST_FE_H, HIGHEST_FE_H)),
        vsini=float(np.clip(vsini, 0.3, 350.0)),
        population=population,
    )


_Drawn = tuple[float, float, float, float]


def _disc_fe_h(rng: np.random.Generator) -> float:
    """Draw [Fe/H] of the thin and thick disc; one star in twenty is of the halo."""
    if rng.random() < 0.05:
        return float(rng.normal(-1.5, 0.4))
    return float(rng.normal(-0.15, 0.27))


def _dwarf(rng: np.random.Generator) -> _Drawn:
    """Draw a dwarf of 4,000 to 7,200 K. Hotter dwarfs may have evolved further and may spin faster."""
    teff, fe_h = rng.uniform(4000.0, 7200.0), _disc_fe_h(rng)
    evolved = float(np.clip((teff - 5000.0) / 1000.0, 0.0, 1.0)) * 0.35 * rng.random() ** 1.5
    logg = main_sequence_logg(teff, fe_h) - evolved + rng.normal(0.0, 0.02)
    spread = 2.0 + 30.0 / (1.0 + math.exp(-(teff - 6500.0) / 150.0))
    return teff, logg, fe_h, spread * rng.weibull(1.8)


def _subgiant(rng: np.random.Generator) -> _Drawn:
    """Draw a star between the turn-off and the base of the giant branch."""
    fe_h, way = _disc_fe_h(rng), rng.random()
    turn_off = rng.uniform(5700.0, 6400.0) - 250.0 * fe_h
    base_logg = rng.uniform(3.45, 3.65)
    base = giant_branch_teff(base_logg, fe_h)
    teff = turn_off + way * (base - turn_off) + rng.normal(0.0, 30.0)
    logg = rng.uniform(3.95, 4.1) * (1.0 - way) + base_logg * way
    return teff, logg, fe_h, 4.0 * rng.weibull(1.8)


def _giant(rng: np.random.Generator) -> _Drawn:
    """Draw a star of the red giant branch; most stars are near its base."""
    fe_h = float(rng.normal(-0.3, 0.35)) if rng.random() > 0.06 else float(rng.normal(-1.6, 0.4))
    logg = 0.2 + 3.3 * rng.random() ** 0.8
    teff = giant_branch_teff(logg, fe_h) + rng.normal(0.0, 50.0)
    return teff, logg, fe_h, 2.0 * rng.weibull(1.8)


def _clump(rng: np.random.Generator) -> _Drawn:
    """Draw a star of the red clump."""
    fe_h = float(rng.normal(-0.1, 0.22))
    teff = 4800.0 - 220.0 * fe_h + rng.normal(0.0, 60.0)
    return teff, 2.42 + rng.normal(0.0, 0.07), fe_h, 2.5 * rng.weibull(1.8)


def _cool_dwarf(rng: np.random.Generator) -> _Drawn:
    """Draw an M dwarf; one in five is young or in a close binary and spins fast."""
    teff, fe_h = rng.uniform(2900.0, 4000.0), float(rng.normal(-0.1, 0.22))
    vsini = 15.0 * rng.weibull(1.5) if rng.random() < 0.2 else 2.0 * rng.weibull(1.8)
    return teff, main_sequence_logg(teff, fe_h) + rng.normal(0.0, 0.03), fe_h, vsini


def _young(rng: np.random.Generator) -> _Drawn:
    """Draw a star of 1 to 30 Myr: up to 1.2 dex above the main sequence, near solar metallicity."""
    teff, fe_h = rng.uniform(3000.0, 5200.0), float(rng.normal(-0.02, 0.06))
    logg = main_sequence_logg(teff) - rng.uniform(0.15, 1.2)
    return teff, logg, fe_h, 18.0 * rng.weibull(1.6)


def _hot(rng: np.random.Generator) -> _Drawn:
    """Draw an A or B star of 7,200 to 30,000 K, evenly in log Teff, with Maxwellian rotation."""
    teff, fe_h = 10.0 ** rng.uniform(math.log10(7200.0), math.log10(30_000.0)), float(rng.normal(0.0, 0.12))
    logg = main_sequence_logg(teff) - 0.7 * rng.random() ** 1.5
    return teff, logg, fe_h, 75.0 * math.sqrt(float(rng.chisquare(3)))


_DRAWS = {
    "dwarf": _dwarf,
    "subgiant": _subgiant,
    "giant": _giant,
    "clump": _clump,
    "cool_dwarf": _cool_dwarf,
    "young": _young,
    "hot": _hot,
}
