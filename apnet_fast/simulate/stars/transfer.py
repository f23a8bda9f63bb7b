"""Compute the emergent flux from the gas at a few depths: line extinction, then the transfer equation.

Line extinction at each node is the sum of profiles alpha exp(-v^2) + beta / (sqrt(pi) (v^2 + q)),
which have the area and the wings of Voigt's function: beta is the damping parameter and alpha =
1 - beta / sqrt(q). So weak lines grow linearly, saturated ones stay flat, and damping wings rise
as the square root. The flux is the integral of the source function, linear between nodes, along
two rays (Gauss quadrature in mu d mu).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from apnet_fast.simulate.stars.atmosphere import (
    ATOMIC_MASS,
    CONTINUUM_KNOTS,
    ELECTRONS,
    EXTINCTION,
    HYDROGEN,
    N_NODES,
    NODE_TAU,
    REFERENCE_WAVELENGTH,
    TEMPERATURE,
)
from apnet_fast.simulate.stars.elements import N_ELEMENTS
from apnet_fast.simulate.stars.ionisation import BOLTZMANN
from apnet_fast.simulate.stars.lines import RADIATIVE_DAMPING
from apnet_fast.simulate.stars.opacity import ALPHA, continuous
from apnet_fast.support.compiled import compiled

PEAK_EXTINCTION = 0.0149736  # sqrt(pi) e^2 / m c, cm^2/s
PROFILE_NODE = 4
"""The node whose temperature sets the Doppler widths: lines of middle strength form there."""
NEGLIGIBLE = 2e-3
"""A line is left out if its peak extinction over the continuum's is below this."""
WING_LIMIT = 3e-4
"""A profile is cut where its extinction over the continuum's falls below this."""
MOLECULAR_WING_LIMIT = 0.01
"""The same for molecular lines, over their peak: in crowded bands other lines hide their damping wings."""
LONGEST_REACH_KMS = 3000.0
SMALLEST_Q = 1.5

RAY_COSINES = np.array([0.3550510, 0.8449490])
RAY_WEIGHTS = 2.0 * np.array([0.1819586, 0.3180414])
WAVELENGTHS_AT_ONCE = 256
DEEPEST = np.float32(30.0)
"""Nothing emerges from this optical depth or below."""


@compiled
def planck(wavelength, temperature):  # type: ignore[no-untyped-def]
    """Return the Planck function per unit wavelength, in arbitrary units; wavelength in micron."""
    return wavelength**-5.0 / math.expm1(ALPHA / (wavelength * temperature))


@compiled
def knot_values(nodes, source, ratio):  # type: ignore[no-untyped-def]
    """Fill source and ratio (knots, N_NODES) with the Planck function and the extinction over the reference's."""
    for knot in range(CONTINUUM_KNOTS.size):
        wavelength = CONTINUUM_KNOTS[knot]
        for node in range(N_NODES):
            temperature = nodes[node, TEMPERATURE]
            source[knot, node] = planck(wavelength, temperature)
            extinction = continuous(wavelength, temperature, nodes[node, HYDROGEN], nodes[node, ELECTRONS])
            ratio[knot, node] = extinction / nodes[node, EXTINCTION]


@compiled
def continuum_flux(nodes):  # type: ignore[no-untyped-def]
    """Return the flux without lines at the reference wavelength, in the units of `planck`."""
    total = 0.0
    for ray in range(2):
        flux = planck(REFERENCE_WAVELENGTH, nodes[0, TEMPERATURE])
        for node in range(N_NODES - 1):
            rise = planck(REFERENCE_WAVELENGTH, nodes[node + 1, TEMPERATURE]) - planck(
                REFERENCE_WAVELENGTH, nodes[node, TEMPERATURE]
            )
            here = math.exp(-NODE_TAU[node] / RAY_COSINES[ray])
            below = math.exp(-NODE_TAU[node + 1] / RAY_COSINES[ray])
            flux += rise * (here - below) / (NODE_TAU[node + 1] - NODE_TAU[node]) * RAY_COSINES[ray]
        total += RAY_WEIGHTS[ray] * flux
    return total


