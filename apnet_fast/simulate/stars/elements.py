"""The chemical elements of the model: abundances, masses, ionisation energies, low-lying terms.

Abundances: Asplund et al. (2009, ARA&A 47, 481). Ionisation energies in eV and terms
(statistical weight, energy in 1/cm, fine structure averaged) are rounded values of the NIST
Atomic Spectra Database. High terms are left out, so partition functions of neutral iron-group
atoms are about 10 % too low above 7,000 K, where these atoms are ionised anyway.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Terms = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Element:
    """One chemical element.

    log_abundance: on the scale on which hydrogen is 12. mass: atomic units. ionisation: energies
    of the neutral atom and of the ion, eV. terms: those of stages I, II and III.
    """

    name: str
    log_abundance: float
    mass: float
    ionisation: tuple[float, float]
    terms: tuple[Terms, Terms, Terms]
    is_alpha: bool = False


_ONE: Terms = ((1.0, 0.0),)

ELEMENTS = (
    Element("H", 12.00, 1.008, (13.598, 1e4), (((2, 0), (8, 82_259), (18, 97_492)), _ONE, _ONE)),
    Element("He", 10.93, 4.003, (24.587, 54.418), (_ONE, ((2, 0),), _ONE)),
    Element(
        "C", 8.43, 12.011, (11.260, 24.383),
        (((9, 30), (5, 10_193), (1, 21_649), (5, 33_735)), ((6, 42), (12, 43_025)), _ONE),
    ),
    Element(
        "N", 7.83, 14.007, (14.534, 29.601),
        (((4, 0), (10, 19_224), (6, 28_839)), ((9, 90), (5, 15_316), (1, 32_689)), ((6, 0),)),
    ),
    Element(
        "O", 8.69, 15.999, (13.618, 35.121),
        (((9, 78), (5, 15_868), (1, 33_793)), ((4, 0), (10, 26_820), (6, 40_468)), ((9, 0),)), is_alpha=True,
    ),
    Element(
        "Na", 6.24, 22.990, (5.139, 47.286),
        (((2, 0), (6, 16_968), (2, 25_740), (10, 29_173), (6, 30_270)), _ONE, ((6, 0),)),
    ),
    Element(
        "Mg", 7.60, 24.305, (7.646, 15.035),
        (((1, 0), (9, 21_891), (3, 35_051), (3, 41_197)), ((2, 0), (6, 35_730), (2, 69_805), (10, 71_490)), _ONE),
        is_alpha=True,
    ),
    Element(
        "Al", 6.45, 26.982, (5.986, 18.829),
        (((6, 75), (2, 25_348), (12, 29_067), (10, 32_436)), ((1, 0), (9, 37_454), (3, 59_852)), ((2, 0),)),
    ),
    Element(
        "Si", 7.51, 28.085, (8.152, 16.346),
        (((9, 150), (5, 6_299), (1, 15_394), (5, 33_326)), ((6, 191), (12, 42_950), (10, 55_320), (2, 65_500)), _ONE),
        is_alpha=True,
    ),
    Element(
        "P", 5.41, 30.974, (10.487, 19.769),
        (((4, 0), (10, 11_370), (6, 18_735)), ((9, 315), (5, 8_882), (1, 21_576)), ((6, 0),)),
    ),
    Element(
        "S", 7.12, 32.06, (10.360, 23.338),
        (((9, 196), (5, 9_239), (1, 22_180)), ((4, 0), (10, 14_870), (6, 24_550)), ((9, 0),)), is_alpha=True,
    ),
    Element(
        "K", 5.03, 39.098, (4.341, 31.625),
        (((2, 0), (6, 13_024), (2, 21_027), (10, 21_535), (6, 24_710)), _ONE, ((6, 0),)),
    ),
    Element(
        "Ca", 6.34, 40.078, (6.113, 11.872),
        (
            ((1, 0), (9, 15_263), (15, 20_357), (5, 21_850), (3, 23_652), (3, 31_539)),
            ((2, 0), (10, 13_686), (6, 25_342)),
            _ONE,
        ),
        is_alpha=True,
    ),
    Element(
        "Ti", 4.95, 47.867, (6.828, 13.576),
        (
            ((21, 222), (35, 6_740), (5, 7_255), (9, 8_550), (21, 11_640), (9, 12_118), (15, 14_000), (27, 15_130),
             (45, 16_100), (35, 16_960), (25, 18_590), (21, 19_450), (15, 19_980)),
            ((28, 210), (28, 1_130), (14, 4_770), (10, 8_700), (18, 8_960), (12, 9_450), (18, 9_930), (10, 12_660),
             (22, 12_720), (18, 15_260), (14, 20_900), (36, 29_840)),
            ((21, 250),),
        ),
        is_alpha=True,
    ),
    Element(
        "V", 3.93, 50.942, (6.746, 14.618),
        (
            ((28, 320), (30, 2_270), (20, 8_560), (12, 9_590), (18, 11_100), (42, 16_700), (42, 18_170), (30, 18_250)),
            ((25, 200), (35, 2_850), (21, 8_840), (9, 11_600), (33, 12_620), (21, 13_560), (15, 13_700), (27, 14_570)),
            ((28, 350),),
        ),
    ),
    Element(
        "Cr", 5.64, 51.996, (6.767, 16.486),
        (
            ((7, 0), (5, 7_593), (25, 8_100), (45, 20_520), (15, 21_845), (21, 23_400), (49, 25_200)),
            ((6, 0), (30, 12_200), (20, 19_800), (36, 20_500), (12, 21_800)),
            ((25, 300),),
        ),
    ),
    Element(
        "Mn", 5.43, 54.938, (7.434, 15.640),
        (
            ((6, 0), (30, 17_280), (24, 18_480), (20, 23_500), (18, 24_800)),
            ((7, 0), (5, 9_473), (25, 14_600), (45, 27_560), (15, 29_900)),
            ((6, 0),),
        ),
    ),
    Element(
        "Fe", 7.50, 55.845, (7.902, 16.199),
        (
            ((25, 403), (35, 7_460), (21, 12_400), (15, 17_700), (9, 19_000), (35, 19_600), (33, 19_600), (21, 20_800),
             (27, 21_900), (49, 22_800), (21, 23_700), (25, 26_100), (35, 27_000)),
            ((30, 416), (28, 2_430), (20, 8_390), (12, 13_700), (18, 15_950), (6, 18_500), (32, 20_600), (44, 21_400),
             (12, 21_800), (28, 22_800), (6, 23_318), (36, 25_600)),
            ((25, 420), (33, 20_300), (21, 21_700)),
        ),
    ),
    Element(
        "Co", 4.99, 58.933, (7.881, 17.084),
        (
            ((28, 780), (28, 4_090), (14, 7_800), (12, 14_000), (12, 15_500), (18, 17_000)),
            ((21, 740), (35, 3_900), (21, 10_200), (15, 18_000)),
            ((28, 800),),
        ),
    ),
    Element(
        "Ni", 6.22, 58.693, (7.640, 18.169),
        (
            ((21, 850), (15, 800), (5, 3_410), (5, 13_521), (9, 15_800), (49, 27_500)),
            ((10, 600), (28, 9_200), (14, 14_300), (12, 23_500)),
            ((21, 1_000),),
        ),
    ),
    Element(
        "Cu", 4.19, 63.546, (7.726, 20.292),
        (((2, 0), (10, 12_000), (6, 30_650)), ((1, 0), (15, 22_400), (5, 26_265)), ((10, 800),)),
    ),
)  # fmt: skip
NAMES = tuple(element.name for element in ELEMENTS)
N_ELEMENTS = len(ELEMENTS)
MASSES = np.array([element.mass for element in ELEMENTS])

ALPHA_PLATEAU = 0.35
"""[alpha/Fe] of stars with [Fe/H] <= -1; from there it falls in proportion to [Fe/H], to 0 at solar metallicity."""
DREDGE_UP_CARBON, DREDGE_UP_NITROGEN = -0.15, 0.30
"""Change of [C/Fe] and [N/Fe] by the first dredge-up (Iben 1967); here it is the same for all giants."""


def default_alpha(fe_h: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return [alpha/Fe] in dex of stars of metallicity `fe_h`: the plateau and knee of the disc."""
    return np.clip(-ALPHA_PLATEAU * fe_h, -0.05, ALPHA_PLATEAU)


