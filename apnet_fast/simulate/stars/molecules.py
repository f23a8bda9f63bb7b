"""Molecules: their equilibrium with atoms, and their lines in the H band.

Molecular constants are approximate values of Huber & Herzberg (1979) and NIST. They place CO lines
to 1 Angstrom, OH lines to a few, and CN lines to about 10. Band strengths: CO 3-0 from the
integrated intensity 4.7e-22 cm (HITRAN), higher bands scaled as a harmonic oscillator; OH from
the log gf = -5.4 of its 2-0 lines near 1.53 micron (Goldman et al. 1998); CN about 4e-4 per band.
Water and FeH have too many lines to list. Seeded random lines replace them, with the bands' lower
energies and envelope but invented positions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apnet_fast.simulate.stars.elements import NAMES
from apnet_fast.simulate.stars.ionisation import BOLTZMANN_EV, KELVIN_PER_WAVENUMBER
from apnet_fast.support.compiled import compiled

MOLECULES = ("CO", "OH", "CN", "H2O", "FeH")
N_MOLECULES = len(MOLECULES)
MOLECULE_MASSES = np.array([28.0, 17.0, 26.0, 18.0, 56.9])

_H, _C, _N, _O, _FE = 0, NAMES.index("C"), NAMES.index("N"), NAMES.index("O"), NAMES.index("Fe")
BAND_CM = (5882.0, 6623.0)
"""Wavenumbers of the grid's ends, in 1/cm."""

# Dissociation energy (eV), rotational constant, vibrational wavenumber (1/cm), weight of the electronic ground state
# over symmetry number, reduced mass.
_DIATOMIC = np.array(
    [
        [11.09, 1.9313, 2170.0, 1.0, 6.857],
        [4.392, 18.91, 3738.0, 4.0, 0.948],
        [7.72, 1.8997, 2069.0, 2.0, 6.462],
        [4.478, 60.85, 4401.0, 0.5, 0.504],
        [1.63, 6.51, 1827.0, 16.0, 0.990],
        [9.759, 1.9982, 2359.0, 0.5, 7.003],
    ]
)
_CO, _OH, _CN, _H2, _FEH, _N2 = range(6)
_WATER_ATOMISATION = 9.51  # eV
_WATER_ROTATION = 27.88 * 14.51 * 9.28
TRANSLATION = 1.879e20  # (2 pi amu k / h^2)^1.5, per cm^3, K^1.5 and amu^1.5


@compiled
def diatomic_partition(molecule, temperature):  # type: ignore[no-untyped-def]
    """Return the partition function of a rigid rotor and harmonic oscillator."""
    x = KELVIN_PER_WAVENUMBER / temperature
    rotation, vibration, weight = _DIATOMIC[molecule, 1], _DIATOMIC[molecule, 2], _DIATOMIC[molecule, 3]
    return weight / (x * rotation) / (1.0 - math.exp(-x * vibration))


@compiled
def water_partition(temperature):  # type: ignore[no-untyped-def]
    """Return the partition function of H2O without nuclear spins."""
    x = KELVIN_PER_WAVENUMBER / temperature
    rotation = 0.5 * math.sqrt(math.pi / (x**3 * _WATER_ROTATION))
    for mode in (3657.0, 1595.0, 3756.0):
        rotation /= 1.0 - math.exp(-x * mode)
    return rotation


@compiled
def _formation(molecule, temperature, first, second):  # type: ignore[no-untyped-def]
    """Return n(AB) / n(A) n(B) in cm^3; first, second: partition functions of the atoms."""
    translation = TRANSLATION * (temperature * _DIATOMIC[molecule, 4]) ** 1.5
    energy = _DIATOMIC[molecule, 0] / (BOLTZMANN_EV * temperature)
    return diatomic_partition(molecule, temperature) / (first * second * translation) * math.exp(min(energy, 300.0))


@compiled
def h2_constant(temperature):  # type: ignore[no-untyped-def]
    """Return n(H2) / n(H)^2 in cm^3."""
    return _formation(_H2, temperature, 2.0, 2.0)