@compiled(fastmath=True)
def add_lines(  # type: ignore[no-untyped-def]
    opacity,
    place,
    step_kms,
    wavelength,
    species,
    gf,
    lower,
    van_der_waals,
    stark,
    masses,
    nodes,
    populations,
    turbulence,
):
    """Add all lines of a table to `opacity`.

    opacity: (N_NODES, n) float32, extinction over the continuum's at the reference wavelength.
    place: fractional index of each line on the grid, whose step is `step_kms`. Then come the columns of
    `lines.LineTable`; nodes and populations from `atmosphere.sample_nodes`; turbulence in km/s.
    """
    n = opacity.shape[1]
    longest = int(LONGEST_REACH_KMS / step_kms)
    core = np.empty(2 * longest + 2, dtype=np.float32)
    wing = np.empty(2 * longest + 2, dtype=np.float32)
    peaks = np.empty(N_NODES)
    dampings = np.empty(N_NODES)
    inverse_temperature = np.empty(N_NODES)
    collisions = np.empty(N_NODES)
    largest = np.empty(masses.size)
    widths = np.empty(masses.size)
    for node in range(N_NODES):
        temperature = nodes[node, TEMPERATURE]
        inverse_temperature[node] = 1.0 / temperature
        collisions[node] = nodes[node, HYDROGEN] * (temperature * 1e-4) ** 0.3
    for kind in range(masses.size):
        largest[kind] = 0.0
        for node in range(N_NODES):
            largest[kind] = max(largest[kind], populations[kind, node])
        thermal = 2e-10 * BOLTZMANN * nodes[PROFILE_NODE, TEMPERATURE] / (ATOMIC_MASS * masses[kind])
        widths[kind] = math.sqrt(thermal + turbulence * turbulence)

    for line in range(gf.size):
        kind = species[line]
        width = widths[kind]
        scale = PEAK_EXTINCTION * gf[line] * wavelength[line] * 1e-13 / width
        if scale * largest[kind] < NEGLIGIBLE:
            continue
        strongest = 0.0
        photon = 1.438777e8 / wavelength[line]
        for node in range(N_NODES):
            t = inverse_temperature[node]
            peaks[node] = scale * populations[kind, node] * math.exp(-lower[line] * t) * (1.0 - math.exp(-photon * t))
            strongest = max(strongest, peaks[node])
        if strongest < NEGLIGIBLE:
            continue
        to_damping = wavelength[line] * 1e-13 / (4.0 * math.pi * width)
        strongest_wing = 0.0
        for node in range(N_NODES):
            rate = RADIATIVE_DAMPING + van_der_waals[line] * collisions[node] + stark[line] * nodes[node, ELECTRONS]
            dampings[node] = rate * to_damping
            strongest_wing = max(strongest_wing, dampings[node] * peaks[node])
        q = SMALLEST_Q + dampings[PROFILE_NODE]
        wing_limit = WING_LIMIT if kind < 2 * N_ELEMENTS else max(WING_LIMIT, MOLECULAR_WING_LIMIT * strongest)
        reach_v = max(math.sqrt(math.log(strongest / WING_LIMIT)), math.sqrt(0.5642 * strongest_wing / wing_limit))
        v_step = step_kms / width
        reach = min(reach_v / v_step, longest)
        first = max(int(place[line] - reach), 0)
        last = min(int(place[line] + reach) + 1, n)
        if last <= first:
            continue
        offset = first - place[line]
        for i in range(last - first):
            v = (offset + i) * v_step
            square = np.float32(v * v)
            wing[i] = np.float32(0.5641896) / (square + np.float32(q))
            # exp(-v^2) as the 16th power of a series: it vectorises, and is exact where it matters.
            y = square * np.float32(0.0625)
            series = 1.0 + y * (
                1.0 + y * (np.float32(0.5) + y * (np.float32(0.16666667) + y * np.float32(0.041666668)))
            )
            series *= series
            series *= series
            series *= series
            core[i] = np.float32(1.0) / (series * series)
        for node in range(N_NODES):
            damping = min(dampings[node], math.sqrt(q))
            alpha = np.float32(peaks[node] * (1.0 - damping / math.sqrt(q)))
            beta = np.float32(peaks[node] * damping)
            row = opacity[node]
            for i in range(last - first):
                row[first + i] += alpha * core[i] + beta * wing[i]


@njit(inline="always")
def _exponential(x):  # type: ignore[no-untyped-def]
    """Return exp(-x) of a float32 x >= 0, as the 16th power of a series: within 1e-3, smooth and positive."""
    y = x * np.float32(0.0625)
    series = np.float32(1.0) + y * (
        np.float32(1.0) + y * (np.float32(0.5) + y * (np.float32(0.16666667) + y * np.float32(0.041666668)))
    )
    square = series * series
    fourth = square * square
    eighth = fourth * fourth
    return np.float32(1.0) / (eighth * eighth)


