"""Weights in fp16 whose errors cancel, and products that keep more than fp16."""

from __future__ import annotations

import pytest
import torch

from apnet_fast.kernels.halves import accurate_product, accurate_weight, diffused, product, split


@pytest.mark.parametrize(("shape", "dim"), [((8, 4, 30), 2), ((5, 300, 3), 1), ((40,), 0)])
def test_sums_are_right_to_half_a_unit(shape: tuple[int, ...], dim: int) -> None:
    torch.manual_seed(0)
    weight = torch.randn(shape, dtype=torch.float64)
    rounded = diffused(weight, dim)
    assert rounded.dtype == torch.float16
    assert rounded.shape == weight.shape
    unit = 2.0**-11 * weight.abs().max()
    assert ((rounded.double() - weight).abs() < 2 * unit).all()
    running = (rounded.double() - weight).cumsum(dim).abs()
    assert (running <= unit).all()
    nearest = (weight.half().double() - weight).cumsum(dim).abs()
    assert nearest.max() > running.max()


def test_a_slowly_changing_input_meets_far_less_error() -> None:
    torch.manual_seed(0)
    weight = torch.randn(64, 16, 30, dtype=torch.float64)
    x = 5 + torch.sin(torch.linspace(0, 0.5, 30, dtype=torch.float64)).expand(16, 30)

    def error(rounded: torch.Tensor) -> float:
        return float(((rounded.double() - weight) * x).sum(dim=(1, 2)).norm())

    assert error(diffused(weight, 2)) < 0.4 * error(weight.half())


def test_split_keeps_22_bits() -> None:
    torch.manual_seed(0)
    x = torch.randn(1000)
    high, low = split(x)
    assert ((high.double() + low.double() - x).abs() <= 2.0**-21 * x.abs() + 2.0**-25).all()


def test_accurate_product_is_far_better_than_halves() -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(7, 300), torch.randn(50, 300) / 300**0.5
    truth = x.double() @ weight.double().t()
    accurate = (accurate_product(x, accurate_weight(weight)) - truth).norm() / truth.norm()
    plain = (product(x.half(), weight.half().t()) - truth).norm() / truth.norm()
    assert accurate < 2e-6
    assert plain > 1e-4
