"""Turn a spectrum into first activations: noise, floor, percentile, log, clip, first conv, ELU, max-pool.

Percentiles come from selection on the bits of the floored flux, which sort like the values because all are positive.
The logarithm is monotone, so only two order statistics need it; the percentile is interpolated between them.
"""

from __future__ import annotations

import math

import numpy as np
from llvmlite import ir

from apnet_fast.engines.cpu.vectors import Kernel, Memory, Vector, kernel
from apnet_fast.recipes.noise import normals_of_draw
from apnet_fast.support.compiled import compiled

# Zeros before and behind a row's processed flux: more than half a filter, and a vector beyond the end.
FLUX_MARGIN = 64
CHANNEL_GROUP = 4
"""Channels that the first conv computes together."""
LANES = 16
_DIGIT_BITS = 11
DIGITS = 1 << _DIGIT_BITS
_SHIFTS = (22, 11, 0)


@compiled
def _order_statistic(bits, rank, counts):  # type: ignore[no-untyped-def]
    """Return the value of a rank (0 is the smallest) among non-negative int32; counts: int64 scratch (2048,)."""
    prefix = np.int32(0)
    below_digit = 31
    for shift in _SHIFTS:
        counts[:] = 0
        for value in bits:
            if (value >> below_digit) == (prefix >> below_digit):
                counts[(value >> shift) & (DIGITS - 1)] += 1
        digit = 0
        while rank >= counts[digit]:
            rank -= counts[digit]
            digit += 1
        prefix |= np.int32(digit << shift)
        below_digit = shift
    return prefix


@compiled
def _next_larger(bits, value, rank):  # type: ignore[no-untyped-def]
    """Return the value of the rank after that of `value`, which has `rank`; it is `value` itself if there are ties."""
    not_larger = 0
    larger = np.int32(2**31 - 1)
    for other in bits:
        if other <= value:
            not_larger += 1
        elif other < larger:
            larger = other
    return value if not_larger > rank + 1 else larger


@compiled
def log_percentile(values, lower, upper, fraction, counts):  # type: ignore[no-untyped-def]
    """Return the natural log of a percentile of positive float32 values; `recipes.percentile_rank` gives the ranks.

    Interpolates between the logarithms as torch.lerp does. NaN counts as larger than everything.
    """
    bits = values.view(np.int32)
    low_bits = _order_statistic(bits, lower, counts)
    pair = np.empty(2, np.int32)
    pair[0] = low_bits
    pair[1] = low_bits if upper == lower else _next_larger(bits, low_bits, lower)
    ends = pair.view(np.float32)
    low, high = np.float32(math.log(ends[0])), np.float32(math.log(ends[1]))
    if fraction < np.float32(0.5):
        return np.float32(low + fraction * np.float32(high - low))
    return np.float32(high - np.float32(high - low) * np.float32(np.float32(1) - fraction))


@compiled
def realise(flux, error, key, floor, out):  # type: ignore[no-untyped-def]
    """Write the floored spectrum to row 0 of `out` (1 + draws, pixels) and its draw d to row 1 + d; NaN stays NaN."""
    for row in range(out.shape[0]):
        values = out[row]
        if row == 0:
            values[:] = flux
        else:
            normals_of_draw(key, row - 1, values)
            for pixel in range(values.shape[0]):
                values[pixel] = np.float32(flux[pixel] + np.float32(error[pixel] * values[pixel]))
        for pixel in range(values.shape[0]):
            if values[pixel] < floor:
                values[pixel] = floor


@compiled
def log_limits(values, joint, own_rank, joint_rank, clip, limits, counts):  # type: ignore[no-untyped-def]
    """Compute where to clip the log flux of each row of `values`: row 0 alone, the others each alone or jointly.

    own_rank, joint_rank: (lower, upper, fraction) for the values of one row, and of all draws together.
    """
    rows = values.shape[0]
    for row in range(rows):
        if not joint or row == 0:
            limits[row] = log_percentile(values[row], own_rank[0], own_rank[1], own_rank[2], counts) + clip
    if joint and rows > 1:
        drawn = values[1:].reshape(-1)
        limits[1:] = log_percentile(drawn, joint_rank[0], joint_rank[1], joint_rank[2], counts) + clip