@compiled(fastmath=True)
def _go_deeper(  # type: ignore[no-untyped-def]
    thickness, ratio, ratio_slope, rise, rise_slope, part, opacity, extinction, depth, steep, slant, flux
):
    """Go one step between nodes for a block of wavelengths, all float32; arrays from `extinction` on change in place.

    steep, slant: the transmission of the two rays down to the upper node.
    """
    steep_cosine, slant_cosine = np.float32(RAY_COSINES[1]), np.float32(RAY_COSINES[0])
    steep_weight = np.float32(RAY_WEIGHTS[1] * RAY_COSINES[1])
    slant_weight = np.float32(RAY_WEIGHTS[0] * RAY_COSINES[0])
    one = np.float32(1.0)
    for i in range(part.size):
        below = ratio + ratio_slope * part[i] + opacity[i]
        step = thickness * (extinction[i] + below)
        extinction[i] = below
        # Nothing emerges from beyond this depth; the limit keeps the power of 16 finite.
        reached = min(depth[i] + step, DEEPEST)
        depth[i] = reached
        steep_left = _exponential(reached * (one / steep_cosine))
        slant_left = _exponential(reached * (one / slant_cosine))
        gained = steep_weight * (steep[i] - steep_left) + slant_weight * (slant[i] - slant_left)
        flux[i] += (rise + rise_slope * part[i]) * gained / step
        steep[i] = steep_left
        slant[i] = slant_left


@compiled
def emergent_flux(opacity, wavelength, source, ratio, out):  # type: ignore[no-untyped-def]
    """Fill `out` (n,) float32 with the flux that leaves the star, in the units of `planck`.

    opacity: (N_NODES, n) float32 from `add_lines`. wavelength: (n,) float32 in micron. source, ratio: from
    `knot_values`.
    """
    n = out.size
    depth = np.empty(WAVELENGTHS_AT_ONCE, dtype=np.float32)
    extinction = np.empty(WAVELENGTHS_AT_ONCE, dtype=np.float32)
    part = np.empty(WAVELENGTHS_AT_ONCE, dtype=np.float32)
    steep = np.empty(WAVELENGTHS_AT_ONCE, dtype=np.float32)
    slant = np.empty(WAVELENGTHS_AT_ONCE, dtype=np.float32)
    thickness = (0.5 * np.diff(NODE_TAU)).astype(np.float32)
    above = source[:, :-1]
    rises = (source[:, 1:] - above).astype(np.float32)
    ratios = ratio.astype(np.float32)
    knot = 0
    begin = 0
    while begin < n:
        while knot < CONTINUUM_KNOTS.size - 2 and wavelength[begin] >= CONTINUUM_KNOTS[knot + 1]:
            knot += 1
        end = min(begin + WAVELENGTHS_AT_ONCE, n)
        while knot < CONTINUUM_KNOTS.size - 2 and wavelength[end - 1] >= CONTINUUM_KNOTS[knot + 1]:
            end -= 1
        size = end - begin
        span = CONTINUUM_KNOTS[knot + 1] - CONTINUUM_KNOTS[knot]
        low, high = ratios[knot], ratios[knot + 1]
        for i in range(size):
            part[i] = np.float32((wavelength[begin + i] - CONTINUUM_KNOTS[knot]) / span)
            out[begin + i] = np.float32(source[knot, 0] + (source[knot + 1, 0] - source[knot, 0]) * part[i])
            extinction[i] = low[0] + (high[0] - low[0]) * part[i] + opacity[0, begin + i]
            depth[i] = min(np.float32(NODE_TAU[0]) * extinction[i], DEEPEST)
            steep[i] = _exponential(depth[i] * np.float32(1.0 / RAY_COSINES[1]))
            slant[i] = _exponential(depth[i] * np.float32(1.0 / RAY_COSINES[0]))
        for node in range(1, N_NODES):
            rise = rises[knot, node - 1]
            _go_deeper(
                thickness[node - 1], low[node], high[node] - low[node], rise, rises[knot + 1, node - 1] - rise,
                part[:size], opacity[node, begin:end], extinction, depth, steep, slant, out[begin:end],
            )  # fmt: skip
        begin = end
