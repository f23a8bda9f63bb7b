"""Synthesise H-band spectra from labels: a grey LTE atmosphere, its lines, rotation and the instrument."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from apnet_fast.simulate.stars.atmosphere import (
    CONTINUUM_KNOTS,
    N_NODES,
    N_QUANTITIES,
    sample_nodes,
    structure,
)
from apnet_fast.simulate.stars.broadening import FASTEST_KMS, OVERSAMPLING, PAD_PIXELS, STEP_KMS, kernel, to_pixels
from apnet_fast.simulate.stars.elements import abundances, default_alpha
from apnet_fast.simulate.stars.hydrogen import add_brackett
from apnet_fast.simulate.stars.ionisation import ionisation_energies, partition_table
from apnet_fast.simulate.stars.lines import line_table
from apnet_fast.simulate.stars.transfer import add_lines, continuum_flux, emergent_flux, knot_values
from apnet_fast.support.compiled import compiled
from apnet_fast.support.errors import UsageError
from apnet_fast.support.grid import LOG_WAVELENGTH_START, LOG_WAVELENGTH_STEP, PIXELS, pixel_of

TEFF_RANGE = (2500.0, 40_000.0)
LOGG_RANGE = (-0.5, 6.0)
FE_H_RANGE = (-3.0, 1.0)

N_FINE = (PIXELS + 2 * PAD_PIXELS) * OVERSAMPLING
HYDROGEN_STEP = 6
"""Brackett opacity is computed at every 6th point of the fine grid, every two pixels, and interpolated."""


def synthesise(
    teff: ArrayLike,
    logg: ArrayLike,
    fe_h: ArrayLike,
    *,
    alpha_fe: ArrayLike | None = None,
    vsini: ArrayLike = 0.0,
    vmacro: ArrayLike | None = None,
    vmicro: ArrayLike | None = None,
) -> NDArray[np.float32]:
    """Synthesise noiseless rest-frame spectra on the apStar grid.

    Parameters
    ----------
    teff, logg, fe_h: (n,) or scalars: K, log10(cm/s^2), dex.
    alpha_fe: [alpha/Fe] in dex; None: `elements.default_alpha` of [Fe/H].
    vsini, vmacro, vmicro: projected rotation, macro- and microturbulence, km/s; None: by the star's type.

    Returns
    -------
    (n, 8575) float32: flux per wavelength over the continuum at 16,000 Angstrom, so the
    continuum is about 1 and keeps its slope. A spectrum depends on its own labels alone.

    Raises
    ------
    UsageError: a label is not finite or is out of range.
    """
    columns = np.broadcast_arrays(*(np.atleast_1d(np.asarray(a, dtype=np.float64)) for a in (teff, logg, fe_h, vsini)))
    teff, logg, fe_h, vsini = (np.array(column) for column in columns)
    _check("teff", teff, TEFF_RANGE)
    _check("logg", logg, LOGG_RANGE)
    _check("fe_h", fe_h, FE_H_RANGE)
    _check("vsini", vsini, (0.0, FASTEST_KMS))
    shape = teff.shape
    alpha = default_alpha(fe_h) if alpha_fe is None else _like(alpha_fe, shape)
    macro = default_vmacro(logg, fe_h) if vmacro is None else _like(vmacro, shape)
    micro = default_vmicro(teff, logg) if vmicro is None else _like(vmicro, shape)
    abundance = abundances(teff, logg, fe_h, alpha)
    out = np.empty((teff.size, PIXELS), dtype=np.float32)
    room = _Room()
    for star in range(teff.size):
        room.synthesise(teff[star], logg[star], abundance[star], micro[star])
        to_pixels(room.fine, kernel(vsini[star], macro[star]), out[star])
    return out


class _Room:
    """The arrays in which one spectrum after another is made.

    The stages are called one by one. From one compiled function, numba would inline and compile all of them again.
    """

    def __init__(self) -> None:
        self.table, self.place, self.wavelength, self.coarse = _grids()
        self.partition, self.energies = partition_table(), ionisation_energies()
        self.nodes = np.empty((N_NODES, N_QUANTITIES))
        self.populations = np.empty((self.table.masses.size, N_NODES))
        self.source = np.empty((CONTINUUM_KNOTS.size, N_NODES))
        self.ratio = np.empty((CONTINUUM_KNOTS.size, N_NODES))
        self.hydrogen = np.empty((N_NODES, self.coarse.size))
        self.opacity = np.empty((N_NODES, self.wavelength.size), dtype=np.float32)
        self.fine = np.empty(self.wavelength.size, dtype=np.float32)

    def synthesise(self, teff: float, logg: float, abundance: NDArray[np.float64], vmicro: float) -> None:
        """Fill `fine` with the flux on the fine grid before rotation and instrument, over the continuum at 16,000 A."""
        table, nodes, populations = self.table, self.nodes, self.populations
        layers = structure(teff, logg, abundance, self.partition, self.energies)
        sample_nodes(teff, layers, abundance, self.partition, self.energies, nodes, populations)
        self.hydrogen[:] = 0.0
        add_brackett(self.hydrogen, self.coarse, nodes, populations[0], vmicro)
        _interpolate(self.hydrogen, self.opacity)
        add_lines(
            self.opacity, self.place, STEP_KMS, table.wavelength, table.species, table.gf, table.lower,
            table.van_der_waals, table.stark, table.masses, nodes, populations, vmicro,
        )  # fmt: skip
        knot_values(nodes, self.source, self.ratio)
        self.source /= continuum_flux(nodes)
        emergent_flux(self.opacity, self.wavelength, self.source, self.ratio, self.fine)


def default_vmicro(teff: NDArray[np.float64], logg: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return microturbulence in km/s: DR14's relation (Holtzman et al. 2018) within 0.8 to 2, more in A stars."""
    cool = 10.0 ** (0.226 - 0.0228 * logg + 0.0297 * logg**2 - 0.0113 * logg**3)
    return np.clip(cool, 0.8, 2.0) + 1.0 / (1.0 + np.exp(-np.clip((teff - 7000.0) / 500.0, -50.0, 50.0)))


