"""A filter of a 1-D convolution as a banded Toeplitz matrix, in the order in which the kernels read it."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

import torch
from torch import Tensor

from apnet_fast.kernels.halves import split


@dataclass(frozen=True)
class ConvConfig:
    """Blocks of one convolution: positions per row (S), block sizes, warps and pipeline stages.

    through_l1: let loads of A pass through L1, where the next step finds them. carveout: percent of the on-chip memory
    that shared memory takes, the rest being L1; 0 leaves it to the driver.
    """

    positions: int
    block_m: int
    block_n: int
    block_k: int
    warps: int
    stages: int
    through_l1: bool = True
    carveout: int = 0


@dataclass(frozen=True)
class CleanConfig:
    """Blocks of the convolutions of clean spectra; positions and steps are those of the draws' `ConvConfig`."""

    block_m: int
    block_n: int
    warps: int
    stages: int


@dataclass(frozen=True)
class Window:
    """The run of input values that a row of outputs needs, in steps of BLOCK_K.

    positions: outputs per row. pad: positions that the run starts before them. width: its length in positions, rounded
    up to whole steps. steps: of the loop over K. stride: the i-th step reads chunk (i * stride) % steps of the run.
    """

    positions: int
    pad: int
    width: int
    steps: int
    stride: int


def window(c_in: int, taps: int, pad: int, config: ConvConfig) -> Window:
    """Return the window of a convolution under a configuration."""
    run = (config.positions + taps - 1) * c_in
    steps = -(-run // config.block_k)
    stride, rest = divmod(config.positions * c_in, config.block_k)
    visits_all = rest == 0 and gcd(stride, steps) == 1
    width = -(-steps * config.block_k // c_in)
    return Window(config.positions, pad, width, steps, stride if visits_all else 1)


@dataclass(frozen=True)
class ToeplitzFilter:
    """A filter as the kernels read it.

    high, low: fp16 (steps * BLOCK_K, S * C_out), in the order of the steps; their sum has 22 bits. bias: fp32
    (S * C_out,).
    """

    high: Tensor
    low: Tensor
    bias: Tensor
    c_in: int
    c_out: int
    window: Window
    config: ConvConfig


def toeplitz_filter(weight: Tensor, bias: Tensor, pad: int, config: ConvConfig) -> ToeplitzFilter:
    """Build the matrix and the tiled bias.

    weight (C_out, C_in, taps) and bias (C_out,), any float type; pad: the conv's left zero padding.
    """
    c_out, c_in, taps = weight.shape
    s = config.positions
    reach = window(c_in, taps, pad, config)
    padded = reach.steps * config.block_k
    matrix = torch.zeros(padded // c_in + 1, c_in, s, c_out, dtype=weight.dtype, device=weight.device)
    for j in range(s):
        matrix[j : j + taps, :, j] = weight.permute(2, 1, 0)
    chunks = matrix.reshape(-1, s * c_out)[:padded].reshape(reach.steps, config.block_k, -1)
    order = [i * reach.stride % reach.steps for i in range(reach.steps)]
    high, low = split(chunks[order].reshape(padded, -1))
    return ToeplitzFilter(
        high=high.contiguous(),
        low=low.contiguous(),
        bias=bias.float().repeat(s),
        c_in=c_in,
        c_out=c_out,
        window=reach,
        config=config,
    )
