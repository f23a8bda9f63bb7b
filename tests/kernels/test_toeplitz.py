"""Windows and banded matrices of the convolutions."""

from __future__ import annotations

from itertools import product

import torch

from apnet_fast.kernels.toeplitz import ConvConfig, toeplitz_filter, window


def test_steps_visit_the_whole_window_once() -> None:
    for c_in, positions, block_k in product((4, 8, 16, 32, 64), (1, 2, 4, 8, 16), (32, 64)):
        reach = window(c_in, 30, 14, ConvConfig(positions, 128, 128, block_k, 8, 3))
        assert sorted(i * reach.stride % reach.steps for i in range(reach.steps)) == list(range(reach.steps))
        assert reach.steps * block_k >= (positions + 29) * c_in
        assert reach.width * c_in >= reach.steps * block_k


def test_survey_convs_shift_by_one_row_per_step() -> None:
    # What makes the loads of A hit L1.
    reach = window(64, 30, 14, ConvConfig(4, 256, 128, 64, 8, 3))
    assert (reach.stride, reach.steps) == (4, 33)
    reach = window(64, 30, 14, ConvConfig(2, 256, 128, 64, 8, 3))
    assert (reach.stride, reach.steps) == (2, 31)


def test_the_matrix_is_the_filter_in_22_bits() -> None:
    torch.manual_seed(0)
    weight = torch.randn(8, 16, 30, dtype=torch.float64)
    taps = toeplitz_filter(weight, torch.randn(8), 15, ConvConfig(4, 16, 32, 32, 4, 2))
    assert taps.window.stride == 2
    run = (taps.high.double() + taps.low.double()).reshape(taps.window.steps, 32, 32)
    in_order = torch.empty_like(run)
    for step in range(taps.window.steps):
        in_order[step * taps.window.stride % taps.window.steps] = run[step]
    matrix = in_order.reshape(-1, 16, 4, 8)  # position, C_in, output, C_out
    for output in range(4):
        torch.testing.assert_close(
            matrix[output : output + 30, :, output], weight.permute(2, 1, 0), rtol=0, atol=2.0**-21
        )
    assert (matrix[:, :, 0] != 0).sum() <= weight.numel()
