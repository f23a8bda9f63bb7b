"""Convolutions in Fourier space against torch's direct ones in float64, at the edges of blocks, halves and rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from apnet_fast.engines.cpu import fftconv
from apnet_fast.engines.cpu.fftconv import BEFORE, FREQUENCIES, POINTS
from apnet_fast.engines.cpu.network import bank
from apnet_fast.engines.cpu.vectors import lanes_of
from apnet_fast.networks.folding import FoldedConv

TAPS = 30
# Of the largest output; a direct fp32 convolution errs by as much.
TOLERANCE = 5e-7


@dataclass(frozen=True)
class Case:
    """x (length, inputs), residual (out length, its channels), conv weights, all float64."""

    x: Tensor
    weight: Tensor
    bias: Tensor
    pad: int
    residual: Tensor

    def truth(self) -> Tensor:
        """ELU(conv + bias + residual), channels last."""
        y = functional.conv1d(self.x.t()[None], self.weight, self.bias, padding=self.pad)[0].t()
        y[:, : self.residual.shape[1]] += self.residual
        return functional.elu(y)

    def compute(self, lanes: int) -> NDArray[np.float32]:
        """The same by the engine's functions, in buffers poisoned with NaN where they must be written."""
        inputs, outputs = self.weight.shape[1], self.weight.shape[0]
        filters = bank(FoldedConv(self.weight, self.bias), range(inputs), range(outputs), self.pad, lanes, 0)
        length = len(self.x) + 2 * self.pad - TAPS + 1
        step = POINTS - TAPS + 1
        blocks = -(-max(length, len(self.x)) // (2 * step))
        positions = BEFORE + 2 * blocks * step + POINTS
        x = np.zeros((positions, inputs), np.float32)
        x[BEFORE : BEFORE + len(self.x)] = self.x
        residual = np.zeros((positions, max(self.residual.shape[1], 1)), np.float32)
        residual[BEFORE : BEFORE + length, : self.residual.shape[1]] = self.residual
        y = np.zeros((positions, outputs), np.float32)
        y[BEFORE : BEFORE + 2 * blocks * step] = np.nan
        x_spectra = torch.zeros(FREQUENCIES, 2 * blocks, 2 * inputs)
        scratch = np.full(fftconv.SCRATCH, np.nan, np.float32)
        start = BEFORE - self.pad
        out = x_spectra.numpy().ravel()
        fftconv.forward(lanes_of(min(inputs, 16)), x.ravel(), inputs, start, blocks, step, out, scratch)
        y_spectra = torch.bmm(x_spectra, filters.spectra)
        fftconv.inverse(
            lanes_of(lanes),
            y_spectra.numpy().ravel(),
            outputs,
            blocks,
            step,
            filters.bias,
            y.reshape(-1),
            BEFORE,
            length,
            residual.ravel(),
            self.residual.shape[1],
            scratch,
        )
        assert not y[:BEFORE].any()
        assert not y[BEFORE + length :].any(), "what lies behind a row is not zero"
        return y[BEFORE : BEFORE + length]


def make_case(length: int, inputs: int, outputs: int, pad: int, residual: int = 0) -> Case:
    generator = torch.Generator().manual_seed(length * 1000 + inputs * 100 + outputs)

    def normal(*shape: int) -> Tensor:
        # Values that fp32 holds, so that only arithmetic differs.
        return torch.randn(*shape, generator=generator).double()

    return Case(
        x=normal(length, inputs),
        weight=(normal(outputs, inputs, TAPS) / (inputs * TAPS) ** 0.5).float().double(),
        bias=normal(outputs),
        pad=pad,
        residual=normal(length + 2 * pad - TAPS + 1, residual),
    )


def worst(case: Case, got: NDArray[np.float32]) -> float:
    truth = case.truth().numpy()
    assert got.shape == truth.shape
    return float(np.abs(got - truth).max() / np.abs(truth).max())


@pytest.mark.parametrize(("inputs", "outputs"), [(4, 8), (8, 8), (8, 16), (16, 16), (16, 32), (32, 64)])
@pytest.mark.parametrize(("length", "pad"), [(4288, 15), (4289, 14)])
def test_convs_of_the_network(length: int, pad: int, inputs: int, outputs: int) -> None:
    case = make_case(length, inputs, outputs, pad)
    assert worst(case, case.compute(min(outputs, 16))) < TOLERANCE


@pytest.mark.parametrize("length", [31, 98, 99, 100, 197, 198, 199, 397])
def test_lengths_around_whole_blocks_and_halves(length: int) -> None:
    case = make_case(length, 4, 4, 15)
    assert worst(case, case.compute(4)) < TOLERANCE


@pytest.mark.parametrize(("residual", "outputs", "lanes"), [(4, 8, 4), (8, 16, 8), (16, 32, 16)])
def test_residual_goes_to_the_first_channels(residual: int, outputs: int, lanes: int) -> None:
    case = make_case(300, outputs, outputs, 14, residual)
    assert worst(case, case.compute(lanes)) < TOLERANCE


@pytest.mark.parametrize("tap", [0, 14, 29])
def test_the_tolerance_catches_a_single_wrong_tap(tap: int) -> None:
    case = make_case(300, 8, 8, 14)
    got = case.compute(8)
    case.weight[3, 5, tap] += 1e-4
    assert worst(case, got) > TOLERANCE


def test_the_tolerance_catches_a_wrong_pad() -> None:
    case = make_case(300, 4, 4, 14)
    wrong = Case(case.x, case.weight, case.bias, 15, make_case(300, 4, 4, 15).residual)
    got = wrong.compute(4)
    assert worst(case, got[1:-1]) < TOLERANCE
    assert worst(case, got[:-2]) > TOLERANCE


def test_the_halves_of_a_row_do_not_mix() -> None:
    case = make_case(4288, 4, 8, 15)
    before = case.compute(8)
    case.x[3000:] *= 1e3
    after = case.compute(8)
    # What is far from the change moves by rounding only, which a block shares between its two halves.
    far = np.abs(after[:600] - before[:600]).max() / np.abs(after).max()
    assert far < TOLERANCE
