"""The Toeplitz convolution against its twin in plain torch, in Triton's interpreter."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

pytest.importorskip("triton", reason="triton is installed on Linux x86-64 only")

from apnet_fast.kernels.conv import (
    LEAD,
    ConvConfig,
    ToeplitzFilter,
    activations,
    conv,
    segments_of,
    toeplitz_filter,
    window,
)
from apnet_fast.kernels.naive import naive_conv

SEGMENTS, SEGMENT = 2, 160
# Rounding of fp16 operands and results; a wrong tap, halo or pad is far outside.
TOLERANCE = 6e-4

CONFIGS = {
    "first of the net": (4, 8, 15, None, ConvConfig(16, 32, 128, 64, 8, 3)),
    "8-8 + residual": (8, 8, 14, 4, ConvConfig(16, 16, 64, 32, 8, 3)),
    "8-8 + residual in two halves": (8, 8, 14, 4, ConvConfig(16, 16, 64, 32, 8, 3)),
    "8-16": (8, 16, 15, None, ConvConfig(8, 64, 128, 64, 8, 3)),
    "16-16 + residual": (16, 16, 14, 8, ConvConfig(8, 32, 128, 64, 8, 3, through_l1=False)),
    "32-64": (32, 64, 15, None, ConvConfig(4, 16, 128, 64, 8, 3)),
    "64-64 + residual": (64, 64, 14, 32, ConvConfig(4, 64, 256, 64, 8, 3)),
    "one position a row": (16, 32, 15, None, ConvConfig(1, 16, 32, 32, 4, 2)),
}


class Case:
    """A convolution with random weights and inputs; the output buffer is poisoned with NaN."""

    def __init__(self, name: str, length: int) -> None:
        torch.manual_seed(0)
        c_in, c_out, self.pad, channels, self.config = CONFIGS[name]
        # conv1 lengthens by one column, conv2 shortens again: the column behind the block's length counts.
        self.length = length + 1 if self.pad == 15 else length
        given = length if self.pad == 15 else length + 1
        self.weight = torch.randn(c_out, c_in, 30) / (30 * c_in) ** 0.5
        self.bias = torch.randn(c_out)
        self.inputs = torch.randn(SEGMENTS, given, c_in).half()
        self.x = self.buffer(self.inputs)
        self.given_residual = torch.randn(SEGMENTS, length, channels).half() if channels else None
        self.residual = self.buffer(self.given_residual) if self.given_residual is not None else None
        self.split = "two halves" in name
        if self.split:
            exact = torch.randn(SEGMENTS, length, channels, dtype=torch.float64)
            high = exact.half()
            self.residual = self.buffer(torch.cat([high, (exact - high.double()).half()], dim=2))
            self.given_residual = exact
        self.y = activations(SEGMENTS, SEGMENT, c_out, "cpu")
        segments_of(self.y, SEGMENTS, SEGMENT).fill_(float("nan"))

    @staticmethod
    def buffer(values: Tensor) -> Tensor:
        buffer = activations(SEGMENTS, SEGMENT, values.shape[-1], "cpu")
        segments_of(buffer, SEGMENTS, SEGMENT)[:, : values.shape[1]] = values
        return buffer

    def run(self, taps: ToeplitzFilter | None = None) -> Tensor:
        taps = taps or toeplitz_filter(self.weight, self.bias, self.pad, self.config)
        conv(self.x, taps, self.y, SEGMENTS, SEGMENT, self.length, self.residual, split_residual=self.split)
        return segments_of(self.y, SEGMENTS, SEGMENT)[:, : self.length]

    def error(self, got: Tensor) -> float:
        weight, bias = self.weight.double(), self.bias.double()
        expected = naive_conv(self.inputs, weight, bias, self.pad, self.length, self.given_residual)
        return float((got.double() - expected).norm() / expected.norm())


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("length", [128, 113])
def test_against_the_twin(name: str, length: int) -> None:
    case = Case(name, length)
    assert case.error(case.run()) < TOLERANCE


@pytest.mark.parametrize("name", CONFIGS)
def test_what_no_spectrum_fills_is_zero(name: str) -> None:
    case = Case(name, 113)
    case.run()
    assert not segments_of(case.y, SEGMENTS, SEGMENT)[:, case.length :].any()
    assert not case.y[:LEAD].any()
    assert not case.y[LEAD + SEGMENTS * SEGMENT :].any()


@pytest.mark.parametrize("name", ["8-16", "64-64 + residual"])
@pytest.mark.parametrize("fault", ["tap", "halo", "pad", "bias", "order"])
def test_the_tolerance_catches(name: str, fault: str) -> None:
    case = Case(name, 113)
    taps = toeplitz_filter(case.weight, case.bias, case.pad, case.config)
    if fault == "tap":
        weight = case.weight.clone()
        weight[:, :, 29] = 0
        taps = toeplitz_filter(weight, case.bias, case.pad, case.config)
    elif fault == "halo":
        case.x[LEAD - 1] = 1.0
    elif fault == "pad":
        taps = replace(taps, pad=taps.pad - 1)
    elif fault == "bias":
        taps = replace(taps, bias=taps.bias.roll(1))
    else:
        taps = replace(taps, matrix=taps.matrix.roll(case.config.block_k, dims=0))
    assert case.error(case.run(taps)) > 3 * TOLERANCE


def test_a_neighbour_with_nan_does_not_spread() -> None:
    case = Case("64-64 + residual", 128)
    clean = case.run().clone()
    segments_of(case.x, SEGMENTS, SEGMENT)[1] = float("nan")
    dirty = case.run()
    assert torch.equal(dirty[0], clean[0])
    assert dirty[1].isnan().all()


def test_a_segment_does_not_depend_on_the_others() -> None:
    case = Case("8-16", 128)
    both = case.run().clone()
    segments_of(case.x, SEGMENTS, SEGMENT)[0].mul_(2)
    assert torch.equal(case.run()[1], both[1])
    assert not torch.equal(case.run()[0], both[0])


def test_steps_visit_the_whole_window_once() -> None:
    for c_in, _, pad, _, config in CONFIGS.values():
        reach = window(c_in, 30, pad, config)
        assert sorted(i * reach.stride % reach.steps for i in range(reach.steps)) == list(range(reach.steps))
        assert reach.steps * config.block_k >= (config.positions + 29 + reach.shift) * c_in
        assert (LEAD - pad - reach.shift) * c_in % 8 == 0


def test_survey_convs_shift_by_one_row_a_step() -> None:
    # What makes the loads of A hit L1.
    reach = window(64, 30, 14, ConvConfig(4, 256, 128, 64, 8, 3))
    assert (reach.stride, reach.steps, reach.shift) == (4, 33, 0)
