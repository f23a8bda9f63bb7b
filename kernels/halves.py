"""Linear layers over clean spectra and their draws, on fp16 tensor cores.

Clean rows are sums of two halves, and three products keep 22 bits. Draws are differences from their clean row. Both
share one product: a stack of rows holds first the differences of all draws, spectrum by spectrum, then the high halves
of the clean rows, then the low ones.

What rounding does to the weights moves all draws of a spectrum the same way, by its product with their mean. If
the draws lie many times their scatter from the clean row, that would move their median: so the mean, one more row,
meets the low halves of the weights too.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


def split(x: Tensor) -> tuple[Tensor, Tensor]:
    """Write x as a sum of two fp16 tensors, which hold 22 bits together."""
    high = x.half()
    return high, (x - high.to(x.dtype)).half()


def product(a: Tensor, b: Tensor) -> Tensor:
    """Multiply fp16 matrices; sums and result are fp32."""
    if a.device.type == "cpu":
        # For the interpreter: a CPU's fp32 product rounds a row by its place in the batch.
        return (a.double() @ b.double()).float()
    return torch.mm(a, b, out_dtype=torch.float32)


@dataclass(frozen=True)
class LinearLayer:
    """high, low: fp16 (in, out), whose sum is the weight; bias: fp32 (out,)."""

    high: Tensor
    low: Tensor
    bias: Tensor


def linear_layer(weight: Tensor, bias: Tensor) -> LinearLayer:
    """Prepare the layer of a weight (out, in)."""
    high, low = split(weight.t().contiguous())
    return LinearLayer(high, low, bias.float())


def clean_halves(stack: Tensor, spectra: int) -> tuple[Tensor, Tensor]:
    """View the high and the low halves of the clean rows of a stack."""
    return stack[-2 * spectra : -spectra], stack[-spectra:]


def linear(stack: Tensor, layer: LinearLayer, spectra: int) -> tuple[Tensor, Tensor]:
    """Return z, fp32 (spectra, out), of the clean rows, and dz, fp32 (spectra, draws, out), of the draws.

    stack: fp16 (spectra * draws + 2 * spectra, in). high * high + low * high + high * low make z; the term left out is
    below 2**-21 of these.
    """
    draws = len(stack) // spectra - 2
    high, _ = clean_halves(stack, spectra)
    means = stack[: -2 * spectra].view(spectra, draws, stack.shape[1]).mean(dim=1)
    sums, rest = product(stack, layer.high), product(torch.cat([high, means]), layer.low)
    sum_high, sum_low = clean_halves(sums, spectra)
    z = sum_high + sum_low + rest[:spectra] + layer.bias
    dz = sums[: -2 * spectra].view(spectra, draws, sums.shape[1])
    return z, dz + rest[spectra:, None]


def relu_stack(z: Tensor, dz: Tensor) -> Tensor:
    """Return the stack for the next layer: relu(z) in halves, and relu(z + dz) - relu(z)."""
    clean = z.relu()
    differences = (z[:, None] + dz).relu_() - clean[:, None]
    return torch.cat([differences.half().flatten(0, 1), *split(clean)])
