"""Convolve with long filters by overlap-save in Fourier space: exact in fp32, a tenth of the multiplications.

A row's activations are stored channels last. Blocks of 128 positions overlap by the filter's length; each gives
129 - k outputs. A block of the row's first half and one of its second half are the real and the imaginary part of one
complex sequence: a real filter keeps the parts apart, so no transform of a real sequence is wasted. For a real filter,
G(128 - f) is the conjugate of G(f): spectra at 128 - f are conjugated and become more rows of the matrix product at f,
which halves the filters to be read. (Three real products instead of a complex product's four would be faster still,
but less exact than direct convolution.)
"""

from __future__ import annotations

from llvmlite import ir

from apnet_fast.engines.cpu.dft import FIRST, FORWARD, INVERSE, POINTS, SECOND, Complex, dft, twiddles
from apnet_fast.engines.cpu.vectors import Kernel, Memory, Vector, kernel
from apnet_fast.support.compiled import compiled

FREQUENCIES = POINTS // 2 + 1
# Zeros before position 0 of an activation buffer; more than half a filter.
BEFORE = 64
_FORWARD_FACTORS, _INVERSE_FACTORS = twiddles(FORWARD).ravel(), twiddles(INVERSE).ravel()
SCRATCH = 2 * POINTS * 16
"""float32 values of scratch that a block's transform needs, for up to 16 lanes."""


def _to_scratch(run: Kernel, values: list[Complex], scratch: Memory, column: ir.Value, factors: Memory) -> None:
    """Store the first pass's result for column b as [c][b][real, imaginary][lane], each turned by its factor."""
    lanes = run.lanes
    for c, value in enumerate(values):
        factor = run.plus(run.times(column, 2 * FIRST), 2 * c)
        turned = value.times(factors.splat(factor, lanes), factors.splat(run.plus(factor, 1), lanes)) if c else value
        at = run.times(run.plus(column, c * SECOND), 2 * lanes)
        scratch.store(at, turned.real)
        scratch.store(run.plus(at, lanes), turned.imag)


def _from_scratch(run: Kernel, scratch: Memory, row: ir.Value) -> list[Complex]:
    lanes = run.lanes
    starts = [run.times(run.plus(run.times(row, SECOND), b), 2 * lanes) for b in range(SECOND)]
    return [Complex(scratch.load(at, lanes), scratch.load(run.plus(at, lanes), lanes)) for at in starts]


@kernel
def _forward_first(
    run: Kernel,
    x: Memory,
    real: ir.Value,
    imag: ir.Value,
    step: ir.Value,
    scratch: Memory,
    column: ir.Value,
    factors: Memory,
) -> None:
    """Transform column b of a block whose parts start, at this column, at elements `real` and `imag`, `step` apart."""
    values = [
        Complex(
            x.load(run.plus(real, run.times(step, a)), run.lanes), x.load(run.plus(imag, run.times(step, a)), run.lanes)
        )
        for a in range(FIRST)
    ]
    _to_scratch(run, dft(values, FORWARD), scratch, column, factors)


@kernel
def _forward_second(
    run: Kernel,
    scratch: Memory,
    row: ir.Value,
    spectra: Memory,
    direct: ir.Value,
    mirrored: ir.Value,
    imag: ir.Value,
    step: ir.Value,
) -> None:
    """Store frequencies row + 16 d: below 64 at `direct` + 16 d steps, above conjugated at `mirrored` - 16 d steps."""
    for d, value in enumerate(dft(_from_scratch(run, scratch, row), FORWARD)):
        below = d < SECOND // 2
        at = run.plus(direct if below else mirrored, run.times(step, FIRST * d if below else -FIRST * d))
        spectra.store(at, value.real)
        spectra.store(run.plus(at, imag), value.imag if below else -value.imag)


@kernel
def _inverse_first(
    run: Kernel,
    spectra: Memory,
    direct: ir.Value,
    mirrored: ir.Value,
    imag: ir.Value,
    step: ir.Value,
    scratch: Memory,
    column: ir.Value,
    factors: Memory,
) -> None:
    """Read frequencies column + 8 a from where `_forward_second` left them, and run the first inverse pass."""
    values = []
    for a in range(FIRST):
        below = a < FIRST // 2
        at = run.plus(direct if below else mirrored, run.times(step, SECOND * a if below else -SECOND * a))
        part = spectra.load(run.plus(at, imag), run.lanes)
        values.append(Complex(spectra.load(at, run.lanes), part if below else -part))
    _to_scratch(run, dft(values, INVERSE), scratch, column, factors)


