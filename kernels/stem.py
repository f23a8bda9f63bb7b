"""From flux and error to the first activations: noise, floor, log, clip, first conv, ELU, max-pool, in one launch.

One program makes one row of the network: a clean spectrum, or one of its draws. It draws the noise, selects the
percentile among its pixels, writes the processed spectrum to a scratch row, and convolves it from there, all in fp32.
The second input channel of the network, sin(pixel), is constant, so its share of the conv is a map that is added.

Clean spectra go first. A draw is stored as its difference from their first activations.

In recipes with one percentile over all draws of a spectrum, `joint_limit` selects it among all draws, and the draws
take the limit from memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from apnet_fast.kernels.activations import Activations
from apnet_fast.kernels.conv import elu
from apnet_fast.kernels.noise import noise_normals

CHANNELS = 4
TAPS = 30
# Zeros before and behind a processed spectrum: the conv's padding.
SCRATCH_LEAD = TAPS // 2
# Blocks of four pixels that the joint percentile draws at once.
_QUAD_BLOCK = 256
_PITCH_STEP = 32
# Bits above those of infinity: behind every value, so that absent pixels count for no rank.
_ABSENT = tl.constexpr(0x7FFFFFFF)


@dataclass(frozen=True)
class StemConfig:
    """Positions that a program convolves at once, and its warps."""

    block: int
    warps: int


@dataclass(frozen=True)
class JointConfig:
    """Values that a program of the joint percentile takes at once, and its warps."""

    block: int
    warps: int


@dataclass(frozen=True)
class Preprocessing:
    """A recipe's treatment of a row as numbers: see `apnet_fast.recipes.Recipe`.

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
    """Interpolate linearly, with torch.lerp's rounding."""
    below = low + fraction * (high - low)
    above = high - (high - low) * (1.0 - fraction)
    return tl.where(fraction < 0.5, below, above)


