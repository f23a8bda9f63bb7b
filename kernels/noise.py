"""The noise of a spectrum inside a Triton kernel: the twin of `apnet_fast.philox.normals`."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def noise_bits(key, quad, draw):
    """Four blocks of uint32 for pixels 4*quad .. 4*quad+3 of one draw.

    key: uint64 scalar; quad: int32 block of pixel // 4; draw: int32 scalar.
    The counter is (quad, draw, 0, 0): the 64-bit offset that `randn4x` splits into low and high words.
    """
    offset = quad.to(tl.int64) + (draw.to(tl.int64) << 32)
    return tl.randint4x(key, offset)


@triton.jit
def noise_normals(key, quad, draw):
    """Four blocks of float32 standard normals from the same bits."""
    offset = quad.to(tl.int64) + (draw.to(tl.int64) << 32)
    return tl.randn4x(key, offset)
