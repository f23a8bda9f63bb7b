"""Linear layers in pieces of one shape are the plain layers, and every row is computed for itself."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch.nn import functional

from apnet_fast.engines.cpu.linear import COLUMNS, ROWS, LinearLayers


def layers(*widths: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    pairs = pairwise(widths)
    return [(torch.randn(b, a, generator=generator) / a**0.5, torch.randn(b, generator=generator)) for a, b in pairs]


def computed(made: LinearLayers, features: torch.Tensor) -> torch.Tensor:
    products = torch.full((ROWS, made.width), torch.nan)
    for column in made.columns:
        made.first(features, column, products)
    return made.rest(products)


@pytest.mark.parametrize("widths", [(40, COLUMNS + 44, 16, 3), (40, 8, 3), (40, 3)], ids=["wide", "narrow", "one"])
def test_pieces_are_the_plain_layers(widths: tuple[int, ...]) -> None:
    weights, features = layers(*widths), torch.randn(ROWS, widths[0])
    x = features.double()
    for weight, bias in weights[:-1]:
        x = functional.relu(functional.linear(x, weight.double(), bias.double()))
    expected = functional.linear(x, *(value.double() for value in weights[-1]))
    got = computed(LinearLayers(weights), features)
    assert torch.allclose(got.double(), expected, rtol=1e-5, atol=1e-5)
    weights[-1][1][0] += 0.01
    assert not torch.allclose(computed(LinearLayers(weights), features).double(), expected, rtol=1e-5, atol=1e-5)


def test_a_row_does_not_see_its_neighbours() -> None:
    made, features = LinearLayers(layers(40, 300, 3)), torch.randn(ROWS, 40)
    before = computed(made, features)
    features[1:] = torch.nan
    assert torch.equal(computed(made, features)[0], before[0])
