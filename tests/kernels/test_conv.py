"""Convolutions of clean spectra and of draws against their twins in plain torch, in Triton's interpreter."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional

pytest.importorskip("triton", reason="triton is installed on Linux x86-64 only")

from apnet_fast.kernels.activations import Activations, activations
from apnet_fast.kernels.conv import clean_conv, draw_conv
from apnet_fast.kernels.naive import naive_elu_difference, naive_sums
from apnet_fast.kernels.toeplitz import CleanConfig, ConvConfig, ToeplitzFilter, toeplitz_filter

SPECTRA, DRAWS, SEGMENT = 2, 2, 192
# Rounding of fp16 operands and results; a wrong tap, halo or pad is far outside.
TOLERANCE = 8e-4
# Sums of two halves keep 22 bits.
CLEAN_TOLERANCE = 3e-6
CLEAN = CleanConfig(16, 64, 4, 2)

CONFIGS = {
    "first of the net": (4, 8, 15, None, ConvConfig(8, 32, 64, 32, 8, 3)),
    "first, long rows": (4, 8, 15, None, ConvConfig(16, 32, 128, 64, 8, 3)),
    "8-8 + residual": (8, 8, 14, 4, ConvConfig(16, 16, 64, 32, 8, 3)),
    "8-16": (8, 16, 15, None, ConvConfig(8, 64, 128, 64, 8, 3)),
    # Blocks of whole segments: the interpreter's dot rounds a row by its place in the block.
    "16-16 + residual": (16, 16, 14, 8, ConvConfig(8, 8, 128, 64, 8, 3, through_l1=False)),
    "32-64": (32, 64, 15, None, ConvConfig(2, 16, 128, 64, 8, 3)),
    "64-64 + residual": (64, 64, 14, 32, ConvConfig(4, 64, 256, 64, 8, 3)),
    "one position per row": (16, 32, 15, None, ConvConfig(1, 16, 32, 32, 4, 2)),
}


def filled(values: Tensor, lead: int, planes: int) -> Activations:
    """Put values (segments, positions, channels) into a buffer of one plane, or of two halves."""
    buffer = activations(len(values), SEGMENT, values.shape[2], lead, "cpu", planes)
    high = values.half()
    buffer.rows()[0, :, : values.shape[1]] = high
    if planes == 2:
        buffer.rows()[1, :, : values.shape[1]] = (values - high.to(values.dtype)).half()
    return buffer


class Case:
    """A convolution with random weights and inputs; output buffers are poisoned with NaN."""

    def __init__(self, name: str, length: int) -> None:
        torch.manual_seed(0)
        c_in, c_out, self.pad, channels, self.config = CONFIGS[name]
        # conv1 lengthens by one column, conv2 shortens again: the column behind the block's length counts.
        self.length = length + 1 if self.pad == 15 else length
        given = length if self.pad == 15 else length + 1
        self.weight = torch.randn(c_out, c_in, 30, dtype=torch.float64) / (30 * c_in) ** 0.5
        self.bias = torch.randn(c_out, dtype=torch.float64)
        self.taps = toeplitz_filter(self.weight, self.bias, self.pad, self.config)
        self.clean_x = torch.randn(SPECTRA, given, c_in, dtype=torch.float64)
        self.x = 0.1 * torch.randn(SPECTRA * DRAWS, given, c_in, dtype=torch.float64).half().double()
        self.clean_residual = self.residual = None
        if channels:
            self.clean_residual = torch.randn(SPECTRA, length, channels, dtype=torch.float64)
            self.residual = 0.1 * torch.randn(SPECTRA * DRAWS, length, channels, dtype=torch.float64)
        self.expected_z = self.sums(self.clean_x, self.bias, self.clean_residual)

    def sums(self, x: Tensor, bias: Tensor | None, residual: Tensor | None) -> Tensor:
        return naive_sums(x, self.weight, bias, self.pad, self.length, residual)

    def output(self, segments: int, planes: int) -> Activations:
        y = activations(segments, SEGMENT, self.taps.c_out, 29 - self.pad, "cpu", planes)
        y.rows().fill_(float("nan"))
        return y

    def clean(self, taps: ToeplitzFilter | None = None) -> tuple[Tensor, Activations]:
        """Run the clean kernel: z and the output buffer."""
        z = torch.full((SPECTRA, SEGMENT, self.taps.c_out), float("nan"))
        y = self.output(SPECTRA, 2)
        residual = None if self.clean_residual is None else filled(self.clean_residual, 15, 2)
        x = filled(self.clean_x, self.pad, 2)
        clean_conv(x, taps or self.taps, z, y, self.length, CLEAN, residual)
        return z, y

    def draws(
        self, taps: ToeplitzFilter | None = None, x: Activations | None = None, z: Tensor | None = None, first: int = 0
    ) -> Activations:
        """Run the draws' kernel on draws `first` and later."""
        if z is None:
            z = torch.full((SPECTRA, SEGMENT, self.taps.c_out), float("nan"))
            z[:, : self.length] = self.expected_z.float()
        x = x or filled(self.x[first:], self.pad, 1)
        y = self.output(x.segments, 1)
        residual = None if self.residual is None else filled(self.residual[first:], 15, 1)
        draw_conv(x, taps or self.taps, z, y, self.length, first=first, draws=DRAWS, residual=residual)
        return y

    def clean_error(self, z: Tensor) -> float:
        return error(z[:, : self.length], self.expected_z)

    def error(self, y: Activations) -> float:
        return error(y.rows()[0, :, : self.length], self.expected_draws())

    def expected_draws(self) -> Tensor:
        residual = None if self.residual is None else self.residual.half()
        dz = self.sums(self.x, None, residual)
        return naive_elu_difference(self.expected_z.repeat_interleave(DRAWS, dim=0), dz)


