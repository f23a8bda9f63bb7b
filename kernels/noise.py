"""The noise of a spectrum inside a Triton kernel: the twin of `apnet_fast.recipes.noise.normals`."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _counter(quad, draw):  # type: ignore[no-untyped-def]
    """Return the 64-bit offset whose low and high words are the counter's first two."""
    high = (tl.zeros_like(quad) + draw).to(tl.int64)
    return quad.to(tl.int64) + (high << 32)


@triton.jit
def noise_bits(key, quad, draw):  # type: ignore[no-untyped-def]
    """Return four blocks of uint32 for pixels 4*quad .. 4*quad+3 of one draw.

    key: uint64 scalar; quad: int32 block of pixel // 4; draw: int32 scalar.
    The counter is (quad, draw, 0, 0).
    """
    return tl.randint4x(key, _counter(quad, draw))


@triton.jit
def sin_cos(angle):  # type: ignore[no-untyped-def]
    """Return sine and cosine of fp32 angles from 0 to 2 pi, to a unit or two in the last place.

    tl.sin and tl.cos may contain code for any angle with an array in local memory. Here quarter turns are subtracted
    in three parts whose products with 0 to 4 are exact; polynomials: S. Moshier, Cephes, sinf.
    """
    turns = (angle * 0.636619772 + 0.5).to(tl.int32)
    number = turns.to(tl.float32)
    x = ((angle - number * 1.5703125) - number * 4.837512969970703125e-4) - number * 7.54978995489188216e-8
    z = x * x
    sine = ((-1.9515295891e-4 * z + 8.3321608736e-3) * z - 1.6666654611e-1) * z * x + x
    cosine = ((2.443315711809948e-5 * z - 1.388731625493765e-3) * z + 4.166664568298827e-2) * z * z - 0.5 * z + 1.0
    odd = (turns & 1) == 1
    first, second = tl.where(odd, cosine, sine), tl.where(odd, sine, cosine)
    return tl.where((turns & 2) == 2, -first, first), tl.where(((turns + 1) & 2) == 2, -second, second)


@triton.jit
def _two_normals(bits1, bits2):  # type: ignore[no-untyped-def]
    """Turn two blocks of bits into two of normals by Box-Muller, as `tl.randn4x` does."""
    uniform = tl.maximum(1.0e-7, tl.uint_to_uniform_float(bits1))
    radius = tl.sqrt(-2.0 * tl.log(uniform))
    sine, cosine = sin_cos(6.283185307179586 * tl.uint_to_uniform_float(bits2))
    return radius * cosine, radius * sine


@triton.jit
def noise_normals(key, quad, draw):  # type: ignore[no-untyped-def]
    """Return four blocks of float32 standard normals from the same bits."""
    b0, b1, b2, b3 = noise_bits(key, quad, draw)
    z0, z1 = _two_normals(b0, b1)
    z2, z3 = _two_normals(b2, b3)
    return z0, z1, z2, z3
