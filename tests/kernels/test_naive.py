"""The kernels' twins, one after another, are the network."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from apnet_fast.kernels.naive import naive_elu_difference, naive_pool, naive_stem, naive_sums
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.folding import FoldedV3, fold_v3

PIXELS = 1027


def outputs(network: FoldedV3, log_flux: torch.Tensor) -> torch.Tensor:
    length = (PIXELS + 1) // 2
    x = naive_stem(log_flux, network.first.weight[:, 0], network.first.bias)
    for first, second in network.blocks:
        middle = functional.elu(naive_sums(x, first.weight, first.bias, 15, length + 1))
        x = functional.elu(naive_sums(middle, second.weight, second.bias, 14, length, x))
    features = naive_pool(x, network.pool).double().unflatten(1, (network.pool, -1)).transpose(1, 2).flatten(1)
    for weight, bias in network.linear[:-1]:
        features = functional.relu(functional.linear(features, weight.double(), bias.double()))
    weight, bias = network.linear[-1]
    return functional.linear(features, weight.double(), bias.double())


def test_twins_are_the_network(small_checkpoint: Checkpoint) -> None:
    torch.manual_seed(0)
    log_flux = torch.randn(2, PIXELS, dtype=torch.float64)
    with torch.inference_mode():
        expected = small_checkpoint.module(torch.float64)(log_flux[:, None])
        # Only the pooling is float32.
        got = outputs(fold_v3(small_checkpoint, PIXELS), log_flux)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)
    with pytest.raises(AssertionError):
        torch.testing.assert_close(got, expected.roll(1, dims=0), rtol=0, atol=1e-6)


def test_a_difference_of_elus_is_exact_above_zero_and_right_below() -> None:
    z = torch.tensor([3.0, 3.0, -2.0, -2.0, 0.0])
    dz = torch.tensor([1e-7, -4.0, 3.0, 1e-3, 0.0])
    exact = functional.elu(z.double() + dz.double()) - functional.elu(z.double())
    got = naive_elu_difference(z, dz)
    torch.testing.assert_close(got.double(), exact, rtol=1e-3, atol=0)
    assert got[0] == dz[0]
