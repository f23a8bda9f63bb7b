"""Products of fp16 numbers that keep more than fp16, and weights whose rounding errors cancel."""

from __future__ import annotations

import torch
from torch import Tensor


def diffused(weight: Tensor, dim: int) -> Tensor:
    """Round weights to fp16, each together with the error that the one before it along `dim` left over.

    Rounding to nearest leaves every weight an error of its own, and activations that change little from one position
    to the next (the continuum of a spectrum) add those errors up, always to the same sum. Handing the error on makes
    the sum of the weights right to half a unit, and moves the errors to high frequencies, where activations have
    little.

    weight: any float type and shape; returns fp16 of the same shape. For filters, `dim` is that of the taps.
    """
    rows = weight.double().movedim(dim, 0)
    out = torch.empty(rows.shape, dtype=torch.float16, device=weight.device)
    carried = torch.zeros_like(rows[0])
    for i in range(len(rows)):
        wanted = rows[i] + carried
        out[i] = wanted.half()
        carried = wanted - out[i].double()
    return out.movedim(0, dim)


def split(x: Tensor) -> tuple[Tensor, Tensor]:
    """Write x as a sum of two fp16 tensors, which hold 22 bits together."""
    high = x.half()
    return high, (x - high.to(x.dtype)).half()


def accurate_weight(weight: Tensor) -> Tensor:
    """Return (out, in) weights as the right-hand side of `accurate_product`: fp16 (3 * in, out)."""
    high, low = split(weight)
    return torch.cat([high, high, low], dim=1).t().contiguous()


def accurate_product(x: Tensor, weight: Tensor) -> Tensor:
    """Multiply x (n, in), fp32, by the weights of `accurate_weight` on fp16 tensor cores. Returns fp32 (n, out).

    high * high + low * high + high * low in one product; the term left out is below 2**-21 of these.
    """
    high, low = split(x)
    return product(torch.cat([high, low, high], dim=1), weight)


def product(a: Tensor, b: Tensor) -> Tensor:
    """Multiply fp16 matrices; sums and result are fp32."""
    if a.device.type == "cpu":
        # For the interpreter: a CPU's fp32 product rounds a row by its place in the batch.
        return (a.double() @ b.double()).float()
    return torch.mm(a, b, out_dtype=torch.float32)
