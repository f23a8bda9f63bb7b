"""Draw counter-based noise: the same spectrum always gets the same noise.

The generator is Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"; reference
implementation Random123). Its key is a 64-bit hash of (run seed, identity of the spectrum), its counter is
(pixel // 4, draw, 0, 0), and each call gives four normals. Bits, the map to uniforms and the Box-Muller transform are
those of Triton's `randn4x`. So every engine, on a CPU or a GPU, draws from the same bits, whatever the batch size,
order or number of workers.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable

import numpy as np
from numba import njit
from numpy.typing import NDArray

from apnet_fast.support.compiled import compiled

_MULTIPLIER_0 = np.uint64(0xD2511F53)
_MULTIPLIER_1 = np.uint64(0xCD9E8D57)
_WEYL_0 = np.uint32(0x9E3779B9)
_WEYL_1 = np.uint32(0xBB67AE85)
_LOW_32_BITS = np.uint64(0xFFFFFFFF)

# Triton's constant: the largest float32 for which INT32_MAX * scale stays below 1.
_INT31_TO_UNIT = np.float32(4.6566127342e-10)
_SMALLEST_UNIFORM = np.float32(1.0e-7)
_TWO_PI = np.float32(6.283185307179586)


def noise_keys(seed: int, ids: Iterable[str]) -> NDArray[np.uint64]:
    """Return the Philox keys of spectra, from the run's seed and each spectrum's identity.

    Parameters
    ----------
    seed: any integer; it is part of what is hashed, so runs with different seeds are independent.
    ids: one string per spectrum, unique to it and free of folders, batch positions or row numbers.

    Returns
    -------
    uint64 (n,): BLAKE2b-64 of "seed <unit separator> id", read as little-endian.
    """
    digests = (hashlib.blake2b(f"{int(seed)}\x1f{identity}".encode(), digest_size=8).digest() for identity in ids)
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


@njit(inline="always")
def _round(c0, c1, c2, c3, k0, k1):  # type: ignore[no-untyped-def]
    product0 = _MULTIPLIER_0 * np.uint64(c0)
    product1 = _MULTIPLIER_1 * np.uint64(c2)
    high0 = np.uint32(product0 >> np.uint64(32))
    high1 = np.uint32(product1 >> np.uint64(32))
    return (
        np.uint32(high1 ^ c1 ^ k0),
        np.uint32(product1 & _LOW_32_BITS),
        np.uint32(high0 ^ c3 ^ k1),
        np.uint32(product0 & _LOW_32_BITS),
    )


@compiled
def philox4x32(c0, c1, c2, c3, k0, k1):  # type: ignore[no-untyped-def]
    """Run ten rounds of Philox4x32: uint32 counter words c0..c3 and key words k0, k1 give four uint32."""
    for _ in range(10):
        c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
        k0 = np.uint32(k0 + _WEYL_0)
        k1 = np.uint32(k1 + _WEYL_1)
    return c0, c1, c2, c3


@compiled
def unit_float(bits):  # type: ignore[no-untyped-def]
    """Map a uint32 to float32 in [0, 1), as Triton's `uint_to_uniform_float` does."""
    signed = np.int32(bits)
    if signed < 0:
        signed = np.int32(~signed)
    return np.float32(np.float32(signed) * _INT31_TO_UNIT)


@compiled
def box_muller(u1, u2):  # type: ignore[no-untyped-def]
    """Map two uniforms (float32) to two standard normals (float32), as Triton's `pair_uniform_to_normal` does."""
    u1 = max(_SMALLEST_UNIFORM, u1)
    angle = np.float32(_TWO_PI * u2)
    radius = np.float32(math.sqrt(np.float32(np.float32(-2.0) * np.float32(math.log(u1)))))
    return (
        np.float32(radius * np.float32(math.cos(angle))),
        np.float32(radius * np.float32(math.sin(angle))),
    )


@compiled
def normals_of_draw(key, draw, out):  # type: ignore[no-untyped-def]
    """Fill `out` (float32, one value per pixel) with the normals of one draw of one spectrum."""
    k0 = np.uint32(key & _LOW_32_BITS)
    k1 = np.uint32(key >> np.uint64(32))
    zero = np.uint32(0)
    pixels = out.shape[0]
    for quad in range((pixels + 3) // 4):
        b0, b1, b2, b3 = philox4x32(np.uint32(quad), np.uint32(draw), zero, zero, k0, k1)
        z0, z1 = box_muller(unit_float(b0), unit_float(b1))
        z2, z3 = box_muller(unit_float(b2), unit_float(b3))
        first = 4 * quad
        out[first] = z0
        if first + 1 < pixels:
            out[first + 1] = z1
        if first + 2 < pixels:
            out[first + 2] = z2
        if first + 3 < pixels:
            out[first + 3] = z3


@compiled
def _fill_normals(keys, out):  # type: ignore[no-untyped-def]
    # Stay on one thread: engines run spectra in parallel, and numba's threads would change torch's number of threads.
    for spectrum in range(out.shape[0]):
        for draw in range(out.shape[1]):
            normals_of_draw(keys[spectrum], draw, out[spectrum, draw])


def normals(keys: NDArray[np.uint64], draws: int, pixels: int) -> NDArray[np.float32]:
    """Return standard normals for every draw and pixel of some spectra.

    Parameters
    ----------
    keys: uint64 (n,), from `noise_keys`.
    draws, pixels: number of noise realisations, and of pixels (8575 for apStar).

    Returns
    -------
    float32 (n, draws, pixels). Entry [i, d, p] depends on keys[i], d and p alone.
    """
    out = np.empty((len(keys), draws, pixels), dtype=np.float32)
    _fill_normals(np.ascontiguousarray(keys, dtype=np.uint64), out)
    return out
