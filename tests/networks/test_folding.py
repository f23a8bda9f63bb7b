"""Folding changes no value: stem with its bias map, and each conv, against the plain modules in float64."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.folding import fold_v3
from apnet_fast.networks.v3 import position_channel

CLOSE = {"rtol": 1e-11, "atol": 1e-11}


@pytest.mark.parametrize("pixels", [8575, 500])
def test_stem_is_a_flux_conv_plus_a_fixed_map(small_checkpoint: Checkpoint, pixels: int) -> None:
    network = small_checkpoint.module(torch.float64).first_conv
    first = fold_v3(small_checkpoint, pixels).first
    assert first.weight.shape == (4, 1, 30)
    assert first.bias.shape == (4, pixels + 1)
    x = torch.randn(2, 1, pixels, dtype=torch.float64)
    expected = network.bn(network.conv_layer(torch.cat([x, position_channel(x)], dim=1)))
    got = functional.conv1d(x, first.weight, padding=15) + first.bias
    torch.testing.assert_close(got, expected, **CLOSE)
    shifted = functional.conv1d(x, first.weight, padding=15) + first.bias.roll(1, dims=1)
    assert not torch.allclose(shifted, expected, rtol=1e-3)


def test_block_convs_carry_their_batch_norm(small_checkpoint: Checkpoint) -> None:
    network = small_checkpoint.module(torch.float64)
    for block, (conv1, conv2) in zip(network.res_blocks, fold_v3(small_checkpoint, 8575).blocks, strict=True):
        x = torch.randn(2, conv1.weight.shape[1], 100, dtype=torch.float64)
        y = functional.conv1d(x, conv1.weight, conv1.bias, padding=15)
        torch.testing.assert_close(y, block.bn1(block.conv1(x)), **CLOSE)
        assert y.shape[-1] == 101
        z = functional.conv1d(y, conv2.weight, conv2.bias, padding=14)
        torch.testing.assert_close(z, block.bn2(block.conv2(y)), **CLOSE)
        unfolded = functional.conv1d(x, conv1.weight, torch.zeros_like(conv1.bias), padding=15)
        assert not torch.allclose(unfolded, y, rtol=1e-3)


def test_linear_layers_are_in_order(small_checkpoint: Checkpoint) -> None:
    folded = fold_v3(small_checkpoint, 8575)
    assert [weight.shape[0] for weight, _ in folded.linear] == [32, 32, 3]
    assert torch.equal(folded.linear[-1][1], small_checkpoint.state["linear_sequential.2.bias"])
    assert folded.pool == 64
