"""A 1-D convolution of 30 taps as one GEMM over an overlapping view, with bias, residual and ELU in the epilogue.

Activations are fp16, channels last: `positions` consecutive rows of C values. Take S consecutive
output positions as one row of a matrix. Output row q needs the contiguous run of
(S + 29) * C input values that starts at position S * q - pad, so

    Y[q, S * C_out] = A[q, (S + 29) * C_in] @ T,    A an overlapping-stride view of the activations,

with T the banded Toeplitz matrix of the filter, built once. The multiplications grow by
(S + 29) / 30, the tiles become wide enough for tensor cores, and every loaded value is used S times.

Row q reads at window position p what row q + 1 reads at p - S. So the loop over K visits positions in steps
of S (modulo the window): each step then reads what the one before it read, shifted by one row,
and A comes from L1. T is stored in that order.

All spectra of a group lie in one buffer, `SEGMENT` positions each. Positions that no spectrum
fills are zero, and the kernel writes them as zero, so they are the zero padding of the next conv.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

import torch
import triton
import triton.language as tl
from torch import Tensor

from apnet_fast.kernels.halves import diffused

# Zero positions before the first segment and behind the last: more than any window reaches.
LEAD = 16
TAIL = 64


@dataclass(frozen=True)
class ConvConfig:
    """Tile of one convolution: S positions a row, block sizes, warps and pipeline stages.

    through_l1: let loads of A pass through L1, where the next step finds them.
    """

    positions: int
    block_m: int
    block_n: int
    block_k: int
    warps: int
    stages: int
    through_l1: bool = True


@dataclass(frozen=True)
class Window:
    """The run of input values that a row needs, in steps of BLOCK_K.

    shift: positions that it starts before the conv's own padding, for 16-byte loads. steps: of the loop over K. stride:
    the i-th step reads chunk (i * stride) % steps of the run.
    """

    shift: int
    steps: int
    stride: int


def window(c_in: int, taps: int, pad: int, config: ConvConfig) -> Window:
    """The window of a convolution under a tile configuration."""
    shift = 0 if (LEAD - pad) * c_in % 8 == 0 else LEAD - pad
    run = (config.positions + taps - 1 + shift) * c_in
    steps = -(-run // config.block_k)
    stride, rest = divmod(config.positions * c_in, config.block_k)
    visits_all = rest == 0 and gcd(stride, steps) == 1
    return Window(shift, steps, stride if visits_all else 1)


@dataclass(frozen=True)
class ToeplitzFilter:
    """A filter as the kernel wants it.

    matrix: fp16 (steps * BLOCK_K, S * C_out), in the order of the steps; bias: fp32 (S * C_out,). pad: positions that
    the window starts before its output. stride: order of the steps, see `Window`.
    """

    matrix: Tensor
    bias: Tensor
    c_in: int
    c_out: int
    pad: int
    stride: int
    config: ConvConfig


def toeplitz_filter(weight: Tensor, bias: Tensor, pad: int, config: ConvConfig) -> ToeplitzFilter:
    """Build T and the tiled bias.

    weight (C_out, C_in, taps) and bias (C_out,), any float type; pad: the conv's left zero padding.
    """
    c_out, c_in, taps = weight.shape
    s = config.positions
    reach = window(c_in, taps, pad, config)
    padded = reach.steps * config.block_k
    matrix = torch.zeros(padded // c_in + 1, c_in, s, c_out, dtype=weight.dtype, device=weight.device)
    rounded = diffused(weight, dim=2).to(weight.dtype).permute(2, 1, 0)
    for j in range(s):
        first = j + reach.shift
        matrix[first : first + taps, :, j] = rounded
    chunks = matrix.reshape(-1, s * c_out)[:padded].reshape(reach.steps, config.block_k, -1)
    order = [i * reach.stride % reach.steps for i in range(reach.steps)]
    return ToeplitzFilter(
        matrix=chunks[order].reshape(padded, -1).half().contiguous(),
        bias=bias.float().repeat(s),
        c_in=c_in,
        c_out=c_out,
        pad=pad + reach.shift,
        stride=reach.stride,
        config=config,
    )


@triton.jit
def elu(x):  # type: ignore[no-untyped-def]
    """ELU with alpha = 1."""
    return tl.where(x > 0, x, tl.exp(x) - 1.0)


@triton.jit
def conv_kernel(  # type: ignore[no-untyped-def]
    x_ptr,  # fp16, input activations
    t_ptr,  # fp16 [STEPS * BLOCK_K, S * C_OUT], in the order of the steps
    bias_ptr,  # fp32 [S * C_OUT]
    residual_ptr,  # fp16, activations of RESIDUAL_C channels; unused if RESIDUAL_C is 0
    y_ptr,  # fp16, output activations
    rows,  # rows of the output matrix: segments * SEGMENT / S
    C_IN: tl.constexpr,
    C_OUT: tl.constexpr,
    RESIDUAL_C: tl.constexpr,
    RESIDUAL_LOW: tl.constexpr,  # the residual is a sum of two halves: RESIDUAL_C high ones, then as many low ones
    S: tl.constexpr,
    PAD: tl.constexpr,
    STEPS: tl.constexpr,
    STRIDE: tl.constexpr,
    LENGTH: tl.constexpr,  # positions of a segment that the output fills
    SEGMENT: tl.constexpr,
    LEAD: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    A_CACHE: tl.constexpr,  # cache modifier of the loads of A
):
    N: tl.constexpr = S * C_OUT
    # Programs that share rows of A run side by side, so that A comes from L2 once.
    tile_m = tl.program_id(0) // (N // BLOCK_N)
    tile_n = tl.program_id(0) % (N // BLOCK_N)
    q = tile_m * BLOCK_M + tl.arange(0, BLOCK_M)  # [BM]
    n = tile_n * BLOCK_N + tl.arange(0, BLOCK_N)  # [BN]
    k = tl.arange(0, BLOCK_K)  # [BK]
    # Rows beyond the last read the last one's window and store nothing.
    q_read = tl.minimum(q, rows - 1).to(tl.int64)

    # Bias and residual go into the accumulator first: added last, they would not fit into the registers beside it.
    acc = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32) + tl.load(bias_ptr + n)[None, :]
    offset = n // C_OUT  # [BN] position within the row
    if RESIDUAL_C > 0:
        # The residual is the block's input, zero-padded in the channel axis, centred.
        channel = n % C_OUT - (C_OUT - RESIDUAL_C) // 2
        has_residual = (channel >= 0) & (channel < RESIDUAL_C)
        position = LEAD + q_read[:, None] * S + offset[None, :]
        PITCH: tl.constexpr = 2 * RESIDUAL_C if RESIDUAL_LOW else RESIDUAL_C
        residual_ptrs = residual_ptr + position * PITCH + channel[None, :]
        acc += tl.load(residual_ptrs, mask=has_residual[None, :], other=0.0).to(tl.float32)
        if RESIDUAL_LOW:
            low = tl.load(residual_ptrs + RESIDUAL_C, mask=has_residual[None, :], other=0.0)
            acc += low.to(tl.float32)

    a_ptrs = x_ptr + (LEAD - PAD) * C_IN + q_read[:, None] * (S * C_IN) + k[None, :]
    b_ptrs = t_ptr + k[:, None] * N + n[None, :]
    for step in range(STEPS):
        a = tl.load(a_ptrs + (step * STRIDE) % STEPS * BLOCK_K, cache_modifier=A_CACHE)  # [BM, BK]
        b = tl.load(b_ptrs)  # [BK, BN]
        acc = tl.dot(a, b, acc)
        b_ptrs += BLOCK_K * N

    inside = ((q * S) % SEGMENT)[:, None] + offset[None, :] < LENGTH
    y = tl.where(inside, elu(acc), 0.0)
    y_ptrs = y_ptr + LEAD * C_OUT + q.to(tl.int64)[:, None] * N + n[None, :]
    tl.store(y_ptrs, y.to(tl.float16), mask=(q < rows)[:, None])


def conv(
    x: Tensor,
    filter: ToeplitzFilter,
    y: Tensor,
    segments: int,
    segment: int,
    length: int,
    residual: Tensor | None = None,
    *,
    split_residual: bool = False,
) -> None:
    """ELU(conv(x) + bias + residual) of `segments` segments of `segment` positions, into y.

    x, y, residual: fp16 buffers from `activations`, of C_in, C_out and C_residual channels. length: positions of a
    segment that the output fills; the others are written as zero. split_residual: the residual's channels are high
    halves and low halves, to be added.
    """
    config = filter.config
    rows = segments * segment // config.positions
    n = config.positions * filter.c_out
    residual_channels = 0 if residual is None else residual.shape[1] // (2 if split_residual else 1)
    grid = (triton.cdiv(rows, config.block_m) * (n // config.block_n),)
    conv_kernel[grid](
        x,
        filter.matrix,
        filter.bias,
        x if residual is None else residual,
        y,
        rows,
        C_IN=filter.c_in,
        C_OUT=filter.c_out,
        RESIDUAL_C=residual_channels,
        RESIDUAL_LOW=split_residual,
        S=config.positions,
        PAD=filter.pad,
        STEPS=filter.matrix.shape[0] // config.block_k,
        STRIDE=filter.stride,
        LENGTH=length,
        SEGMENT=segment,
        LEAD=LEAD,
        BLOCK_M=config.block_m,
        BLOCK_N=config.block_n,
        BLOCK_K=config.block_k,
        A_CACHE=".ca" if config.through_l1 else "",
        num_warps=config.warps,
        num_stages=config.stages,
    )


def activations(segments: int, segment: int, channels: int, device: torch.device | str) -> Tensor:
    """A zeroed fp16 buffer (LEAD + segments * segment + TAIL, channels)."""
    return torch.zeros(LEAD + segments * segment + TAIL, channels, dtype=torch.float16, device=device)


def segments_of(buffer: Tensor, segments: int, segment: int) -> Tensor:
    """The segments of a buffer: view (segments, segment, channels)."""
    return buffer[LEAD : LEAD + segments * segment].view(segments, segment, -1)
