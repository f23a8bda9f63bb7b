"""Linear layers over clean spectra in 22 bits and over draws as differences."""

from __future__ import annotations

from dataclasses import replace

import torch

from apnet_fast.kernels.halves import clean_halves, linear, linear_layer, relu_stack, split

SPECTRA, DRAWS = 3, 4


def test_split_keeps_22_bits() -> None:
    torch.manual_seed(0)
    x = torch.randn(1000)
    high, low = split(x)
    assert ((high.double() + low.double() - x).abs() <= 2.0**-21 * x.abs() + 2.0**-25).all()


def stack(clean: torch.Tensor, differences: torch.Tensor) -> torch.Tensor:
    return torch.cat([differences.half().flatten(0, 1), *split(clean)])


def relative(got: torch.Tensor, expected: torch.Tensor) -> float:
    return float((got.double() - expected).norm() / expected.norm())


def test_a_layer_against_float64() -> None:
    torch.manual_seed(0)
    clean, differences = torch.randn(SPECTRA, 300), 0.1 * torch.randn(SPECTRA, DRAWS, 300).half().float()
    weight, bias = torch.randn(50, 300) / 300**0.5, torch.randn(50)
    layer = linear_layer(weight, bias)
    z, dz = linear(stack(clean, differences), layer, SPECTRA)
    truth = clean.double() @ weight.double().t() + bias
    assert relative(z, truth) < 2e-6
    # Each draw takes the high halves of the weights: nearest fp16.
    assert relative(dz, differences.double() @ weight.double().t()) < 5e-4
    plain, _ = linear(stack(clean, differences), replace(layer, low=torch.zeros_like(layer.low)), SPECTRA)
    assert relative(plain, truth) > 1e-4


def test_the_mean_of_draws_far_from_the_clean_row_is_not_moved_by_the_rounding_of_weights() -> None:
    torch.manual_seed(0)
    offset, scatter = torch.randn(SPECTRA, 1, 300), 0.02 * torch.randn(SPECTRA, DRAWS, 300)
    differences = (offset + scatter).half().float()
    weight = torch.randn(50, 300) / 300**0.5
    layer = linear_layer(weight, torch.zeros(50))
    given = stack(torch.randn(SPECTRA, 300), differences)
    truth = differences.double() @ weight.double().t()

    def off(low: torch.Tensor) -> float:
        _, dz = linear(given, replace(layer, low=low), SPECTRA)
        return relative(dz.mean(dim=1), truth.mean(dim=1))

    assert off(layer.low) < 1e-6
    assert off(torch.zeros_like(layer.low)) > 1e-4


def test_relu_of_a_stack() -> None:
    torch.manual_seed(0)
    z, dz = torch.randn(SPECTRA, 40), torch.randn(SPECTRA, DRAWS, 40)
    got = relu_stack(z, dz)
    high, low = clean_halves(got, SPECTRA)
    torch.testing.assert_close(high.float() + low.float(), z.relu(), rtol=0, atol=1e-6)
    expected = (z[:, None] + dz).relu() - z[:, None].relu()
    got_draws = got[: -2 * SPECTRA].view(SPECTRA, DRAWS, 40)
    torch.testing.assert_close(got_draws.float(), expected, rtol=1e-3, atol=1e-6)
    assert not torch.allclose(got_draws.float(), expected.roll(1, dims=0), rtol=1e-3, atol=1e-6)


def test_without_draws() -> None:
    torch.manual_seed(0)
    clean, weight = torch.randn(SPECTRA, 30), torch.randn(5, 30)
    z, dz = linear(torch.cat(split(clean)), linear_layer(weight, torch.zeros(5)), SPECTRA)
    assert dz.shape == (SPECTRA, 0, 5)
    assert relative(z, clean.double() @ weight.double().t()) < 2e-6
