"""Adaptive average pooling over positions, channels last."""

from __future__ import annotations

from dataclasses import dataclass

import triton
import triton.language as tl
from torch import Tensor

from apnet_fast.kernels.conv import LEAD


@dataclass(frozen=True)
class PoolConfig:
    """Pooled positions per program, and its warps."""

    block: int
    warps: int


@triton.jit
def pool_kernel(  # type: ignore[no-untyped-def]
    x_ptr,  # fp16, activations
    out_ptr,  # fp16 [rows, POOLED, CHANNELS]
    CHANNELS: tl.constexpr,
    LENGTH: tl.constexpr,
    SEGMENT: tl.constexpr,
    POOLED: tl.constexpr,
    WINDOW: tl.constexpr,  # the longest window
    LEAD: tl.constexpr,
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
        x_ptrs = x_ptr + (LEAD + row * SEGMENT + position)[:, None] * CHANNELS + c[None, :]
        total += tl.load(x_ptrs, mask=((position < stop) & (j < POOLED))[:, None], other=0.0).to(tl.float32)
    mean = total / (stop - start).to(tl.float32)[:, None]
    out_ptrs = out_ptr + (row * POOLED + j)[:, None] * CHANNELS + c[None, :]
    tl.store(out_ptrs, mean.to(tl.float16), mask=(j < POOLED)[:, None])


def pool(x: Tensor, out: Tensor, rows: int, segment: int, length: int, pooled: int, config: PoolConfig) -> None:
    """Average each of `rows` segments over the windows [floor(i L / P), ceil((i + 1) L / P)).

    x: fp16 activations buffer of C channels; out: fp16 (rows, P * C), position-major: feature i * C + c.
    Definition: torch.nn.AdaptiveAvgPool1d.
    """
    channels = x.shape[1]
    longest = max(-(-(i + 1) * length // pooled) - i * length // pooled for i in range(pooled))
    pool_kernel[(rows, triton.cdiv(pooled, config.block))](
        x,
        out,
        CHANNELS=channels,
        LENGTH=length,
        SEGMENT=segment,
        POOLED=pooled,
        WINDOW=longest,
        LEAD=LEAD,
        BLOCK=config.block,
        num_warps=config.warps,
    )
