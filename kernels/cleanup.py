"""A recipe's error clean-up on the device, one program per spectrum."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

_INFINITY_BITS = tl.constexpr(0x7F800000)


@triton.jit
def select(bits, rank):  # type: ignore[no-untyped-def]
    """Select the value of a rank (0-based scalar) among non-negative int32 values, bit by bit from the top."""
    value = 0
    for i in range(31):
        trial = value | (1 << (30 - i))
        value = tl.where(tl.sum((bits < trial).to(tl.int32)) <= rank, trial, value)
    return value


@triton.jit
def cap_errors_kernel(  # type: ignore[no-untyped-def]
    flux_ptr,  # fp32 [spectra, PITCH], as read; NaN becomes 0
    error_ptr,  # fp32 [spectra, PITCH], as read; capped at five medians
    PIXELS: tl.constexpr,
    PITCH: tl.constexpr,
    BLOCK: tl.constexpr,
):
    spectrum = tl.program_id(0).to(tl.int64)
    pixel = tl.arange(0, BLOCK)
    present = pixel < PIXELS
    flux = tl.load(flux_ptr + spectrum * PITCH + pixel, mask=present, other=0.0)
    flux = tl.where(flux != flux, 0.0, flux)
    tl.store(flux_ptr + spectrum * PITCH + pixel, flux, mask=present)

    # NaN and infinity have the largest bits, zero the smallest.
    bits = tl.abs(tl.load(error_ptr + spectrum * PITCH + pixel, mask=present, other=0.0)).to(tl.int32, bitcast=True)
    known = present & (bits > 0) & (bits < _INFINITY_BITS)
    number = tl.sum(known.to(tl.int32))
    bits = tl.where(known, bits, _INFINITY_BITS)
    low = select(bits, tl.maximum(number - 1, 0) // 2).to(tl.float32, bitcast=True)
    high = select(bits, number // 2).to(tl.float32, bitcast=True)
    # In float64, as numpy's median of float64 errors.
    limit = 5.0 * ((low.to(tl.float64) + high.to(tl.float64)) * 0.5)
    # Unknown errors are infinite by now, so only the bits have to stay in registers.
    error = bits.to(tl.float32, bitcast=True)
    capped = tl.where(error.to(tl.float64) < limit, error, limit.to(tl.float32))
    if number == 0:
        # With no error known, all become 0.1 x the median flux. To sort floats of either sign by their bits, flip the
        # magnitude of negative ones, then shift all to be non-negative. The flux is loaded again: keeping it in
        # registers through the selection above would spill.
        flux = tl.load(flux_ptr + spectrum * PITCH + pixel, mask=present, other=0.0)
        flux = tl.where(flux != flux, 0.0, flux)
        signed = flux.to(tl.int32, bitcast=True)
        order = tl.where(signed < 0, signed ^ 0x7FFFFFFF, signed)
        top = tl.where(order >= 0, 1, 0)
        negatives = tl.sum(((top == 0) & present).to(tl.int32))
        middle: tl.constexpr = (PIXELS - 1) // 2
        in_half = present & (top == (negatives <= middle).to(tl.int32))
        rank = tl.where(negatives <= middle, middle - negatives, middle)
        picked = select(tl.where(in_half, order & 0x7FFFFFFF, 0x7FFFFFFF), rank)
        picked = tl.where(negatives <= middle, picked, (picked | -2147483648) ^ 0x7FFFFFFF)
        fallback = 0.1 * picked.to(tl.float32, bitcast=True).to(tl.float64)
        capped = tl.zeros_like(capped) + tl.minimum(fallback, 5.0 * fallback).to(tl.float32)
    tl.store(error_ptr + spectrum * PITCH + pixel, capped, mask=present)


def cap_errors(flux: Tensor, error: Tensor, pixels: int) -> None:
    """Set NaN flux to 0, cap errors at 5 x their median, and set missing ones to that, in place.

    flux, error: fp32 (spectra, pitch). pixels is odd, as apStar's 8575 are. Definition: `Recipe.clean_up` of the
    recipes with missing_errors "median".
    """
    cap_errors_kernel[(len(flux),)](
        flux,
        error,
        PIXELS=pixels,
        PITCH=flux.shape[1],
        BLOCK=triton.next_power_of_2(pixels),
        num_warps=16,
        enable_fp_fusion=True,
    )


def zero_missing(flux: Tensor, error: Tensor, pixels: int) -> None:
    """Set NaN and infinities of flux and error to 0, in place.

    Arguments as in `cap_errors`. Definition: `Recipe.clean_up` of the recipes with missing_errors "zero".
    """
    torch.nan_to_num_(flux, nan=0.0, posinf=0.0, neginf=0.0)
    torch.nan_to_num_(error, nan=0.0, posinf=0.0, neginf=0.0)