@compiled
def clipped_log(values, limit, out):  # type: ignore[no-untyped-def]
    """Write log(values) up to `limit` to `out`, behind its margin; return False if NaN or infinity is among them."""
    finite = math.isfinite(limit)
    for pixel in range(values.shape[0]):
        logarithm = np.float32(math.log(values[pixel]))
        if logarithm > limit:
            logarithm = limit
        finite &= math.isfinite(logarithm)
        out[FLUX_MARGIN + pixel] = logarithm
    return finite


def _neighbours_maximum(vector: Vector) -> Vector:
    """Return the larger of lanes 2i and 2i + 1, for every i."""
    half = vector.lanes // 2
    even, odd = (vector.lanes_at([2 * i + parity for i in range(half)]) for parity in (0, 1))
    return even.maximum(odd)


@kernel
def _first_conv(
    run: Kernel,
    flux: Memory,
    start: ir.Value,
    taps: ir.Value,
    weight: Memory,
    channel: ir.Value,
    position_map: Memory,
    map_at: ir.Value,
    map_step: ir.Value,
    y: Memory,
    at: ir.Value,
    channels: ir.Value,
) -> None:
    """Compute four channels of `LANES` positions: conv, map, maximum of neighbours, ELU; store channels last."""
    sums = [position_map.load(run.plus(map_at, run.times(map_step, c)), run.lanes) for c in range(CHANNEL_GROUP)]

    def tap(k: ir.Value, sums: list[Vector]) -> list[Vector]:
        values = flux.load(run.plus(start, k), run.lanes)
        w = run.plus(channel, run.times(k, CHANNEL_GROUP))
        return [values.times_plus(weight.splat(run.plus(w, c), run.lanes), total) for c, total in enumerate(sums)]

    sums = run.loop(taps, sums, tap)
    pooled = [_neighbours_maximum(total).elu() for total in sums]
    for position in range(run.lanes // 2):
        y.store(run.plus(at, run.times(channels, position)), run.across(pooled, position))


@compiled
def first_conv(lanes, flux, weight, taps, position_map, map_width, channels, y, first, length):  # type: ignore[no-untyped-def]
    """Compute one row's activations (positions, channels) from its processed flux.

    flux: has `FLUX_MARGIN` zeros on both sides. weight: (channels / 4, taps, 4) flattened. position_map: (channels,
    map_width) flattened, map_width at least 2 * length rounded up to whole vectors. y: position 0 is at `first`.
    """
    start = FLUX_MARGIN - taps // 2
    for group in range(0, channels, CHANNEL_GROUP):
        for position in range(0, 2 * length, LANES):
            _first_conv(
                lanes,
                flux,
                start + position,
                taps,
                weight,
                group * taps,
                position_map,
                group * map_width + position,
                map_width,
                y,
                (first + position // 2) * channels + group,
                channels,
            )
    y[(first + length) * channels : (first + length + LANES // 2) * channels] = 0


@compiled
def average_pool(x, first, length, channels, pooled, out):  # type: ignore[no-untyped-def]
    """Pool adaptively by averages, channels last, to `out` (pooled, channels) flattened; windows are torch's."""
    for i in range(pooled):
        start = i * length // pooled
        stop = -((-(i + 1) * length) // pooled)
        share = np.float32(1) / np.float32(stop - start)
        target = out[i * channels : (i + 1) * channels]
        target[:] = 0
        for position in range(first + start, first + stop):
            source = x[position * channels : (position + 1) * channels]
            for channel in range(channels):
                target[channel] += source[channel]
        for channel in range(channels):
            target[channel] *= share
