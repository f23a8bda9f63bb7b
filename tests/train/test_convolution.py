"""bf16 convolutions against plain ones, forwards and backwards."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from apnet_fast.networks.v3 import ApogeeNetV3, ArchitectureV3
from apnet_fast.train.convolution import (
    Bf16Conv1d,
    Bf16Convolution,
    default_precision,
    use_bf16_convolutions,
    weight_gradient,
)

# Rounding operands to 8 bits: 2**-9 each, less in sums of many.
_BF16 = 0.01


def relative(got: Tensor, expected: Tensor) -> float:
    return ((got - expected).abs().max() / expected.abs().max()).item()


@pytest.mark.parametrize(("channels", "outputs", "length", "taps", "padding"), [(4, 8, 200, 30, 15), (3, 5, 77, 7, 2)])
def test_three_passes_are_those_of_a_convolution(
    channels: int, outputs: int, length: int, taps: int, padding: int
) -> None:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(2, channels, length, generator=generator, requires_grad=True)
    weight = torch.randn(outputs, channels, taps, generator=generator, requires_grad=True)
    expected = functional.conv1d(x, weight, padding=padding)
    got = Bf16Convolution.apply(x, weight, padding)
    assert got.shape == expected.shape
    assert got.dtype == torch.float32
    assert relative(got, expected) < _BF16
    upstream = torch.randn(expected.shape, generator=generator)
    wanted = torch.autograd.grad((expected * upstream).sum(), (x, weight))
    found = torch.autograd.grad((got * upstream).sum(), (x, weight))
    for a, b in zip(found, wanted, strict=True):
        assert relative(a, b) < _BF16
        assert relative(a.roll(1, dims=-1), b) > 0.5  # a tap or pixel off is seen


def test_weight_gradient_is_exact_for_numbers_that_bf16_holds() -> None:
    generator = torch.Generator().manual_seed(4)
    x = torch.randint(-2, 3, (2, 3, 40), generator=generator).float()
    gradient = torch.randint(-2, 3, (2, 4, 41), generator=generator).float()
    weight = torch.zeros(4, 3, 30, requires_grad=True)
    (expected,) = torch.autograd.grad(functional.conv1d(x, weight, padding=15), weight, gradient)
    got = weight_gradient(x.bfloat16(), gradient.bfloat16(), 30, 15)
    torch.testing.assert_close(got, expected, rtol=0.01, atol=0.5)


def test_replaced_convs_keep_keys_values_and_parameters() -> None:
    network = ApogeeNetV3(ArchitectureV3(dim_mults=(1, 2), adapt_pool_output_dim=8, num_linear=1, linear_dim=4))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    parameters = {id(parameter) for parameter in network.parameters()}
    use_bf16_convolutions(network)
    after = network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[key], before[key]) for key in before)
    assert {id(parameter) for parameter in network.parameters()} == parameters
    kinds = [type(module) for module in network.modules() if isinstance(module, nn.Conv1d)]
    # The first conv sees log flux, whose lines bf16 would round away.
    assert kinds == [nn.Conv1d, Bf16Conv1d, Bf16Conv1d]


def test_default_precision_is_a_precision() -> None:
    assert default_precision(torch.device("cpu")) in ("fp32", "bf16")