@compiled
def associate(temperature, atoms, partition, out):  # type: ignore[no-untyped-def]
    """Bind neutral C, N and O; fill `out` (5,) with the densities of `MOLECULES` over their partition functions.

    atoms: (N_ELEMENTS,), neutral atoms and those bound in molecules, per cm^3. C, N and O are lowered in place to
    what stays free; atoms[0] is free H. partition: partition functions of the neutral atoms. CO, OH and H2O share
    the oxygen, N2 and CN the nitrogen. CN and FeH take a negligible part.
    """
    hydrogen = atoms[_H]
    k_co = _formation(_CO, temperature, partition[_C], partition[_O])
    k_oh = _formation(_OH, temperature, partition[_O], 2.0)
    k_cn = _formation(_CN, temperature, partition[_C], partition[_N])
    k_n2 = _formation(_N2, temperature, partition[_N], partition[_N])
    k_feh = _formation(_FEH, temperature, partition[_FE], 2.0)
    water_energy = min(_WATER_ATOMISATION / (BOLTZMANN_EV * temperature), 300.0)
    mass_factor = (16.0 / 18.0) ** 1.5  # of O, H and H against H2O, in amu^1.5
    k_water = (
        water_partition(temperature) / (4.0 * partition[_O] * mass_factor)
        / (TRANSLATION * temperature**1.5) ** 2 * math.exp(water_energy)
    )  # fmt: skip

    carbon, oxygen = atoms[_C], atoms[_O]
    bound = 1.0 + hydrogen * (k_oh + hydrogen * k_water)
    # Free oxygen o solves o bound + c k o = oxygen with c = carbon / (1 + k o): the positive root, exact in every case.
    half = bound + k_co * (carbon - oxygen)
    root = math.sqrt(half * half + 4.0 * bound * k_co * oxygen)
    free_oxygen = 2.0 * oxygen / (half + root) if half > 0.0 else (root - half) / (2.0 * bound * k_co)
    free_carbon = carbon / (1.0 + k_co * free_oxygen)
    free_nitrogen = 2.0 * atoms[_N] / (1.0 + math.sqrt(1.0 + 8.0 * k_n2 * atoms[_N]))
    atoms[_C], atoms[_O], atoms[_N] = free_carbon, free_oxygen, free_nitrogen

    out[0] = k_co * free_carbon * free_oxygen / diatomic_partition(_CO, temperature)
    out[1] = k_oh * free_oxygen * hydrogen / diatomic_partition(_OH, temperature)
    out[2] = k_cn * free_carbon * free_nitrogen / diatomic_partition(_CN, temperature)
    out[3] = k_water * free_oxygen * hydrogen * hydrogen / water_partition(temperature)
    out[4] = k_feh * atoms[_FE] * hydrogen / diatomic_partition(_FEH, temperature)


@dataclass(frozen=True)
class Band:
    """The lines of one molecule: vacuum wavenumbers and lower energies in 1/cm, and gf; each (n,) float64."""

    wavenumber: NDArray[np.float64]
    lower: NDArray[np.float64]
    gf: NDArray[np.float64]

    def within(self) -> Band:
        """Return only the lines on the grid that do not vanish."""
        keep = (self.wavenumber > BAND_CM[0]) & (self.wavenumber < BAND_CM[1]) & (self.gf > 0)
        return Band(self.wavenumber[keep], self.lower[keep], self.gf[keep])


def _join(parts: list[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]]) -> Band:
    return Band(*(np.concatenate(column) for column in zip(*parts, strict=True))).within()


CO_BAND_F = 5.3e-10
"""12CO 3-0's oscillator strength: its integrated intensity over pi e^2 / m c^2."""


def carbon_monoxide() -> Band:
    """Return 12CO's second overtone: bands 3-0 to 10-7, R and P branches to J = 110, heads from 15,582 Angstrom."""
    parts = []
    for v in range(8):
        strength = CO_BAND_F * (v + 1) * (v + 2) * (v + 3) / 6.0
        j = np.arange(111.0)
        lower = _co_energy(v, j)
        parts.append((_co_energy(v + 3, j + 1) - lower, lower, strength * (j + 1)))
        parts.append((_co_energy(v + 3, j[1:] - 1) - lower[1:], lower[1:], strength * j[1:]))
    return _join(parts)


