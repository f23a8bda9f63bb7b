"""From flux and error to the first activations: noise, floor, log, clip, first conv, ELU, max-pool, in one launch.

One program makes one row of the network: the clean spectrum, or one of its draws. It draws the
noise, selects the percentile among its pixels, writes the processed spectrum to a scratch row,
and convolves it from there. The second input channel of the network, sin(pixel), is constant, so
its share of the conv is a map that is added.

Recipes with one percentile over all draws of a spectrum need every draw first: `joint_limit`
selects it, and the same kernel then takes the limit from memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from apnet_fast.kernels.conv import LEAD
from apnet_fast.kernels.noise import noise_normals

CHANNELS = 4
# Each first activation is stored as a sum of two halves: its rounding would cost more than all others together.
STORED_CHANNELS = 2 * CHANNELS
TAPS = 30
# Zeros before and behind a processed spectrum: the conv's padding.
_SCRATCH_LEAD = TAPS // 2
# Bits above those of infinity: behind every value, so that absent pixels count for no rank.
_ABSENT = tl.constexpr(0x7FFFFFFF)


@dataclass(frozen=True)
class StemConfig:
    """Positions of the conv at once, and warps of a program."""

    block: int
    warps: int


@dataclass(frozen=True)
class JointConfig:
    """Values of the joint percentile at once, and warps of a program."""

    block: int
    warps: int


@dataclass(frozen=True)
class Preprocessing:
    """What a recipe does to a row, as numbers: see `apnet_fast.recipes.Recipe`.

    lower, upper, fraction: rank of the percentile among one row's pixels; joint_lower, ...: among all draws' pixels.
    """

    pixels: int
    floor: float
    clip: float
    joint: bool
    lower: int
    upper: int
    fraction: float
    joint_lower: int
    joint_upper: int
    joint_fraction: float


@triton.jit
def lerp(low, high, fraction):  # type: ignore[no-untyped-def]
    """Linear interpolation as torch.lerp rounds it."""
    below = low + fraction * (high - low)
    above = high - (high - low) * (1.0 - fraction)
    return tl.where(fraction < 0.5, below, above)


@triton.jit
def realisation(flux_ptr, error_ptr, draw, quad, lane: tl.constexpr, z, floor, PIXELS: tl.constexpr):  # type: ignore[no-untyped-def]
    """Bits of max(flux + error * z, floor) at pixels 4 * quad + lane; draw 0 is the clean spectrum."""
    pixel = 4 * quad + lane
    present = pixel < PIXELS
    flux = tl.load(flux_ptr + pixel, mask=present, other=0.0)
    error = tl.load(error_ptr + pixel, mask=present, other=0.0)
    value = tl.maximum(tl.where(draw > 0, flux + error * z, flux), floor)
    return tl.where(present, value.to(tl.int32, bitcast=True), _ABSENT)


@triton.jit
def count_below(b0, b1, b2, b3, bound):  # type: ignore[no-untyped-def]
    """How many values of the four blocks are below a bound."""
    below = (b0 < bound).to(tl.int32) + (b1 < bound).to(tl.int32)
    return tl.sum(below + (b2 < bound).to(tl.int32) + (b3 < bound).to(tl.int32))


@triton.jit
def least_above(b0, b1, b2, b3, bound):  # type: ignore[no-untyped-def]
    """The smallest value of the four blocks above a bound."""
    least = tl.minimum(tl.where(b0 > bound, b0, _ABSENT), tl.where(b1 > bound, b1, _ABSENT))
    least = tl.minimum(least, tl.minimum(tl.where(b2 > bound, b2, _ABSENT), tl.where(b3 > bound, b3, _ABSENT)))
    return tl.min(least)


@triton.jit
def log_percentile(b0, b1, b2, b3, fraction, LOWER: tl.constexpr, UPPER: tl.constexpr):  # type: ignore[no-untyped-def]
    """ln of the interpolated order statistic of four blocks of float bits.

    All values are positive, so their bits are ordered as they are, and log keeps the order: select on bits, bit by
    bit from the top, and take the log of two values.
    """
    low = 0
    for i in range(31):
        trial = low | (1 << (30 - i))
        low = tl.where(count_below(b0, b1, b2, b3, trial) <= LOWER, trial, low)
    high = low
    if UPPER > LOWER:
        ties_reach = count_below(b0, b1, b2, b3, low + 1) > UPPER
        high = tl.where(ties_reach, low, least_above(b0, b1, b2, b3, low))
    return lerp(tl.log(low.to(tl.float32, bitcast=True)), tl.log(high.to(tl.float32, bitcast=True)), fraction)  # type: ignore[attr-defined]


@triton.jit
def store_processed(row_ptr, quad, lane: tl.constexpr, bits, limit, PIXELS: tl.constexpr):  # type: ignore[no-untyped-def]
    """ln, clipped, of one block of values into the scratch row."""
    pixel = 4 * quad + lane
    value = tl.minimum(tl.log(bits.to(tl.float32, bitcast=True)), limit)
    tl.store(row_ptr + pixel, value, mask=pixel < PIXELS)


@triton.jit
def stem_kernel(  # type: ignore[no-untyped-def]
    flux_ptr,  # fp32 [spectra, PITCH], cleaned
    error_ptr,  # fp32 [spectra, PITCH], cleaned
    key_ptr,  # uint64 [spectra]
    limit_ptr,  # fp32 [spectra], the draws' common limit; unused unless JOINT
    weight_ptr,  # fp32 [4, 30], flux channel of the first conv
    map_ptr,  # fp32 [4, PIXELS + 1], bias and position channel
    scratch_ptr,  # fp32 [rows, SCRATCH], zero around the spectrum
    out_ptr,  # fp16, activations of 8 channels: high halves of 4, low halves of 4
    first_row,  # number of the first row within the spectra
    draws,
    floor,
    clip,
    fraction,
    PIXELS: tl.constexpr,
    PITCH: tl.constexpr,
    SCRATCH: tl.constexpr,
    SCRATCH_LEAD: tl.constexpr,
    LENGTH: tl.constexpr,
    SEGMENT: tl.constexpr,
    LEAD: tl.constexpr,
    LOWER: tl.constexpr,
    UPPER: tl.constexpr,
    JOINT: tl.constexpr,
    QUADS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    segment = tl.program_id(0).to(tl.int64)
    row = first_row + tl.program_id(0)
    spectrum = (row // (1 + draws)).to(tl.int64)
    draw = row % (1 + draws)
    key = tl.load(key_ptr + spectrum)
    flux_ptr += spectrum * PITCH
    error_ptr += spectrum * PITCH
    scratch_ptr += segment * SCRATCH

    quad = tl.arange(0, QUADS)
    # Draw d of the recipe is row d + 1: row 0 is clean and meets no noise.
    z0, z1, z2, z3 = noise_normals(key, quad, draw - 1)
    b0 = realisation(flux_ptr, error_ptr, draw, quad, 0, z0, floor, PIXELS)
    b1 = realisation(flux_ptr, error_ptr, draw, quad, 1, z1, floor, PIXELS)
    b2 = realisation(flux_ptr, error_ptr, draw, quad, 2, z2, floor, PIXELS)
    b3 = realisation(flux_ptr, error_ptr, draw, quad, 3, z3, floor, PIXELS)
    limit = log_percentile(b0, b1, b2, b3, fraction, LOWER, UPPER) + clip
    if JOINT:
        limit = tl.where(draw > 0, tl.load(limit_ptr + spectrum), limit)
    row_ptr = scratch_ptr + SCRATCH_LEAD
    store_processed(row_ptr, quad, 0, b0, limit, PIXELS)
    store_processed(row_ptr, quad, 1, b1, limit, PIXELS)
    store_processed(row_ptr, quad, 2, b2, limit, PIXELS)
    store_processed(row_ptr, quad, 3, b3, limit, PIXELS)
    tl.debug_barrier()  # the whole row is written before any of it is read

    # Max-pool takes the larger of conv positions 2i and 2i + 1; both read scratch positions 2i .. 2i + 30.
    WIDTH: tl.constexpr = PIXELS + 1
    for start in range(0, LENGTH, BLOCK):
        i = start + tl.arange(0, BLOCK)  # [B]
        inside = i < LENGTH
        even0 = tl.load(map_ptr + 2 * i, mask=inside, other=0.0)
        even1 = tl.load(map_ptr + WIDTH + 2 * i, mask=inside, other=0.0)
        even2 = tl.load(map_ptr + 2 * WIDTH + 2 * i, mask=inside, other=0.0)
        even3 = tl.load(map_ptr + 3 * WIDTH + 2 * i, mask=inside, other=0.0)
        odd0 = tl.load(map_ptr + 2 * i + 1, mask=inside, other=0.0)
        odd1 = tl.load(map_ptr + WIDTH + 2 * i + 1, mask=inside, other=0.0)
        odd2 = tl.load(map_ptr + 2 * WIDTH + 2 * i + 1, mask=inside, other=0.0)
        odd3 = tl.load(map_ptr + 3 * WIDTH + 2 * i + 1, mask=inside, other=0.0)
        before = tl.load(scratch_ptr + 2 * i, mask=inside, other=0.0)
        for tap in range(30):
            after = tl.load(scratch_ptr + 2 * i + tap + 1, mask=inside, other=0.0)
            w0 = tl.load(weight_ptr + tap)
            w1 = tl.load(weight_ptr + 30 + tap)
            w2 = tl.load(weight_ptr + 60 + tap)
            w3 = tl.load(weight_ptr + 90 + tap)
            even0 += w0 * before
            even1 += w1 * before
            even2 += w2 * before
            even3 += w3 * before
            odd0 += w0 * after
            odd1 += w1 * after
            odd2 += w2 * after
            odd3 += w3 * after
            before = after
        # ELU rises with its argument, so it may follow the max-pool.
        m0, m1 = tl.maximum(even0, odd0), tl.maximum(even1, odd1)
        m2, m3 = tl.maximum(even2, odd2), tl.maximum(even3, odd3)
        # [B, 2, 2] -> [B, 4] with the channels in order 0, 1, 2, 3.
        y = tl.reshape(tl.join(tl.join(m0, m2), tl.join(m1, m3)), (BLOCK, 4))
        y = tl.where(y > 0, y, tl.exp(y) - 1.0)
        position = LEAD + segment * SEGMENT + i
        channel = tl.arange(0, 4)
        out_ptrs = out_ptr + position[:, None] * 8 + channel[None, :]
        high = y.to(tl.float16)
        tl.store(out_ptrs, high, mask=inside[:, None])
        tl.store(out_ptrs + 4, (y - high.to(tl.float32)).to(tl.float16), mask=inside[:, None])


@triton.jit
def joint_limit_kernel(  # type: ignore[no-untyped-def]
    flux_ptr,  # fp32 [spectra, PITCH], cleaned
    error_ptr,  # fp32 [spectra, PITCH], cleaned
    key_ptr,  # uint64 [spectra]
    values_ptr,  # int32 [spectra, draws, 4 * QUADS], scratch
    limit_ptr,  # fp32 [spectra], out
    draws,
    floor,
    clip,
    fraction,
    lower,
    upper,
    PIXELS: tl.constexpr,
    PITCH: tl.constexpr,
    QUADS: tl.constexpr,
    QUAD_BLOCK: tl.constexpr,
    BLOCK: tl.constexpr,
):
    spectrum = tl.program_id(0).to(tl.int64)
    key = tl.load(key_ptr + spectrum)
    flux_ptr += spectrum * PITCH
    error_ptr += spectrum * PITCH
    values_ptr += spectrum * draws * (4 * QUADS)
    for chunk in range(draws * (QUADS // QUAD_BLOCK)):
        draw = chunk // (QUADS // QUAD_BLOCK)
        quad = chunk % (QUADS // QUAD_BLOCK) * QUAD_BLOCK + tl.arange(0, QUAD_BLOCK)
        z0, z1, z2, z3 = noise_normals(key, quad, draw)
        values = values_ptr + draw * (4 * QUADS) + quad
        tl.store(values, realisation(flux_ptr, error_ptr, 1, quad, 0, z0, floor, PIXELS))
        tl.store(values + QUADS, realisation(flux_ptr, error_ptr, 1, quad, 1, z1, floor, PIXELS))
        tl.store(values + 2 * QUADS, realisation(flux_ptr, error_ptr, 1, quad, 2, z2, floor, PIXELS))
        tl.store(values + 3 * QUADS, realisation(flux_ptr, error_ptr, 1, quad, 3, z3, floor, PIXELS))
    tl.debug_barrier()  # all values are written before any is read

    total = draws * (4 * QUADS)
    index = tl.arange(0, BLOCK)
    low = 0
    for i in range(31):
        trial = low | (1 << (30 - i))
        below = tl.zeros((BLOCK,), dtype=tl.int32)
        for start in range(0, total, BLOCK):
            bits = tl.load(values_ptr + start + index, mask=start + index < total, other=_ABSENT)
            below += (bits < trial).to(tl.int32)
        low = tl.where(tl.sum(below) <= lower, trial, low)
    reach = tl.zeros((BLOCK,), dtype=tl.int32)
    least = tl.full((BLOCK,), _ABSENT, dtype=tl.int32)
    for start in range(0, total, BLOCK):
        bits = tl.load(values_ptr + start + index, mask=start + index < total, other=_ABSENT)
        reach += (bits <= low).to(tl.int32)
        least = tl.minimum(least, tl.where(bits > low, bits, _ABSENT))
    high = tl.where(tl.sum(reach) > upper, low, tl.min(least))
    percentile = lerp(tl.log(low.to(tl.float32, bitcast=True)), tl.log(high.to(tl.float32, bitcast=True)), fraction)  # type: ignore[attr-defined]
    tl.store(limit_ptr + spectrum, percentile + clip)


def _quads(pixels: int) -> int:
    return triton.next_power_of_2(triton.cdiv(pixels, 4))


def scratch(rows: int, pixels: int, device: torch.device | str) -> Tensor:
    """Zeroed fp32 (rows, n): processed spectra with the conv's zero padding around them."""
    width = triton.cdiv(_SCRATCH_LEAD + pixels + TAPS, 32) * 32
    return torch.zeros(rows, width, dtype=torch.float32, device=device)