def error(got: Tensor, expected: Tensor) -> float:
    return float((got.double() - expected).norm() / expected.norm())


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("length", [128, 113])
def test_clean_spectra_against_the_twin(name: str, length: int) -> None:
    case = Case(name, length)
    z, y = case.clean()
    assert case.clean_error(z) < CLEAN_TOLERANCE
    got = y.rows()[:, :, : case.length].double().sum(dim=0)
    assert error(got, functional.elu(case.expected_z)) < CLEAN_TOLERANCE
    # One half alone is not enough.
    assert error(y.rows()[0, :, : case.length], functional.elu(case.expected_z)) > 3 * CLEAN_TOLERANCE


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("length", [128, 113])
def test_draws_against_the_twin(name: str, length: int) -> None:
    case = Case(name, length)
    assert case.error(case.draws()) < TOLERANCE


@pytest.mark.parametrize("name", CONFIGS)
def test_what_no_spectrum_fills_is_zero(name: str) -> None:
    case = Case(name, 113)
    for y in (case.clean()[1], case.draws()):
        assert not y.rows()[:, :, case.length :].any()
        assert not y.data[:, : y.lead].any()
        assert not y.data[:, y.lead + y.segments * SEGMENT :].any()


@pytest.mark.parametrize("name", ["8-16", "64-64 + residual"])
@pytest.mark.parametrize("fault", ["tap", "halo", "pad", "order", "draw"])
def test_the_tolerance_catches_a_fault_of_the_draws(name: str, fault: str) -> None:
    case = Case(name, 113)
    x, taps, z, first = filled(case.x, case.pad, 1), case.taps, None, 0
    if fault == "tap":
        weight = case.weight.clone()
        weight[:, :, 29] = 0
        taps = toeplitz_filter(weight, case.bias, case.pad, case.config)
    elif fault == "halo":
        x.data[0, case.pad - 1] = 1.0
    elif fault == "pad":
        taps = replace(taps, window=replace(taps.window, pad=taps.window.pad - 1))
    elif fault == "order":
        taps = replace(taps, high=taps.high.roll(case.config.block_k, dims=0))
    else:
        z = case.clean()[0].flip(0)  # of the other spectrum
    assert case.error(case.draws(taps, x, z, first)) > 3 * TOLERANCE


@pytest.mark.parametrize("fault", ["low weights", "bias", "tap"])
def test_the_tolerance_catches_a_fault_of_the_clean_spectra(fault: str) -> None:
    case = Case("64-64 + residual", 113)
    taps = case.taps
    if fault == "low weights":
        taps = replace(taps, low=torch.zeros_like(taps.low))
    elif fault == "bias":
        taps = replace(taps, bias=taps.bias.roll(1))
    else:
        weight = case.weight.clone()
        weight[:, :, 29] *= 1.001
        taps = toeplitz_filter(weight, case.bias, case.pad, case.config)
    assert case.clean_error(case.clean(taps)[0]) > 3 * CLEAN_TOLERANCE


def test_a_group_may_begin_inside_a_spectrum() -> None:
    case = Case("16-16 + residual", 113)
    whole = case.draws().rows()
    assert torch.equal(case.draws(first=1).rows(), whole[:, 1:])
    assert torch.equal(case.draws(first=3).rows(), whole[:, 3:])


def test_no_difference_stays_no_difference() -> None:
    case = Case("8-16", 113)
    nothing = filled(torch.zeros_like(case.x), case.pad, 1)
    assert not case.draws(x=nothing).rows().any()


def test_a_draw_far_from_its_clean_spectrum_keeps_its_relative_error() -> None:
    case = Case("64-64 + residual", 113)
    case.x = 60 * case.x.half().double()
    case.residual = 60 * case.residual.half().double() if case.residual is not None else None
    assert case.expected_draws().abs().max() > 20
    assert case.error(case.draws()) < TOLERANCE


def test_a_neighbour_with_nan_does_not_spread() -> None:
    case = Case("64-64 + residual", 128)
    before = case.draws().rows().clone()
    x = filled(case.x, case.pad, 1)
    x.rows()[0, 1, :129] = float("nan")
    after = case.draws(x=x).rows()
    for segment in (0, 2, 3):
        assert torch.equal(after[0, segment], before[0, segment])
    assert after[0, 1, : case.length].isnan().all()


def test_a_segment_does_not_depend_on_the_others() -> None:
    case = Case("8-16", 128)
    before = case.draws().rows().clone()
    x = filled(case.x, case.pad, 1)
    x.rows()[0, 0].mul_(2)
    after = case.draws(x=x).rows()
    assert torch.equal(after[0, 1:], before[0, 1:])
    assert not torch.equal(after[0, 0], before[0, 0])