def _co_energy(v: int, j: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the term value above v = 0, J = 0."""
    x, n = v + 0.5, j * (j + 1)
    vibration = 2169.81358 * (x - 0.5) - 13.28831 * (x**2 - 0.25) + 0.010511 * (x**3 - 0.125)
    rotation = (1.93128087 - 0.01750441 * x + 5.487e-7 * x**2) * n
    return vibration + rotation - (6.12147e-6 + 1.153e-9 * x) * n**2 + 5.83e-12 * n**3


OH_BAND_F = 4.3e-7
OH_GAMMA = 0.0046
"""Second-order change of the rotational constant with v, 1/cm; chosen to fit the pairs near 15,280 and 15,559."""


def hydroxyl() -> Band:
    """Return OH's first overtone: P branches of 2-0 to 5-3, both spin components, both Lambda doublets."""
    parts = []
    for v in range(4):
        strength = OH_BAND_F * (v + 1) * (v + 2) / 2.0
        for component in (1, 2):
            j = np.arange(1.5 if component == 1 else 0.5, 35.0)[1:]
            for parity in (-1.0, 1.0):
                lower = _oh_energy(v, j, component, parity)
                upper = _oh_energy(v + 2, j - 1, component, parity)
                parts.append((upper - lower, lower, strength * j))
    return _join(parts)


def _oh_energy(v: int, j: NDArray[np.float64], component: int, parity: float) -> NDArray[np.float64]:
    """Return the Hill & Van Vleck term value above v = 0, with Lambda doubling q N (N + 1) / 2 in the 2Pi states."""
    x = v + 0.5
    vibration = 3737.761 * (x - 0.5) - 84.8813 * (x**2 - 0.25) + 0.5409 * (x**3 - 0.125)
    rotation = _two_pi(18.9108 - 0.7242 * x + OH_GAMMA * x**2, -139.2, 1.938e-3 - 0.4e-4 * x, j, component)
    n = j - 0.5 if component == 1 else j + 0.5
    rotation += 1.43e-7 * (n * (n + 1)) ** 3
    doubling = parity * 0.5 * 0.0387 * n * (n + 1)
    ground = _two_pi(18.9108 - 0.3621, -139.2, 1.913e-3, np.array([1.5]), 1)[0]
    return vibration + rotation + doubling - ground


def _two_pi(b: float, a: float, d: float, j: NDArray[np.float64], component: int) -> NDArray[np.float64]:
    """Return the rotational energy of a 2Pi state between Hund's cases a and b (Herzberg 1950, equation V.28)."""
    y = a / b
    square = (j + 0.5) ** 2
    root = 0.5 * np.sqrt(np.maximum(4.0 * square + y * (y - 4.0), 0.0))
    n = j - 0.5 if component == 1 else j + 0.5
    return b * (square - 1.0 + (-root if component == 1 else root)) - d * (n * (n + 1)) ** 2


CN_BAND_F = (4e-4, 5e-4, 4e-4, 3e-4, 2.5e-4)
"""Oscillator strengths of the bands A-X 0-1, 1-2, 2-3, 3-4 and 4-5."""


def cyanogen() -> Band:
    """Return CN's red system, A 2Pi - X 2Sigma, bands with v' = v'' - 1: branches P, Q and R of both spins."""
    parts = []
    for v_upper, strength in enumerate(CN_BAND_F):
        for component in (1, 2):
            n = np.arange(1.0, 75.0)
            j = n + 0.5 if component == 1 else n - 0.5
            lower = _cn_ground(v_upper + 1, n)
            for change, share in ((-1.0, 0.25), (0.0, 0.5), (1.0, 0.25)):
                keep = j + change >= 1.5
                upper = _cn_excited(v_upper, (j + change)[keep], component)
                parts.append((upper - lower[keep], lower[keep], share * strength * (2 * j[keep] + 1)))
    return _join(parts)


def _cn_ground(v: int, n: NDArray[np.float64]) -> NDArray[np.float64]:
    x, square = v + 0.5, n * (n + 1)
    vibration = 2068.59 * (x - 0.5) - 13.087 * (x**2 - 0.25)
    return vibration + (1.89974 - 0.01736 * x) * square - 6.40e-6 * square**2


def _cn_excited(v: int, j: NDArray[np.float64], component: int) -> NDArray[np.float64]:
    x = v + 0.5
    zero_point = 0.5 * (1812.56 - 2068.59) - 0.25 * (12.609 - 13.087)
    vibration = 9245.28 + zero_point + 1812.56 * (x - 0.5) - 12.609 * (x**2 - 0.25)
    return vibration + _two_pi(1.7151 - 0.01708 * x, -52.64, 5.93e-6, j, component)


WATER_LINES, WATER_SEED, WATER_GF = 3500, 20_130_301, 8.0e-7
IRON_HYDRIDE_LINES, IRON_HYDRIDE_SEED, IRON_HYDRIDE_GF = 500, 15_831, 6.0e-5


def water() -> Band:
    """Return random lines with water's envelope: a minimum near 6,150 1/cm, rising to both ends.

    The strength was chosen by eye: an M dwarf of 3,300 K shows blends of 10 to 40 %, fewer and deeper than real ones.
    """
    rng = np.random.default_rng(WATER_SEED)
    wavenumber = rng.uniform(*BAND_CM, WATER_LINES)
    envelope = 0.7 + 2.3 * np.clip((wavenumber - 6150.0) / 470.0, 0.0, None) ** 1.5
    envelope += 0.8 * np.clip((6150.0 - wavenumber) / 270.0, 0.0, None) ** 1.5
    gf = WATER_GF * envelope * rng.exponential(1.0, WATER_LINES)
    return Band(wavenumber, rng.uniform(2500.0, 9000.0, WATER_LINES), gf)


def iron_hydride() -> Band:
    """Return random lines for FeH's E-A system, from its head at 15,820 Angstrom towards the red."""
    rng = np.random.default_rng(IRON_HYDRIDE_SEED)
    wavenumber = rng.uniform(BAND_CM[0], 6321.0, IRON_HYDRIDE_LINES)
    gf = IRON_HYDRIDE_GF * rng.exponential(1.0, IRON_HYDRIDE_LINES)
    return Band(wavenumber, rng.uniform(500.0, 5000.0, IRON_HYDRIDE_LINES), gf)


def bands() -> tuple[Band, ...]:
    """Return the lines of the molecules, in the order of `MOLECULES`."""
    return carbon_monoxide(), hydroxyl(), cyanogen(), water(), iron_hydride()
