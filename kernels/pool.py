"""Adaptive average pooling over positions, channels last."""

from __future__ import annotations

from dataclasses import dataclass

import triton
import triton.language as tl
from torch import Tensor

from apnet_fast.kernels.activations import Activations


@dataclass(frozen=True)
class PoolConfig:
    """Pooled positions per program, and its warps."""

    block: int
    warps: int


@triton.jit
def pool_kernel(  # type: ignore[no-untyped-def]
    x_ptr,  # fp16, activations: two planes if HALVES
    high_ptr,  # fp16 [rows, POOLED, CHANNELS]
    low_ptr,  # likewise; unused unless HALVES
    CHANNELS: tl.constexpr,
    LENGTH: tl.constexpr,
    SEGMENT: tl.constexpr,
    POOLED: tl.constexpr,
    WINDOW: tl.constexpr,  # the longest window
    LEAD: tl.constexpr,
    HALVES: tl.constexpr,
    PLANE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    j = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)  # [B]
    c = tl.arange(0, CHANNELS)  # [C]
    start = j * LENGTH // POOLED
    stop = ((j + 1) * LENGTH + POOLED - 1) // POOLED
    total = tl.zeros((BLOCK, CHANNELS), dtype=tl.float32)
    for t in tl.static_range(WINDOW):
        position = start + t
        present = ((position < stop) & (j < POOLED))[:, None]
        x_ptrs = x_ptr + (LEAD + row * SEGMENT + position)[:, None] * CHANNELS + c[None, :]
        value = tl.load(x_ptrs, mask=present, other=0.0).to(tl.float32)
        if HALVES:
            value += tl.load(x_ptrs + PLANE, mask=present, other=0.0).to(tl.float32)
        total += value
    mean = total / (stop - start).to(tl.float32)[:, None]
    offsets = (row * POOLED + j)[:, None] * CHANNELS + c[None, :]
    high = mean.to(tl.float16)
    tl.store(high_ptr + offsets, high, mask=(j < POOLED)[:, None])
    if HALVES:
        tl.store(low_ptr + offsets, (mean - high.to(tl.float32)).to(tl.float16), mask=(j < POOLED)[:, None])


def pool(x: Activations, out: Tensor, length: int, pooled: int, config: PoolConfig, low: Tensor | None = None) -> None:
    """Average each segment over the windows [floor(i L / P), ceil((i + 1) L / P)).

    x: C channels; two planes if `low` is given. out: fp16 (segments, P * C), position-major: feature i * C + c; with
    `low` of the same shape, the two sum to the mean. Definition: torch.nn.AdaptiveAvgPool1d.
    """
    longest = max(-(-(i + 1) * length // pooled) - i * length // pooled for i in range(pooled))
    pool_kernel[(x.segments, triton.cdiv(pooled, config.block))](
        x.data,
        out,
        out if low is None else low,
        CHANNELS=x.channels,
        LENGTH=length,
        SEGMENT=x.segment,
        POOLED=pooled,
        WINDOW=longest,
        LEAD=x.lead,
        HALVES=low is not None,
        PLANE=x.plane,
        BLOCK=config.block,
        num_warps=config.warps,
        enable_fp_fusion=True,
    )