@triton.jit
def clean_bits(flux_ptr, quad, lane: tl.constexpr, floor, PIXELS: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return the bits of max(flux, floor) at pixels 4 * quad + lane."""
    pixel = 4 * quad + lane
    present = pixel < PIXELS
    value = tl.maximum(tl.load(flux_ptr + pixel, mask=present, other=0.0), floor)
    return tl.where(present, value.to(tl.int32, bitcast=True), _ABSENT)


@triton.jit
def noisy_bits(flux_ptr, error_ptr, quad, lane: tl.constexpr, z, floor, PIXELS: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return the bits of max(flux + error * z, floor) at pixels 4 * quad + lane."""
    pixel = 4 * quad + lane
    present = pixel < PIXELS
    flux = tl.load(flux_ptr + pixel, mask=present, other=0.0)
    error = tl.load(error_ptr + pixel, mask=present, other=0.0)
    value = tl.maximum(flux + error * z, floor)
    return tl.where(present, value.to(tl.int32, bitcast=True), _ABSENT)


@triton.jit
def count_below(b0, b1, b2, b3, bound):  # type: ignore[no-untyped-def]
    """Count the values of four blocks below a bound."""
    below = (b0 < bound).to(tl.int32) + (b1 < bound).to(tl.int32)
    return tl.sum(below + (b2 < bound).to(tl.int32) + (b3 < bound).to(tl.int32))


@triton.jit
def least_above(b0, b1, b2, b3, bound):  # type: ignore[no-untyped-def]
    """Find the smallest value of four blocks above a bound."""
    least = tl.minimum(tl.where(b0 > bound, b0, _ABSENT), tl.where(b1 > bound, b1, _ABSENT))
    least = tl.minimum(least, tl.minimum(tl.where(b2 > bound, b2, _ABSENT), tl.where(b3 > bound, b3, _ABSENT)))
    return tl.min(least)


@triton.jit
def log_percentile(b0, b1, b2, b3, fraction, LOWER: tl.constexpr, UPPER: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return ln of the interpolated order statistic of four blocks of float bits.

    All values are positive, so their bits have their order, and log keeps it: select on bits, bit by bit from the top,
    and take the log of two values.
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
    """Store ln of one block of values, clipped, in the scratch row."""
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
    clean_ptr,  # fp32 [spectra, LENGTH, 4]: the clean spectra's first activations; out if CLEAN
    out_ptr,  # fp16, activations of 4 channels: two planes if CLEAN, else differences
    draws,  # rows of a spectrum; 1 if CLEAN
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
    PLANE: tl.constexpr,
    LOWER: tl.constexpr,
    UPPER: tl.constexpr,
    CLEAN: tl.constexpr,
    JOINT: tl.constexpr,
    QUADS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0)
    spectrum = (row // draws).to(tl.int64)
    flux_ptr += spectrum * PITCH
    error_ptr += spectrum * PITCH
    scratch_ptr += row.to(tl.int64) * SCRATCH

    quad = tl.arange(0, QUADS)
    if CLEAN:
        b0 = clean_bits(flux_ptr, quad, 0, floor, PIXELS)
        b1 = clean_bits(flux_ptr, quad, 1, floor, PIXELS)
        b2 = clean_bits(flux_ptr, quad, 2, floor, PIXELS)
        b3 = clean_bits(flux_ptr, quad, 3, floor, PIXELS)
    else:
        z0, z1, z2, z3 = noise_normals(tl.load(key_ptr + spectrum), quad, row % draws)
        b0 = noisy_bits(flux_ptr, error_ptr, quad, 0, z0, floor, PIXELS)
        b1 = noisy_bits(flux_ptr, error_ptr, quad, 1, z1, floor, PIXELS)
        b2 = noisy_bits(flux_ptr, error_ptr, quad, 2, z2, floor, PIXELS)
        b3 = noisy_bits(flux_ptr, error_ptr, quad, 3, z3, floor, PIXELS)
    if JOINT:
        limit = tl.load(limit_ptr + spectrum)
    else:
        limit = log_percentile(b0, b1, b2, b3, fraction, LOWER, UPPER) + clip
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
        y = elu(tl.reshape(tl.join(tl.join(m0, m2), tl.join(m1, m3)), (BLOCK, 4)))
        channel = tl.arange(0, 4)
        clean_ptrs = clean_ptr + (spectrum * LENGTH + i)[:, None] * 4 + channel[None, :]
        out_ptrs = out_ptr + (LEAD + row.to(tl.int64) * SEGMENT + i)[:, None] * 4 + channel[None, :]
        if CLEAN:
            tl.store(clean_ptrs, y, mask=inside[:, None])
            high = y.to(tl.float16)
            tl.store(out_ptrs + PLANE, (y - high.to(tl.float32)).to(tl.float16), mask=inside[:, None])
        else:
            high = (y - tl.load(clean_ptrs, mask=inside[:, None], other=0.0)).to(tl.float16)
        tl.store(out_ptrs, high, mask=inside[:, None])


@triton.jit
def select_bits(values_ptr, total, rank, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """Select the value of a rank (0-based) among `total` non-negative int32 values, eight bits at a time from the top.

    Each of four passes counts the next eight bits of the values that begin with the bits found so far.
    """
    index = tl.arange(0, BLOCK)
    found = 0
    for i in tl.static_range(4):
        shift = 24 - 8 * i
        counts = tl.zeros((256,), dtype=tl.int32)
        for start in range(0, total, BLOCK):
            bits = tl.load(values_ptr + start + index, mask=start + index < total, other=_ABSENT)
            digit = (bits >> shift) & 255
            alike = (start + index < total) & ((bits >> shift) - digit == found << 8)
            counts += tl.histogram(digit, 256, mask=alike)
        up_to = tl.cumsum(counts, 0)
        rank_above = up_to <= rank
        found = (found << 8) + tl.sum(rank_above.to(tl.int32))
        rank -= tl.max(tl.where(rank_above, up_to, 0))
    return found


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
        tl.store(values, noisy_bits(flux_ptr, error_ptr, quad, 0, z0, floor, PIXELS))
        tl.store(values + QUADS, noisy_bits(flux_ptr, error_ptr, quad, 1, z1, floor, PIXELS))
        tl.store(values + 2 * QUADS, noisy_bits(flux_ptr, error_ptr, quad, 2, z2, floor, PIXELS))
        tl.store(values + 3 * QUADS, noisy_bits(flux_ptr, error_ptr, quad, 3, z3, floor, PIXELS))
    tl.debug_barrier()  # all values are written before any is read

    total = draws * (4 * QUADS)
    low = select_bits(values_ptr, total, lower, BLOCK)
    index = tl.arange(0, BLOCK)
    reach = tl.zeros((BLOCK,), dtype=tl.int32)
    least = tl.full((BLOCK,), _ABSENT, dtype=tl.int32)
    for start in range(0, total, BLOCK):
        bits = tl.load(values_ptr + start + index, mask=start + index < total, other=_ABSENT)
        reach += (bits <= low).to(tl.int32)
        least = tl.minimum(least, tl.where(bits > low, bits, _ABSENT))
    high = tl.where(tl.sum(reach) > upper, low, tl.min(least))
    percentile = lerp(tl.log(low.to(tl.float32, bitcast=True)), tl.log(high.to(tl.float32, bitcast=True)), fraction)
    tl.store(limit_ptr + spectrum, percentile + clip)


def pitch_of(pixels: int) -> int:
    """Return the length of a spectrum's row on the device: 8576 for apStar spectra."""
    return triton.cdiv(pixels, _PITCH_STEP) * _PITCH_STEP


def length_of(pixels: int) -> int:
    """Return the number of positions after the stem's max-pool: 4288 for apStar spectra."""
    return triton.cdiv(pixels, 2)


def _quads(pixels: int) -> int:
    return triton.next_power_of_2(triton.cdiv(pixels, 4))


def _joint_quads(pixels: int) -> int:
    """Return the blocks of four pixels in whole steps of the joint percentile: few more than there are."""
    return triton.cdiv(triton.cdiv(pixels, 4), _QUAD_BLOCK) * _QUAD_BLOCK


def scratch(rows: int, pixels: int, device: torch.device | str) -> Tensor:
    """Make zeroed fp32 (rows, n): processed spectra with the conv's zero padding around them."""
    return torch.zeros(rows, pitch_of(SCRATCH_LEAD + pixels + TAPS), dtype=torch.float32, device=device)


def joint_scratch(spectra: int, draws: int, pixels: int, device: torch.device | str) -> Tensor:
    """Make int32 (spectra, draws, n): values of all draws, for `joint_limit`."""
    return torch.empty(spectra, draws, 4 * _joint_quads(pixels), dtype=torch.int32, device=device)


def joint_limit(
    flux: Tensor, error: Tensor, keys: Tensor, limits: Tensor, values: Tensor, how: Preprocessing, config: JointConfig
) -> None:
    """Write the clip limit that all draws of a spectrum share into `limits`, fp32 (spectra,).

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
        QUADS=_joint_quads(how.pixels),
        QUAD_BLOCK=_QUAD_BLOCK,
        BLOCK=config.block,
        num_warps=config.warps,
        enable_fp_fusion=True,
    )


@dataclass(frozen=True)
class StemInput:
    """What the stem reads: cleaned flux and error, fp32 (spectra, pitch); keys, uint64 (spectra,); the joint limits
    of `joint_limit`, fp32 (spectra,); the first conv's weight, fp32 (4, 30), and bias map, fp32 (4, pixels + 1).
    """

    flux: Tensor
    error: Tensor
    keys: Tensor
    limits: Tensor
    weight: Tensor
    bias_map: Tensor


def clean_stem(
    given: StemInput, rows_scratch: Tensor, clean: Tensor, out: Activations, how: Preprocessing, config: StemConfig
) -> None:
    """Compute the first activations of the clean spectra.

    rows_scratch: from `scratch`, a row per spectrum. clean: gets them, fp32 (spectra, length, 4). out: gets them in two
    planes.
    """
    _launch(given, rows_scratch, clean, out, how, config, draws=1, is_clean=True)


def draw_stem(
    given: StemInput,
    rows_scratch: Tensor,
    clean: Tensor,
    out: Activations,
    draws: int,
    how: Preprocessing,
    config: StemConfig,
) -> None:
    """Compute the first activations of all draws, `draws` per spectrum, as differences from the clean ones, into `out`.

    clean: from `clean_stem`. rows_scratch: from `scratch`, a row per draw.
    """
    _launch(given, rows_scratch, clean, out, how, config, draws=draws, is_clean=False)


def _launch(
    given: StemInput,
    rows_scratch: Tensor,
    clean: Tensor,
    out: Activations,
    how: Preprocessing,
    config: StemConfig,
    *,
    draws: int,
    is_clean: bool,
) -> None:
    stem_kernel[(out.segments,)](
        given.flux,
        given.error,
        given.keys,
        given.limits,
        given.weight,
        given.bias_map,
        rows_scratch,
        clean,
        out.data,
        draws,
        how.floor,
        how.clip,
        how.fraction,
        PIXELS=how.pixels,
        PITCH=given.flux.shape[1],
        SCRATCH=rows_scratch.shape[1],
        SCRATCH_LEAD=SCRATCH_LEAD,
        LENGTH=clean.shape[1],
        SEGMENT=out.segment,
        LEAD=out.lead,
        PLANE=out.plane,
        LOWER=how.lower,
        UPPER=how.upper,
        CLEAN=is_clean,
        JOINT=how.joint and not is_clean,
        QUADS=_quads(how.pixels),
        BLOCK=config.block,
        num_warps=config.warps,
        enable_fp_fusion=True,
    )