@cache
def _solar() -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the logarithms of solar abundances, hydrogen 0, and which elements are alpha elements."""
    logs = np.array([element.log_abundance - 12.0 for element in ELEMENTS])
    return logs, np.array([element.is_alpha for element in ELEMENTS])


def abundances(
    teff: NDArray[np.float64],
    logg: NDArray[np.float64],
    fe_h: NDArray[np.float64],
    alpha_fe: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the number of atoms of each element per hydrogen atom, (n, N_ELEMENTS) float64; arguments are (n,).

    Metals scale with [Fe/H], alpha elements also with [alpha/Fe]. C and N change smoothly as a
    cool star becomes a giant.
    """
    solar, is_alpha = _solar()
    metals = np.arange(N_ELEMENTS) >= 2
    logs = solar + fe_h[:, None] * metals + alpha_fe[:, None] * is_alpha
    mixed = 1.0 / ((1.0 + np.exp((logg - 3.3) / 0.15)) * (1.0 + np.exp(np.clip((teff - 6000.0) / 200.0, -50.0, 50.0))))
    logs[:, NAMES.index("C")] += DREDGE_UP_CARBON * mixed
    logs[:, NAMES.index("N")] += DREDGE_UP_NITROGEN * mixed
    return np.power(10.0, logs)