def _finish(
    run: Kernel,
    transformed: list[Complex],
    left: ir.Value,
    added: Vector,
    y: Memory,
    starts: tuple[ir.Value, ir.Value],
    step: ir.Value,
    residual: tuple[Memory, tuple[ir.Value, ir.Value], ir.Value] | None,
) -> None:
    """Add bias and residual, apply ELU, and store outputs row + 16 j that lie within the first `left`.

    starts: elements of y, and likewise of the residual, for the real and the imaginary part; step: elements per row.
    """
    for j, value in enumerate(transformed):
        with run.if_above(left, FIRST * j):
            sums = [value.real + added, value.imag + added]
            if residual is not None:
                x, x_starts, x_step = residual
                x_shift = run.times(x_step, FIRST * j)
                parts = [x.load(run.plus(start, x_shift), run.lanes) for start in x_starts]
                sums = [total + part for total, part in zip(sums, parts, strict=True)]
            shift = run.times(step, FIRST * j)
            for total, start in zip(sums, starts, strict=True):
                y.store(run.plus(start, shift), total.elu())


@kernel
def _inverse_second(
    run: Kernel,
    scratch: Memory,
    row: ir.Value,
    left: ir.Value,
    bias: Memory,
    channel: ir.Value,
    y: Memory,
    real: ir.Value,
    imag: ir.Value,
    step: ir.Value,
) -> None:
    """Run a row's second pass, without a residual."""
    transformed = dft(_from_scratch(run, scratch, row), INVERSE)
    _finish(run, transformed, left, bias.load(channel, run.lanes), y, (real, imag), step, None)


@kernel
def _inverse_second_residual(
    run: Kernel,
    scratch: Memory,
    row: ir.Value,
    left: ir.Value,
    bias: Memory,
    channel: ir.Value,
    y: Memory,
    real: ir.Value,
    imag: ir.Value,
    step: ir.Value,
    x: Memory,
    x_real: ir.Value,
    x_imag: ir.Value,
    x_step: ir.Value,
) -> None:
    """Run a row's second pass, and add x before the ELU."""
    transformed = dft(_from_scratch(run, scratch, row), INVERSE)
    residual = (x, (x_real, x_imag), x_step)
    _finish(run, transformed, left, bias.load(channel, run.lanes), y, (real, imag), step, residual)


@compiled
def forward(lanes, x, channels, first, blocks, outputs, spectra, scratch):  # type: ignore[no-untyped-def]
    """Compute the block spectra of activations.

    x: (positions, channels) flattened; first: position of the first block's first value. outputs: positions
    between blocks. spectra: (65, 2 blocks, 2 channels) flattened, filled here.
    """
    width = len(lanes)
    step = 2 * blocks * 2 * channels
    half = blocks * outputs * channels
    for block in range(blocks):
        start = (first + block * outputs) * channels
        direct = block * 2 * channels
        mirrored = direct + blocks * 2 * channels + POINTS * step
        for channel in range(0, channels, width):
            for column in range(SECOND):
                at = start + column * channels + channel
                _forward_first(lanes, x, at, at + half, SECOND * channels, scratch, column, _FORWARD_FACTORS)
            for row in range(FIRST):
                shift = row * step + channel
                _forward_second(
                    lanes, scratch, row, spectra, direct + shift, mirrored - row * step + channel, channels, step
                )


@compiled
def inverse(lanes, spectra, channels, blocks, outputs, bias, y, first, length, residual, residual_channels, scratch):  # type: ignore[no-untyped-def]
    """Compute activations (positions, channels) from block spectra, bias and residual, with ELU and zeros behind."""
    width = len(lanes)
    step = 2 * blocks * 2 * channels
    half = blocks * outputs
    for block in range(blocks):
        direct = block * 2 * channels
        mirrored = direct + blocks * 2 * channels + POINTS * step
        position = first + block * outputs
        for channel in range(0, channels, width):
            for column in range(SECOND):
                shift = column * step
                _inverse_first(
                    lanes,
                    spectra,
                    direct + shift + channel,
                    mirrored - shift + channel,
                    channels,
                    step,
                    scratch,
                    column,
                    _INVERSE_FACTORS,
                )
            for row in range(FIRST):
                at = (position + row) * channels + channel
                if channel < residual_channels:
                    x_at = (position + row) * residual_channels + channel
                    _inverse_second_residual(
                        lanes,
                        scratch,
                        row,
                        outputs - row,
                        bias,
                        channel,
                        y,
                        at,
                        at + half * channels,
                        channels,
                        residual,
                        x_at,
                        x_at + half * residual_channels,
                        residual_channels,
                    )
                else:
                    _inverse_second(
                        lanes, scratch, row, outputs - row, bias, channel, y, at, at + half * channels, channels
                    )
    y[(first + length) * channels : (first + 2 * half) * channels] = 0