def joint_scratch(spectra: int, draws: int, pixels: int, device: torch.device | str) -> Tensor:
    """int32 (spectra, draws, n): values of all draws, for `joint_limit`."""
    return torch.empty(spectra, draws, 4 * _quads(pixels), dtype=torch.int32, device=device)


def joint_limit(
    flux: Tensor, error: Tensor, keys: Tensor, limits: Tensor, values: Tensor, how: Preprocessing, config: JointConfig
) -> None:
    """The clip limit that all draws of a spectrum share, fp32 (spectra,), into `limits`.

    flux, error: fp32 (spectra, pitch), cleaned; keys: uint64 (spectra,); values: from `joint_scratch`.
    """
    joint_limit_kernel[(len(limits),)](
        flux,
        error,
        keys,
        values,
        limits,
        values.shape[1],
        how.floor,
        how.clip,
        how.joint_fraction,
        how.joint_lower,
        how.joint_upper,
        PIXELS=how.pixels,
        PITCH=flux.shape[1],
        QUADS=_quads(how.pixels),
        QUAD_BLOCK=min(config.block // 4, _quads(how.pixels)),
        BLOCK=config.block,
        num_warps=config.warps,
    )


def stem(
    flux: Tensor,
    error: Tensor,
    keys: Tensor,
    limits: Tensor,
    weight: Tensor,
    bias_map: Tensor,
    rows_scratch: Tensor,
    out: Tensor,
    *,
    first_row: int,
    rows: int,
    draws: int,
    segment: int,
    how: Preprocessing,
    config: StemConfig,
) -> None:
    """First activations of rows first_row .. first_row + rows - 1 (row = spectrum * (1 + draws) + draw; 0 is clean).

    flux, error: fp32 (spectra, pitch), cleaned. keys: uint64 (spectra,). limits: fp32 (spectra,) from `joint_limit`,
    used only if `how.joint`. weight: fp32 (4, 30). bias_map: fp32 (4, pixels + 1). rows_scratch: from `scratch`. out:
    fp16 buffer of `STORED_CHANNELS`, one segment a row.
    """
    length = (how.pixels + 1) // 2
    stem_kernel[(rows,)](
        flux,
        error,
        keys,
        limits,
        weight,
        bias_map,
        rows_scratch,
        out,
        first_row,
        draws,
        how.floor,
        how.clip,
        how.fraction,
        PIXELS=how.pixels,
        PITCH=flux.shape[1],
        SCRATCH=rows_scratch.shape[1],
        SCRATCH_LEAD=_SCRATCH_LEAD,
        LENGTH=length,
        SEGMENT=segment,
        LEAD=LEAD,
        LOWER=how.lower,
        UPPER=how.upper,
        JOINT=how.joint,
        QUADS=_quads(how.pixels),
        BLOCK=config.block,
        num_warps=config.warps,
    )
