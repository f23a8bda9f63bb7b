"""Buffers of activations, and segments that keep neighbours apart."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("triton", reason="triton is installed on Linux x86-64 only")

from apnet_fast.kernels.activations import activations, segment_length
from apnet_fast.kernels.conv import draw_conv
from apnet_fast.kernels.toeplitz import ConvConfig, toeplitz_filter, window


def test_a_part_is_a_view_with_zeros_before_it() -> None:
    buffer = activations(3, 64, 4, 15, "cpu", planes=2)
    buffer.rows()[:, :, :40] = torch.randn(2, 3, 40, 4)
    part = buffer.part(1, 2)
    assert torch.equal(part.rows(), buffer.rows()[:, 1:])
    assert not part.data[:, :15].any()
    assert part.plane == buffer.plane
    part.rows()[0, 0, 0, 0] = 5
    assert buffer.rows()[0, 1, 0, 0] == 5


def test_both_planes_are_aligned() -> None:
    for segments in (1, 2, 5):
        for channels in (4, 8):
            assert activations(segments, 96, channels, 15, "cpu", planes=2).plane * 2 % 16 == 0


@pytest.mark.parametrize("positions", [2, 4, 8, 16])
@pytest.mark.parametrize(("channels", "pad"), [(4, 15), (8, 14), (8, 15)])
@pytest.mark.parametrize("length", [96, 95, 81])
def test_an_infinite_neighbour_does_not_reach_into_a_segment(
    positions: int, channels: int, pad: int, length: int
) -> None:
    config = ConvConfig(positions, 16, positions * 8, 64, 4, 2)
    taps = toeplitz_filter(torch.randn(8, channels, 30), torch.zeros(8), pad, config)
    segment = segment_length(length, [taps.window])
    x = activations(3, segment, channels, pad, "cpu")
    x.rows()[0, :, : length + 1] = float("inf")
    x.rows()[0, 1] = 0
    filled = length + 1 if pad == 15 else length
    z = torch.zeros(3, segment, 8)
    y = activations(3, segment, 8, 29 - pad, "cpu")
    draw_conv(x, taps, z, y, filled, first=0, draws=1)
    assert not y.rows()[0, 1].any()
    assert not y.rows()[0, 0, :filled].isfinite().all()


def test_the_survey_fits_into_few_more_positions_than_it_has() -> None:
    windows = [window(c, 30, pad, ConvConfig(4, 256, 128, 64, 8, 3)) for c in (8, 64) for pad in (15, 14)]
    assert segment_length(4288, windows) == 4320
    # A block of 16 positions in steps of 64 values would reach into the neighbour.
    assert segment_length(4288, [window(4, 30, 15, ConvConfig(16, 128, 128, 64, 8, 3))]) == 4352