def default_vmacro(logg: NDArray[np.float64], fe_h: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return macroturbulence in km/s: about APOGEE's relation for giants (Holtzman et al. 2015), within 2 to 7."""
    return np.clip(10.0 ** (0.741 - 0.0998 * logg - 0.225 * fe_h), 2.0, 7.0)


def _like(values: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    return np.array(np.broadcast_to(np.asarray(values, dtype=np.float64), shape))


def _check(name: str, values: NDArray[np.float64], limits: tuple[float, float]) -> None:
    bad = ~((values >= limits[0]) & (values <= limits[1]))
    if values.ndim != 1 or bad.any():
        got = values.shape if values.ndim != 1 else values[bad][0]
        raise UsageError(f"{name} cannot be synthesised", got=got, expected=f"1-D, {limits[0]:g} to {limits[1]:g}")


@cache
def _grids():  # type: ignore[no-untyped-def]
    """Return the line table, its lines' places on the fine grid, the fine grid in micron and the coarse in Angstrom."""
    table = line_table()
    place = (pixel_of(table.wavelength) + PAD_PIXELS) * OVERSAMPLING + OVERSAMPLING // 2
    pixels = (np.arange(N_FINE) - OVERSAMPLING // 2) / OVERSAMPLING - PAD_PIXELS
    fine = 10.0 ** (LOG_WAVELENGTH_START + LOG_WAVELENGTH_STEP * pixels)
    coarse_pixels = pixels[0] + np.arange(0, N_FINE + HYDROGEN_STEP, HYDROGEN_STEP) / OVERSAMPLING
    coarse = 10.0 ** (LOG_WAVELENGTH_START + LOG_WAVELENGTH_STEP * coarse_pixels)
    return table, place, (1e-4 * fine).astype(np.float32), coarse


@compiled
def _interpolate(coarse, fine):  # type: ignore[no-untyped-def]
    """Fill `fine` (rows, n) from `coarse`, which has every HYDROGEN_STEP-th point and one more."""
    for row in range(fine.shape[0]):
        for i in range(fine.shape[1]):
            index = i // HYDROGEN_STEP
            part = (i - index * HYDROGEN_STEP) / HYDROGEN_STEP
            fine[row, i] = np.float32((1.0 - part) * coarse[row, index] + part * coarse[row, index + 1])
