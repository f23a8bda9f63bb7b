"""A 1-D convolution of 30 taps as one GEMM over an overlapping view: for clean spectra, and for draws.

Take S consecutive output positions as one row of a matrix. Output row q needs the contiguous run of (S + 29) * C_in
input values that starts at position S * q - pad, so

    Y[q, S * C_out] = A[q, (S + 29) * C_in] @ T,    A an overlapping-stride view of the activations,

with T the banded Toeplitz matrix of the filter, built once. The multiplications grow by (S + 29) / 30, the tiles
become wide enough for tensor cores, and every loaded value is used S times.

Row q reads at window position p what row q + 1 reads at p - S. So the loop over K visits positions in steps of S
(modulo the window): each step then reads what the one before it read, shifted by one row, and A comes from L1.

A clean spectrum goes through in halves: activations and weights are sums of two fp16 numbers, and three products
keep 22 bits. Its sums before the ELU, z, are stored in fp32. A draw goes through as its difference d from the clean
spectrum, in fp16:

    dz = W d,    d' = elu(z + dz) - elu(z),

so that rounding errors scale with the scatter of the draws, not with the spectrum.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from apnet_fast.kernels.activations import Activations
from apnet_fast.kernels.carveout import carve_out
from apnet_fast.kernels.toeplitz import CleanConfig, ToeplitzFilter


@triton.jit
def elu(x):  # type: ignore[no-untyped-def]
    """ELU with alpha = 1."""
    return tl.where(x > 0, x, tl.exp(x) - 1.0)


@triton.jit
def elu_difference(z, dz):  # type: ignore[no-untyped-def]
    """elu(z + dz) - elu(z), exact if both are positive."""
    moved = z + dz
    linear = tl.maximum(moved, 0.0) - tl.maximum(z, 0.0)
    # By `where`, since minimum and maximum lose a NaN.
    curved = tl.exp(tl.where(moved > 0, 0.0, moved)) - tl.exp(tl.where(z > 0, 0.0, z))
    return tl.where(tl.minimum(z, moved) > 0, dz, linear + curved)


@triton.jit
def halved(x):  # type: ignore[no-untyped-def]
    """Split a block into its left and right columns, which costs nothing: a thread holds some of both."""
    WIDTH: tl.constexpr = x.shape[1] // 2
    return tl.split(tl.permute(tl.reshape(x, (x.shape[0], 2, WIDTH)), (0, 2, 1)))


@triton.jit
def store_difference(dz, z_ptrs, y_ptrs, start, stored, first_n, C_OUT: tl.constexpr, LENGTH: tl.constexpr):  # type: ignore[no-untyped-def]
    """Store ELU(z + dz) - ELU(z) of some columns; z_ptrs, y_ptrs, start, stored: [rows], see `draw_conv_kernel`."""
    n = first_n + tl.arange(0, dz.shape[1])
    z = tl.load(z_ptrs[:, None] + n[None, :])
    inside = start[:, None] + (n // C_OUT)[None, :] < LENGTH
    y = tl.where(inside, elu_difference(z, dz), 0.0)
    tl.store(y_ptrs[:, None] + n[None, :], y.to(tl.float16), mask=stored[:, None])


@triton.jit
def places(rows, N: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return a program's rows [BM], the rows whose windows it reads [BM], its columns [BN], and its number among them.

    Programs that share rows run side by side, so that A comes from L2 once. Rows beyond the last read the last one's
    window and store nothing.
    """
    tile_m = tl.program_id(0) // (N // BLOCK_N)
    tile_n = tl.program_id(0) % (N // BLOCK_N)
    q = tile_m * BLOCK_M + tl.arange(0, BLOCK_M)
    return q, tl.minimum(q, rows - 1), tile_n * BLOCK_N + tl.arange(0, BLOCK_N), tile_n


@triton.jit
def residual_places(  # type: ignore[no-untyped-def]
    q_read, n, S: tl.constexpr, C_OUT: tl.constexpr, RESIDUAL_C: tl.constexpr, RESIDUAL_LEAD: tl.constexpr
):
    """Return where a block's residual lies, and which of its columns have one.

    The residual is the block's input, zero-padded in the channel axis, centred.
    """
    channel = n % C_OUT - (C_OUT - RESIDUAL_C) // 2
    position = RESIDUAL_LEAD + q_read.to(tl.int64)[:, None] * S + (n // C_OUT)[None, :]
    return position * RESIDUAL_C + channel[None, :], ((channel >= 0) & (channel < RESIDUAL_C))[None, :]


@triton.jit
def clean_conv_kernel(  # type: ignore[no-untyped-def]
    x_ptr,  # fp16, two planes of input activations
    high_ptr,  # fp16 [STEPS * BLOCK_K, S * C_OUT], in the order of the steps
    low_ptr,  # likewise
    bias_ptr,  # fp32 [S * C_OUT]
    residual_ptr,  # fp16, two planes of RESIDUAL_C channels; unused if RESIDUAL_C is 0
    z_ptr,  # fp32 [rows, S * C_OUT], out: sums before the ELU
    y_ptr,  # fp16, two planes of output activations
    rows,  # rows of the output matrix: segments * SEGMENT / S
    C_IN: tl.constexpr,
    C_OUT: tl.constexpr,
    RESIDUAL_C: tl.constexpr,
    S: tl.constexpr,
    STEPS: tl.constexpr,
    STRIDE: tl.constexpr,
    LENGTH: tl.constexpr,  # positions of a segment that the output fills
    SEGMENT: tl.constexpr,
    START: tl.constexpr,  # position in x at which the first window starts
    RESIDUAL_LEAD: tl.constexpr,
    Y_LEAD: tl.constexpr,
    X_PLANE: tl.constexpr,
    RESIDUAL_PLANE: tl.constexpr,
    Y_PLANE: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    N: tl.constexpr = S * C_OUT
    q, q_read, n, _ = places(rows, N, BLOCK_M, BLOCK_N)
    k = tl.arange(0, BLOCK_K)  # [BK]

    a_ptrs = x_ptr + START * C_IN + q_read.to(tl.int64)[:, None] * (S * C_IN) + k[None, :]
    b_offsets = k[:, None] * N + n[None, :]
    acc = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
    for step in range(STEPS):
        place = (step * STRIDE) % STEPS * BLOCK_K
        a_high = tl.load(a_ptrs + place)  # [BM, BK]
        a_low = tl.load(a_ptrs + X_PLANE + place)
        b_high = tl.load(high_ptr + b_offsets)  # [BK, BN]
        b_low = tl.load(low_ptr + b_offsets)
        acc = tl.dot(a_high, b_high, acc)
        acc = tl.dot(a_low, b_high, acc)
        acc = tl.dot(a_high, b_low, acc)
        b_offsets += BLOCK_K * N

    acc += tl.load(bias_ptr + n)[None, :]
    if RESIDUAL_C > 0:
        at, there = residual_places(q_read, n, S, C_OUT, RESIDUAL_C, RESIDUAL_LEAD)
        acc += tl.load(residual_ptr + at, mask=there, other=0.0).to(tl.float32)
        acc += tl.load(residual_ptr + RESIDUAL_PLANE + at, mask=there, other=0.0).to(tl.float32)

    stored = (q < rows)[:, None]
    tl.store(z_ptr + q.to(tl.int64)[:, None] * N + n[None, :], acc, mask=stored)
    inside = ((q * S) % SEGMENT)[:, None] + (n // C_OUT)[None, :] < LENGTH
    y = tl.where(inside, elu(acc), 0.0)
    high = y.to(tl.float16)
    y_ptrs = y_ptr + Y_LEAD * C_OUT + q.to(tl.int64)[:, None] * N + n[None, :]
    tl.store(y_ptrs, high, mask=stored)
    tl.store(y_ptrs + Y_PLANE, (y - high.to(tl.float32)).to(tl.float16), mask=stored)


@triton.jit(do_not_specialize=["first", "draws"])
def draw_conv_kernel(  # type: ignore[no-untyped-def]
    x_ptr,  # fp16, input differences
    t_ptr,  # fp16 [STEPS * BLOCK_K, S * C_OUT], in the order of the steps
    residual_ptr,  # fp16, differences of RESIDUAL_C channels; unused if RESIDUAL_C is 0
    z_ptr,  # fp32 [spectra, SEGMENT, C_OUT]: the clean spectra's sums before the ELU
    y_ptr,  # fp16, output differences
    rows,  # rows of the output matrix: segments * SEGMENT / S
    first,  # number of the first segment's draw, over all spectra
    draws,
    C_IN: tl.constexpr,
    C_OUT: tl.constexpr,
    RESIDUAL_C: tl.constexpr,
    S: tl.constexpr,
    STEPS: tl.constexpr,
    STRIDE: tl.constexpr,
    LENGTH: tl.constexpr,  # positions of a segment that the output fills
    SEGMENT: tl.constexpr,
    START: tl.constexpr,  # position in x at which the first window starts
    RESIDUAL_LEAD: tl.constexpr,
    Y_LEAD: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    A_CACHE: tl.constexpr,  # cache modifier of the loads of A
):
    N: tl.constexpr = S * C_OUT
    q, q_read, n, tile_n = places(rows, N, BLOCK_M, BLOCK_N)
    k = tl.arange(0, BLOCK_K)  # [BK]

    acc = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
    if RESIDUAL_C > 0:
        # The residual goes into the accumulator first: added last, it would not fit into the registers beside it.
        at, there = residual_places(q_read, n, S, C_OUT, RESIDUAL_C, RESIDUAL_LEAD)
        acc += tl.load(residual_ptr + at, mask=there, other=0.0).to(tl.float32)

    a_ptrs = x_ptr + START * C_IN + q_read.to(tl.int64)[:, None] * (S * C_IN) + k[None, :]
    b_ptrs = t_ptr + k[:, None] * N + n[None, :]
    for step in range(STEPS):
        a = tl.load(a_ptrs + (step * STRIDE) % STEPS * BLOCK_K, cache_modifier=A_CACHE)  # [BM, BK]
        b = tl.load(b_ptrs)  # [BK, BN]
        acc = tl.dot(a, b, acc)
        b_ptrs += BLOCK_K * N

    # A quarter of the columns at a time: z of all of them would not fit into the registers beside the accumulator.
    start = (q_read * S) % SEGMENT  # [BM] position of the row within its segment
    spectrum = (first + q_read * S // SEGMENT) // draws
    z_ptrs = z_ptr + spectrum.to(tl.int64) * (SEGMENT * C_OUT) + start * C_OUT  # [BM]
    y_ptrs = y_ptr + Y_LEAD * C_OUT + q.to(tl.int64) * N  # [BM]
    left, right = halved(acc)
    for_left = tile_n * BLOCK_N
    for_right = for_left + BLOCK_N // 2
    part0, part1 = halved(left)
    store_difference(part0, z_ptrs, y_ptrs, start, q < rows, for_left, C_OUT, LENGTH)
    store_difference(part1, z_ptrs, y_ptrs, start, q < rows, for_left + BLOCK_N // 4, C_OUT, LENGTH)
    part2, part3 = halved(right)
    store_difference(part2, z_ptrs, y_ptrs, start, q < rows, for_right, C_OUT, LENGTH)
    store_difference(part3, z_ptrs, y_ptrs, start, q < rows, for_right + BLOCK_N // 4, C_OUT, LENGTH)


def clean_conv(
    x: Activations,
    filter: ToeplitzFilter,
    z: Tensor,
    y: Activations,
    length: int,
    config: CleanConfig,
    residual: Activations | None = None,
) -> None:
    """Convolve clean spectra: z = conv(x) + bias + residual, y = ELU(z).

    x, y, residual: two planes, of C_in, C_out and C_residual channels. z: fp32 (spectra, segment, C_out). length:
    positions of a segment that the output fills; y is zero at the others.
    """
    s, n = filter.config.positions, filter.config.positions * filter.c_out
    rows = x.segments * x.segment // s
    block_n = min(config.block_n, n)
    clean_conv_kernel[(triton.cdiv(rows, config.block_m) * (n // block_n),)](
        x.data,
        filter.high,
        filter.low,
        filter.bias,
        (x if residual is None else residual).data,
        z,
        y.data,
        rows,
        C_IN=filter.c_in,
        C_OUT=filter.c_out,
        RESIDUAL_C=0 if residual is None else residual.channels,
        S=s,
        STEPS=filter.window.steps,
        STRIDE=filter.window.stride,
        LENGTH=length,
        SEGMENT=x.segment,
        START=x.lead - filter.window.pad,
        RESIDUAL_LEAD=0 if residual is None else residual.lead,
        Y_LEAD=y.lead,
        X_PLANE=x.plane,
        RESIDUAL_PLANE=0 if residual is None else residual.plane,
        Y_PLANE=y.plane,
        BLOCK_M=config.block_m,
        BLOCK_N=block_n,
        BLOCK_K=filter.config.block_k,
        num_warps=config.warps,
        num_stages=config.stages,
        enable_fp_fusion=True,
    )


def draw_conv(
    x: Activations,
    filter: ToeplitzFilter,
    z: Tensor,
    y: Activations,
    length: int,
    *,
    first: int,
    draws: int,
    residual: Activations | None = None,
) -> None:
    """Convolve draws: dz = conv(x) + residual, y = ELU(z + dz) - ELU(z).

    x, y, residual: differences from the clean spectra, of C_in, C_out and C_residual channels. z: fp32
    (spectra, segment, C_out) from `clean_conv`. first: number of the first segment's draw over all spectra, which
    have `draws` each. length: positions of a segment that the output fills; y is zero at the others.
    """
    config = filter.config
    rows = x.segments * x.segment // config.positions
    n = config.positions * filter.c_out
    kernel = draw_conv_kernel[(triton.cdiv(rows, config.block_m) * (n // config.block_n),)](
        x.data,
        filter.high,
        (x if residual is None else residual).data,
        z,
        y.data,
        rows,
        first,
        draws,
        C_IN=filter.c_in,
        C_OUT=filter.c_out,
        RESIDUAL_C=0 if residual is None else residual.channels,
        S=config.positions,
        STEPS=filter.window.steps,
        STRIDE=filter.window.stride,
        LENGTH=length,
        SEGMENT=x.segment,
        START=x.lead - filter.window.pad,
        RESIDUAL_LEAD=0 if residual is None else residual.lead,
        Y_LEAD=y.lead,
        BLOCK_M=config.block_m,
        BLOCK_N=config.block_n,
        BLOCK_K=config.block_k,
        A_CACHE=".ca" if config.through_l1 else "",
        num_warps=config.warps,
        num_stages=config.stages,
        enable_fp_fusion=True,
    )
    carve_out(kernel, config.carveout)
