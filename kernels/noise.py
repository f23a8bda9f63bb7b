"""The noise of a spectrum inside a Triton kernel: the twin of `apnet_fast.philox.normals`."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _counter(quad, draw):
    """The 64-bit offset whose low and high words are the counter's first two."""
    high = (tl.zeros_like(quad) + draw).to(tl.int64)
    return quad.to(tl.int64) + (high << 32)


@triton.jit
def noise_bits(key, quad, draw):
    """Four blocks of uint32 for pixels 4*quad .. 4*quad+3 of one draw.

    key: uint64 scalar; quad: int32 block of pixel // 4; draw: int32 scalar.
    The counter is (quad, draw, 0, 0).
    """
    return tl.randint4x(key, _counter(quad, draw))


@triton.jit
def noise_normals(key, quad, draw):
    """Four blocks of float32 standard normals from the same bits."""
    return tl.randn4x(key, _counter(quad, draw))
